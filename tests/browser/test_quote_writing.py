"""Writing a quote in a real Chromium: totals and approvals follow what is typed, by keyboard alone, and two at once."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import back
from tests.browser.test_signed_in import Place, entered, place, visits
from tests.support.axe import faults
from tests.support.deals import Deals, selling
from trustpack.kernel.actor import Role

__all__ = ["place", "visits"]

QUOTES = "/switchboard/revops/quotes"
PRICES = """sku,currency,list_price,valid_from,description,recurring
PLATFORM,USD,48000.00,2026-01-01,Platform per year,true
PLATFORM,EUR,44000.00,2026-01-01,Platform per year,true
SEAT,USD,600.00,2026-01-01,Seat per year,true
SUPPORT,USD,24000.00,2026-01-01,Premium support per year,true
"""


@pytest.fixture(scope="module")
async def deals(place: Place) -> Deals:
    """The demo's tenant, which sells."""
    await place.world.add_person("user-ae", Role.AE)
    found = await selling(place.world)
    await found.import_prices(PRICES)
    return found


async def writing(visit, deals: Deals, **window: object) -> Page:
    """Open the form of a new quote as an account executive."""
    page = await entered(await visit(f"{QUOTES}/new?opportunity={deals.opportunity_id}", **window), "user-ae")
    await expect(page.get_by_role("heading", name="New quote for Acme GmbH")).to_be_visible()
    return page


async def on_the_way_to(page: Page, label: str) -> None:
    """Press Tab until the field is reached."""
    wanted = page.get_by_label(label)
    for _ in range(40):
        if await wanted.evaluate("field => field === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {label}")


async def count(deals: Deals) -> int:
    """Return how many quotes there are."""
    return len((await deals.call("user-auditor", "GET", "/quotes?limit=200")).json()["items"])


async def test_totals_and_approvals_follow_the_discount_and_a_quote_is_saved_and_edited(visit, deals: Deals):
    before = await count(deals)
    page = await writing(visit, deals)
    preview = page.locator("#quote-preview")

    await page.get_by_label("Item").select_option("SEAT")
    await page.get_by_label("Quantity").fill("50")
    await expect(preview).to_contain_text("30,000.00")
    await page.get_by_label("Discount %").fill("20")
    await expect(preview).to_contain_text("The owner may approve this alone.")
    await page.get_by_label("Discount %").press_sequentially(".004")
    await expect(preview).to_contain_text("This needs the approval of manager and finance.")
    await expect(preview).to_contain_text("23,998.80")
    await expect(preview).to_contain_text("20.004 %")
    await expect(page.get_by_label("Discount %")).to_be_focused()
    assert await count(deals) == before

    await page.get_by_role("button", name="Save the draft").click()
    await page.wait_for_url(re.compile(r"/quotes/quo_[0-9a-f]+$"))
    path = page.url
    assert await count(deals) == before + 1
    await page.goto(f"{path}/edit")
    await expect(page.get_by_label("Discount %")).to_have_value("20.004")
    await expect(preview).to_contain_text("the terms that the quote has already")


async def test_lines_come_and_go_and_keep_what_was_written(visit, deals: Deals):
    page = await writing(visit, deals)

    await page.get_by_label("Title").fill("First year")
    await page.get_by_label("Item").select_option("PLATFORM")
    await page.get_by_role("button", name="Add a line").click()
    second = page.get_by_role("group", name="Line 2")
    await second.get_by_label("Description").fill("Training")
    await second.get_by_label("Unit price").fill("2500.00")
    await expect(page.locator("#quote-preview")).to_contain_text("50,500.00")
    await page.get_by_role("button", name="Remove line 1").click()
    await expect(page.get_by_role("button", name=re.compile("Remove line"))).to_have_count(1)

    await expect(page.get_by_label("Description")).to_have_value("Training")
    await expect(page.locator("#quote-preview")).to_contain_text("2,500.00")
    await expect(page.get_by_label("Title")).to_have_value("First year")


async def test_a_quote_that_moved_is_shown_with_the_difference_and_what_was_written_stays(visits, deals: Deals):
    quote = await deals.quote(discount_percent="10")
    page = await entered(await visits.open(f"{QUOTES}/{quote['id']}/edit"), "user-ae")
    await page.get_by_label("Discount in %").fill("12")
    await deals.call("user-manager", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="15")})

    await page.get_by_role("button", name="Save", exact=True).click()

    await expect(page.get_by_role("alert")).to_contain_text("The quote has changed since you opened it")
    await expect(page.locator(".diff-lines .is-added").first).to_contain_text("less 15 %")
    await expect(page.get_by_label("Discount in %")).to_have_value("12")
    assert (await deals.read(quote))["discount_percent"] == "15"
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.wait_for_url(re.compile(r"/quotes/quo_[0-9a-f]+$"))
    assert (await deals.read(quote))["discount_percent"] == "12"


async def test_a_quote_is_written_by_keyboard_alone_and_back_and_reload_repeat_nothing(visit, deals: Deals):
    before = await count(deals)
    page = await writing(visit, deals)

    await on_the_way_to(page, "Title")
    await page.keyboard.type("By hand")
    await on_the_way_to(page, "Item")
    await page.keyboard.type("Seat")
    await on_the_way_to(page, "Quantity")
    await page.keyboard.type("5")
    await on_the_way_to(page, "Discount %")
    await page.keyboard.type("7.5")
    await expect(page.locator("#quote-preview")).to_contain_text("7.5 %")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/quotes/quo_[0-9a-f]+$"))

    await page.reload()
    await back(page)
    await expect(page.get_by_role("heading", name="New quote for Acme GmbH")).to_be_visible()
    assert await count(deals) == before + 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
async def test_the_forms_have_no_fault_that_axe_can_find(visit, deals: Deals, width: int, scheme: str):
    page = await writing(visit, deals, width=width, color_scheme=scheme)
    found = [await faults(page)]
    await page.get_by_label("Item").select_option("SEAT")
    await page.get_by_label("Discount %").fill("x")
    await expect(page.locator("#quote-preview")).to_contain_text("Line 1, discount percent")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator(".quote-line .fault")).to_be_visible()
    found.append(await faults(page))
    await page.get_by_label("Discount %").fill("45")
    await expect(page.locator("#quote-preview")).to_contain_text("manager and finance")
    found.append(await faults(page))

    assert found == [[], [], []]
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
