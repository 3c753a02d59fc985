"""Taking access back: by whom, when, and never called done without proof."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.support.cases import settle
from tests.support.scripted_target import crash_afterwards, unavailable, unproven
from tests.support.stored import chain_faults, end_leases, jobs_of, rows, run_due
from tests.support.world import RECORD_TARGET
from tests.support.worlds import ScriptedWorld
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import set_person_status
from trustpack.capabilities.operations.service.targets import remove_target
from trustpack.kernel.actor import Role

ENDED = ["executed", "revert_started", "reverted"]


async def revert(world: ScriptedWorld, request_id: str, handle: str = "user-engineer") -> Any:
    return await world.act(handle, request_id, "revert", {"reason": "done"})


@pytest.mark.parametrize("handle", ["user-engineer", "user-team-lead", "user-security", "user-lead-and-security", "user-admin"])
async def test_requester_approvers_and_admins_end_access_early(scripted: ScriptedWorld, handle: str) -> None:
    request = await scripted.active()

    response = await revert(scripted, request["id"], handle)

    assert (response.status_code, response.json()["status"]) == (200, "reverted")
    assert scripted.target.live_roles == []
    assert (await scripted.actions(request["id"]))[-3:] == ENDED
    started = (await scripted.receipts(request["id"]))[-2]
    assert (started["actor"]["handle"], list(started["payload"]["reason"])) == (handle, ["commitment"])
    assert await jobs_of(scripted) == []


async def test_an_auditor_cannot_end_access(scripted: ScriptedWorld) -> None:
    request = await scripted.active()

    response = await revert(scripted, request["id"], "user-auditor")

    assert (response.status_code, response.json()["code"]) == (403, "operations.revert_forbidden")
    assert (await scripted.receipts(request["id"]))[-1]["payload"] == {
        "attempted": "revert",
        "code": "operations.revert_forbidden",
    }
    assert (await scripted.read(request["id"]))["status"] == "active"
    assert len(scripted.target.live_roles) == 1


async def test_a_person_of_another_team_cannot_even_see_the_access(scripted: ScriptedWorld) -> None:
    request = await scripted.active()

    response = await revert(scripted, request["id"], "user-engineer-2")

    assert response.status_code == 404
    assert len(scripted.target.live_roles) == 1


async def test_access_ends_by_itself_with_the_proof_in_its_receipt(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)

    scripted.clock.advance(seconds=45)
    await run_due(scripted)
    before = await scripted.read(request["id"])
    scripted.clock.advance(seconds=15)
    await run_due(scripted)

    after, last = await scripted.read(request["id"]), (await scripted.receipts(request["id"]))[-1]
    assert (before["status"], after["status"], after["grant"]["status"]) == ("active", "reverted", "reverted")
    assert (last["action"], last["actor"]["id"]) == ("reverted", "system:auto-revert")
    assert last["payload"]["proof"] == after["grant"]["revert_proof"]
    assert last["payload"]["proof"]["login"] == "refused"
    assert scripted.target.live_roles == []


@pytest.mark.adversarial(46)
async def test_what_is_not_proven_is_never_called_reverted(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("revert", unproven("session_survived"))

    response = await revert(scripted, request["id"])

    assert (response.status_code, response.json()["status"]) == (202, "revert_failed")
    assert (response.json()["grant"]["status"], response.json()["grant"]["ended_at"]) == ("revert_failed", None)
    assert response.json()["grant"]["revert_blockers"] == ["session_survived"]
    last = (await scripted.receipts(request["id"]))[-1]
    assert (last["action"], last["payload"]["blockers"]) == ("revert_failed", ["session_survived"])


@pytest.mark.adversarial(36)
async def test_a_failed_revert_is_tried_again_with_growing_pauses_of_at_most_a_minute(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("revert", *[unproven("session_survived")] * 12)
    before = scripted.clock.now()
    await revert(scripted, request["id"])

    for pause in (0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60):
        [job] = await jobs_of(scripted)
        due_at, now = job["due_at"], scripted.clock.now()
        # The pause was counted from the end of the attempt, which lies between the two readings of the clock.
        assert before + timedelta(seconds=pause) <= due_at <= now + timedelta(seconds=pause)
        assert job["last_error"] == "session_survived"
        scripted.clock.advance(seconds=(due_at - now).total_seconds() if due_at > now else 0)
        before = scripted.clock.now()
        assert await run_due(scripted) == 1
    assert (await scripted.read(request["id"]))["status"] == "revert_failed"


async def test_one_reason_leaves_one_receipt_however_often_it_is_met(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    same, other = unproven("session_survived"), unproven("owns_objects")
    scripted.target.script("revert", same, same, same, other, other, same)
    await revert(scripted, request["id"])

    for _ in range(7):
        scripted.clock.advance(seconds=61)
        await run_due(scripted)

    failures = [receipt for receipt in await scripted.receipts(request["id"]) if receipt["action"] == "revert_failed"]
    assert [failure["payload"]["blockers"] for failure in failures] == [
        ["session_survived"],
        ["owns_objects"],
        ["session_survived"],
    ]
    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert await chain_faults(scripted, request["id"]) == ()


@pytest.mark.adversarial(36)
async def test_a_target_that_is_down_for_an_hour_over_the_end_is_reverted_when_it_is_back(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    scripted.target.script("revert", *[unavailable] * 60)
    scripted.clock.advance(seconds=60)
    seen = set()

    for _ in range(60):
        await run_due(scripted)
        seen.add((await scripted.read(request["id"]))["status"])
        scripted.clock.advance(seconds=61)
    await run_due(scripted)

    assert seen == {"revert_failed"}
    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert [action for action in await scripted.actions(request["id"]) if action.startswith("revert")] == [
        "revert_started",
        "revert_failed",
        "reverted",
    ]


async def test_a_person_can_push_a_failed_revert(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("revert", unproven("session_survived"))
    await revert(scripted, request["id"])

    response = await revert(scripted, request["id"], "user-admin")

    assert (response.status_code, response.json()["status"]) == (200, "reverted")


async def test_a_crash_in_the_middle_of_a_revert_is_made_good(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    scripted.target.script("revert", crash_afterwards)
    scripted.clock.advance(seconds=60)
    [job] = await jobs_of(scripted)
    claimed = await scripted.container.runner.claim(scripted.tenant_id, job["id"])
    task = asyncio.create_task(scripted.container.runner.run(claimed))
    await asyncio.wait([task])
    interrupted = await scripted.read(request["id"])

    await end_leases(scripted)
    await run_due(scripted)

    assert task.cancelled()
    assert interrupted["status"] == "reverting"
    assert (await settle(scripted, request["id"]))["status"] == "reverted"
    assert (await scripted.actions(request["id"]))[-3:] == ENDED


@pytest.mark.adversarial(47)
async def test_access_ends_although_its_target_was_taken_out_of_service(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    async with scripted.container.unit_of_work.transaction(scripted.tenant_id) as tx:
        await remove_target(tx, scripted.operator, name="orders-prod")

    scripted.clock.advance(seconds=60)
    await run_due(scripted)

    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert scripted.target.live_roles == []


@pytest.mark.adversarial(46)
async def test_another_system_behind_the_target_cannot_prove_that_access_has_ended(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    granted_on = scripted.target.roles
    scripted.target.system, scripted.target.roles = "cluster-b", {}

    scripted.clock.advance(seconds=60)
    for _ in range(3):
        await run_due(scripted)
        scripted.clock.advance(seconds=61)
    in_between = await scripted.read(request["id"])
    untouched = [role.is_dropped for role in granted_on.values()]
    scripted.target.system, scripted.target.roles = "cluster-a", granted_on
    await run_due(scripted)

    assert untouched == [False]
    assert (in_between["status"], in_between["grant"]["ended_at"]) == ("revert_failed", None)
    assert in_between["grant"]["revert_blockers"] == ["another_system_answers"]
    after = await scripted.read(request["id"])
    assert (after["status"], after["grant"]["revert_blockers"]) == ("reverted", [])
    assert scripted.target.live_roles == []


async def test_a_grant_on_the_same_system_is_taken_back_although_the_installation_was_replaced(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    scripted.target.installation = "second"

    scripted.clock.advance(seconds=60)
    await run_due(scripted)

    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert scripted.target.live_roles == []


async def test_access_is_taken_back_from_the_target_that_was_approved_and_not_from_a_later_one(
    scripted: ScriptedWorld,
) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    scripted.target.system = "cluster-b"
    await scripted.add_target({**RECORD_TARGET, "connection_limit": 9})
    scripted.target.system = "cluster-a"

    scripted.clock.advance(seconds=60)
    await run_due(scripted)

    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert scripted.target.live_roles == []


@pytest.mark.adversarial(47)
async def test_access_ends_although_requester_and_approvers_are_gone(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    async with scripted.container.unit_of_work.transaction(scripted.tenant_id) as tx:
        for handle in ("user-engineer", "user-team-lead", "user-security"):
            await set_person_status(tx, scripted.operator, handle=handle, status=PersonStatus.DEACTIVATED)
    await scripted.change_role("user-lead-and-security", Role.TEAM_LEAD, grant=False)

    scripted.clock.advance(seconds=60)
    await run_due(scripted)

    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert scripted.target.live_roles == []


async def test_an_early_end_is_not_followed_by_a_second_one(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    await revert(scripted, request["id"])

    scripted.clock.advance(seconds=61)

    assert await run_due(scripted) == 0
    assert (await scripted.actions(request["id"]))[-3:] == ENDED


async def test_a_revert_repeated_under_its_key_gets_the_first_answer(scripted: ScriptedWorld) -> None:
    request = await scripted.active()

    first = await scripted.act("user-engineer", request["id"], "revert", {"reason": "done"}, key="k-1")
    again = await scripted.act("user-engineer", request["id"], "revert", {"reason": "done"}, key="k-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert scripted.target.calls.count("revert") == 1


async def test_a_grant_says_when_it_really_ended(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.clock.advance(minutes=10)

    await revert(scripted, request["id"])

    [grant] = await rows(
        scripted, "SELECT granted_at, ended_at FROM trustpack.grants WHERE request_id = %(id)s", id=request["id"]
    )
    assert timedelta(minutes=10) <= grant["ended_at"] - grant["granted_at"] < timedelta(minutes=11)
