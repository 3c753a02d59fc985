"""Two things in the same moment, on real connections, many times in a seeded order: one consistent outcome each time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.support.cases import settle
from tests.support.stored import chain_faults, end_leases, rows, run_due
from tests.support.world import request_body
from tests.support.worlds import ScriptedWorld
from trustpack.kernel.actor import Role

REPETITIONS = 25
Action = Callable[[], Awaitable[Any]]

pytestmark = pytest.mark.slow


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance that is the same in every run of a test and differs between tests."""
    return random.Random(request.node.name)


async def at_once(chance: random.Random, *actions: Action) -> list[Any]:
    """Start the actions in a random order within a few milliseconds and return what they return, in the order given."""

    async def begin(action: Action, delay: float) -> Any:
        await asyncio.sleep(delay)
        return await action()

    order = list(enumerate(actions))
    chance.shuffle(order)
    tasks = {index: asyncio.create_task(begin(action, chance.choice((0, 0, 0.001, 0.004)))) for index, action in order}
    await asyncio.gather(*tasks.values())
    return [tasks[index].result() for index in range(len(actions))]


def statuses(*answers: httpx2.Response) -> tuple[int, ...]:
    return tuple(int(answer.status_code) for answer in answers)


async def test_two_last_approvals_in_the_same_moment_approve_once_and_lose_no_vote(
    scripted: ScriptedWorld, chance: random.Random
) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.ask()

        answers = await at_once(
            chance,
            partial(scripted.act, "user-team-lead", request["id"], "approve", {}),
            partial(scripted.act, "user-security", request["id"], "approve", {}),
        )

        after = await scripted.read(request["id"])
        assert statuses(*answers) == (200, 200)
        assert sorted(answer.json()["status"] for answer in answers) == ["approved", "pending_approval"]
        assert (after["status"], after["version"], len(after["approvals"])) == ("approved", 3, 2)
        states = [receipt["state"] for receipt in await scripted.receipts(request["id"])]
        assert states == ["pending_approval", "pending_approval", "approved"]
        assert await chain_faults(scripted, request["id"]) == ()


async def test_one_person_voting_twice_in_the_same_moment_has_one_vote(scripted: ScriptedWorld, chance: random.Random) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.ask()

        answers = await at_once(chance, *[partial(scripted.act, "user-lead-and-security", request["id"], "approve", {})] * 3)

        assert sorted(statuses(*answers)) == [200, 409, 409]
        assert (await scripted.read(request["id"]))["status"] == "pending_approval"
        assert await scripted.actions(request["id"]) == ["requested", "approved"]
        assert await chain_faults(scripted, request["id"]) == ()


@pytest.mark.parametrize(
    ("command", "handle", "end"), [("reject", "user-lead-and-security", "rejected"), ("cancel", "user-engineer", "cancelled")]
)
async def test_the_last_approval_against_an_end_leaves_one_of_the_two(
    scripted: ScriptedWorld, chance: random.Random, command: str, handle: str, end: str
) -> None:
    outcomes: Counter[str] = Counter()
    for _ in range(REPETITIONS):
        request = await scripted.ask()
        await scripted.act("user-team-lead", request["id"], "approve", {})

        approval, ending = await at_once(
            chance,
            partial(scripted.act, "user-security", request["id"], "approve", {}),
            partial(scripted.act, handle, request["id"], command, {"reason": "no"}),
        )

        status = (await scripted.read(request["id"]))["status"]
        outcomes[status] += 1
        # An approved request can still be cancelled, but no longer be rejected; nothing that has ended can be approved.
        assert (*statuses(approval, ending), status) in {
            (200, 409, "approved"), (409, 200, end), *([(200, 200, end)] if command == "cancel" else []),
        }  # fmt: skip
        assert await chain_faults(scripted, request["id"]) == ()
    assert sum(outcomes.values()) == REPETITIONS


async def test_an_execution_against_a_cancellation_leaves_access_or_none_but_never_both(
    scripted: ScriptedWorld, chance: random.Random
) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.approved()
        before = len(scripted.target.roles)

        execution, cancellation = await at_once(
            chance,
            partial(scripted.act, "user-engineer", request["id"], "execute"),
            partial(scripted.act, "user-engineer", request["id"], "cancel"),
        )

        status, made = (await scripted.read(request["id"]))["status"], len(scripted.target.roles) - before
        assert (*statuses(execution, cancellation), status, made) in {(200, 409, "active", 1), (409, 200, "cancelled", 0)}
        assert await chain_faults(scripted, request["id"]) == ()


