"""Votes and ends of a request in the same moment, a hundred times on two servers: one outcome, and the loser is told why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.racing import Arena, Duel, bring_near, by, due_work_at, told
from tests.support.stored import chain_faults, counts, jobs_of
from tests.support.world import request_body
from tests.support.worlds import ScriptedWorld
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import parse_time

REPETITIONS = 100
WRONG_STATE = "409 operations.wrong_state"
CLOSED = "409 operations.window_closed"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def half_approved(world: ScriptedWorld) -> dict[str, Any]:
    """A request that one more approval completes."""
    request = await world.ask()
    await world.act("user-team-lead", request["id"], "approve", {})
    return request


async def states_of(world: ScriptedWorld, request_id: str) -> list[str]:
    """The states in a request's receipts, whose chain is whole and as long as the request's version says."""
    assert await chain_faults(world, request_id) == ()
    return [receipt["state"] for receipt in await world.receipts(request_id)]


@pytest.mark.adversarial(6)
async def test_two_last_approvals_in_the_same_moment_approve_once_and_lose_no_vote(arena: Arena) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        request = await arena.world.ask()

        answers = await arena.fight(
            duel,
            by("user-team-lead", request["id"], "approve", {}),
            by("user-security", request["id"], "approve", {}),
        )

        assert [told(answer) for answer in answers] == ["200", "200"]
        seen = [answer.json()["status"] for answer in answers]
        assert sorted(seen) == ["approved", "pending_approval"]
        duel.won_by(seen.index("pending_approval"))
        after = await arena.world.read(request["id"])
        assert (after["status"], after["version"], len(after["approvals"])) == ("approved", 3, 2)
        assert await states_of(arena.world, request["id"]) == ["pending_approval", "pending_approval", "approved"]
    assert min(duel.wins) > 0


@pytest.mark.adversarial(3, 4)
async def test_one_person_voting_three_times_in_the_same_moment_has_one_vote(arena: Arena) -> None:
    for _ in range(REPETITIONS):
        request = await arena.world.ask()

        answers = await arena.at_once(*[by("user-lead-and-security", request["id"], "approve", {})] * 3)

        assert sorted(map(told, answers)) == ["200", *["409 approvals.already_voted"] * 2]
        after = await arena.world.read(request["id"])
        assert (after["status"], len(after["approvals"])) == ("pending_approval", 1)
        assert await states_of(arena.world, request["id"]) == ["pending_approval"] * 2


@pytest.mark.adversarial(7, 8)
async def test_the_last_approval_against_a_rejection_leaves_one_of_the_two(arena: Arena) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        request = await half_approved(arena.world)

        approval, rejection = await arena.fight(
            duel,
            by("user-security", request["id"], "approve", {}),
            by("user-lead-and-security", request["id"], "reject", {"reason": "no"}),
        )

        states = await states_of(arena.world, request["id"])
        assert (told(approval), told(rejection), states[2:]) in [
            ("200", WRONG_STATE, ["approved"]),
            (WRONG_STATE, "200", ["rejected"]),
        ]
        loser = rejection if approval.is_success else approval
        assert loser.json()["request_status"] == states[-1]
        duel.won_by([approval, rejection].index(approval if approval.is_success else rejection))
    assert min(duel.wins) > 0


@pytest.mark.adversarial(8)
async def test_the_last_approval_against_a_cancellation_ends_cancelled(arena: Arena) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        request = await half_approved(arena.world)

        approval, cancellation = await arena.fight(
            duel,
            by("user-security", request["id"], "approve", {}),
            by("user-engineer", request["id"], "cancel", {"reason": "no"}),
        )

        # An approved request can still be cancelled; a cancelled one cannot be approved any more.
        assert (told(approval), told(cancellation), (await states_of(arena.world, request["id"]))[2:]) in [
            ("200", "200", ["approved", "cancelled"]),
            (WRONG_STATE, "200", ["cancelled"]),
        ]
        assert [job for job in await jobs_of(arena.world) if job["subject_id"] == request["id"]] == []
        duel.won_by(0 if approval.is_success else 1)
    assert min(duel.wins) > 0


@pytest.mark.adversarial(8, 13)
async def test_the_last_approval_against_the_end_of_its_window_approves_or_expires(arena: Arena) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        request = await half_approved(arena.world)
        window_ends = parse_time(request["approval_expires_at"])
        bring_near(arena.world, window_ends, lead=-duel.lead_of_second)

        approval, _ = await arena.fight(
            duel,
            by("user-security", request["id"], "approve", {}),
            due_work_at(window_ends),
        )

        after = await arena.world.read(request["id"])
        due = [job["due_at"] for job in await jobs_of(arena.world) if job["subject_id"] == request["id"]]
        if approval.is_success:
            assert await states_of(arena.world, request["id"]) == ["pending_approval"] * 2 + ["approved"]
            assert due == [parse_time(after["use_by"])]
            await arena.world.act("user-engineer", request["id"], "cancel")
        else:
            assert told(approval) in {CLOSED, WRONG_STATE}
            assert await states_of(arena.world, request["id"]) == ["pending_approval"] * 2 + ["expired"]
            assert due == []
        duel.won_by(0 if approval.is_success else 1)
    assert min(duel.wins) > 0


@pytest.mark.adversarial(7, 8)
async def test_of_approval_rejection_cancellation_and_expiry_at_once_one_ends_the_request(arena: Arena) -> None:
    ends: Counter[str] = Counter()
    for _ in range(REPETITIONS):
        request = await half_approved(arena.world)
        window_ends = parse_time(request["approval_expires_at"])
        bring_near(arena.world, window_ends, lead=arena.chance.choice((0, 0, 0.02, 0.1)))

        approval, rejection, cancellation, _ = await arena.at_once(
            by("user-security", request["id"], "approve", {}),
            by("user-lead-and-security", request["id"], "reject", {"reason": "no"}),
            by("user-engineer", request["id"], "cancel"),
            due_work_at(window_ends),
        )

        states = await states_of(arena.world, request["id"])
        assert {told(answer) for answer in (approval, rejection, cancellation)} <= {"200", WRONG_STATE, CLOSED}
        won = [answer.is_success for answer in (approval, rejection, cancellation)]
        # Whoever is told of success has a receipt of it, and nobody else has; an approved request can only be cancelled here.
        assert (won, states[2:]) in [
            ([False, True, False], ["rejected"]),
            ([False, False, True], ["cancelled"]),
            ([True, False, True], ["approved", "cancelled"]),
            ([False, False, False], ["expired"]),
        ]
        ends[states[-1]] += 1
    assert len(ends) > 1


@pytest.mark.adversarial(9)
async def test_a_role_taken_away_in_the_moment_of_the_vote_counts_wholly_or_not_at_all(arena: Arena) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        request = await half_approved(arena.world)

        vote, _ = await arena.fight(
            duel,
            by("user-security", request["id"], "approve", {}),
            lambda world: world.change_role("user-security", Role.SECURITY_OFFICER, grant=False),
        )
        execution = await arena.world.act("user-engineer", request["id"], "execute")

        # 404: by the time of the vote the person could not even see the request any more. After a vote that counted, the
        # execution finds the role gone and asks for new votes.
        assert (told(vote), told(execution), (await states_of(arena.world, request["id"]))[2:]) in [
            ("200", "409 operations.approvals_void", ["approved", "pending_approval"]),
            ("403 operations.role_not_required", WRONG_STATE, ["pending_approval"]),
            ("404 not_found", WRONG_STATE, []),
        ]
        duel.won_by(0 if vote.is_success else 1)
        await arena.world.change_role("user-security", Role.SECURITY_OFFICER, grant=True)
    assert arena.world.target.roles == {}
    assert min(duel.wins) > 0


async def test_one_key_used_twenty_times_at_once_makes_one_request(arena: Arena) -> None:
    for number in range(REPETITIONS):
        body = request_body(ticket=f"INC-{number}")

        def ask(world: ScriptedWorld, body: dict[str, Any] = body, key: str = f"k-{number}") -> Any:
            return world.call("user-engineer", "POST", "/high-risk-ops/requests", body, key=key)

        answers = await arena.at_once(*[ask] * 20)

        assert {told(answer) for answer in answers} == {"201"}
        assert len({answer.content for answer in answers}) == 1
    made = await counts(arena.world, "high_risk_requests", "policy_decisions", "receipts")
    assert made["high_risk_requests"] == made["policy_decisions"] == REPETITIONS
