"""What scripts add: pages change in place, forms are sent once, themes and times are kept. And what works without them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import Visit, back, press_twice
from trustpack.platform.web.pages.times import relative_time


async def mark(page: Page) -> None:
    """Leave a mark that a full load of a page would wipe away."""
    await page.evaluate("() => { window.mark = true }")


async def is_marked(page: Page) -> bool:
    return bool(await page.evaluate("() => Boolean(window.mark)"))


async def test_a_link_changes_the_page_in_place_with_its_address_and_title(visit: Visit):
    page = await visit("/switchboard/components/list")
    await mark(page)

    await page.locator("td.cell-key a").nth(2).click()
    await expect(page.locator("h1")).to_contain_text("Attach IAM policy")

    await expect(page).to_have_url(re.compile("/switchboard/components/list/HRR-1046$"))
    assert await is_marked(page)
    await expect(page).to_have_title("HRR-1048 · Switchboard")
    await expect(page.locator("tr[aria-current]")).to_have_id("row-HRR-1046")
    await expect(page.locator("#announcements")).to_have_text("HRR-1048 · Switchboard")


async def test_a_list_keeps_its_place_and_the_focus_its_row_when_an_object_opens(visit: Visit):
    page = await visit("/switchboard/components/list", height=500)
    row = page.locator("td.cell-key a").nth(20)
    await row.focus()
    scrolled = await page.evaluate("() => document.querySelector('.centre .scrolls').scrollTop")

    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_contain_text("Attach IAM policy")

    assert scrolled > 100
    assert await page.evaluate("() => document.querySelector('.centre .scrolls').scrollTop") == scrolled
    await expect(row).to_be_focused()


@pytest.mark.parametrize("width", [1440, 1024])
async def test_a_date_in_a_list_is_never_cut(visit: Visit, width: int):
    page = await visit("/switchboard/components/list", width=width)
    cells = page.locator("tbody .cell-when")
    await cells.evaluate_all("all => all.forEach((cell, place) => { cell.textContent = `${10 + place % 20} Nov 2026` })")

    assert await cells.evaluate_all("all => all.filter((cell) => cell.scrollWidth > cell.clientWidth).length") == 0


async def test_the_back_button_shows_the_page_before(visit: Visit):
    page = await visit("/switchboard/components/list")
    await page.locator(".rail").get_by_role("link", name="A board").click()
    await expect(page.locator("h1")).to_have_text("High-risk operations")

    await back(page)

    await expect(page.locator("h1")).to_have_text("High-risk requests")


async def test_a_second_page_in_place_still_reacts(visit: Visit):
    page = await visit("/switchboard/components/list")
    await mark(page)

    for place, text in (("A board", "High-risk operations"), ("Components", "Components"), ("A list", "High-risk requests")):
        await page.locator(".rail").get_by_role("link", name=place).click()
        await expect(page.locator("h1")).to_have_text(text)

    assert await is_marked(page)


async def test_of_two_links_the_one_that_was_pressed_last_is_where_one_gets(visit: Visit):
    page = await visit("/switchboard/components/list")
    may_go = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_go.wait()
        await route.continue_()

    await page.route("**/components/board", hold)
    rail = page.locator(".rail")
    await rail.get_by_role("link", name="A board").click()
    async with page.expect_event("requestfailed", lambda request: request.url.endswith("/components/board")):
        await rail.get_by_role("link", name="Components").click()
    may_go.set()
    await page.unroute_all(behavior="wait")

    await expect(page.locator("h1")).to_have_text("Components")
    await expect(page).to_have_url(re.compile("/switchboard/components$"))


async def test_an_error_is_shown_in_place_with_its_reason(visits):
    page = await visits.open("/switchboard/components/list")
    await mark(page)
    await page.evaluate("() => document.querySelector('td.cell-key a').setAttribute('href', '/switchboard/nowhere')")

    await page.locator("td.cell-key a").first.click()

    await expect(page.locator("h1")).to_have_text("Not found")
    assert await is_marked(page)


async def test_a_form_is_sent_once_however_often_it_is_pressed(visit: Visit, console_app):
    console_app.state.kept.notes.clear()
    page = await visit("/switchboard/components")
    await page.evaluate(
        """() => { const form = document.querySelector('#approve form');
            form.querySelector('textarea').name = 'text'; form.querySelector('textarea').value = '<b>once</b>'; }"""
    )
    await page.locator("#opens-approve").click()

    await press_twice(page, page.locator("#approve button[type=submit]"))

    await expect(page.locator("#approve")).not_to_be_visible()
    await expect(page.locator("h1")).to_have_text("Components")
    assert [note.text for note in console_app.state.kept.notes] == ["<b>once</b>"]
    await page.locator("#opens-approve").click()  # nothing is left inert
    await expect(page.locator("#approve")).to_be_visible()


async def test_the_theme_is_remembered(visit: Visit):
    page = await visit("/switchboard/components/list", color_scheme="light")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(background)

    await page.locator("button[data-next-theme]").click()
    await page.locator("button[data-next-theme]").click()
    dark = await page.evaluate(background)
    await page.reload()

    assert await page.locator("html").get_attribute("data-theme") == "dark"
    assert await page.evaluate(background) == dark != light


async def test_the_system_decides_as_long_as_nothing_is_chosen(visit: Visit):
    page = await visit("/switchboard/components/list", color_scheme="dark")

    assert await page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(14, 14, 16)"


async def test_a_countdown_runs_by_the_servers_clock_and_ends_in_words(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048")
    await page.clock.install()
    await page.reload()
    timer = page.locator("[role=timer]")
    await expect(timer).to_have_text(re.compile(r"^4[01]:\d\d$"))

    await page.clock.fast_forward("40:15")
    await expect(timer).to_have_text(re.compile(r"^0:\d\d$"))
    await page.clock.fast_forward("01:00")

    await expect(timer).to_have_text("reverting…")


async def test_the_browser_says_times_as_the_server_does(visit: Visit, console_app):
    page = await visit("/switchboard/components/list")
    seconds = [0, 59, 60, 7_199, 7_200, 172_799, 172_800, 604_799, -1, -60, -7_200, -604_799]
    now = datetime(2026, 11, 21, tzinfo=UTC)
    address = console_app.state.site.static_files.address("js/times.js")

    said = await page.evaluate("async ([address, all]) => all.map((await import(address)).relative)", [address, seconds])

    assert said == [relative_time(now - timedelta(seconds=one), now) for one in seconds]


async def test_copying_takes_the_text_and_says_so(visit: Visit):
    page = await visit("/switchboard/components", permissions=["clipboard-read", "clipboard-write"])

    await page.locator("[data-copy=aff65be07892]").first.click()

    await expect(page.locator("#announcements")).to_have_text("Copied")
    assert await page.evaluate("() => navigator.clipboard.readText()") == "aff65be07892"


INJECTED = {
    "a handler": ("<img src='data:,x' onerror='window.harmed = true'>", "Content Security Policy"),
    "a script": ("<script>window.harmed = true</script>", "Content Security Policy"),
    "htmx without a nonce": ("<b hx-get='/switchboard/find' hx-trigger='load' hx-target='h1'>x</b>", "blocked <b>: no hx-nonce"),
    "htmx with a guess": (
        "<b hx-get='/switchboard/find' hx-trigger='load' hx-nonce='guess'>x</b>",
        "blocked <b>: nonce mismatch",
    ),
}


@pytest.mark.parametrize("in_place", [False, True], ids=["loaded", "in place"])
@pytest.mark.parametrize(("markup", "complaint"), INJECTED.values(), ids=INJECTED)
async def test_markup_that_got_past_the_escaping_stays_dead(visits, markup: str, complaint: str, in_place: bool):
    address = f"/switchboard/injected?{urlencode({'markup': markup})}"
    page = await visits.open("/switchboard/components/list" if in_place else address)
    if in_place:
        await page.evaluate("address => document.querySelector('td.cell-key a').setAttribute('href', address)", address)
        await page.locator("td.cell-key a").first.click()
    await expect(page.locator("#injected")).to_be_attached()
    await expect(page.locator("h1")).to_have_text("Find")

    await visits.wait_for_complaint(complaint)
    assert not await page.evaluate("() => Boolean(window.harmed)")
    await expect(page.locator("h1")).to_have_text("Find")


async def test_a_script_of_ours_cannot_write_markup_either(visits):
    page = await visits.open("/switchboard/components/board")

    said = await page.evaluate("() => { try { document.body.innerHTML = '<b>x</b>' } catch (error) { return error.name } }")

    assert said == "TypeError"
    await visits.wait_for_complaint("require-trusted-types-for")


async def test_a_list_is_read_filtered_and_followed_without_scripts(visit: Visit):
    page = await visit("/switchboard/components/list", scripts=False)

    await expect(page.locator("[data-opens]:visible, .needs-scripts:visible")).to_have_count(1)  # the search, which is a link
    await page.locator("#filter-text").fill("role")
    await page.locator(".filters button[type=submit]:visible").click()
    await expect(page).to_have_url(re.compile("q=role"))
    await page.locator("td.cell-key a").first.click()

    await expect(page.locator("h1")).to_contain_text("Attach IAM policy")


async def test_an_object_is_found_without_scripts(visit: Visit):
    page = await visit("/switchboard/components/list", scripts=False)

    await page.locator("#opens-palette").click()
    await page.locator("#filter-text").fill("HRR-1048")
    await page.locator(".filters button[type=submit]:visible").click()

    await expect(page.locator(".option:visible")).to_contain_text("HRR-1048")


async def test_a_phone_shows_the_object_instead_of_the_list(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048", width=390)

    await expect(page.locator(".centre")).not_to_be_visible()
    await expect(page.locator(".tab-bar")).to_be_visible()
    await page.locator(".back").click()

    await expect(page.locator("h1")).to_have_text("High-risk requests")


async def test_paper_shows_the_object_alone_with_exact_times_in_light(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048", color_scheme="dark")
    await page.emulate_media(media="print")

    for hidden in (".top", ".rail", ".centre", ".tabs", "[role=timer]", ".button"):
        assert await page.locator(f"{hidden}:visible").count() == 0, hidden
    assert await page.locator(".byline time:visible").inner_text() != "4 min ago"
    assert await page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


async def test_a_first_load_is_small(visit: Visit):
    page = await visit("/switchboard/components/list/HRR-1048")
    await page.evaluate("() => document.fonts.ready")

    sizes = await page.evaluate(
        """() => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
            .map(entry => [entry.name, entry.encodedBodySize])"""
    )

    assert sum(size for _, size in sizes) < 250_000, sizes
