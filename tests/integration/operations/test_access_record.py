"""What was done with an access: kept with the case as counts and committed statements, and shown to whoever may read it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest

from tests.support.scripted_target import unproven
from tests.support.stored import chain_faults, run_due
from tests.support.world import World
from tests.support.worlds import ScriptedWorld
from trustpack.capabilities.operations.model import AccessCounts, AccessRecord, RecordMode
from trustpack.platform.database import store_logins
from trustpack.proof.commitments import Disclosure, opens

NO_COUNTS = {"touched": None, "recorded": None, "not_kept": None, "rolled_back": None}


def statement(number: int, text: str = "select * from orders where email = 'ann@example.com'") -> dict[str, Any]:
    return {
        "number": number,
        "at": "2026-11-22T08:00:00.000000Z",
        "pid": 4711,
        "application_name": "psql",
        "statement": f"{text} -- {number}",
    }


def recorded(count: int, *, rolled_back: int = 0, not_kept: int = 0, text: str = "select email from orders") -> AccessRecord:
    counts = AccessCounts(touched=count + rolled_back + not_kept, recorded=count, not_kept=not_kept, rolled_back=rolled_back)
    statements = tuple(statement(number, text) for number in range(1, count + 1))
    return AccessRecord(mode=RecordMode.STATEMENTS, counts=counts, statements=statements)


async def reverted_with(world: ScriptedWorld, accesses: AccessRecord | None) -> str:
    world.target.accesses = accesses
    request = await world.active()
    await world.act("user-engineer", request["id"], "revert", {"reason": "done"})
    async with asyncio.timeout(60):
        while (await world.read(request["id"]))["status"] != "reverted":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return str(request["id"])


async def page(world: World, request_id: str, query: str = "", *, handle: str = "user-auditor") -> Any:
    return await world.call(handle, "GET", f"/high-risk-ops/requests/{request_id}/statements{query}")


async def test_the_request_counts_what_was_done_in_one_sentence(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(40, rolled_back=1))

    grant = (await scripted.read(request_id))["grant"]
    assert grant["access_record"] == {
        "mode": "statements",
        "touched": 41,
        "recorded": 40,
        "not_kept": 0,
        "rolled_back": 1,
        "unavailable": None,
        "summary": "41 statements touched the data, 40 recorded, 1 rolled back",
    }


@pytest.mark.parametrize(
    ("accesses", "mode", "summary"),
    [
        (
            AccessRecord(mode=RecordMode.STATEMENTS, unavailable="operations.target_not_prepared: It is not prepared."),
            "statements",
            "the record could not be read: operations.target_not_prepared: It is not prepared.",
        ),
        (AccessRecord(mode=RecordMode.NONE), "none", "nothing was recorded"),
    ],
    ids=["unavailable", "none"],
)
async def test_a_record_without_counts_says_why(scripted: ScriptedWorld, accesses: AccessRecord, mode: str, summary: str) -> None:
    request_id = await reverted_with(scripted, accesses)

    expected = {"mode": mode, **NO_COUNTS, "unavailable": accesses.unavailable}
    assert (await scripted.read(request_id))["grant"]["access_record"] == {**expected, "summary": summary}
    payload = (await scripted.receipts(request_id))[-1]["payload"]
    assert payload["access_record"] == expected
    assert "statements" not in payload
    assert (await page(scripted, request_id)).json() == {"items": [], "next_cursor": None}


async def test_a_target_that_records_nothing_has_no_access_record(world: World) -> None:
    request = await world.active()

    await world.act("user-engineer", request["id"], "revert", {"reason": "done"})

    reverted = await world.read(request["id"])
    assert (reverted["status"], reverted["grant"]["access_record"]) == ("reverted", None)
    assert (await world.receipts(request["id"]))[-1]["payload"]["access_record"] is None


async def test_nothing_is_told_before_the_end_is_proven(scripted: ScriptedWorld) -> None:
    scripted.target.accesses = recorded(2)
    request = await scripted.active()
    before = (await scripted.read(request["id"]))["grant"]["access_record"]
    scripted.target.script("revert", unproven("session_survived"))
    await scripted.act("user-engineer", request["id"], "revert", {"reason": "done"})
    failed = await scripted.read(request["id"])
    listed = await page(scripted, request["id"])

    scripted.clock.advance(seconds=61)
    await run_due(scripted)

    after = await scripted.read(request["id"])
    assert (before, failed["status"], failed["grant"]["access_record"]) == (None, "revert_failed", None)
    assert listed.json() == {"items": [], "next_cursor": None}
    assert (after["status"], after["grant"]["access_record"]["touched"]) == ("reverted", 2)
    assert len((await page(scripted, request["id"])).json()["items"]) == 2


async def test_statements_come_in_order_a_page_at_a_time(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(5))

    first = (await page(scripted, request_id, "?limit=2")).json()
    second = (await page(scripted, request_id, f"?limit=2&cursor={first['next_cursor']}")).json()
    third = (await page(scripted, request_id, f"?limit=2&cursor={second['next_cursor']}")).json()
    whole = (await page(scripted, request_id, "?limit=5")).json()

    assert first["items"] == [statement(1, "select email from orders"), statement(2, "select email from orders")]
    assert [item["number"] for one in (second, third) for item in one["items"]] == [3, 4, 5]
    assert (third["next_cursor"], whole["next_cursor"]) == (None, None)
    assert whole["items"] == first["items"] + second["items"] + third["items"]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=201", "?cursor=x", "?cursor={of_a_list}", "?cursor={too_far}"])
async def test_a_page_that_cannot_be_is_refused(scripted: ScriptedWorld, query: str) -> None:
    request_id = await reverted_with(scripted, recorded(1))
    cursors = {
        "of_a_list": "aHJvXzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw",
        "too_far": "cGxjX2ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZm",
    }

    response = await page(scripted, request_id, query.format(**cursors))

    assert response.status_code == 422, response.text


async def test_whoever_may_read_the_request_may_read_its_statements_and_nobody_else(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(1))
    unknown = await page(scripted, "hro_" + "0" * 32)

    answers = {handle: await page(scripted, request_id, handle=handle) for handle in scripted.people}

    readers = {"user-engineer", "user-team-lead", "user-security", "user-lead-and-security", "user-auditor", "user-admin"}
    assert {handle for handle, answer in answers.items() if answer.status_code == 200} == readers
    for handle in set(scripted.people) - readers:
        assert (answers[handle].status_code, answers[handle].json()["code"]) == (404, unknown.json()["code"])


async def test_another_tenant_does_not_find_the_statements(scripted: ScriptedWorld, world: World) -> None:
    request_id = await reverted_with(scripted, recorded(1))

    for handle in ("user-auditor", "user-admin"):
        assert (await page(world, request_id, handle=handle)).status_code == 404


async def test_the_receipt_commits_to_the_statements_without_holding_them(scripted: ScriptedWorld) -> None:
    accesses = recorded(3, text="select 1 where name = 'Mallory'")
    request_id = await reverted_with(scripted, accesses)

    bundle = (await scripted.call("user-auditor", "GET", f"/evidence/high-risk-ops/{request_id}")).json()
    receipt = bundle["receipts"][-1]
    [disclosed] = receipt["disclosures"]
    disclosure = Disclosure(path=disclosed["path"], value=disclosed["value"], salt=bytes.fromhex(disclosed["salt"]))
    assert receipt["body"]["payload"]["access_record"]["recorded"] == 3
    assert (disclosed["path"], disclosed["value"]) == ("statements", [dict(row) for row in accesses.statements])
    assert opens(disclosure, receipt["body"]["payload"]["statements"]["commitment"])
    assert not any("Mallory" in json.dumps(one["body"]) for one in bundle["receipts"])
    assert "Mallory" not in json.dumps([bundle["request"], bundle["grant"], await scripted.receipts(request_id)])
    assert bundle["grant"]["access_record"]["summary"] == "3 statements touched the data, 3 recorded, 0 rolled back"


async def test_evidence_with_statements_has_the_same_bytes_every_time(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(3, text="select 'ü 🙂 \\ \u202e'"))
    path = f"/evidence/high-risk-ops/{request_id}"

    first, second = [(await scripted.call("user-auditor", "GET", path)).content for _ in range(2)]

    assert first == second


async def test_the_largest_record_is_stored_and_read(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(1000, not_kept=5000, rolled_back=7, text="🙂" * 1990))

    last = (await page(scripted, request_id, "?limit=200&cursor=cGxjXzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM2U3")).json()
    evidence = await scripted.call("user-auditor", "GET", f"/evidence/high-risk-ops/{request_id}")

    assert ([item["number"] for item in last["items"]], last["next_cursor"]) == ([1000], None)
    assert len(evidence.json()["receipts"][-1]["disclosures"][0]["value"]) == 1000
    assert (await scripted.read(request_id))["grant"]["access_record"]["summary"] == (
        "6007 statements touched the data, 1000 recorded, 7 rolled back, 5000 beyond the limit were counted only"
    )
    assert await chain_faults(scripted, request_id) == ()


async def test_after_an_erasure_the_counts_and_the_chain_are_still_there(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(3))
    owner = store_logins(scripted.container.settings).owner
    assert owner is not None
    with psycopg.connect(owner) as connection:
        connection.execute("SELECT set_config('trustpack.tenant', %s, true)", (scripted.tenant_id,))
        erased = connection.execute(
            "DELETE FROM trustpack.disclosures WHERE tenant_id = %s AND path = 'statements'", (scripted.tenant_id,)
        ).rowcount

    assert erased == 1
    assert (await page(scripted, request_id)).json() == {"items": [], "next_cursor": None}
    assert (await scripted.read(request_id))["grant"]["access_record"]["recorded"] == 3
    assert await chain_faults(scripted, request_id) == ()
