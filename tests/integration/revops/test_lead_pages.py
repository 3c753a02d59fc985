"""The pages of leads and opportunities: taken in once, told why they went where they went, and shown to their own people."""

from __future__ import annotations

import asyncio
import html as html_of
import re

import httpx2
import pytest

from tests.support.browsers import Browser, browsing_as, code_of
from tests.support.clock import MovableClock
from tests.support.deals import Deals
from tests.support.page_forms import ReadPage
from tests.support.worlds import scripted_world
from trustpack.app.bootstrap import Container
from trustpack.kernel.actor import Role

LEADS = "/switchboard/revops/leads"
OPPORTUNITIES = "/switchboard/revops/opportunities"
NEW = f"{LEADS}/new"
FIELDS = {"email": "kim@umbrella.example", "company": "Umbrella", "segment": "enterprise", "employees": "1200"}


async def filled(browser: Browser, **changes: str) -> dict[str, str]:
    """Open the form of a new lead and fill it in."""
    page = await browser.get(NEW)
    assert page.status_code == 200, page.text
    return {**ReadPage(page.text).form_to(NEW).filled({}), **FIELDS, **changes}


def text_of(page: httpx2.Response) -> str:
    return html_of.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


async def count_leads(deals: Deals) -> int:
    return len((await deals.call("user-auditor", "GET", "/leads")).json()["items"])


async def test_a_lead_is_taken_in_and_its_page_says_where_it_went_and_why(deals: Deals):
    async with browsing_as(deals.world, "user-ae") as browser:
        answer = await browser.post(NEW, await filled(browser, region="emea", source="A fair"))
        page = await browser.get(answer.headers["location"])

    assert answer.status_code == 303
    told = text_of(page)
    assert "The lead is taken in." in told
    assert "The rule enterprise_segment sends the lead to the team enterprise." in told
    assert "kim@umbrella.example" in told
    assert "A fair" in told
    assert ReadPage(page.text).heading == "Umbrella"
    assert any(link.startswith(f"{OPPORTUNITIES}/opp_") for link in ReadPage(page.text).links)


async def test_sending_the_form_again_takes_one_lead_in(deals: Deals):
    before = await count_leads(deals)
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await filled(browser)
        answers = [await browser.post(NEW, fields), await browser.post(NEW, fields)]
        answers += await asyncio.gather(*(browser.copy().post(NEW, fields) for _ in range(2)))
        other = await browser.post(NEW, {**fields, "email": "lee@umbrella.example"})

    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (other.status_code, await count_leads(deals)) == (409, before + 1)


async def test_the_same_mailbox_leads_to_the_lead_that_is_there(deals: Deals):
    async with browsing_as(deals.world, "user-ae") as browser:
        answer = await browser.post(NEW, await filled(browser, email="JO+fair@acme.com"))
        page = await browser.get(answer.headers["location"])

    assert answer.headers["location"].startswith(f"{LEADS}/{deals.lead_id}")
    assert "This mailbox was a lead already, so nothing was stored." in text_of(page)


async def test_a_lead_of_others_is_refused_with_its_owner_named_and_what_was_written_kept(deals: Deals):
    before = await count_leads(deals)
    await deals.world.add_person("user-ae-2", Role.AE)
    async with browsing_as(deals.world, "user-ae-2") as browser:
        answer = await browser.post(NEW, await filled(browser, email="jo@acme.com", source="My fair"))

    assert answer.status_code == 409
    assert "it belongs to user-ae" in text_of(answer)
    assert ReadPage(answer.text).form_to(NEW).filled({})["source"] == "My fair"
    assert await count_leads(deals) == before


