"""Every page of the catalogue without scripts: it is read, nothing on it waits for a script, and its lists are filtered."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.every_page.conftest import Windows
from tests.support.page_catalogue import CATALOGUE, GETS, LOOKS

BY_VIEWER = sorted({look.by for look in LOOKS})
LISTS = [route for route in GETS if not CATALOGUE[route].about and CATALOGUE[route].by == "user-auditor"]
DEAD = ".needs-scripts:visible, button[type=button]:visible, a[href='#']:visible, dialog[open]"


@pytest.mark.parametrize("by", BY_VIEWER)
async def test_a_page_is_read_without_scripts_and_offers_nothing_that_needs_them(quiet_windows: Windows, by: str):
    dead = {}
    for look in LOOKS:
        if look.by == by:
            page = await quiet_windows.show(look, scripts=False)
            await expect(page.locator("h1:visible")).to_have_count(1)
            if found := await page.locator(DEAD).all_inner_texts():
                dead[look] = found

    assert dead == {}


@pytest.mark.parametrize("route", LISTS)
async def test_a_list_is_filtered_without_scripts(quiet_windows: Windows, route: str):
    entry = CATALOGUE[route]
    page = await quiet_windows.of(entry.by, entry.url, scripts=False)
    rows = page.locator("tbody tr")
    before = await rows.count()

    await page.locator(".filters input[type=search]").fill("nobody-ever")
    await page.locator(".filters button[type=submit]:visible").click()

    await expect(page).to_have_url(re.compile("q=nobody-ever"))
    await expect(rows).to_have_count(0)
    assert before > 0
    await expect(page.locator(".empty a")).to_be_visible()
