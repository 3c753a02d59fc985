"""What one person does appears in front of the others, without a reload and without disturbing what they are at."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.conftest import Visits, ready
from tests.support.clock import MovableClock
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.streams import serving_on
from tests.support.world import World
from trustpack.app.http import build_app
from trustpack.capabilities.directory.service.sessions import sign_out_person
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings
from trustpack.platform.system_clock import monotonic_seconds

REQUESTS = "/switchboard/security/requests"
SOON_MS = 15_000


@dataclass(slots=True)
class Place:
    """A tenant of the demo and the address at which its console is served."""

    world: World
    url: str


@pytest.fixture(scope="module")
async def place(settings: Settings, clock: MovableClock) -> AsyncIterator[Place]:
    """The console on a store of demo data; the tenant's API is another application, as in another process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://localhost:{listener.getsockname()[1]}"
        own = empty_store(settings, demo_sign_in=True, public_url=url, database_pool_size=8)
        async with world_of_demo(own, clock) as world:
            await world.add_person("user-security", Role.SECURITY_OFFICER)
            await world.add_person("user-other-lead", Role.TEAM_LEAD)
            await world.add_target()
            async with serving_on(build_app(world.container, with_worker=False), listener):
                yield Place(world, url)


@pytest.fixture
async def visits(chromium: Browser, place: Place) -> AsyncIterator[Visits]:
    """Windows whose pages may complain."""
    made = Visits(chromium, place.url)
    yield made
    await made.close()


async def entered(visits: Visits, path: str, handle: str) -> Page:
    """Sign in by one click, and wait until the page hears of changes."""
    page = await visits.open(path)
    await page.locator(f'button[value="{handle}"]').click()
    await expect(page.locator(".whoami")).to_be_visible()
    await ready(page)
    await expect(page.locator("#live-state")).to_have_text("Live")
    await page.evaluate("() => { window.heard = 0; document.body.addEventListener('requests-changed', () => { heard += 1; }); }")
    return page


async def heard(page: Page) -> int:
    """Return how many changes a page has heard of."""
    return int(await page.evaluate("() => window.heard"))


def parts(page: Page) -> Locator:
    """Return the tabs of the open request."""
    return page.get_by_role("navigation", name="Parts of this request")


async def untouched(page: Page) -> None:
    """Mark the document: a reload would take the mark away."""
    await page.evaluate("() => { window.isUntouched = true; }")


async def is_untouched(page: Page) -> bool:
    return bool(await page.evaluate("() => window.isUntouched === true"))


async def test_an_approval_in_one_browser_appears_in_the_other(visit, visits: Visits, place: Place, capsys):
    request = await place.world.ask()
    path = f"{REQUESTS}/{request['id']}"
    decides, watches = await entered(visits, path, "user-team-lead"), await entered(visits, path, "user-auditor")
    await untouched(watches)

    await decides.keyboard.press("a")
    await decides.locator("dialog[open]").get_by_role("button", name="Approve").click()
    await expect(parts(decides)).to_contain_text("1/2", timeout=SOON_MS)
    recorded = monotonic_seconds()
    await expect(parts(watches)).to_contain_text("1/2", timeout=SOON_MS)
    seconds = monotonic_seconds() - recorded

    with capsys.disabled():
        sys.stdout.write(f"\nappeared in the other browser {seconds:.2f} s after it stood in the first\n")
    assert await is_untouched(watches)
    assert watches.url == f"{place.url}{path}"


async def test_a_new_request_appears_in_an_open_list_with_its_filters(visit, visits: Visits, place: Place):
    page = await entered(visits, f"{REQUESTS}?status=pending_approval", "user-security")
    await untouched(page)

    request = await place.world.ask()
    await expect(page.locator(f"#row-{request['id']}")).to_be_visible(timeout=SOON_MS)
    answer = await place.world.act("user-engineer", request["id"], "cancel")
    await expect(page.locator(f"#row-{request['id']}")).to_have_count(0, timeout=SOON_MS)

    assert answer.status_code == 200
    assert await is_untouched(page)
    assert page.url.endswith("?status=pending_approval")


async def test_focus_and_half_a_search_survive_a_change(visit, visits: Visits, place: Place):
    page = await entered(visits, REQUESTS, "user-security")
    await page.locator("#filter-text").fill("user-eng")

    request = await place.world.ask()
    await expect(page.locator(f"#row-{request['id']}")).to_be_visible(timeout=SOON_MS)

    await expect(page.locator("#filter-text")).to_be_focused()
    await expect(page.locator("#filter-text")).to_have_value("user-eng")