async def test_a_lead_that_was_refused_leads_back_to_the_list_that_its_form_was_opened_from(deals: Deals):
    keep = "?by=me&q=kim"
    async with browsing_as(deals.world, "user-ae") as browser:
        listed = ReadPage((await browser.get(f"{LEADS}{keep}")).text)
        path = next(link for link in listed.links if link.startswith(NEW))
        answer = await browser.post(path, await filled(browser, email="nobody"))

    page = ReadPage(answer.text)
    assert answer.status_code == 422
    assert f"{LEADS}?q=kim&by=me" in page.links
    assert page.form_to(path)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("email", "nobody"),
        ("email", ""),
        ("email", "jo@acme.com\u200b"),
        ("company", ""),
        ("company", "x" * 201),
        ("segment", "two words"),
        ("employees", "1e9"),
        ("employees", "-1"),
        ("employees", "١٢"),
        ("region", "<b>"),
        ("source", "x" * 201),
    ],
)
async def test_a_field_that_cannot_be_read_is_named_and_nothing_is_stored(deals: Deals, field: str, text: str):
    before = await count_leads(deals)
    async with browsing_as(deals.world, "user-ae") as browser:
        answer = await browser.post(NEW, await filled(browser, **{field: text}))

    assert answer.status_code == 422
    assert f'id="field-{field}-fault"' in answer.text
    assert answer.text.count('class="fault"') == 1
    assert await count_leads(deals) == before


async def test_only_people_who_sell_take_leads_in(deals: Deals):
    async with browsing_as(deals.world, "user-finance") as browser:
        answers = [await browser.get(NEW), await browser.post(NEW, {**FIELDS, "key": "0" * 32})]

    assert {(answer.status_code, code_of(answer)) for answer in answers} == {(403, "revops.sellers_only")}


async def test_an_opportunity_shows_its_quotes_its_lead_and_how_soon_it_must_be_taken_up(deals: Deals):
    async with browsing_as(deals.world, "user-ae") as browser:
        waiting = await browser.get(f"{OPPORTUNITIES}/{deals.opportunity_id}")
        quote = await deals.quote(title="First <b>offer</b>")
        taken_up = await browser.get(f"{OPPORTUNITIES}/{deals.opportunity_id}")
        evidence = await browser.get(f"/switchboard/evidence/revops/deals/{deals.opportunity_id}")

    links = ReadPage(taken_up.text).links
    assert "First touch due" in waiting.text
    assert "There is none yet." in waiting.text
    assert "First touch due" not in taken_up.text
    assert "First &lt;b&gt;offer" in taken_up.text
    assert "70,000.00 USD" in text_of(taken_up)
    assert {f"/switchboard/revops/quotes/{quote['id']}", f"{LEADS}/{deals.lead_id}"} <= set(links)
    assert f"/switchboard/revops/quotes/new?opportunity={deals.opportunity_id}" in links
    assert f"/switchboard/evidence/revops/deals/{deals.opportunity_id}" in links
    assert evidence.headers["content-disposition"] == f'attachment; filename="{deals.opportunity_id}.evidence.json"'
    assert quote["id"] in evidence.text


async def test_a_first_touch_that_is_late_is_said(deals: Deals):
    deals.world.clock.advance(hours=5)
    async with browsing_as(deals.world, "user-ae") as browser:
        late = await browser.get(f"{OPPORTUNITIES}/{deals.opportunity_id}")
        await deals.quote()
        touched = await browser.get(f"{OPPORTUNITIES}/{deals.opportunity_id}")

    assert "The first quote was due" in late.text
    assert re.search(r"First quote .*, late\.", text_of(touched))


async def test_people_who_do_not_sell_are_offered_no_new_quote(deals: Deals):
    async with browsing_as(deals.world, "user-auditor") as browser:
        page = await browser.get(f"{OPPORTUNITIES}/{deals.opportunity_id}")

    assert page.status_code == 200
    assert "quotes/new" not in page.text


async def test_leads_and_opportunities_of_others_are_not_there(deals: Deals, container: Container, clock: MovableClock):
    paths = (f"{LEADS}/{deals.lead_id}", f"{OPPORTUNITIES}/{deals.opportunity_id}", f"{LEADS}/{deals.opportunity_id}")
    paths += (f"{OPPORTUNITIES}/{deals.lead_id}", f"{LEADS}/lead_x", f"{OPPORTUNITIES}/opp_{'0' * 32}")
    await deals.world.add_person("user-ae-2", Role.AE)
    async with browsing_as(deals.world, "user-ae-2") as colleague:
        answers = [await colleague.get(path) for path in paths]
    async with scripted_world(container, clock) as other, browsing_as(other, "user-admin") as stranger:
        answers += [await stranger.get(path) for path in paths]

    assert {answer.status_code for answer in answers} == {404}
