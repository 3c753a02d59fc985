"""Back and forward at any moment: the page on the screen is always that of the address."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import Visit, back

LIST = "/switchboard/components/list"


async def on_the_board(visit: Visit) -> Page:
    """Come from the list to the board, in place."""
    page = await visit(LIST)
    await page.locator(".rail").get_by_role("link", name="A board").click()
    await expect(page.locator("h1")).to_have_text("High-risk operations")
    return page


@pytest.mark.parametrize("script", ["main", "htmx"])
async def test_going_back_before_the_scripts_are_there_shows_the_page_of_the_address(visit: Visit, script: str):
    page = await on_the_board(visit)
    arrived = asyncio.Event()

    async def hold(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    await page.route(f"**/{script}.*.js", hold)
    await page.reload(wait_until="commit")
    await expect(page.locator("h1")).to_have_text("High-risk operations")
    await page.evaluate("() => history.back()")
    await expect(page).to_have_url(re.compile(f"{LIST}$"))
    await expect(page.locator("h1")).to_have_text("High-risk operations")
    arrived.set()

    await expect(page.locator("h1")).to_have_text("High-risk requests")


async def test_going_back_and_forward_again_and_again_never_leaves_the_page_of_another_address(visit: Visit):
    page = await on_the_board(visit)

    for _ in range(3):
        await back(page)
        await expect(page.locator("h1")).to_have_text("High-risk requests")
        await page.evaluate("() => history.forward()")
        await expect(page.locator("h1")).to_have_text("High-risk operations")


async def test_going_back_over_a_place_within_the_page_shows_the_page_of_the_address(visit: Visit):
    page = await visit(LIST)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("#main$"))
    await page.locator(".rail").get_by_role("link", name="A board").click()
    await expect(page.locator("h1")).to_have_text("High-risk operations")

    await page.evaluate("() => history.go(-2)")

    await expect(page.locator("h1")).to_have_text("High-risk requests")
    await expect(page).to_have_url(re.compile(f"{LIST}$"))
