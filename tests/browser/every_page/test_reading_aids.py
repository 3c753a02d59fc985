"""What axe cannot find: the focus is seen wherever it goes, wider spacing hides nothing, and at 200 % nothing is out of reach."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.async_api import Page

from tests.browser.every_page.conftest import Windows
from tests.support.page_catalogue import OWNER, Look
from trustpack.kernel.actor import Role

_REQUESTS = "/switchboard/security/requests"
MAIN = (
    Look(_REQUESTS, "user-auditor"),
    Look(f"{_REQUESTS}/{{request}}", "user-team-lead", "request", "pending_approval"),
    Look(f"{_REQUESTS}/new", OWNER),
    Look("/switchboard/revops/quotes/{quote}", "user-manager", "quote", "pending_approval"),
)
# What the focus is on: seen if the point in its middle is its own, and its outline, or that of the row around it, is drawn.
FOCUS = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const box = element.getBoundingClientRect();
  const at = document.elementFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 12));
  const drawn = [[element], [element, '::after'], [element.closest('tr')], [element.closest('.search')]].some(([one, part]) =>
    one && (getComputedStyle(one, part).outlineStyle !== 'none' || getComputedStyle(one, part).boxShadow !== 'none'));
  const name = element.id || element.getAttribute('aria-label') || element.textContent.trim().slice(0, 60) || element.tagName;
  return { name, seen: Boolean(at && (element.contains(at) || at.contains(element) && at.closest('label, tr, .search'))), drawn };
}"""
SPACING = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }
    p { margin-bottom: 2em !important }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
CUT = """() => [...document.querySelectorAll('.button, .chip, h1, h2, h3, label, .tabs a, .count, dt, .notice p, summary')]
  .filter(one => one.checkVisibility() && !one.closest('.visually-hidden') && getComputedStyle(one).overflow !== 'visible')
  .filter(one => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)
  .map(one => `${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 60)}`)"""
OUT_OF_REACH = """() => {
  const wide = document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [];
  const lost = [...document.querySelectorAll('main a, main button, main input, main select, main textarea')]
    .filter(one => one.checkVisibility() && !one.closest('dialog, .diff-lines'))
    .filter(one => { one.scrollIntoView({ block: 'center', inline: 'nearest' }); const box = one.getBoundingClientRect();
      return box.right <= 0 || box.left >= innerWidth || box.bottom <= 0 || box.top >= innerHeight; })
    .map(one => one.outerHTML.slice(0, 120));
  return [...wide, ...lost];
}"""


async def walk(page: Page) -> list[dict[str, object]]:
    """Press Tab through the whole page, and return what the focus was on."""
    walked: list[dict[str, object]] = []
    while len(walked) < 250:
        await page.keyboard.press("Tab")
        focus = await page.evaluate(FOCUS)
        if focus is None:
            break
        walked.append(focus)
    return walked


@pytest.mark.slow
@pytest.mark.parametrize("look", MAIN, ids=lambda look: look.url)
async def test_the_focus_is_seen_wherever_tab_takes_it(quiet_windows: Windows, look: Look):
    page = await quiet_windows.show(look)

    walked = await walk(page)

    assert 5 < len(walked) < 250
    assert [focus["name"] for focus in walked if not focus["seen"]] == []
    assert [focus["name"] for focus in walked if not focus["drawn"]] == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("look", MAIN, ids=lambda look: look.url)
async def test_wider_spacing_of_texts_cuts_nothing_off(quiet_windows: Windows, look: Look, width: int):
    page = await quiet_windows.show(look)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.evaluate(SPACING)

    assert await page.evaluate(CUT) == []
    assert await page.evaluate(OUT_OF_REACH) == []


@pytest.mark.parametrize("look", MAIN, ids=lambda look: look.url)
async def test_at_twice_the_size_everything_stays_in_reach(quiet_windows: Windows, look: Look):
    page = await quiet_windows.of(look.by, device_scale_factor=2, width=720, height=450)
    quiet_windows.pages[look.by] = page
    await quiet_windows.show(look)

    assert await page.evaluate(OUT_OF_REACH) == []


async def test_the_labels_of_the_tab_bar_leave_each_other_their_place(quiet_windows: Windows):
    await quiet_windows.stage.here.add_person("user-of-both-flows", Role.TEAM_LEAD, Role.FINANCE)  # led to both inboxes
    page = await quiet_windows.of("user-of-both-flows", "/switchboard", width=320, height=640)

    edges = await page.locator(".tab-bar a > span:not(.count)").evaluate_all(
        "labels => labels.map(label => label.getBoundingClientRect()).map(box => [box.left, box.right])"
    )

    assert len(edges) > 5
    assert [(one, next_one) for one, next_one in pairwise(edges) if one[1] > next_one[0]] == []