async def test_a_revert_against_credentials_leaves_nobody_who_can_log_in(scripted: ScriptedWorld, chance: random.Random) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.active()

        revert, credentials = await at_once(
            chance,
            partial(scripted.act, "user-team-lead", request["id"], "revert", {"reason": "done"}),
            partial(scripted.act, "user-engineer", request["id"], "credentials"),
        )

        assert (await settle(scripted, request["id"]))["status"] == "reverted"
        assert revert.status_code in {200, 202}
        assert credentials.status_code in {200, 409}
        assert scripted.target.live_roles == []
        actions = await scripted.actions(request["id"])
        assert actions[-1] == "reverted"
        assert ("credentials_issued" in actions) or credentials.status_code == 409
        assert await chain_faults(scripted, request["id"]) == ()


async def test_three_reverts_in_the_same_moment_end_access_once(scripted: ScriptedWorld, chance: random.Random) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.active(duration_minutes=None, duration_seconds=60)
        scripted.clock.advance(seconds=60)

        await at_once(
            chance,
            partial(scripted.act, "user-team-lead", request["id"], "revert", {"reason": "done"}),
            partial(scripted.act, "user-engineer", request["id"], "revert", {"reason": "done"}),
            partial(run_due, scripted),
        )

        await end_leases(scripted)
        await run_due(scripted)
        actions = await scripted.actions(request["id"])
        assert Counter(actions[5:]) == Counter(["revert_started", "reverted"])
        assert (await scripted.read(request["id"]))["status"] == "reverted"
        assert await chain_faults(scripted, request["id"]) == ()


async def test_a_role_revoked_in_the_moment_of_the_vote_counts_wholly_or_not_at_all(
    scripted: ScriptedWorld, chance: random.Random
) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.ask()
        await scripted.act("user-team-lead", request["id"], "approve", {})

        vote, _ = await at_once(
            chance,
            partial(scripted.act, "user-security", request["id"], "approve", {}),
            partial(scripted.change_role, "user-security", Role.SECURITY_OFFICER, grant=False),
        )
        execution = await scripted.act("user-engineer", request["id"], "execute")

        # 404: by the time of the vote the person could not even see the request any more.
        assert vote.status_code in {200, 403, 404}
        assert execution.status_code == 409
        assert (await scripted.read(request["id"]))["status"] == "pending_approval"
        assert await chain_faults(scripted, request["id"]) == ()
        await scripted.change_role("user-security", Role.SECURITY_OFFICER, grant=True)
    assert scripted.target.roles == {}


async def test_a_role_revoked_in_the_moment_of_the_execution_stops_it_or_comes_after_it(
    scripted: ScriptedWorld, chance: random.Random
) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.approved()

        execution, _ = await at_once(
            chance,
            partial(scripted.act, "user-engineer", request["id"], "execute"),
            partial(scripted.change_role, "user-team-lead", Role.TEAM_LEAD, grant=False),
        )

        status = (await scripted.read(request["id"]))["status"]
        assert (execution.status_code, status) in {(200, "active"), (409, "pending_approval")}
        assert await chain_faults(scripted, request["id"]) == ()
        await scripted.change_role("user-team-lead", Role.TEAM_LEAD, grant=True)


async def test_an_expiry_against_an_execution_leaves_one_of_the_two(scripted: ScriptedWorld, chance: random.Random) -> None:
    for _ in range(REPETITIONS):
        request = await scripted.approved()
        scripted.clock.advance(minutes=60)

        execution, _ = await at_once(
            chance, partial(scripted.act, "user-engineer", request["id"], "execute"), partial(run_due, scripted)
        )

        assert execution.status_code == 409
        assert (await scripted.read(request["id"]))["status"] == "expired"
        assert await chain_faults(scripted, request["id"]) == ()


async def test_one_key_used_eight_times_at_once_makes_one_request(scripted: ScriptedWorld, chance: random.Random) -> None:
    for number in range(REPETITIONS):
        body = request_body(ticket=f"INC-{number}")

        answers = await at_once(
            chance,
            *[partial(scripted.call, "user-engineer", "POST", "/high-risk-ops/requests", body, key=f"k-{number}")] * 8,
        )

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
    [counted] = await rows(scripted, "SELECT count(*) AS number FROM trustpack.high_risk_requests")
    assert counted["number"] == REPETITIONS
