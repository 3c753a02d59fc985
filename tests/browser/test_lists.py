"""Lists in a real Chromium: filters, orders, pages and views keep their place, also in history and without scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Visits, back
from tests.browser.test_signed_in import Place, entered, place
from tests.support.axe import faults
from tests.support.world import RECORD_TARGET
from trustpack.capabilities.operations.pages import requests as list_of_requests

__all__ = ["place"]
REQUESTS = "/switchboard/security/requests"
PAPER_WIDTH = 688  # of A4, between margins of 14 mm
_numbers = count(1)


@pytest.fixture
async def visits(chromium: Browser, place: Place) -> AsyncIterator[Visits]:
    """Windows whose pages may complain."""
    made = Visits(chromium, place.url)
    yield made
    await made.close()


@dataclass(frozen=True)
class Asked:
    """Requests on a target of their own, newest first."""

    target: str
    ids: list[str]


@pytest.fixture
async def asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Five requests, and pages of two rows."""
    monkeypatch.setattr(list_of_requests, "PAGE_SIZE", 2)
    target = f"ledger-{next(_numbers)}"
    await place.world.add_target({**RECORD_TARGET, "name": target})
    at = {"target": {"database": target, "scope": {"tenant": "acme"}}}
    return Asked(target, [(await place.world.ask(**at))["id"] for _ in range(5)][::-1])


async def shows(page: Page, ids: list[str]) -> None:
    """Wait until the list has exactly these rows."""
    for at, one in enumerate(ids):
        await expect(page.locator("tbody tr").nth(at)).to_have_id(f"row-{one}")
    await expect(page.locator("tbody tr")).to_have_count(len(ids))


async def test_a_list_on_paper_names_its_filters_its_order_and_its_time_and_cuts_nothing(visit, place: Place, asked: Asked):
    query = f"q=user-engineer&show=active&target={asked.target}&sort=target"
    page = await entered(await visit(f"{REQUESTS}?target={asked.target}"), "user-team-lead")
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": PAPER_WIDTH, "height": 900})
    printed = page.locator(".centre .pairs")
    cells = page.locator(".table :is(th, td)")

    assert await cells.evaluate_all("all => all.filter((one) => one.scrollWidth > one.clientWidth).length") == 0
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await expect(printed).to_contain_text(f"FiltersTarget: {asked.target}Searchnone")
    await page.goto(f"{place.url}{REQUESTS}?{query}")
    await expect(printed).to_be_visible()
    await expect(printed).to_contain_text(f"FiltersActive now, Target: {asked.target}Search“user-engineer”")
    await expect(printed).to_contain_text(re.compile(r"Sorted byTarget, ascendingPrinted\d+ \w{3} \d{4}, [\d:]{8} UTC$"))
    await page.emulate_media(media="screen")
    await expect(printed).not_to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
async def test_filter_order_page_and_history_keep_their_place(visit, place: Place, asked: Asked, scripts: bool):
    query = f"target={asked.target}&status=pending_approval"
    page = await visit(f"{REQUESTS}?{query}", scripts=scripts)
    await page.locator('button[value="user-team-lead"]').click()
    await shows(page, asked.ids[:2])

    await page.get_by_role("link", name="Next").click()
    await shows(page, asked.ids[2:4])
    await page.locator(f'a[href^="{REQUESTS}/{asked.ids[3]}?"]').click()
    await expect(page.locator("h1")).to_contain_text(asked.target)
    await shows(page, asked.ids[2:4])
    await expect(page.locator("tr[aria-current]")).to_have_id(f"row-{asked.ids[3]}")
    await page.get_by_role("link", name="Evidence").click()
    await expect(page.get_by_label("Parts of this request").locator("[aria-current=page]")).to_contain_text("Evidence")
    await shows(page, asked.ids[2:4])
    await (back(page) if scripts else page.go_back())
    await expect(page.get_by_role("link", name="Overview")).to_have_attribute("aria-current", "page")
    await (back(page) if scripts else page.go_back())
    await expect(page.locator(".detail-pane")).to_have_count(0)
    await shows(page, asked.ids[2:4])
    await page.get_by_role("link", name="Previous").click()
    await shows(page, asked.ids[:2])
    await page.get_by_role("columnheader", name="Created").get_by_role("link").click()
    await shows(page, asked.ids[::-1][:2])
    await expect(page.get_by_role("columnheader", name="Created")).to_have_attribute("aria-sort", "ascending")
    await page.get_by_role("link", name="Ended").click()
    await expect(page.get_by_text("Nothing fits these filters")).to_be_visible()
    await (back(page) if scripts else page.go_back())
    await shows(page, asked.ids[::-1][:2])


