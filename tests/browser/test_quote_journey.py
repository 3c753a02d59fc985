"""From a draft to a contract whose evidence is checked, by three people in three browsers, on the real application."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Visit, Visits, ready
from tests.support.axe import faults
from tests.support.clock import MovableClock
from tests.support.deals import Deals, selling
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.streams import serving_on
from trustpack.app.http import build_app
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings
from trustpack.proof.bundle import check_bundle

QUOTES = "/switchboard/revops/quotes"
PARTS = ("", "/approvals", "/versions", "/contract", "/evidence", "/related")
LINES = [
    {
        "sku": "SEAT",
        "description": "Seat per year",
        "quantity": 200,
        "unit_price": "600.00",
        "discount_percent": "30",
        "recurring": True,
    },
    {
        "sku": "SETUP",
        "description": "Implementation",
        "quantity": 1,
        "unit_price": "35000.00",
        "discount_percent": "0",
        "recurring": False,
    },
]
PRICES = """sku,currency,list_price,valid_from,description,recurring
SEAT,USD,600.00,2026-01-01,Seat per year,true
SETUP,USD,35000.00,2026-01-01,Implementation,false
"""


@dataclass(slots=True)
class Place:
    """A tenant that sells and the address at which its console is served."""

    deals: Deals
    url: str


@pytest.fixture(scope="module")
async def place(settings: Settings, clock: MovableClock) -> AsyncIterator[Place]:
    """The console on a store of demo data, for people who sell."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://localhost:{listener.getsockname()[1]}"
        own = empty_store(settings, demo_sign_in=True, public_url=url)
        async with world_of_demo(own, clock) as world:
            await world.add_person("user-ae", Role.AE)
            deals = await selling(world)
            await deals.import_prices(PRICES)
            async with serving_on(build_app(world.container, with_worker=False), listener):
                yield Place(deals, url)


@pytest.fixture
async def visits(chromium: Browser, place: Place) -> AsyncIterator[Visits]:
    """Windows whose pages may complain."""
    made = Visits(chromium, place.url)
    yield made
    await made.close()


async def entered(page: Page, handle: str) -> Page:
    """Sign in by one click."""
    await page.locator(f'button[value="{handle}"]').click()
    await expect(page.locator(".whoami")).to_be_visible()
    await ready(page)
    return page


async def quoted(place: Place, **changes: Any) -> dict[str, Any]:
    """Write a quote of two lines."""
    return await place.deals.quote(amount=None, discount_percent=None, lines=LINES, title="Renewal 2027", **changes)


async def chosen(page: Page, name: str, *, comment: str = "", label: str = "Comment") -> None:
    """Open the dialog of a decision, fill it in and send it."""
    await page.locator(f"#opens-{name}").click()
    if comment:
        await page.get_by_label(label).fill(comment)
    await page.locator("dialog[open] .dialog-actions button[type=submit]").click()


async def test_a_deal_goes_from_draft_to_a_contract_whose_evidence_can_be_checked(visit: Visit, place: Place, tmp_path: Path):
    quote = await quoted(place)
    path = f"{QUOTES}/{quote['id']}"
    seller = await entered(await visit(path), "user-ae")
    await chosen(seller, "submit")
    await expect(seller.locator(".object-line")).to_contain_text("Pending")
    manager, finance = await visit(f"{path}/approvals"), await visit(f"{path}/approvals")
    await entered(manager, "user-manager")
    await entered(finance, "user-finance")

    await manager.keyboard.press("a")
    await manager.get_by_label("Comment").fill("Strategic account")
    await manager.locator("dialog[open]").get_by_role("button", name="Approve").click()
    await expect(manager.locator(".detail-pane .tabs")).to_contain_text("1/2")
    await chosen(finance, "approve", comment="Fits the budget")
    await expect(finance.locator(".object-line")).to_contain_text("Approved")
    # Nobody reloads: what was recorded comes to every open page.
    await expect(seller.locator(".object-line")).to_contain_text("Approved")
    await expect(seller.locator(".object-head")).to_contain_text("Expires unless activated")
    await chosen(seller, "activate")
    await expect(seller.locator(".object-line")).to_contain_text("Activated")
    await seller.locator(".detail-pane").get_by_role("link", name="Contract").click()
    await expect(seller.get_by_text("The contract holds exactly the terms that were approved.")).to_be_visible()
    await expect(seller.get_by_role("region", name="Lines of the contract")).to_contain_text("119,000.00")
    await seller.locator(".detail-pane").get_by_role("link", name="Evidence").click()
    await expect(seller.locator(".verdict")).to_contain_text("Verified")
    shown = await seller.locator(".verdict [data-copy]").get_attribute("data-copy")
    async with seller.expect_download() as downloading:
        await seller.locator(".detail-pane").get_by_role("link", name="Evidence JSON").click()
    download = await downloading.value
    await download.save_as(tmp_path / "evidence.json")
    content = (tmp_path / "evidence.json").read_bytes()

    assert download.suggested_filename == f"{quote['id']}.evidence.json"
    assert sha256(content).hexdigest() == shown
    assert check_bundle(content) == ()
    after = await place.deals.read(quote)
    assert (after["status"], after["contract"]["terms_digest"]) == ("activated", quote["terms_digest"])


async def test_the_owner_approves_a_discount_of_exactly_what_their_band_allows(visit: Visit, place: Place):
    quote = await place.deals.quote(discount_percent="20")
    page = await entered(await visit(f"{QUOTES}/{quote['id']}"), "user-ae")

    await expect(page.get_by_text("It needs account executive, who may be the owner.")).to_be_visible()
    await chosen(page, "submit")
    await expect(page.locator(".object-line")).to_contain_text("Pending")
    await chosen(page, "approve")
    await expect(page.locator(".object-line")).to_contain_text("Approved")

    assert (await place.deals.read(quote))["approvals"][0]["approver"]["handle"] == "user-ae"


async def test_an_edit_voids_what_was_approved_and_a_late_decision_shows_the_difference(visits: Visits, place: Place):
    quote = await quoted(place)
    await place.deals.act("user-ae", quote, "submit-for-approval")
    await place.deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})
    finance = await entered(await visits.open(f"{QUOTES}/{quote['id']}"), "user-finance")
    await finance.locator("#opens-approve").click()
    changed = place.deals.terms(amount=None, discount_percent=None, lines=[LINES[0] | {"quantity": 180}, LINES[1]])
    await place.deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": changed})
    await place.deals.act("user-ae", quote, "submit-for-approval")

    await finance.locator("dialog[open] .dialog-actions button[type=submit]").click()
    await expect(finance.get_by_text("nothing was recorded")).to_be_visible()
    await expect(finance.locator(".diff-lines")).to_contain_text("SEAT Seat per year: 180 at 600.00")
    await finance.locator(".detail-pane").get_by_role("link", name="Show the quote as it is now").click()
    await expect(finance.locator(".detail-pane .tabs")).to_contain_text("0/2")
    await finance.locator(".detail-pane").get_by_role("link", name="Versions").click()
    await expect(finance.get_by_text("It voided the approval of user-manager.")).to_be_visible()
    await expect(finance.locator(".diff-lines")).to_contain_text("SEAT Seat per year: 180 at 600.00")

    assert (await place.deals.read(quote))["open_approvals"] == ["manager", "finance"]
    assert [complaint for complaint in visits.complaints if "409" not in complaint] == []


async def test_without_scripts_everything_is_read_and_a_decision_is_taken(visit: Visit, place: Place):
    quote = await quoted(place)
    await place.deals.act("user-ae", quote, "submit-for-approval")
    page = await visit(f"{QUOTES}/{quote['id']}", scripts=False)
    await page.locator('button[value="user-manager"]').click()
    for part in ("Approvals", "Versions", "Evidence", "Related", "Overview"):
        await page.locator(".detail-pane").get_by_role("link", name=part).first.click()
        await expect(page.locator(".detail-pane .tabs [aria-current]")).to_contain_text(part)
    await page.locator("#opens-approve").click()
    await page.get_by_label("Comment").fill("Read on paper")
    await page.get_by_role("button", name="Approve").click()

    await expect(page.locator(".detail-pane .tabs")).to_contain_text("1/2")
    assert (await place.deals.read(quote))["approvals"][0]["comment"] == "Read on paper"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
async def test_no_part_and_no_dialog_has_a_fault_that_axe_can_find(visit: Visit, place: Place, width: int, scheme: str):
    quote = await quoted(place)
    await place.deals.act("user-ae", quote, "submit-for-approval")
    await place.deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"], "comment": "Fine"})
    changed = place.deals.terms(amount=None, discount_percent=None, lines=[LINES[0] | {"quantity": 180}, LINES[1]])
    await place.deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": changed})
    await place.deals.act("user-ae", quote, "submit-for-approval")
    page = await entered(await visit(f"{QUOTES}/{quote['id']}", width=width, color_scheme=scheme), "user-manager-and-finance")
    found = {}
    for part in (*PARTS, "?ask=approve"):
        await page.goto(f"{place.url}{QUOTES}/{quote['id']}{part}")
        await ready(page)
        found[part] = await faults(page)
    await page.goto(f"{place.url}{QUOTES}/{quote['id']}")
    await ready(page)
    for name in ("approve", "reject"):
        await page.locator(f"#opens-{name}").click()
        await expect(page.locator(f"dialog#{name}")).to_be_visible()
        found[name] = await faults(page)
        await page.keyboard.press("Escape")

    assert {part: names for part, names in found.items() if names} == {}
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
