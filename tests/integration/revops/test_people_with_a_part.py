"""Whoever had a part in a deal, however long ago and by whichever way, fills none of its approval roles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deals import LEAD, Deals


async def took_the_lead_in(deals: Deals) -> dict[str, Any]:
    """A quote by the account executive, for whom a manager had taken the lead in."""
    answer = await deals.call("user-manager", "POST", "/leads", LEAD | {"email": "al@other.example", "company": "Other"})
    assert answer.json()["opportunity"]["owner"]["handle"] == "user-ae", answer.text
    return await deals.quote(opportunity_id=answer.json()["opportunity"]["id"])


async def wrote_the_original(deals: Deals) -> dict[str, Any]:
    """A copy by the account executive of what a manager wrote."""
    original = await deals.quote(person="user-manager")
    return dict((await deals.act("user-ae", original, "clone")).json())


async def wrote_an_earlier_revision(deals: Deals) -> dict[str, Any]:
    """A quote of the account executive that a manager once changed, before its owner changed it again."""
    quote = await deals.quote()
    for person, discount in (("user-manager", "40"), ("user-ae", "35")):
        terms = {"terms": deals.terms(discount_percent=discount)}
        quote = dict((await deals.call(person, "PATCH", f"/quotes/{quote['id']}", terms)).json())
    return quote


async def recalled_it(deals: Deals) -> dict[str, Any]:
    """A quote that a manager took back on the seller's side, and that was then revised."""
    quote = await deals.submitted()
    assert (await deals.act("user-manager", quote, "recall")).status_code == 200
    terms = {"terms": deals.terms(discount_percent="35")}
    return dict((await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", terms)).json())


@pytest.mark.deal_case(19)
@pytest.mark.parametrize("part", [took_the_lead_in, wrote_the_original, wrote_an_earlier_revision, recalled_it])
async def test_a_manager_who_had_a_part_does_not_approve(deals: Deals, part: Any) -> None:
    await deals.world.add_person("user-manager-2", *deals.world.people["user-manager"].roles)
    quote = await part(deals)
    preview = (await deals.act("user-ae", quote, "preview-approvals")).json()
    submitted = (await deals.act("user-ae", quote, "submit-for-approval")).json()

    refused = await deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})
    other = await deals.act("user-manager-2", quote, "approve", {"terms_digest": quote["terms_digest"]})

    assert submitted["required_approvals"] == ["manager", "finance"]
    able = [person["handle"] for person in preview["could_approve"]["manager"]]
    assert sorted(able) == ["user-manager-2", "user-manager-and-finance"]
    assert (refused.status_code, refused.json()["code"]) == (403, "revops.self_approval_forbidden")
    assert other.status_code == 200, other.text


async def test_a_preview_names_nobody_who_would_have_submitted_it(deals: Deals) -> None:
    quote = await deals.quote()

    preview = (await deals.act("user-manager", quote, "preview-approvals")).json()

    assert "user-manager" not in {person["handle"] for person in preview["could_approve"]["manager"]}


async def test_somebody_whose_submission_failed_had_no_part(deals: Deals) -> None:
    quote = await deals.quote()
    failed = await deals.act("user-manager", quote, "submit-for-approval")
    await deals.act("user-ae", quote, "submit-for-approval")

    approval = await deals.act("user-manager", quote, "approve", {})

    assert (failed.status_code, approval.status_code) == (403, 200)
