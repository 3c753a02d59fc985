"""What a flow leaves behind: a whole chain, no personal value in it, and an outbox row for each receipt."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.capabilities import directory, ledger
from trustpack.capabilities.ledger import Receipt
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings
from trustpack.proof.canonical import canonical_bytes, digest_of, digest_of_value
from trustpack.proof.commitments import opens
from trustpack.proof.receipt_chain import check_chain

JUSTIFICATION = "Jane Doe's refund of 12 May is stuck"
COMMENT = "Agreed with jane.doe@example.com on the phone"
REASON = "Jane was helped by Mark"


async def receipts_of(world: World, subject_id: str) -> tuple[Receipt, ...]:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return await ledger.receipts_of(tx, subject_id)


async def finished_request(world: World) -> str:
    """Take a request through its whole life with personal texts in every place that has one."""
    request = await world.ask(justification=JUSTIFICATION)
    for approver in ("user-team-lead", "user-security"):
        body = {"effect_digest": request["effect_digest"], "comment": COMMENT}
        response = await world.act(approver, request["id"], "approve", body)
        assert response.status_code == 200, response.text
    await world.act("user-engineer", request["id"], "execute")
    response = await world.act("user-engineer", request["id"], "revert", {"reason": REASON})
    assert response.json()["status"] == "reverted", response.text
    return str(request["id"])


async def test_the_receipts_of_a_request_are_a_valid_chain_from_1_to_its_version(world: World):
    request_id = await finished_request(world)

    receipts = await receipts_of(world, request_id)

    version = (await world.read(request_id))["version"]
    assert check_chain([receipt.body for receipt in receipts], subject_id=request_id, expected_count=version) == ()


async def test_every_subject_of_a_tenant_has_a_valid_chain_of_its_version(world: World, settings: Settings):
    await finished_request(world)

    for table in ("tenants", "people", "teams", "tokens", "targets", "high_risk_requests"):
        rows = rows_as_owner(settings, f"SELECT id, version FROM trustpack.{table} WHERE tenant_id = %s", world.tenant_id)
        for row in rows:
            bodies = [receipt.body for receipt in await receipts_of(world, row["id"])]

            assert check_chain(bodies, subject_id=row["id"], expected_count=row["version"]) == (), (table, row)


async def test_no_personal_value_stands_in_any_receipt(world: World, settings: Settings):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_person(tx, world.operator, handle="mark-miller", display_name="Mark Miller")
        await directory.add_team(tx, world.operator, name="marks-team")
    await finished_request(world)

    rows = rows_as_owner(
        settings, "SELECT convert_from(body, 'UTF8') AS body FROM trustpack.receipts WHERE tenant_id = %s", world.tenant_id
    )

    personal = ["Jane", "jane.doe", "Mark", "mark", "refund", "user-engineer", "user-team-lead", "12 May"]
    assert [(word, row["body"]) for row in rows for word in personal if word in row["body"]] == []


async def test_no_personal_value_stands_in_a_decision_or_a_usage_event(world: World, settings: Settings):
    await finished_request(world)

    inputs = rows_as_owner(
        settings,
        "SELECT convert_from(input, 'UTF8') || convert_from(reasons, 'UTF8') || coalesce(convert_from(result, 'UTF8'),"
        " '') AS text"
        " FROM trustpack.policy_decisions WHERE tenant_id = %s",
        world.tenant_id,
    )
    events = rows_as_owner(
        settings, "SELECT metadata::text AS text FROM trustpack.usage_events WHERE tenant_id = %s", world.tenant_id
    )

    assert [row["text"] for row in [*inputs, *events] if "Jane" in row["text"] or "jane" in row["text"]] == []


async def test_disclosures_open_every_commitment(world: World):
    request_id = await finished_request(world)
    receipts = await receipts_of(world, request_id)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        disclosures = await ledger.disclosures_of(tx, request_id)

    committed = {
        (receipt.id, path): value["commitment"]
        for receipt in receipts
        for path, value in json.loads(receipt.body)["payload"].items()
        if isinstance(value, dict) and "commitment" in value
    }
    opened = {
        (receipt_id, entry.path): opens(entry, committed[receipt_id, entry.path])
        for receipt_id, found in disclosures.items()
        for entry in found
    }
    assert opened == dict.fromkeys(committed, True)
    assert {entry.value for found in disclosures.values() for entry in found} == {JUSTIFICATION, COMMENT, REASON}


async def test_equal_values_have_different_commitments(world: World):
    request_id = await finished_request(world)

    votes = [json.loads(receipt.body) for receipt in await receipts_of(world, request_id) if receipt.action == "approved"]

    assert len({vote["payload"]["comment"]["commitment"] for vote in votes}) == len(votes) == 2


async def test_every_receipt_has_its_place_in_the_outbox(world: World, settings: Settings):
    await finished_request(world)

    receipts = rows_as_owner(settings, "SELECT id FROM trustpack.receipts WHERE tenant_id = %s ORDER BY id", world.tenant_id)
    outbox = rows_as_owner(
        settings, "SELECT receipt_id AS id FROM trustpack.log_outbox WHERE tenant_id = %s ORDER BY 1", world.tenant_id
    )

    assert outbox == receipts


async def test_twenty_changes_of_one_person_at_once_leave_a_chain_without_gap(world: World):
    person = world.people["user-engineer-2"]
    roles = [role for role in Role if role != Role.ENGINEER]
    before = len(await receipts_of(world, person.id))

    await asyncio.gather(
        *(world.change_role(person.handle, roles[number % len(roles)], grant=number < 10) for number in range(20))
    )

    receipts = await receipts_of(world, person.id)
    assert [receipt.seq for receipt in receipts] == list(range(1, len(receipts) + 1))
    assert check_chain([receipt.body for receipt in receipts], subject_id=person.id, expected_count=len(receipts)) == ()
    assert before + 7 <= len(receipts) <= before + 20


async def test_a_refused_attempt_is_a_receipt_and_raises_the_version(world: World):
    request = await world.ask()

    response = await world.act("user-engineer", request["id"], "approve", {"effect_digest": request["effect_digest"]})

    assert response.status_code == 403
    assert await world.actions(request["id"]) == ["requested", "refused"]
    assert (await world.read(request["id"]))["version"] == 2


async def test_a_presented_receipt_is_what_is_stored(world: World):
    request = await world.ask()
    [stored] = await receipts_of(world, request["id"])

    [shown] = await world.receipts(request["id"])

    body = json.loads(stored.body)
    assert {name: shown[name] for name in ("id", "seq", "action", "occurred_at", "payload", "prev_hash")} == {
        name: body[name] for name in ("id", "seq", "action", "occurred_at", "payload", "prev_hash")
    }
    assert shown["subject_id"] == request["id"]
    assert shown["payload_digest"] == digest_of_value(body["payload"])
    assert shown["actor"]["handle"] == "user-engineer"


async def test_stored_bytes_are_canonical_and_digested(world: World, settings: Settings):
    await finished_request(world)

    rows = rows_as_owner(settings, "SELECT body, digest FROM trustpack.receipts WHERE tenant_id = %s", world.tenant_id)

    assert all(canonical_bytes(json.loads(row["body"])) == bytes(row["body"]) for row in rows)
    assert all(digest_of(bytes(row["body"])) == row["digest"] for row in rows)


async def test_a_transition_that_fails_leaves_no_receipt(world: World):
    person = world.people["user-engineer"]
    before = await receipts_of(world, person.id)

    with pytest.raises(ValueError, match="a bug"):  # noqa: PT012 - the transaction's end raises
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await directory.change_role(tx, world.operator, handle=person.handle, role=Role.ADMIN, grant=True)
            raise ValueError("a bug")

    assert await receipts_of(world, person.id) == before


async def test_a_request_and_its_decisions_are_metered_once_each(world: World, settings: Settings):
    await finished_request(world)

    rows = rows_as_owner(
        settings,
        "SELECT type, count(*) AS events, count(DISTINCT coalesce(metadata ->> 'decision_id', metadata ->>"
        " 'subject_id')) AS things"
        " FROM trustpack.usage_events WHERE tenant_id = %s GROUP BY type ORDER BY type",
        world.tenant_id,
    )

    assert [tuple(row.values()) for row in rows] == [("policy_decision", 2, 2), ("workflow_run", 1, 1)]
