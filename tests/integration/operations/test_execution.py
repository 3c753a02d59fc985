"""Carrying an approved effect out: what is checked again, and what happens when the target or this process fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.support.cases import settle
from tests.support.clock import MovableClock
from tests.support.engines import gate_without_engine
from tests.support.scripted_target import Step, answer_lost, crash_afterwards, held_until, refused, unavailable, unproven
from tests.support.stored import chain_faults, counts, decisions_about, end_leases, jobs_of, rows, run_due, usage_about
from tests.support.world import RECORD_TARGET
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container
from trustpack.capabilities import directory
from trustpack.capabilities.operations.model import TargetDrifted, TargetNotPrepared, TargetRefused
from trustpack.capabilities.operations.service.targets import remove_target
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import parse_time
from trustpack.kernel.errors import TrustpackError

SUCCESS = ["requested", "approved", "approved", "execution_started", "executed"]
FAILURE = [*SUCCESS[:4], "execution_failed"]


async def execute(
    world: ScriptedWorld, request_id: str, handle: str = "user-engineer", key: str | None = None
) -> httpx2.Response:
    return await world.act(handle, request_id, "execute", key=key)


def failing(error: type[TrustpackError]) -> Step:
    """Say no with this error and do nothing."""

    async def step(honest: Callable[[], Any]) -> Any:
        raise error

    return step


async def last_receipt(world: ScriptedWorld, request_id: str) -> dict[str, Any]:
    return (await world.receipts(request_id))[-1]


async def test_an_executed_request_shows_its_execution_and_its_grant(scripted: ScriptedWorld) -> None:
    request = await scripted.approved(duration_minutes=30)

    active = (await execute(scripted, request["id"])).json()

    execution, grant = active["execution"], active["grant"]
    assert (active["status"], execution["status"], execution["success"], execution["error"]) == (
        "active",
        "succeeded",
        True,
        None,
    )
    assert execution["decision_id"] == active["decisions"][-1]
    assert parse_time(execution["started_at"]) <= parse_time(execution["finished_at"])
    assert [grant["role_name"]] == scripted.target.live_roles
    assert (grant["status"], grant["credentials_issued"], grant["revert_proof"]) == ("active", 0, None)
    assert abs(parse_time(grant["expires_at"]) - parse_time(grant["granted_at"]) - timedelta(minutes=30)) < timedelta(seconds=10)
    assert await scripted.actions(request["id"]) == SUCCESS


async def test_the_target_is_ordered_exactly_what_was_approved(scripted: ScriptedWorld) -> None:
    request = await scripted.approved(
        duration_minutes=None, duration_seconds=77, target={"database": "orders-prod", "scope": {"tenant": "globex"}}
    )

    await execute(scripted, request["id"])

    [role] = scripted.target.roles.values()
    assert (role.order.scope, role.order.duration_seconds, role.order.connection_limit) == ("globex", 77, 2)


async def test_a_role_name_tells_nothing_and_fits_an_identifier(scripted: ScriptedWorld) -> None:
    first, second = await scripted.approved(), await scripted.approved()

    names = [(await execute(scripted, request["id"])).json()["grant"]["role_name"] for request in (first, second)]

    assert all(len(name) == len("tpk_") + 32 and name.startswith("tpk_") for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize("handle", ["user-team-lead", "user-security", "user-admin", "user-auditor"])
async def test_nobody_but_the_requester_executes(scripted: ScriptedWorld, handle: str) -> None:
    request = await scripted.approved()

    response = await execute(scripted, request["id"], handle)

    assert (response.status_code, response.json()["code"]) == (403, "operations.requester_only")
    last = await last_receipt(scripted, request["id"])
    assert (last["action"], last["payload"]["attempted"], last["actor"]["handle"]) == ("refused", "execute", handle)
    assert (await scripted.read(request["id"]))["status"] == "approved"
    assert scripted.target.calls.count("grant") == 0


async def test_a_second_execution_is_refused(scripted: ScriptedWorld) -> None:
    request = await scripted.active()

    again = await execute(scripted, request["id"])

    assert (again.status_code, again.json()["code"]) == (409, "operations.wrong_state")
    assert len(scripted.target.roles) == 1


async def test_eight_executions_at_once_make_one_grant(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    answers = await asyncio.gather(*(execute(scripted, request["id"]) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len(scripted.target.roles) == 1
    assert await scripted.actions(request["id"]) == SUCCESS
    assert (await counts(scripted, "executions", "grants")) == {"executions": 1, "grants": 1}


async def test_eight_executions_at_once_under_one_key_make_one_grant_and_no_error(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    answers = await asyncio.gather(*(execute(scripted, request["id"], key="k-1") for _ in range(8)))

    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len(scripted.target.roles) == 1
    assert await scripted.actions(request["id"]) == SUCCESS


async def test_an_execution_repeated_under_its_key_gets_the_first_answer_even_after_the_end(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    first = await execute(scripted, request["id"], key="k-1")
    await scripted.act("user-engineer", request["id"], "revert", {"reason": "done"})

    again = await execute(scripted, request["id"], key="k-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert scripted.target.calls.count("grant") == 1


async def test_policy_decides_again_before_anything_is_carried_out(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    await execute(scripted, request["id"])

    asked, executed = await decisions_about(scripted, request["id"])
    question = json.loads(executed["input"])
    started = (await scripted.receipts(request["id"]))[3]
    assert (json.loads(asked["input"])["action"], question["action"]) == ("request", "execute")
    assert question["context"]["approvals"] == [
        {"role": "security_officer", "person": scripted.people["user-security"].id},
        {"role": "team_lead", "person": scripted.people["user-team-lead"].id},
    ]
    assert (executed["allowed"], executed["subject_version"]) == (True, 3)
    assert started["payload"]["decision_id"] == executed["id"]
    assert executed["decided_at"] <= parse_time(started["occurred_at"])
    assert await usage_about(scripted, request["id"]) == ["policy_decision", "policy_decision", "workflow_run"]


async def test_the_decision_is_committed_before_the_target_is_asked_for_anything(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    release, seen = asyncio.Event(), []

    async def look_then_grant(honest: Callable[[], Any]) -> Any:
        seen.append(len(await decisions_about(scripted, request["id"])))
        seen.append((await scripted.read(request["id"]))["status"])
        release.set()
        return honest()

    scripted.target.script("grant", look_then_grant)

    await execute(scripted, request["id"])

    assert seen == [2, "executing"]


@pytest.mark.adversarial(21)
async def test_without_a_policy_engine_nothing_is_executed_and_the_approval_stays(
    container: Container, clock: MovableClock
) -> None:
    async with gate_without_engine(container) as gate, scripted_world(container, clock) as world:
        request = await world.approved()
        async with scripted_world(container, clock, gate=gate) as engineless:
            world.http, working = engineless.http, world.http

            response = await execute(world, request["id"])

            world.http = working
        assert (response.status_code, response.json()["code"]) == (403, "policy.denied")
        assert (await world.read(request["id"]))["status"] == "approved"
        last = await last_receipt(world, request["id"])
        assert (last["action"], last["payload"]["code"]) == ("refused", "policy.denied")
        assert last["payload"]["decision_id"] == (await decisions_about(world, request["id"]))[-1]["id"]
        assert (await decisions_about(world, request["id"]))[-1]["outcome"] == "policy.engine_unavailable"
        assert await usage_about(world, request["id"]) == ["policy_decision", "workflow_run"]
        assert world.target.roles == {}
        assert (await execute(world, request["id"])).json()["status"] == "active"


async def test_a_requester_who_is_no_engineer_any_more_is_denied_at_execution(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    await scripted.change_role("user-engineer", Role.ENGINEER, grant=False)

    response = await execute(scripted, request["id"])

    assert (response.status_code, response.json()["code"]) == (403, "policy.denied")
    assert [reason["code"] for reason in response.json()["reasons"]] == ["role_missing"]
    assert (await scripted.read(request["id"]))["status"] == "approved"


async def test_another_system_behind_the_target_voids_the_approvals(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.installation = "second"

    response = await execute(scripted, request["id"])

    assert (response.status_code, response.json()["code"]) == (409, "operations.approvals_void")
    reopened = await scripted.read(request["id"])
    assert reopened["status"] == "pending_approval"
    assert reopened["effect_digest"] not in {request["effect_digest"], None}
    assert response.json()["effect_digest"] == reopened["effect_digest"]
    assert [entry["status"] for entry in reopened["approvals"]] == ["superseded", "superseded"]
    last = await last_receipt(scripted, request["id"])
    assert (last["action"], last["payload"]["approved_digest"]) == ("drift_detected", request["effect_digest"])
    assert scripted.target.roles == {}


async def test_what_changed_can_be_approved_anew_by_the_same_people_and_executed(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.installation = "second"
    await execute(scripted, request["id"])
    reopened = await scripted.read(request["id"])

    stale = await scripted.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"]})
    for handle in ("user-team-lead", "user-security"):
        await scripted.act(handle, request["id"], "approve", {"effect_digest": reopened["effect_digest"]})
    response = await execute(scripted, request["id"])

    assert (stale.status_code, stale.json()["code"]) == (409, "operations.stale_digest")
    assert response.json()["status"] == "active"
    assert [entry["status"] for entry in response.json()["approvals"]] == ["superseded", "superseded", "given", "given"]


async def test_a_target_that_is_down_fails_the_execution_with_both_receipts(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("identify", unavailable)

    response = await execute(scripted, request["id"])

    failed = response.json()
    assert (response.status_code, failed["status"], failed["execution"]["success"]) == (200, "failed", False)
    assert failed["execution"]["error"]["code"] == "operations.target_unavailable"
    assert failed["grant"]["status"] == "void"
    assert await scripted.actions(request["id"]) == FAILURE
    assert scripted.target.roles == {}
    assert await jobs_of(scripted) == []


@pytest.mark.adversarial(28)
async def test_a_target_that_refuses_fails_the_execution_and_nothing_is_left(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", refused)

    failed = (await execute(scripted, request["id"])).json()

    assert (failed["status"], failed["execution"]["error"]["code"]) == ("failed", "operations.target_refused")
    assert await scripted.actions(request["id"]) == FAILURE
    assert (await last_receipt(scripted, request["id"]))["payload"]["nothing_left"] == "the target did nothing"
    assert scripted.target.calls.count("revert") == 0
    assert scripted.target.live_roles == []
    assert await jobs_of(scripted) == []


@pytest.mark.adversarial(28)
async def test_an_answer_that_was_lost_is_cleaned_up_and_fails(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", answer_lost)

    failed = (await execute(scripted, request["id"])).json()

    assert (failed["status"], failed["execution"]["error"]["code"]) == ("failed", "operations.target_unavailable")
    assert (len(scripted.target.roles), scripted.target.live_roles) == (1, [])


async def test_a_target_that_goes_away_during_execution_is_cleaned_up_once_it_is_back(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", answer_lost, *[unavailable] * 9)
    scripted.target.script("revert", *[unavailable] * 3)

    first = await execute(scripted, request["id"])
    left = list(scripted.target.live_roles)
    for _ in range(4):
        scripted.clock.advance(seconds=20)
        await run_due(scripted)

    assert (first.status_code, first.json()["status"], left) == (202, "revert_failed", [first.json()["grant"]["role_name"]])
    reverted = await scripted.read(request["id"])
    assert (reverted["status"], reverted["grant"]["status"]) == ("reverted", "reverted")
    assert await scripted.actions(request["id"]) == [*FAILURE, "reverted"]
    assert scripted.target.calls.count("grant") == 1
    assert scripted.target.live_roles == []
    assert await jobs_of(scripted) == []
    assert await chain_faults(scripted, request["id"]) == ()


async def test_an_execution_that_took_too_long_is_cleaned_up_instead_of_granted(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    async def crash_before(honest: Callable[[], Any]) -> Any:
        return await crash_afterwards(lambda: None)

    scripted.target.script("grant", crash_before)
    with pytest.raises(asyncio.CancelledError):
        await execute(scripted, request["id"])
    scripted.clock.advance(seconds=61)
    await end_leases(scripted)

    await run_due(scripted)

    failed = await scripted.read(request["id"])
    assert (failed["status"], failed["execution"]["error"]["code"]) == ("failed", "operations.target_unavailable")
    assert (scripted.target.calls.count("grant"), scripted.target.calls.count("revert")) == (1, 1)
    assert scripted.target.roles == {}


async def test_what_a_failed_order_may_have_left_is_shown_at_once_and_taken_back(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", answer_lost)
    scripted.target.script("revert", *[unproven("session_survived")] * 3)

    stuck = (await execute(scripted, request["id"])).json()
    receipt, live = await last_receipt(scripted, request["id"]), list(scripted.target.live_roles)
    for _ in range(4):
        scripted.clock.advance(seconds=60)
        await run_due(scripted)

    assert (stuck["status"], stuck["grant"]["status"], stuck["grant"]["ended_at"]) == ("revert_failed", "revert_failed", None)
    assert (stuck["grant"]["revert_blockers"], stuck["grant"]["revert_proof"]) == (["session_survived"], None)
    assert (stuck["execution"]["status"], stuck["execution"]["error"]["code"]) == ("failed", "operations.target_unavailable")
    assert live == [stuck["grant"]["role_name"]]
    assert (receipt["action"], receipt["state"]) == ("execution_failed", "revert_failed")
    assert receipt["payload"] == {
        "execution_id": stuck["execution"]["id"],
        "code": "operations.target_unavailable",
        "may_be_left": stuck["grant"]["role_name"],
        "blockers": ["session_survived"],
    }
    reverted = await scripted.read(request["id"])
    assert (reverted["status"], reverted["grant"]["revert_blockers"]) == ("reverted", [])
    assert reverted["grant"]["revert_proof"]
    assert await scripted.actions(request["id"]) == [*FAILURE, "reverted"]
    assert scripted.target.live_roles == []
    assert await chain_faults(scripted, request["id"]) == ()


async def test_nobody_gets_credentials_for_what_a_failed_order_left(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", answer_lost)
    scripted.target.script("revert", unproven("session_survived"))
    await execute(scripted, request["id"])

    response = await scripted.act("user-engineer", request["id"], "credentials")

    assert (response.status_code, response.json()["code"]) == (409, "operations.wrong_state")
    assert scripted.target.passwords == []


@pytest.mark.parametrize("error", [TargetRefused, TargetDrifted, TargetNotPrepared])
async def test_a_first_order_that_is_refused_fails_at_once_without_a_cleaning_call(
    scripted: ScriptedWorld, error: type[TrustpackError]
) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", failing(error))

    failed = (await execute(scripted, request["id"])).json()

    assert (failed["status"], failed["grant"]["status"]) == ("failed", "void")
    assert failed["execution"]["error"]["code"] == error.code
    assert scripted.target.calls.count("revert") == 0


@pytest.mark.adversarial(26)
async def test_an_order_refused_after_a_crash_is_cleaned_up_because_the_first_may_have_been_carried_out(
    scripted: ScriptedWorld,
) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", crash_afterwards, refused)
    with pytest.raises(asyncio.CancelledError):
        await execute(scripted, request["id"])
    await end_leases(scripted)

    await run_due(scripted)

    assert (await scripted.read(request["id"]))["status"] == "failed"
    assert scripted.target.calls.count("revert") == 1
    assert (len(scripted.target.roles), scripted.target.live_roles) == (1, [])


@pytest.mark.parametrize("error", [TargetDrifted, TargetNotPrepared])
async def test_a_target_that_is_not_prepared_as_approved_sends_the_request_back(
    scripted: ScriptedWorld, error: type[TrustpackError]
) -> None:
    request = await scripted.approved()
    scripted.clock.advance(minutes=50)
    scripted.target.script("identify", failing(error))
    asked_at = scripted.clock.now()

    response = await execute(scripted, request["id"])

    assert (response.status_code, response.json()["code"]) == (409, "operations.approvals_void")
    reopened, last = await scripted.read(request["id"]), await last_receipt(scripted, request["id"])
    assert (reopened["status"], reopened["execution"], reopened["use_by"]) == ("pending_approval", None, None)
    assert parse_time(reopened["approval_expires_at"]) >= asked_at + timedelta(hours=24)
    assert reopened["effect"]["document"] == {**request["effect"]["document"], "approval_round": 2}
    assert [entry["status"] for entry in reopened["approvals"]] == ["superseded", "superseded"]
    assert (last["action"], last["payload"]["why"]) == ("drift_detected", "target_not_prepared")
    assert scripted.target.roles == {}


async def test_a_target_that_changes_between_the_check_and_the_order_is_granted_nothing(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    async def change_then_grant(honest: Callable[[], Any]) -> Any:
        scripted.target.installation = "second"
        return honest()

    scripted.target.script("grant", change_then_grant)

    failed = (await execute(scripted, request["id"])).json()

    assert (failed["status"], failed["execution"]["error"]["code"]) == ("failed", TargetDrifted.code)
    assert scripted.target.roles == {}


async def test_a_slow_target_is_answered_with_202_and_carried_out_afterwards(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    release = asyncio.Event()
    scripted.target.script("grant", held_until(release))

    response = await execute(scripted, request["id"], key="k-1")
    repeated = await execute(scripted, request["id"], key="k-1")
    release.set()
    settled = await settle(scripted, request["id"])

    assert (response.status_code, response.json()["status"], response.json()["grant"]["status"]) == (202, "executing", "ordered")
    assert (repeated.status_code, repeated.json()["status"]) == (202, "executing")
    assert settled["status"] == "active"
    assert len(scripted.target.roles) == 1


@pytest.mark.adversarial(26, 27)
@pytest.mark.parametrize("happened", [crash_afterwards, None], ids=["after the grant", "before the grant"])
async def test_after_a_crash_around_the_grant_the_next_worker_finishes_with_one_role(
    scripted: ScriptedWorld, happened: Callable[..., Awaitable[Any]] | None
) -> None:
    request = await scripted.approved()

    async def crash_before(honest: Callable[[], Any]) -> Any:
        return await crash_afterwards(lambda: None)

    scripted.target.script("grant", happened or crash_before)
    with pytest.raises(asyncio.CancelledError):
        await execute(scripted, request["id"])
    interrupted = await scripted.read(request["id"])

    leased = await run_due(scripted)
    await end_leases(scripted)
    await run_due(scripted)

    assert (interrupted["status"], leased) == ("executing", 0)
    active = await scripted.read(request["id"])
    assert (active["status"], [active["grant"]["role_name"]]) == ("active", scripted.target.live_roles)
    assert len(scripted.target.roles) == 1
    assert (await last_receipt(scripted, request["id"]))["payload"]["adopted"] is (happened is not None)
    assert await scripted.actions(request["id"]) == SUCCESS


@pytest.mark.adversarial(26)
async def test_access_that_was_adopted_late_ends_when_the_target_says(scripted: ScriptedWorld) -> None:
    request = await scripted.approved(duration_minutes=None, duration_seconds=300)
    scripted.target.script("grant", crash_afterwards)
    with pytest.raises(asyncio.CancelledError):
        await execute(scripted, request["id"])
    scripted.clock.advance(seconds=30)
    await end_leases(scripted)
    await run_due(scripted)

    [role] = scripted.target.roles.values()
    [grant] = await rows(scripted, "SELECT expires_at FROM trustpack.grants")
    assert abs(grant["expires_at"] - role.expires_at) < timedelta(seconds=1)


async def test_two_runs_of_one_execution_grant_once_and_record_once(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    release = asyncio.Event()
    scripted.target.script("grant", held_until(release))
    await execute(scripted, request["id"])
    await end_leases(scripted)

    await run_due(scripted)
    release.set()
    await asyncio.sleep(0)
    await settle(scripted, request["id"])

    assert await scripted.actions(request["id"]) == SUCCESS
    assert len(scripted.target.roles) == 1
    assert await chain_faults(scripted, request["id"]) == ()


@pytest.mark.adversarial(9)
async def test_an_execution_waits_for_a_role_change_under_way_and_then_sees_it(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    async with scripted.container.unit_of_work.transaction(scripted.tenant_id) as tx:
        await directory.change_role(tx, scripted.operator, handle="user-security", role=Role.SECURITY_OFFICER, grant=False)
        await tx.flush()
        execution = asyncio.create_task(execute(scripted, request["id"]))
        finished, _ = await asyncio.wait({execution}, timeout=0.5)

    response = await execution

    assert not finished
    assert (response.status_code, response.json()["code"]) == (409, "operations.approvals_void")
    assert scripted.target.roles == {}


async def test_nothing_begins_on_a_target_that_was_taken_out_of_service_after_the_approvals(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    async with scripted.container.unit_of_work.transaction(scripted.tenant_id) as tx:
        await remove_target(tx, scripted.operator, name="orders-prod")

    await execute(scripted, request["id"])

    assert (await scripted.read(request["id"]))["status"] != "active"
    assert scripted.target.roles == {}


async def test_an_order_under_way_is_never_carried_out_with_a_definition_that_nobody_approved(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    async def crash_before(honest: Callable[[], Any]) -> Any:
        return await crash_afterwards(lambda: None)

    scripted.target.script("grant", crash_before)
    with pytest.raises(asyncio.CancelledError):
        await execute(scripted, request["id"])
    await scripted.add_target({**RECORD_TARGET, "connection_limit": 9})
    await end_leases(scripted)

    await run_due(scripted)

    assert (await scripted.read(request["id"]))["status"] == "active"
    assert [role.order.connection_limit for role in scripted.target.roles.values()] == [2]


@pytest.mark.adversarial(11)
async def test_a_changed_definition_voids_the_approvals(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    await scripted.add_target({**RECORD_TARGET, "connection_limit": 9})

    response = await execute(scripted, request["id"])

    assert (response.status_code, response.json()["code"]) == (409, "operations.approvals_void")
    assert (await scripted.read(request["id"]))["effect"]["document"]["connection_limit"] == 9


async def test_every_decision_at_an_execution_is_kept_however_many_attempts_were_refused(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    await scripted.change_role("user-engineer", Role.ENGINEER, grant=False)

    answers = [await execute(scripted, request["id"]) for _ in range(22)]

    assert [answer.status_code for answer in answers] == [403] * 20 + [429] * 2
    assert (await scripted.actions(request["id"])).count("refused") == 20
    assert len(await decisions_about(scripted, request["id"])) == 1 + 22
