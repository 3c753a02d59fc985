"""Votes with a lent role: when they count, that they name the delegation, and every way around it that is closed."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.support.deals import Deals, selling
from tests.support.delegating import DEPUTY, end, lend
from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import set_person_status
from trustpack.kernel.actor import Role

NOT_ASKED_FOR, NOT_THEIRS = (403, "revops.role_not_required"), (403, "revops.self_approval_forbidden")
NOT_HELD, HIDDEN = (403, "revops.role_not_held"), (404, "not_found")


@pytest.fixture
async def deals(world: World) -> Deals:
    """A tenant that sells, with somebody who holds no role."""
    await world.add_person(DEPUTY)
    return await selling(world)


async def vote(deals: Deals, person: str, quote: dict[str, Any], **claim: str) -> httpx2.Response:
    """Approve exactly what was shown."""
    return await deals.act(person, quote, "approve", {"terms_digest": quote["terms_digest"], **claim})


def told(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


async def deactivate(deals: Deals, handle: str) -> None:
    """Stop somebody from acting."""
    world = deals.world
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle=handle, status=PersonStatus.DEACTIVATED)


async def test_a_delegate_fills_the_lent_role_and_everybody_sees_by_what(deals: Deals) -> None:
    made = await lend(deals)
    quote = await deals.submitted()

    first = await vote(deals, DEPUTY, quote)
    second = await vote(deals, "user-finance", quote)

    assert (first.status_code, second.json()["status"]) == (200, "approved")
    by_delegate, by_holder = second.json()["approvals"]
    assert by_delegate["approver"]["handle"] == DEPUTY
    assert by_delegate["delegation"] == {
        "id": made["id"],
        "from": {"id": made["from"]["id"], "handle": "user-manager"},
        "role": "manager",
        "made_after_submission": False,
    }
    assert by_holder["delegation"] is None
    given, by_own_role = [receipt["payload"] for receipt in await deals.receipts(quote)][2:]
    assert (given["delegation_id"], given["made_after_submission"]) == (made["id"], False)
    assert given["filled"] == {"manager": made["to"]["id"]}
    assert "delegation_id" not in by_own_role
    assert (await deals.act("user-ae", quote, "activate")).status_code == 200


@pytest.mark.deal_case(28)
async def test_a_delegation_made_after_the_submission_counts_and_is_flagged(deals: Deals) -> None:
    quote = await deals.submitted()
    made = await lend(deals)

    answer = await vote(deals, DEPUTY, quote)

    [shown] = answer.json()["approvals"]
    assert (shown["delegation"]["id"], shown["delegation"]["made_after_submission"]) == (made["id"], True)
    assert (await deals.receipts(quote))[-1]["payload"]["made_after_submission"] is True
    # A later round does not wash the flag away.
    await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="31")})
    again = (await deals.act("user-ae", quote, "submit-for-approval")).json()
    assert again["approvals"][0]["delegation"]["made_after_submission"] is True
    assert (await vote(deals, DEPUTY, again)).json()["approvals"][1]["delegation"]["made_after_submission"] is False


@pytest.mark.deal_case(28)
@pytest.mark.parametrize("when", ["not begun", "over", "ended", "delegator lost the role", "delegator left"])
async def test_a_delegation_that_is_not_in_force_gives_nothing_and_the_attempt_is_kept(deals: Deals, when: str) -> None:
    # The borrower approves as finance, so they read the quote; only the lent role is missing.
    world = deals.world
    made = await lend(deals, begins=1 if when == "not begun" else 0, lasts=1, to="user-finance")
    match when:
        case "over":
            world.clock.advance(days=1)
        case "ended":
            assert (await end(deals, made)).status_code == 200
        case "delegator lost the role":
            await world.change_role("user-manager", Role.MANAGER, grant=False)
        case "delegator left":
            await deactivate(deals, "user-manager")
    quote = await deals.submitted()

    answer = await vote(deals, "user-finance", quote, role="manager")

    assert told(answer) == NOT_HELD
    assert (await deals.receipts(quote))[-1]["action"] == "refused"
    assert (await deals.read(quote))["approvals"] == []


@pytest.mark.deal_case(28)
@pytest.mark.parametrize("when", ["not begun", "over", "ended", "never made"])
async def test_a_delegate_reads_quotes_while_the_delegation_is_in_force_and_no_longer(deals: Deals, when: str) -> None:
    quote = await deals.submitted()
    made = await lend(
        deals, begins=1 if when == "not begun" else 0, lasts=1, to="user-engineer" if when == "never made" else DEPUTY
    )
    if when == "over":
        assert (await deals.read(quote, DEPUTY))["id"] == quote["id"]
        deals.world.clock.advance(days=1)
    if when == "ended":
        assert [item["id"] for item in (await deals.call(DEPUTY, "GET", "/quotes")).json()["items"]] == [quote["id"]]
        await end(deals, made)

    answers = [await deals.call(DEPUTY, "GET", f"/quotes/{quote['id']}"), await vote(deals, DEPUTY, quote)]

    assert [told(answer) for answer in answers] == [HIDDEN, HIDDEN]
    assert (await deals.call(DEPUTY, "GET", "/quotes")).json()["items"] == []
    assert "refused" not in await deals.actions(quote)


async def test_a_borrowed_role_reads_quotes_and_sells_nothing(deals: Deals) -> None:
    await lend(deals)
    quote = await deals.submitted()

    answers = [await deals.act(DEPUTY, quote, command) for command in ("recall", "activate", "clone", "preview-approvals")]

    assert {told(answer)[0] for answer in answers} == {403}
    assert (await deals.call(DEPUTY, "GET", f"/opportunities/{deals.opportunity_id}")).status_code == 404
    assert (await deals.call(DEPUTY, "POST", "/quotes", deals.body())).status_code == 403


async def test_a_delegate_who_became_an_auditor_decides_nothing(deals: Deals) -> None:
    await lend(deals)
    quote = await deals.submitted()
    await deals.world.change_role(DEPUTY, Role.AUDITOR, grant=True)

    refused = await vote(deals, DEPUTY, quote)

    assert told(refused) == NOT_ASKED_FOR
    assert (await deals.read(quote))["approvals"] == []


@pytest.mark.deal_case(28)
async def test_the_seller_borrows_nothing_for_the_own_deal(deals: Deals) -> None:
    await lend(deals, to="user-ae")
    quote = await deals.submitted()

    answer = await vote(deals, "user-ae", quote)

    assert told(answer) == NOT_THEIRS
    assert (await deals.receipts(quote))[-1]["action"] == "refused"


async def test_the_sellers_own_band_stays_theirs_alone(deals: Deals) -> None:
    await lend(deals, to="user-ae")
    quote = await deals.submitted(discount_percent="10")

    answer = await vote(deals, "user-ae", quote)

    assert (answer.json()["status"], answer.json()["approvals"][0]["delegation"]) == ("approved", None)


@pytest.mark.deal_case(28)
async def test_whoever_wrote_the_quote_borrows_nothing_for_it(deals: Deals) -> None:
    await deals.world.change_role(DEPUTY, Role.AE, grant=True)
    await lend(deals)
    quote = await deals.quote()
    await deals.call(DEPUTY, "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="31")})
    submitted = (await deals.act("user-ae", quote, "submit-for-approval")).json()

    assert told(await vote(deals, DEPUTY, submitted)) == NOT_THEIRS


@pytest.mark.deal_case(28)
async def test_a_manager_who_had_a_part_in_the_quote_lends_nothing_for_it(deals: Deals) -> None:
    await lend(deals)
    written = await deals.quote("user-manager")
    quote = (await deals.act("user-ae", written, "submit-for-approval")).json()

    answer = await vote(deals, DEPUTY, quote)

    assert told(answer) == NOT_ASKED_FOR
    other = await deals.submitted()
    assert (await vote(deals, DEPUTY, other)).status_code == 200


@pytest.mark.deal_case(28)
async def test_a_lent_role_is_claimed_by_whoever_holds_another_that_is_asked_for(deals: Deals) -> None:
    made = await lend(deals, to="user-finance")
    quote, other = await deals.submitted(), await deals.submitted()

    own = (await vote(deals, "user-finance", quote)).json()
    lent = (await vote(deals, "user-finance", other, role="manager")).json()
    both = await vote(deals, "user-finance", other, role="finance")

    assert own["approvals"][0]["delegation"] is None
    assert lent["approvals"][0]["delegation"]["id"] == made["id"]
    assert (await deals.receipts(quote))[-1]["payload"]["open"] == ["manager"]
    assert (await deals.receipts(other))[-1]["payload"]["open"] == ["finance"]
    assert told(both) == (409, "approvals.already_voted")


async def test_one_delegate_of_two_roles_fills_one_of_them_and_the_one_that_is_open(deals: Deals) -> None:
    await lend(deals)
    by_finance = await lend(deals, "user-finance", role="finance")
    quote, other = await deals.submitted(), await deals.submitted()
    await vote(deals, "user-manager", other)

    first = (await vote(deals, DEPUTY, quote)).json()
    last = (await vote(deals, DEPUTY, other)).json()

    assert (first["status"], first["approvals"][0]["delegation"]["role"]) == ("pending_approval", "manager")
    assert (last["status"], last["approvals"][1]["delegation"]["id"]) == ("approved", by_finance["id"])


async def test_a_delegator_and_their_delegate_are_two_people(deals: Deals) -> None:
    await lend(deals, "user-manager-and-finance")
    quote = await deals.submitted()

    await vote(deals, "user-manager-and-finance", quote)
    answer = await vote(deals, DEPUTY, quote)

    people = deals.world.people
    assert answer.json()["status"] == "approved"
    assert (await deals.receipts(quote))[-1]["payload"]["filled"] == {
        "manager": people[DEPUTY].id,
        "finance": people["user-manager-and-finance"].id,
    }


async def test_a_role_is_not_filled_twice_by_its_holder_and_their_delegate(deals: Deals) -> None:
    await lend(deals)
    quote = await deals.submitted()

    await vote(deals, "user-manager", quote)
    answer = await vote(deals, DEPUTY, quote)

    assert answer.json()["status"] == "pending_approval"
    assert (await deals.receipts(quote))[-1]["payload"]["open"] == ["finance"]


async def test_a_delegate_may_reject_and_the_receipt_names_the_delegation(deals: Deals) -> None:
    made = await lend(deals)
    quote = await deals.submitted()

    answer = await deals.act(DEPUTY, quote, "reject", {"reason": "too deep"})

    [shown] = answer.json()["approvals"]
    assert (answer.json()["status"], shown["verdict"], shown["delegation"]["id"]) == ("rejected", "reject", made["id"])
    assert (await deals.receipts(quote))[-1]["payload"]["delegation_id"] == made["id"]


@pytest.mark.deal_case(27, 28)
@pytest.mark.parametrize("after", ["ended", "over", "delegator lost the role", "delegate left"])
async def test_a_vote_stands_whatever_becomes_of_its_delegation(deals: Deals, after: str) -> None:
    made = await lend(deals, lasts=1)
    quote = await deals.submitted()
    await vote(deals, DEPUTY, quote)
    await vote(deals, "user-finance", quote)
    match after:
        case "ended":
            await end(deals, made)
        case "over":
            deals.world.clock.advance(days=1)
        case "delegator lost the role":
            await deals.world.change_role("user-manager", Role.MANAGER, grant=False)
        case "delegate left":
            await deactivate(deals, DEPUTY)

    activated = (await deals.act("user-ae", quote, "activate")).json()

    assert activated["status"] == "activated"
    assert activated["quote"]["approvals"][0]["delegation"]["id"] == made["id"]


@pytest.mark.deal_case(28)
async def test_a_preview_names_delegates_but_none_of_somebody_with_a_part_in_the_quote(deals: Deals) -> None:
    await lend(deals)
    await lend(deals, begins=1, to="user-engineer")
    quotes = [await deals.quote(), await deals.quote("user-manager")]

    previews = [(await deals.act("user-ae", quote, "preview-approvals")).json() for quote in quotes]

    able = [{person["handle"] for person in preview["could_approve"]["manager"]} for preview in previews]
    assert able == [{"user-manager", "user-manager-and-finance", DEPUTY}, {"user-manager-and-finance"}]


@pytest.mark.deal_case(29)
async def test_a_delegation_of_today_makes_a_submission_possible_and_one_of_tomorrow_does_not(deals: Deals) -> None:
    await deals.world.change_role("user-manager", Role.MANAGER, grant=False)
    await deals.world.change_role("user-finance", Role.FINANCE, grant=False)
    quote = await deals.quote()

    alone = await deals.act("user-ae", quote, "submit-for-approval")
    await lend(deals, "user-manager-and-finance", begins=1)
    too_early = await deals.act("user-ae", quote, "submit-for-approval")
    await lend(deals, "user-manager-and-finance")
    with_delegate = await deals.act("user-ae", quote, "submit-for-approval")

    assert [told(alone), told(too_early)] == [(409, "revops.nobody_can_approve")] * 2
    assert with_delegate.json()["status"] == "pending_approval"


@pytest.mark.adversarial(9, 18)
async def test_no_delegation_counts_for_a_high_risk_operation(deals: Deals) -> None:
    world = deals.world
    await world.change_role("user-team-lead", Role.MANAGER, grant=True)
    await lend(deals, "user-team-lead")
    await lend(deals, "user-finance", role="finance", to="user-security")
    request = await world.ask()

    by_delegate = await world.act(DEPUTY, request["id"], "approve", {"effect_digest": request["effect_digest"]})
    by_holder = await world.act("user-security", request["id"], "approve", {"effect_digest": request["effect_digest"]})

    text = "SELECT delegation_id, delegation_is_newer FROM trustpack.approvals WHERE subject_id = %s"
    assert told(by_delegate) == HIDDEN
    assert (by_holder.status_code, by_holder.json()["status"]) == (200, "pending_approval")
    assert rows_as_owner(world.container.settings, text, request["id"]) == [{"delegation_id": None, "delegation_is_newer": False}]
