"""A deal that is split over several quotes is looked at as one, in whatever order and state its parts are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.deals import LEAD, Deals
from tests.support.gates import behind, gate_with
from trustpack.capabilities.policy import PolicyGate

FAT = {"amount": "9000000.00", "discount_percent": "0"}


@pytest.fixture
async def joint_gate(deals: Deals) -> AsyncIterator[PolicyGate]:
    """A policy that lets the joint discount decide as well."""

    def also_linked(parameters: Any) -> Any:
        return {**parameters, "measures": [*parameters["measures"], "linked"]} if "measures" in parameters else parameters

    async with gate_with(deals.world, also_linked) as gate:
        yield gate


async def linked(deals: Deals, quote: dict[str, Any]) -> tuple[list[str], str]:
    """Return the quotes that one is looked at with, and their joint discount."""
    shown = (await deals.read(quote))["linked"]
    return shown["quotes"], shown["joint_discount_percent"]


@pytest.mark.deal_case(12)
async def test_offered_quotes_of_an_account_are_shown_with_their_joint_discount(deals: Deals) -> None:
    first = await deals.submitted(discount_percent="10")
    second = await deals.quote(discount_percent="40")

    assert await linked(deals, second) == ([first["id"]], "25")


@pytest.mark.deal_case(12)
async def test_a_draft_that_nobody_offered_thins_no_discount(deals: Deals) -> None:
    await deals.quote(**FAT)
    offered = await deals.submitted(discount_percent="40")
    second = await deals.quote(discount_percent="20")

    assert await linked(deals, second) == ([offered["id"]], "30")


@pytest.mark.deal_case(12)
@pytest.mark.parametrize("end", ["reject", "recall"])
async def test_a_quote_that_came_to_nothing_thins_no_discount(deals: Deals, end: str) -> None:
    fat = await deals.submitted(**FAT)
    ended = await deals.act("user-ae", fat, end, {"reason": "no"})
    second = await deals.quote(discount_percent="40")

    assert ended.status_code == 200
    assert await linked(deals, second) == ([], "40")


@pytest.mark.deal_case(12)
async def test_a_draft_that_waited_until_it_was_out_of_sight_is_seen_when_it_is_offered(deals: Deals) -> None:
    kept_back = await deals.quote(discount_percent="40", valid_until=_in_days(deals, 90))
    deals.world.clock.advance(days=40)
    second = await deals.quote(discount_percent="10")
    before = await linked(deals, second)
    await deals.act("user-ae", kept_back, "submit-for-approval")

    assert (before, await linked(deals, second)) == (([], "10"), ([kept_back["id"]], "25"))


@pytest.mark.deal_case(12)
async def test_leads_of_one_company_are_one_account_and_currencies_are_apart(deals: Deals) -> None:
    first = await deals.submitted(discount_percent="10")
    euros = await deals.submitted(currency="EUR", discount_percent="10")
    answer = await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "al@ACME.com", "company": "Acme Holding"})
    second = await deals.quote(opportunity_id=answer.json()["opportunity"]["id"], discount_percent="40")

    assert await linked(deals, second) == ([first["id"]], "25")
    assert await linked(deals, euros) == ([], "10")


@pytest.mark.deal_case(12)
async def test_where_the_joint_discount_decides_a_small_quote_beside_a_deep_one_needs_manager_and_finance(
    deals: Deals, joint_gate: PolicyGate
) -> None:
    await deals.submitted(discount_percent="40")
    small = await deals.quote(discount_percent="10")

    submitted = await behind(deals.world, joint_gate, "user-ae", f"/revops/quotes/{small['id']}/submit-for-approval")

    assert submitted.json()["required_approvals"] == ["manager", "finance"]


@pytest.mark.deal_case(12)
async def test_parts_that_were_approved_one_by_one_are_looked_at_together_when_they_are_activated(
    deals: Deals, joint_gate: PolicyGate
) -> None:
    small = await deals.submitted(discount_percent="10")
    await deals.act("user-ae", small, "approve", {})
    await deals.submitted(discount_percent="40")

    refused = await behind(deals.world, joint_gate, "user-ae", f"/revops/quotes/{small['id']}/activate")

    assert (refused.status_code, refused.json()["code"]) == (409, "revops.policy_stricter")


@pytest.mark.deal_case(12)
async def test_ten_quotes_of_the_largest_amount_can_still_be_put_to_policy(deals: Deals) -> None:
    largest = {"amount": "10000000000000.00", "discount_percent": "10"}

    quotes = [await deals.submitted(**largest) for _ in range(10)]

    assert quotes[-1]["linked"]["joint_discount_percent"] == "10"
    assert len(quotes[-1]["linked"]["quotes"]) == 9


def _in_days(deals: Deals, days: int) -> str:
    today = deals.world.clock.now().date()
    return today.fromordinal(today.toordinal() + days).isoformat()