async def test_choosing_and_typing_filter_at_once(visit, asked: Asked):
    page = await entered(await visit(REQUESTS), "user-team-lead")

    await page.get_by_label("Target", exact=True).select_option(asked.target)
    await expect(page).to_have_url(re.compile(f"target={asked.target}"))
    await expect(page.get_by_role("link", name="Clear")).to_be_visible()
    await shows(page, asked.ids[:2])
    await page.keyboard.press("/")
    await page.keyboard.type(asked.ids[4][-8:])
    await page.keyboard.press("Enter")
    await shows(page, asked.ids[4:])
    await page.get_by_role("link", name="Clear").click()
    await expect(page).to_have_url(re.compile(f"{REQUESTS}$"))


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_view_is_saved_and_opened_again(visit, asked: Asked, scripts: bool):
    page = await visit(f"{REQUESTS}?target={asked.target}&sort=created", scripts=scripts)
    await page.locator('button[value="user-auditor"]').click()
    name = f"Oldest {scripts}"

    await page.locator("#views summary").click()
    await page.get_by_label("Save what is shown as").fill(name)
    await page.get_by_role("button", name="Save this view").click()
    tabs = page.get_by_role("navigation", name="Usual views of the list")
    await expect(tabs.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
    await tabs.get_by_role("link", name="All").click()
    await tabs.get_by_role("link", name=name).click()
    await shows(page, asked.ids[::-1][:2])
    await page.locator("#views summary").click()
    await page.get_by_role("link", name="Rename or delete views").click()
    await page.get_by_role("form", name=f"Delete {name}").get_by_role("button").click()
    await expect(page.get_by_role("form", name=f"Delete {name}")).to_have_count(0)


async def test_a_menu_closes_when_what_was_chosen_in_it_is_shown(visit, asked: Asked):
    page = await entered(await visit(REQUESTS), "user-security")
    menus = page.locator("details.menu[open]")

    await page.locator("#views summary").click()
    await page.get_by_label("Save what is shown as").fill("Everything there is")
    await page.get_by_role("button", name="Save this view").click()
    await expect(page.locator("#views").get_by_role("link", name="Everything there is", include_hidden=True)).to_have_count(1)
    await expect(menus).to_have_count(0)
    await page.locator(".whoami summary").click()
    await expect(menus).to_have_count(1)
    await page.get_by_role("link", name="My sessions").click()
    await expect(page.get_by_role("heading", name="My sessions")).to_be_visible()

    await expect(menus).to_have_count(0)
    await expect(page.locator(".whoami summary")).to_be_focused()


async def test_another_page_of_the_list_begins_at_its_top_and_an_opened_row_leaves_it(visit, asked: Asked):
    page = await entered(await visit(f"{REQUESTS}?target={asked.target}", height=260), "user-team-lead")
    top = "document.querySelector('.centre .scrolls').scrollTop"
    await page.evaluate(f"{top} = 999")
    before = await page.evaluate(top)
    await page.locator(f'a[href^="{REQUESTS}/{asked.ids[1]}?"]').focus()
    await page.evaluate(f"{top} = 999")
    await page.keyboard.press("Enter")
    await expect(page.locator("tr[aria-current]")).to_have_count(1)
    kept = await page.evaluate(top)
    await back(page)
    await page.get_by_role("link", name="Next").click()
    await shows(page, asked.ids[2:4])

    assert kept == before
    assert await page.evaluate(top) == 0


async def test_a_file_is_downloaded(visit, asked: Asked):
    page = await entered(await visit(f"{REQUESTS}?target={asked.target}"), "user-team-lead")
    await page.locator("#export summary").click()
    async with page.expect_download() as event:
        await page.get_by_role("link", name="CSV file").click()
    download = await event.value

    assert download.suggested_filename.startswith("high-risk-requests-")
    text = (await download.path()).read_text()
    assert [line.partition(",")[0] for line in text.splitlines()[1:]][:5] == asked.ids


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.usefixtures("asked")
async def test_open_menus_and_views_have_no_fault_that_axe_can_find(visit, place: Place, width: int):
    page = await entered(await visit(REQUESTS, width=width), "user-team-lead")
    found = {}
    for menu in ("views", "export"):
        await page.locator(f"#{menu} summary").click()
        found[menu] = await faults(page)
        await page.locator(f"#{menu} summary").click()
    await page.goto(f"{place.url}/switchboard/views?list={REQUESTS}")
    found["page"] = await faults(page)

    # What a menu covers is smaller than it is only while the menu is open.
    told = {name: [one for one in names if "partially obscured" not in one] for name, names in found.items()}
    assert told == {"views": [], "export": [], "page": []}
