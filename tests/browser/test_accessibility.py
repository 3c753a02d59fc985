"""axe finds nothing on any page of components, at four widths, in both themes, with each dialog open."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visit
from tests.support.axe import faults

WIDTHS = (1440, 1024, 390, 320)
THEMES = ("light", "dark")
DIALOGS = ("palette", "shortcuts", "approve", "revert")


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
async def test_components_are_accessible_with_each_dialog_open(visit: Visit, width: int, theme: str):
    page = await visit("/switchboard/components", width=width, color_scheme=theme)

    assert await faults(page) == []
    for dialog in DIALOGS:
        await page.evaluate("id => document.getElementById(id).showModal()", dialog)
        assert await faults(page, f"#{dialog}") == []
        await page.keyboard.press("Escape")


@pytest.mark.parametrize("kind", ["list", "list/HRR-1048", "board", "empty", "loading"])
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1024, "dark"), (390, "dark")])
async def test_the_usual_pages_are_accessible(visit: Visit, kind: str, width: int, theme: str):
    page = await visit(f"/switchboard/components/{kind}", width=width, color_scheme=theme)

    assert await faults(page) == []


async def test_an_error_page_is_accessible(visits):
    page = await visits.open("/switchboard/nowhere")

    assert await faults(page) == []
    assert await page.locator("h1").inner_text() == "Not found"


async def test_the_open_menus_are_accessible(visit: Visit):
    page = await visit("/switchboard/components/list")

    for summary in await page.locator("details.menu > summary").all():
        await summary.click()
        assert await faults(page, ".top") == []


async def test_a_narrow_table_keeps_its_roles(visit: Visit):
    page = await visit("/switchboard/components/list", width=390)

    snapshot = await page.locator("table").aria_snapshot()

    assert '- table "Requests, newest first"' in snapshot
    assert '- cell "HRR-1048"' in snapshot


@pytest.mark.parametrize("kind", ["", "/list", "/list/HRR-1048", "/board", "/empty"])
async def test_nothing_scrolls_sideways_at_320(visit: Visit, kind: str):
    page = await visit(f"/switchboard/components{kind}", width=320, height=640)

    wide = await page.evaluate(
        """() => [...document.querySelectorAll('html, main, .scrolls, .card')]
            .filter(element => element.scrollWidth > element.clientWidth + 1 && element.checkVisibility())
            .map(element => `${element.tagName}.${element.className} ${element.scrollWidth} > ${element.clientWidth}`)"""
    )

    assert wide == []


async def test_wider_text_spacing_hides_nothing_of_a_button(visit: Visit):
    page = await visit("/switchboard/components", width=390)
    await page.evaluate(
        """() => { const sheet = new CSSStyleSheet();
            const spacing = 'letter-spacing: .12em !important; word-spacing: .16em !important; line-height: 1.5 !important';
            sheet.replaceSync(`* { ${spacing} }`);
            document.adoptedStyleSheets = [sheet]; }"""
    )

    cut = await page.evaluate(
        """() => [...document.querySelectorAll('.button, .chip, .notice')].filter(element => element.checkVisibility()
            && (element.scrollWidth > element.clientWidth + 1 || element.getBoundingClientRect().right > innerWidth))
            .map(element => element.textContent)"""
    )

    assert cut == []
