"""From a new lead to the form of its first quote, by keyboard, and what axe says to the pages in between."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import ready
from tests.browser.test_quote_writing import deals
from tests.browser.test_signed_in import Place, entered, place, visits
from tests.support.axe import faults
from tests.support.deals import Deals

__all__ = ["deals", "place", "visits"]

REVOPS = "/switchboard/revops"


async def test_a_lead_is_taken_in_by_keyboard_and_leads_to_its_first_quote(visit, deals: Deals):
    page = await entered(await visit(f"{REVOPS}/leads/new"), "user-ae")

    await expect(page.get_by_label("E-mail")).to_be_focused()
    for text in ("kim@umbrella.example", "Umbrella", "enterprise", "emea", "1200", "A fair"):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/leads/lead_[0-9a-f]+\?told=new$"))
    await expect(page.locator(".detail-pane")).to_contain_text("sends the lead to the team enterprise")
    await page.get_by_role("link", name="Open the opportunity").press("Enter")
    await expect(page.get_by_role("region", name="Opportunity Umbrella")).to_contain_text("First touch due")
    await page.get_by_role("link", name="New quote").press("Enter")

    await expect(page.get_by_role("heading", name="New quote for Umbrella")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
async def test_the_pages_have_no_fault_that_axe_can_find(visit, place: Place, deals: Deals, width: int, scheme: str):
    page = await entered(await visit(f"{REVOPS}/leads/new", width=width, color_scheme=scheme), "user-ae")
    found = {"leads/new": await faults(page)}
    for path in (f"leads/{deals.lead_id}?told=known", f"opportunities/{deals.opportunity_id}"):
        await page.goto(f"{place.url}{REVOPS}/{path}")
        await ready(page)
        found[path] = await faults(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    assert {path: names for path, names in found.items() if names} == {}


async def test_beside_an_open_opportunity_no_heading_is_cut_off_and_no_name_leaves_its_pane(visit, place: Place, deals: Deals):
    lead = {"email": "w@long.example", "company": "W" * 190, "segment": "enterprise"}
    made = (await deals.world.call("user-ae", "POST", "/revops/leads", lead)).text
    path = f"{REVOPS}/opportunities/{re.findall('opp_[0-9a-f]+', made)[0]}"
    page = await entered(await visit(path), "user-ae")
    await expect(page.locator(".detail-pane h1, .detail-pane h2").first).to_contain_text("WWW")

    wide = "found => found.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent.trim().slice(0, 20))"

    assert await page.locator("main th").evaluate_all(wide) == []
    assert await page.locator(".detail-pane, .detail-pane .scrolls, .detail-pane li").evaluate_all(wide) == []


@pytest.mark.parametrize("width", [1440, 1024, 390])
async def test_a_discount_in_a_list_is_never_cut(visit, place: Place, deals: Deals, width: int):
    quote = await deals.quote(discount_percent="99.999999", amount="9000000.00")
    page = await entered(await visit(f"{REVOPS}/quotes", width=width), "user-ae")
    for path in ("", f"/{quote['id']}"):
        await page.goto(f"{place.url}{REVOPS}/quotes{path}")
        cells = page.locator("tbody .cell-number", has_text=quote["discount_percent"])
        await expect(cells.first).to_be_attached()

        assert await cells.evaluate_all("all => all.filter((one) => one.scrollWidth > one.clientWidth).length") == 0
