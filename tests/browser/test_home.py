"""The first page and the inboxes in a real Chromium: counts, steps that go away, and no fault that axe can find."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import ready
from tests.browser.test_signed_in import Place, entered, place, visits
from tests.support.axe import faults

__all__ = ["place", "visits"]

HOME = "/switchboard"
INBOX = "/switchboard/security/inbox"


async def test_the_tab_bar_of_a_phone_shows_the_count_too(visit, place: Place):
    await place.world.ask()
    page = await entered(await visit(INBOX, width=390, height=844), "user-security")

    waiting = await page.locator("tr[id^=row-]").count()
    await expect(page.locator(".tab-bar .count")).to_contain_text(str(waiting))


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_first_steps_are_put_away_with_and_without_scripts(visit, place: Place, scripts: bool):
    handle = "user-auditor" if scripts else "user-team-lead"
    page = await visit(HOME, scripts=scripts)
    await page.locator(f'button[value="{handle}"]').click()

    await expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    await page.get_by_role("button", name="Hide these steps").click()

    await expect(page.get_by_role("heading", name="First steps")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Home")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="First steps")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
async def test_the_pages_have_no_fault_that_axe_can_find(visit, place: Place, width: int, scheme: str):
    await place.world.ask()
    await place.world.active()
    page = await entered(await visit(HOME, width=width, color_scheme=scheme), "user-engineer")
    found = {"own": await faults(page)}
    await page.locator(".whoami summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await entered(page, "user-security")
    for path in (HOME, INBOX, "/switchboard/revops/inbox"):
        await page.goto(f"{place.url}{path}")
        await ready(page)
        found[path] = await faults(page)

    assert {path: names for path, names in found.items() if names} == {}
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
