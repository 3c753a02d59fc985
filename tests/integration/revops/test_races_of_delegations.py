"""A delegation that ends in the moment in which it is used: a vote counts by a delegation that is in force, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deals import Deals, selling
from tests.support.delegating import DEPUTY, lend, receipts_of
from tests.support.racing import Action, Arena, Duel, told
from tests.support.stored import chain_faults, rows
from trustpack.kernel.actor import Role

REPETITIONS = 30

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def deals(arena: Arena) -> Deals:
    """The deals of the tenant that both servers serve, with somebody who holds no role."""
    await arena.world.add_person(DEPUTY)
    return await selling(arena.world)


def vote_of(handle: str, quote: dict[str, Any]) -> Action:
    """Return the action of somebody who approves exactly what was shown, as manager."""
    body = {"terms_digest": quote["terms_digest"], "role": "manager"}
    return lambda world: world.call(handle, "POST", f"/revops/quotes/{quote['id']}/approve", body)


def end_of(made: dict[str, Any], handle: str = "user-manager") -> Action:
    """Return the action of somebody who ends a delegation."""
    return lambda world: world.call(handle, "DELETE", f"/revops/delegations/{made['id']}")


async def votes_by(deals: Deals, made: dict[str, Any]) -> int:
    """Return how many stored votes name a delegation."""
    text = "SELECT count(*) AS number FROM trustpack.approvals WHERE delegation_id = %(id)s"
    [counted] = await rows(deals.world, text, id=made["id"])
    return int(counted["number"])


@pytest.mark.deal_case(28)
async def test_a_vote_against_the_end_of_its_delegation_counts_before_it_or_not_at_all(arena: Arena, deals: Deals) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        quote, made = await deals.submitted(), await lend(deals)

        vote, ending = await arena.fight(duel, vote_of(DEPUTY, quote), end_of(made))

        assert told(ending) == "200"
        assert told(vote) in {"200", "404 not_found", "403 revops.role_not_required"}
        assert await votes_by(deals, made) == len((await deals.read(quote))["approvals"]) == int(vote.is_success)
        assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created", "ended"]
        assert await chain_faults(deals.world, made["id"], table="delegations") == ()
        duel.won_by(0 if vote.is_success else 1)
        assert not (await vote_of(DEPUTY, quote)(deals.world)).is_success
    assert min(duel.wins) > 0


@pytest.mark.deal_case(28)
async def test_a_vote_against_the_loss_of_the_delegators_role_counts_before_it_or_not_at_all(arena: Arena, deals: Deals) -> None:
    async def lose(world: Any) -> None:
        await world.change_role("user-manager", Role.MANAGER, grant=False)

    duel = Duel()
    for _ in range(REPETITIONS):
        quote, made = await deals.submitted(), await lend(deals, to="user-finance")

        vote, _ = await arena.fight(duel, vote_of("user-finance", quote), lose)

        assert told(vote) in {"200", "403 revops.role_not_held"}
        assert await votes_by(deals, made) == int(vote.is_success)
        duel.won_by(0 if vote.is_success else 1)
        assert told(await vote_of("user-finance", await deals.submitted())(deals.world)) == "403 revops.role_not_held"
        await deals.world.change_role("user-manager", Role.MANAGER, grant=True)
        assert told(await end_of(made)(deals.world)) == "200"
    assert min(duel.wins) > 0


async def test_of_two_ends_in_the_same_moment_one_is_recorded(arena: Arena, deals: Deals) -> None:
    for _ in range(REPETITIONS):
        made = await lend(deals)

        answers = await arena.at_once(end_of(made), end_of(made, "user-admin"))

        assert sorted(map(told, answers)) == ["200", "409 revops.delegation_ended"]
        assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created", "ended"]
