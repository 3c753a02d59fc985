"""A signal makes parts of a page fetch themselves anew, and leaves everything else as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import expect

from tests.support.console import build_console, served


@pytest.fixture
def console_app():
    """The console with a stream of signals."""
    return build_console(with_signals=True)


@pytest.fixture
def console_url(console_app) -> Iterator[str]:
    """Where it is served."""
    with served(console_app) as url:
        yield url


async def test_a_signal_refreshes_its_part_and_keeps_the_focus(visit, console_app):
    page = await visit("/switchboard/components")
    await expect(page.locator("#live-state")).to_have_text("Live")
    shown = page.locator("#sample-now")
    before = await shown.inner_text()
    await page.locator("#field-name").fill("half a word")

    for _ in range(2):
        console_app.state.signals += 1
        await expect(shown).not_to_have_text(before)
        before = await shown.inner_text()

    await expect(page.locator("#field-name")).to_be_focused()
    await expect(page.locator("#field-name")).to_have_value("half a word")
    assert page.url.endswith("/switchboard/components")


async def test_a_signal_leaves_an_open_dialog_and_what_was_written_in_it(visit, console_app):
    page = await visit("/switchboard/components")
    await expect(page.locator("#live-state")).to_have_text("Live")
    await page.locator("#opens-approve").click()
    await page.keyboard.type("half a reason")
    before = await page.locator("#sample-now").inner_text()

    console_app.state.signals += 1
    await expect(page.locator("#sample-now")).not_to_have_text(before)

    await expect(page.locator("#field-approve-reason")).to_be_focused()
    await expect(page.locator("#field-approve-reason")).to_have_value("half a reason")


async def test_a_page_that_was_changed_in_place_still_hears_signals(visit, console_app):
    page = await visit("/switchboard/components/list")
    await expect(page.locator("#live-state")).to_have_text("Live")
    await page.locator(".rail").get_by_role("link", name="Components").click()
    shown = page.locator("#sample-now")
    before = await shown.inner_text()

    console_app.state.signals += 1

    await expect(shown).not_to_have_text(before)
