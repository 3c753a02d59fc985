"""Every page of the catalogue at four widths in both themes: axe finds nothing, nothing scrolls sideways, nobody complains."""

from __future__ import annotations

from itertools import groupby

import pytest
from playwright.async_api import Page

from tests.browser.every_page.conftest import Windows
from tests.support.axe import COLOURS, STRUCTURE, faults
from tests.support.page_catalogue import LOOKS

WIDTHS = (1440, 1024, 390, 320)
THEMES = ("light", "dark")
OVERLAYS = ("palette", "shortcuts")  # on every page: `test_accessibility.py` opens them
BY_PAGE = {url: list(looks) for url, looks in groupby(sorted(LOOKS, key=lambda look: look.url), key=lambda look: look.url)}
TOO_WIDE = """() => document.documentElement.scrollWidth > innerWidth
  ? [`${document.documentElement.scrollWidth} px wide in ${innerWidth}`] : []"""
# In any window: axe says so only where the window is so low that the pane does scroll.
OUT_OF_REACH_OF_KEYS = """() => [...document.querySelectorAll('.scrolls:not([tabindex])')]
  .filter(pane => pane.checkVisibility() && ![...pane.querySelectorAll('a[href], :enabled:not(option), summary, [tabindex="0"]')]
    .some(one => one.checkVisibility()))
  .map(pane => `keys do not scroll: ${pane.textContent.trim().slice(0, 60)}`)"""
DIALOGS = "() => [...document.querySelectorAll('dialog[id]')].map(dialog => dialog.id)"


async def wrong_in_every_size(page: Page) -> dict[str, list[str]]:
    """Return what is wrong with a page at each width, in each theme."""
    found = {}
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme="light")
        found[f"{width}"] = [*await faults(page, rules=STRUCTURE), *await page.evaluate(TOO_WIDE)]
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme)
            found[f"{width} {theme}"] = await faults(page, rules=COLOURS)
    return found


async def wrong_with_dialogs(page: Page) -> dict[str, list[str]]:
    """Return what is wrong with a page and each of its dialogs, on a screen and, in the dark, on a phone."""
    found = {}
    for width, theme in ((1440, "light"), (390, "dark")):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=theme)
        found[f"{width} {theme}"] = [*await faults(page), *await page.evaluate(OUT_OF_REACH_OF_KEYS)]
        for dialog in await page.evaluate(DIALOGS):
            if dialog not in OVERLAYS:
                await page.evaluate("id => document.getElementById(id).showModal()", dialog)
                found[f"{width} {theme} {dialog}"] = await faults(page, f"#{dialog}")
                await page.evaluate("id => document.getElementById(id).close()", dialog)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("url", BY_PAGE)
async def test_a_page_has_no_fault_that_axe_can_find_and_fits_its_window(quiet_windows: Windows, url: str):
    found = {}
    first, *others = BY_PAGE[url]
    page = await quiet_windows.show(first)
    found[first] = await wrong_in_every_size(page) | await wrong_with_dialogs(page)
    for look in others:
        found[look] = await wrong_with_dialogs(await quiet_windows.show(look))

    assert {look: wrong for look, sizes in found.items() if (wrong := {size: said for size, said in sizes.items() if said})} == {}
