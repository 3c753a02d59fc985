"""Votes, edits and activations of a quote in the same moment, many times on two servers: one outcome each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.deals import LEAD, Deals, selling
from tests.support.racing import Action, Arena, Duel, told
from tests.support.store import rows_as_owner
from tests.support.stored import chain_faults

REPETITIONS = 100
FEWER = 30
"""For races that the hundredfold ones contain in part."""
WRONG_STATE = "409 revops.wrong_state"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def deals(arena: Arena) -> Deals:
    """The deals of the tenant that both servers serve."""
    return await selling(arena.world)


def by(handle: str, quote: Mapping[str, Any], command: str, body: object = None) -> Action:
    """Return the action of somebody who posts a command to a quote."""
    return lambda world: world.call(handle, "POST", f"/revops/quotes/{quote['id']}/{command}", body)


def edit_of(deals: Deals, quote: Mapping[str, Any]) -> Action:
    """Return the action of the owner who changes the terms."""
    change = {"terms": deals.terms(discount_percent="31")}
    return lambda world: world.call("user-ae", "PATCH", f"/revops/quotes/{quote['id']}", change)


def shown(quote: Mapping[str, Any]) -> dict[str, str]:
    """Return the body of a vote on exactly what was shown."""
    return {"terms_digest": quote["terms_digest"]}


async def half_approved(deals: Deals) -> dict[str, Any]:
    """A quote that one more approval completes."""
    quote = await deals.submitted()
    await deals.act("user-manager", quote, "approve", shown(quote))
    return quote


async def states_of(deals: Deals, quote: Mapping[str, Any]) -> list[str]:
    """The states in a quote's receipts after it was submitted; the chain is whole and as long as the version says."""
    assert await chain_faults(deals.world, quote["id"], table="quotes") == ()
    return [receipt["state"] for receipt in await deals.receipts(dict(quote))][2:]


def contracts_of(deals: Deals, quote: Mapping[str, Any]) -> list[str]:
    """The digests of the terms of a quote's contracts."""
    text = "SELECT terms_digest FROM trustpack.contracts WHERE tenant_id = %s AND quote_id = %s"
    return [
        row["terms_digest"] for row in rows_as_owner(deals.world.container.settings, text, deals.world.tenant_id, quote["id"])
    ]


@pytest.mark.deal_case(22)
async def test_manager_and_finance_in_the_same_moment_approve_once_and_lose_no_vote(arena: Arena, deals: Deals) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        quote = await deals.submitted()

        answers = await arena.fight(
            duel,
            by("user-manager", quote, "approve", shown(quote)),
            by("user-finance", quote, "approve", shown(quote)),
        )

        assert [told(answer) for answer in answers] == ["200", "200"]
        seen = [answer.json()["status"] for answer in answers]
        assert sorted(seen) == ["approved", "pending_approval"]
        duel.won_by(seen.index("pending_approval"))
        after = await deals.read(quote)
        assert (after["status"], after["version"], len(after["approvals"])) == ("approved", 4, 2)
        assert await states_of(deals, quote) == ["pending_approval", "approved"]
    assert min(duel.wins) > 0


@pytest.mark.deal_case(23)
async def test_an_edit_against_the_last_approval_never_leaves_other_terms_approved(arena: Arena, deals: Deals) -> None:
    duel = Duel()
    for _ in range(REPETITIONS):
        quote = await half_approved(deals)

        approval, edit = await arena.fight(duel, by("user-finance", quote, "approve", shown(quote)), edit_of(deals, quote))

        assert (told(approval), told(edit), (await states_of(deals, quote))[1:]) in [
            ("200", "200", ["approved", "draft"]),
            (WRONG_STATE, "200", ["draft"]),
        ]
        duel.won_by(0 if approval.is_success else 1)
        after = await deals.read(quote)
        assert (after["status"], after["revision"]) == ("draft", 2)
        assert {vote["status"] for vote in after["approvals"]} == {"superseded"}
    assert min(duel.wins) > 0


@pytest.mark.deal_case(24)
async def test_the_last_approval_against_a_rejection_leaves_one_of_the_two(arena: Arena, deals: Deals) -> None:
    duel = Duel()
    for _ in range(FEWER):
        quote = await half_approved(deals)

        approval, rejection = await arena.fight(
            duel,
            by("user-finance", quote, "approve", shown(quote)),
            by("user-manager-and-finance", quote, "reject", {"reason": "no"}),
        )

        states = (await states_of(deals, quote))[1:]
        assert (told(approval), told(rejection), states) in [
            ("200", WRONG_STATE, ["approved"]),
            (WRONG_STATE, "200", ["rejected"]),
        ]
        loser = rejection if approval.is_success else approval
        assert loser.json()["quote_status"] == states[-1]
        duel.won_by(0 if approval.is_success else 1)
    assert min(duel.wins) > 0


@pytest.mark.deal_case(11, 26)
async def test_an_edit_against_an_activation_leaves_a_contract_of_the_approved_terms_or_none(arena: Arena, deals: Deals) -> None:
    duel = Duel()
    for _ in range(FEWER):
        quote = await deals.approved()

        activation, edit = await arena.fight(duel, by("user-ae", quote, "activate"), edit_of(deals, quote))

        contracts = contracts_of(deals, quote)
        assert (told(activation), told(edit), contracts) in [
            ("200", WRONG_STATE, [quote["terms_digest"]]),
            (WRONG_STATE, "200", []),
        ]
        duel.won_by(0 if activation.is_success else 1)
    assert min(duel.wins) > 0


@pytest.mark.deal_case(26)
async def test_of_two_activations_in_the_same_moment_one_makes_the_contract(arena: Arena, deals: Deals) -> None:
    for _ in range(REPETITIONS):
        quote = await deals.approved()

        answers = await arena.at_once(*[by("user-ae", quote, "activate")] * 2)

        assert sorted(map(told, answers)) == ["200", WRONG_STATE]
        assert contracts_of(deals, quote) == [quote["terms_digest"]]
        assert await states_of(deals, quote) == ["pending_approval", "approved", "activated"]


async def test_quotes_of_one_opportunity_in_the_same_moment_do_not_wait_for_each_other(arena: Arena, deals: Deals) -> None:
    for lead in range(10):
        answer = await deals.call("user-ae", "POST", "/leads", LEAD | {"email": f"jo-{lead}@acme.com"})
        opportunity_id = answer.json()["opportunity"]["id"]
        body = deals.body(opportunity_id=opportunity_id)

        answers = await arena.at_once(*[lambda world, body=body: world.call("user-ae", "POST", "/revops/quotes", body)] * 4)

        assert list(map(told, answers)) == ["201"] * 4
        receipts = await deals.call("user-ae", "GET", f"/opportunities/{opportunity_id}/receipts")
        assert [receipt["action"] for receipt in receipts.json()["items"]] == ["opened", "touched"]


async def test_new_quotes_beside_two_activations_of_their_opportunity_do_not_wait_for_each_other(
    arena: Arena, deals: Deals
) -> None:
    for _ in range(5):
        first, second = await deals.approved(), await deals.approved()
        written = [lambda world: world.call("user-ae", "POST", "/revops/quotes", deals.body())] * 3

        answers = await arena.at_once(by("user-ae", first, "activate"), by("user-ae", second, "activate"), *written)

        assert list(map(told, answers)) == ["200", "200", "201", "201", "201"]