async def test_an_open_dialog_and_its_text_stay_and_the_page_follows_when_it_is_closed(visit, visits: Visits, place: Place):
    request = await place.world.ask()
    page = await entered(visits, f"{REQUESTS}/{request['id']}", "user-team-lead")
    await page.keyboard.press("d")
    await page.get_by_label("Reason").fill("Half a rea")

    before = await heard(page)
    await place.world.act("user-engineer", request["id"], "cancel")
    await heard_more(page, before)
    await expect(page.get_by_label("Reason")).to_have_value("Half a rea")
    await expect(page.get_by_label("Reason")).to_be_focused()
    await page.keyboard.press("Escape")

    await expect(page.locator(".object-line")).to_contain_text("Cancelled", timeout=SOON_MS)


async def test_of_two_who_decide_at_once_one_reads_that_it_was_decided_already(visit, visits: Visits, place: Place):
    request = await place.world.ask()
    path = f"{REQUESTS}/{request['id']}"
    first, second = await entered(visits, path, "user-team-lead"), await entered(visits, path, "user-other-lead")
    for page in (first, second):
        await page.keyboard.press("d")
        await page.get_by_label("Reason").fill("Not today")
    await asyncio.gather(*(page.locator("dialog[open]").get_by_role("button", name="Reject").click() for page in (first, second)))
    for page in (first, second):
        await expect(page.locator(".object-line")).to_contain_text("Rejected", timeout=SOON_MS)
    conflicts = [page for page in (first, second) if await page.get_by_text("You were shown").count()]

    [refused] = conflicts
    assert (await place.world.actions(request["id"])).count("rejected") == 1
    before = await heard(refused)
    await place.world.ask()
    await heard_more(refused, before)
    assert await refused.get_by_text("You were shown").count(), "a further change took the explanation away"
    visits.complaints[:] = [complaint for complaint in visits.complaints if "409" not in complaint]


async def test_a_fresh_page_fetches_itself_anew_for_a_change_alone_and_once(visit, visits: Visits, place: Place):
    await place.world.ask()
    page = await entered(visits, REQUESTS, "user-security")
    fetched = []
    page.on("request", lambda request: fetched.append(request.url) if request.url == f"{place.url}{REQUESTS}" else None)
    await page.reload()
    await page.wait_for_selector("html.has-scripts", state="attached")
    await expect(page.locator("#live-state")).to_have_text("Live")
    await page.wait_for_timeout(700)
    by_itself = len(fetched)
    request = await place.world.ask()
    await expect(page.locator(f"#row-{request['id']}")).to_be_visible(timeout=SOON_MS)
    await page.wait_for_timeout(700)

    assert (by_itself, len(fetched)) == (1, 2)


async def test_many_changes_are_fetched_together_and_the_last_is_not_missed(visit, visits: Visits, place: Place):
    page = await entered(visits, REQUESTS, "user-security")
    fetched = []
    page.on("request", lambda request: fetched.append(request.url) if request.url == f"{place.url}{REQUESTS}" else None)
    began = monotonic_seconds()
    requests = [await place.world.ask() for _ in range(12)]
    await expect(page.locator(f"#row-{requests[-1]['id']}")).to_be_visible(timeout=SOON_MS)
    seconds = monotonic_seconds() - began

    assert 1 <= len(fetched) <= 2 + 2 * seconds, "more than one at once and one in every 500 ms"


async def test_a_page_that_was_hidden_is_fetched_once_when_it_is_seen_again(visit, visits: Visits, place: Place):
    page = await entered(visits, REQUESTS, "user-security")
    await untouched(page)
    await hide(page, hidden=True)
    request = await place.world.ask()
    await hide(page, hidden=False)

    await expect(page.locator(f"#row-{request['id']}")).to_be_visible(timeout=SOON_MS)
    assert await is_untouched(page)


async def test_a_page_whose_session_has_ended_says_that_it_is_not_live(visits: Visits, place: Place):
    page = await entered(visits, REQUESTS, "user-security")
    async with place.world.container.unit_of_work.transaction(place.world.tenant_id) as tx:
        await sign_out_person(tx, place.world.operator, handle="user-security")

    await expect(page.locator("#live-state")).to_have_text("Not live", timeout=SOON_MS)


async def heard_more(page: Page, than: int) -> None:
    """Wait until a page has heard of more changes, and had the time to do something about it."""
    await page.wait_for_function("(than) => window.heard > than", arg=than)
    await page.wait_for_timeout(700)


async def hide(page: Page, *, hidden: bool) -> None:
    """Make the page believe that its tab is hidden, or seen again."""
    await page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )
