"""Both golden paths from the demo's sign-in to the evidence, by keys alone: no pointer touches a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import ready
from tests.browser.every_page.conftest import Windows
from tests.support.page_catalogue import NOBODY, OWNER
from tests.support.page_stage import Stage

REQUESTS, QUOTES = "/switchboard/security/requests", "/switchboard/revops/quotes"


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what bears a name, or one that begins with it."""
    for _ in range(250):
        await page.keyboard.press("Tab")
        focused = page.locator("*:focus")
        if await focused.count() and any(one.startswith(name) for one in await focused.evaluate(NAMES)):
            return
    raise AssertionError(f"Tab never comes to {name!r}")


NAMES = """element => [element.textContent.trim(), element.getAttribute('aria-label'), element.id, element.name, element.value,
  ...[...(element.labels || [])].map(label => label.textContent.trim())].filter(Boolean)"""


async def enter(windows: Windows, handle: str, path: str) -> Page:
    """Sign in by the demo's door in a new window, and come to a page."""
    page = await windows.of(NOBODY, path)
    await tab_to(page, handle)
    await page.keyboard.press("Enter")
    await expect(page.locator(".whoami")).to_be_visible()
    await ready(page)
    return page


async def press(page: Page, name: str) -> None:
    """Go to a button or link by Tab and press it."""
    await tab_to(page, name)
    await page.keyboard.press("Enter")


async def download(page: Page, name: str) -> Path:
    """Go to a download by Tab, press it and return the file."""
    await tab_to(page, name)
    async with page.expect_download() as begun:
        await page.keyboard.press("Enter")
    return await (await begun.value).path()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_an_access_is_asked_for_approved_used_and_ended_by_keys_alone(quiet_windows: Windows, stage: Stage):
    asker = await enter(quiet_windows, OWNER, f"{REQUESTS}/new")
    await tab_to(asker, "scope")
    await asker.keyboard.type("acme")
    await tab_to(asker, "Justification")
    await asker.keyboard.type("Look for stuck refunds")
    await press(asker, "Send the request")
    await expect(asker.locator(".object-line")).to_contain_text("Pending")
    request_id = asker.url.rpartition("/")[2]

    for approver, received in (("user-team-lead", "1/2"), ("user-security", "2/2")):
        page = await enter(quiet_windows, approver, f"{REQUESTS}/{request_id}")
        await page.keyboard.press("a")
        await page.keyboard.type("Checked by hand")
        await press(page, "Approve")
        await expect(page.get_by_label("Parts of this request")).to_contain_text(received)

    await expect(asker.locator(".object-line")).to_contain_text("Approved")
    await press(asker, "Execute")
    await press(asker, "Execute")
    await expect(asker.locator(".object-line")).to_contain_text("Active")
    await press(asker, "Get credentials")
    await press(asker, "Show them once")
    await expect(asker.get_by_text("This is the only time that they are shown")).to_be_visible()
    await press(asker, "I have copied them")
    await press(asker, "Revert now")
    await asker.keyboard.type(request_id[-8:])
    await tab_to(asker, "Reason")
    await asker.keyboard.type("Finished early")
    await press(asker, "Revert now")
    await expect(asker.locator(".object-line")).to_contain_text("Reverted")
    await press(asker, "Evidence")
    file = await download(asker, "Evidence JSON")

    assert (
        json.loads(file.read_text())
        == (await stage.here.call("user-auditor", "GET", f"/evidence/high-risk-ops/{request_id}")).json()
    )
    done = ["execution_started", "executed", "credentials_issued", "revert_started", "reverted"]
    assert await stage.here.actions(request_id) == ["requested", "approved", "approved", *done]


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_quote_is_written_approved_and_made_a_contract_by_keys_alone(quiet_windows: Windows, stage: Stage):
    opportunity = (await stage.made("opportunity"))["opportunity"]
    seller = await enter(quiet_windows, "user-ae", f"{QUOTES}/new?opportunity={opportunity}")
    await tab_to(seller, "line-1-description")
    await seller.keyboard.type("Seats for a year")
    await tab_to(seller, "line-1-unit_price")
    await seller.keyboard.type("60000.00")
    await tab_to(seller, "line-1-discount_percent")
    await seller.keyboard.press("Control+a")
    await seller.keyboard.type("30")
    await press(seller, "Save the draft")
    await expect(seller.locator(".object-line")).to_contain_text("Draft")
    quote_id = seller.url.partition("?")[0].rpartition("/")[2]
    await press(seller, "Submit for approval")
    await press(seller, "Submit for approval")
    await expect(seller.locator(".object-line")).to_contain_text("Pending")

    for approver in ("user-manager", "user-finance"):
        page = await enter(quiet_windows, approver, f"{QUOTES}/{quote_id}")
        await page.keyboard.press("a")
        await page.keyboard.type("Checked by hand")
        await press(page, "Approve")
        await expect(page.locator(".object-line")).to_contain_text("Pending" if approver == "user-manager" else "Approved")

    await expect(seller.locator(".object-line")).to_contain_text("Approved")
    await press(seller, "Activate")
    await press(seller, "Activate")
    await expect(seller.locator(".object-line")).to_contain_text("Activated")
    await press(seller, "Evidence")
    file = await download(seller, "Evidence JSON")

    evidence = (await stage.here.call("user-auditor", "GET", f"/evidence/revops/deals/{quote_id}")).json()
    assert json.loads(file.read_text()) == evidence
