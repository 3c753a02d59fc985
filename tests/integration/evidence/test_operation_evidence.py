"""The evidence of a high-risk request: whole, stable, and checkable with nothing but the file."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import rfc8785

from tests.support.cases import STATES, case_in, settle
from tests.support.clock import MovableClock
from tests.support.store import held_table, somebody_waits_for
from tests.support.world import World
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container
from trustpack.capabilities.operations.service.voting import approve
from trustpack.kernel.actor import Actor
from trustpack.proof.bundle import check_bundle
from trustpack.proof.commitments import Disclosure, opens
from trustpack.proof.receipt_chain import check_chain

SECTIONS = {"request", "effect", "approvals", "execution", "grant", "decisions", "receipts"}


@pytest.fixture
async def scripted(container: Container, clock: MovableClock) -> AsyncIterator[ScriptedWorld]:
    """A fresh tenant on a scripted target."""
    async with scripted_world(container, clock, execute_wait_seconds=1) as world:
        yield world


async def bundle_bytes(world: World, request_id: str, handle: str = "user-auditor") -> bytes:
    response = await world.call(handle, "GET", f"/evidence/high-risk-ops/{request_id}")
    assert response.status_code == 200, response.text
    return response.content


async def bundle_of(world: World, request_id: str) -> dict[str, Any]:
    return dict(json.loads(await bundle_bytes(world, request_id)))


async def reverted_case(world: ScriptedWorld) -> str:
    request = await world.active(justification="Justified by Mallory")
    await world.act("user-engineer", request["id"], "credentials")
    await world.act("user-admin", request["id"], "revert", {"reason": "Reverted by Mallory"})
    return str(request["id"])


@pytest.mark.parametrize("status", STATES)
async def test_a_case_in_any_state_has_whole_evidence(scripted: ScriptedWorld, status: str) -> None:
    release = asyncio.Event()
    request_id = await case_in(scripted, status, release)
    live = await scripted.read(request_id)

    content = await bundle_bytes(scripted, request_id)

    release.set()
    await settle(scripted, request_id)
    bundle = json.loads(content)
    assert check_bundle(content) == ()
    assert set(bundle) == {"manifest", *SECTIONS}
    assert (bundle["request"]["id"], bundle["request"]["status"]) == (request_id, status)
    assert [decision["id"] for decision in bundle["decisions"]] == live["decisions"]
    assert bundle["decisions"]
    assert [bundle[part] for part in ("approvals", "execution", "grant")] == [
        live[part] for part in ("approvals", "execution", "grant")
    ]
    assert bundle["effect"] == live["effect"]["document"]
    assert len(bundle["receipts"]) == live["version"] == bundle["manifest"]["version"]
    bodies = [rfc8785.dumps(receipt["body"]) for receipt in bundle["receipts"]]
    assert check_chain(bodies, subject_id=request_id, expected_count=live["version"]) == ()


async def test_the_manifest_names_the_case_and_summarises_every_section(scripted: ScriptedWorld) -> None:
    request_id = await reverted_case(scripted)

    bundle = await bundle_of(scripted, request_id)

    manifest = bundle["manifest"]
    assert (manifest["tenant"], manifest["subject"], manifest["kind"]) == (scripted.tenant_id, request_id, "high_risk_operation")
    assert set(manifest["sections"]) == SECTIONS
    for name, summary in manifest["sections"].items():
        assert summary["digest"] == "sha256:" + hashlib.sha256(rfc8785.dumps(bundle[name])).hexdigest(), name
    for name in ("approvals", "decisions", "receipts"):
        assert manifest["sections"][name]["count"] == len(bundle[name]), name
        assert manifest["sections"][name]["ids"] == [item["id"] for item in bundle[name]], name


async def test_the_manifest_lists_when_things_happened(scripted: ScriptedWorld) -> None:
    request_id = await reverted_case(scripted)

    bundle = await bundle_of(scripted, request_id)

    # Story 1.8: "manifest lists IDs/timestamps".
    written = json.dumps(bundle["manifest"])
    assert [
        receipt["body"]["occurred_at"] for receipt in bundle["receipts"] if receipt["body"]["occurred_at"] not in written
    ] == []


async def test_every_receipt_body_hashes_to_its_digest(scripted: ScriptedWorld) -> None:
    bundle = await bundle_of(scripted, await reverted_case(scripted))

    for receipt in bundle["receipts"]:
        assert receipt["digest"] == "sha256:" + hashlib.sha256(rfc8785.dumps(receipt["body"])).hexdigest()
    assert [receipt["body"]["action"] for receipt in bundle["receipts"]] == [
        "requested", "approved", "approved", "execution_started", "executed", "credentials_issued", "revert_started", "reverted",
    ]  # fmt: skip


async def test_disclosures_open_every_commitment_and_only_with_the_right_value(scripted: ScriptedWorld) -> None:
    bundle = await bundle_of(scripted, await reverted_case(scripted))

    opened = {}
    for receipt in bundle["receipts"]:
        payload = receipt["body"]["payload"]
        committed = {name for name, value in payload.items() if isinstance(value, dict) and set(value) == {"commitment"}}
        assert {entry["path"] for entry in receipt["disclosures"]} == committed
        for entry in receipt["disclosures"]:
            disclosure = Disclosure(path=entry["path"], value=entry["value"], salt=bytes.fromhex(entry["salt"]))
            assert opens(disclosure, payload[entry["path"]]["commitment"])
            assert not opens(
                Disclosure(path=entry["path"], value="another", salt=disclosure.salt), payload[entry["path"]]["commitment"]
            )
            opened[receipt["body"]["action"], entry["path"]] = entry["value"]
    assert opened == {
        ("requested", "justification"): "Justified by Mallory",
        ("revert_started", "reason"): "Reverted by Mallory",
    }


async def test_a_decisions_input_and_result_are_there_to_be_checked(scripted: ScriptedWorld) -> None:
    bundle = await bundle_of(scripted, await reverted_case(scripted))

    assert [decision["input"]["action"] for decision in bundle["decisions"]] == ["request", "execute"]
    for decision in bundle["decisions"]:
        assert decision["input_digest"] == "sha256:" + hashlib.sha256(rfc8785.dumps(decision["input"])).hexdigest()
        assert decision["bundle_revision"]


async def test_the_effect_in_the_evidence_is_the_one_that_was_approved(scripted: ScriptedWorld) -> None:
    bundle = await bundle_of(scripted, await reverted_case(scripted))

    digest = "sha256:" + hashlib.sha256(rfc8785.dumps(bundle["effect"])).hexdigest()
    assert {approval["effect_digest"] for approval in bundle["approvals"]} == {digest}
    assert bundle["request"]["effect_digest"] == digest


async def test_the_proof_of_the_end_is_the_one_in_the_receipt(scripted: ScriptedWorld) -> None:
    bundle = await bundle_of(scripted, await reverted_case(scripted))

    assert bundle["grant"]["revert_proof"] == bundle["receipts"][-1]["body"]["payload"]["proof"]
    assert bundle["grant"]["revert_proof"]["login"] == "refused"


async def test_an_unchanged_case_gives_the_same_bytes_to_everybody_at_any_time(scripted: ScriptedWorld) -> None:
    request_id = await reverted_case(scripted)
    first = await bundle_bytes(scripted, request_id)

    await scripted.active()
    await scripted.add_person("user-new")
    scripted.clock.advance(days=3)

    assert await bundle_bytes(scripted, request_id) == first
    assert await bundle_bytes(scripted, request_id, "user-engineer") == first
    assert first == rfc8785.dumps(json.loads(first))


async def test_a_transition_changes_the_evidence_and_its_etag(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    path = f"/evidence/high-risk-ops/{request['id']}"
    before = await scripted.call("user-auditor", "GET", path)

    await scripted.act("user-team-lead", request["id"], "approve", {})

    after = await scripted.call("user-auditor", "GET", path)
    assert after.content != before.content
    assert after.headers["etag"] != before.headers["etag"]
    assert after.json()["manifest"]["version"] == 2


async def test_a_download_is_named_after_its_case(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()

    response = await scripted.call("user-auditor", "GET", f"/evidence/high-risk-ops/{request['id']}")

    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-disposition"] == f'attachment; filename="{request["id"]}.evidence.json"'


async def test_one_altered_byte_shows(scripted: ScriptedWorld) -> None:
    request_id = await reverted_case(scripted)
    bundle = await bundle_of(scripted, request_id)
    bundle["receipts"][1]["body"]["actor"]["id"] = scripted.people["user-security"].id

    bodies = [rfc8785.dumps(receipt["body"]) for receipt in bundle["receipts"]]

    faults = check_chain(bodies, subject_id=request_id, expected_count=len(bodies))
    assert [(fault.code, fault.seq) for fault in faults] == [("broken_link", 3)]


async def test_evidence_reads_one_moment_although_the_case_moves_meanwhile(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    lead = scripted.people["user-team-lead"]
    actor = Actor(
        tenant_id=scripted.tenant_id, id=lead.id, kind=lead.kind, handle=lead.handle, account_id="acc_1", roles=lead.roles
    )
    with held_table(scripted.container.settings, "executions"):
        # The bundle has read the request when it comes to the table that is held; a vote does not need that table.
        reading = asyncio.create_task(bundle_of(scripted, request["id"]))
        await somebody_waits_for(scripted.container.settings, "executions")
        async with scripted.container.unit_of_work.transaction(scripted.tenant_id) as tx:
            await approve(tx, scripted.container.operations, actor, request["id"], digest=None, comment=None, role=None)

    bundle = await reading

    assert (bundle["request"]["version"], len(bundle["receipts"]), len(bundle["approvals"])) == (1, 1, 0)
