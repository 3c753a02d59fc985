"""What a real browser of the system says: the bytes of a page, and when another's decision appears in it.

Needs Chromium and the developer packages; without them the tables say so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from console_tenant import AUDITOR, LEAD, ConsoleTenant, waiting_requests
from latencies import quantiles_of
from progress import Progress
from server_process import running_server
from tables import Table

from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.settings import Settings

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

REQUESTS: Final = "/switchboard/security/requests"
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
_KIBIBYTE: Final = 1024
_AIM_KIB: Final = 250
_KINDS: Final = ("Document", "Stylesheet", "Script", "Font", "Other")
_SETTLED_SECONDS: Final = 0.5
_APPEARS_WITHIN_SECONDS: Final = 10
_PRESSED: Final = """() => new Promise((tell) => {
  document.addEventListener("submit", () => tell(performance.timeOrigin + performance.now()), { capture: true, once: true });
})"""
"""Says when a form is sent, in milliseconds of the wall clock."""
_APPEARED: Final = """(text) => new Promise((tell) => {
  const look = () => {
    if (!document.querySelector("main").textContent.includes(text)) return;
    watching.disconnect();
    tell(performance.timeOrigin + performance.now());
  };
  const watching = new MutationObserver(look);
  watching.observe(document, { childList: true, characterData: true, subtree: true });
  look();
})"""
"""Says when a text is on the page. Asked from outside, a page is looked at after 20, 70, 170, 270 and only then 770 ms."""
_ABSENT: Final = Table(
    "The console in Chromium", ("what",), (("Not measured: there is no Chromium, or no playwright package.",),)
)


@dataclass(slots=True)
class Weight:
    """The bytes that a page brought, by kind: as they came over the wire, heads included, and as they were unpacked."""

    sent: Counter[str] = field(default_factory=Counter)
    unpacked: Counter[str] = field(default_factory=Counter)
    answers: int = 0


def measure_in_chromium(settings: Settings, tenant: ConsoleTenant, *, decisions: int) -> Iterator[Table]:
    """Return how heavy pages are, and how soon an approval appears in another browser."""
    if shutil.which("chromium") is None or importlib.util.find_spec("playwright") is None:
        yield _ABSENT
        return
    request_ids = waiting_requests(settings, decisions)
    with running_server(settings) as server:
        url = f"http://localhost:{server.port}"
        yield asyncio.run(_weigh(url, tenant))
        yield asyncio.run(_watch(url, tenant, request_ids))


async def _weigh(url: str, tenant: ConsoleTenant) -> Table:
    one, quotes = f"{REQUESTS}/{tenant.ids['request_id']}", "/switchboard/revops/quotes"
    rows = []
    async with _chromium() as browser:
        for what, path, session in (
            ("first load: sign-in", "/switchboard/sign-in", None),
            ("first load: list of requests", REQUESTS, tenant.sessions[AUDITOR]),
            ("first load: one request", one, tenant.sessions[AUDITOR]),
            ("first load: list of quotes", quotes, tenant.sessions[AUDITOR]),
        ):
            async with _window(browser, url, session) as page:
                rows.append(_weight_row(what, await _weight_of(page, lambda page=page, path=path: page.goto(f"{url}{path}"))))
        async with _window(browser, url, tenant.sessions[AUDITOR]) as page:
            await page.goto(f"{url}{REQUESTS}")
            await page.wait_for_selector("html.has-scripts", state="attached")
            await asyncio.sleep(_SETTLED_SECONDS)
            row = page.locator("main table tbody a").first
            rows.append(_weight_row("navigation: from the list to a request", await _weight_of(page, row.click)))
            other = page.locator(f'nav.rail a[href="{quotes}"]')
            rows.append(_weight_row("navigation: to the list of quotes", await _weight_of(page, other.click)))
            again = await _weight_of(page, lambda: page.goto(f"{url}{one}"))
            rows.append(_weight_row("a whole page again, files kept by the browser", again))
    notes = (
        f"Sent: over the wire, heads included. The aim of a first load is {_AIM_KIB} KiB sent.",
        "Nothing changes meanwhile: the server has no worker.",
    )
    head = ("what", "answers", *(f"{kind} KiB" for kind in _KINDS), "sent KiB", "unpacked KiB")
    return Table("Weight of the console's pages", head, tuple(rows), notes)


async def _weight_of(page: Page, act: Callable[[], Awaitable[Any]]) -> Weight:
    """Return what the browser received while an act was carried out and until it was quiet."""
    weight, kinds = Weight(), dict[str, str]()
    tools = await page.context.new_cdp_session(page)

    def received(event: dict[str, Any]) -> None:
        kind = event["type"] if event["type"] in _KINDS else "Other"
        # What htmx fetches is a document too, and a file that the browser has kept comes from nowhere.
        kinds[event["requestId"]] = "Document" if event["response"]["mimeType"] == "text/html" else kind
        weight.answers += not event["response"].get("fromDiskCache", False)

    def unpacked(event: dict[str, Any]) -> None:
        weight.unpacked[kinds.get(event["requestId"], "Other")] += event["dataLength"]

    def finished(event: dict[str, Any]) -> None:
        weight.sent[kinds.get(event["requestId"], "Other")] += int(event["encodedDataLength"])

    tools.on("Network.responseReceived", received)
    tools.on("Network.dataReceived", unpacked)
    tools.on("Network.loadingFinished", finished)
    await tools.send("Network.enable")
    await act()
    answers = -1
    while answers != weight.answers or not weight.answers:  # the stream of signals stays open, so "no traffic" never comes
        answers = weight.answers
        await asyncio.sleep(_SETTLED_SECONDS)
    await tools.detach()
    return weight


def _weight_row(what: str, weight: Weight) -> tuple[str, ...]:
    parts = [weight.sent[kind] for kind in _KINDS]
    sizes = (*parts, sum(parts), sum(weight.unpacked.values()))
    return (what, str(weight.answers), *(f"{size / _KIBIBYTE:.1f}" for size in sizes))


async def _watch(url: str, tenant: ConsoleTenant, request_ids: list[str]) -> Table:
    """Approve requests in one browser while another shows each, and note when the vote is in either."""
    progress = Progress("appearance")
    own, others = [], []
    async with (
        _chromium() as browser,
        _window(browser, url, tenant.sessions[LEAD]) as lead,
        _window(browser, url, tenant.sessions[AUDITOR]) as auditor,
    ):
        for number, request_id in enumerate(request_ids):
            address = f"{url}{REQUESTS}/{request_id}/approvals"
            await lead.goto(address)
            await auditor.goto(address)
            if await auditor.locator("#signals").count() == 0:
                return Table("An approval appears", ("what",), (("Not measured: the console has no stream of signals.",),))
            comment = f"Approved as number {number}"
            noted = [(lead, _PRESSED, None), (lead, _APPEARED, comment), (auditor, _APPEARED, comment)]
            moments = [asyncio.create_task(page.evaluate(script, text)) for page, script, text in noted]
            await _approve(lead, comment)
            async with asyncio.timeout(_APPEARS_WITHIN_SECONDS):
                pressed, in_own, in_other = await asyncio.gather(*moments)
            own.append((in_own - pressed) / 1e3)
            others.append((in_other - pressed) / 1e3)
            progress.tell(f"{number + 1} of {len(request_ids)} approvals")
    rows = tuple(
        (what, str(len(times)), *quantiles_of(times).in_ms()[:2], f"{max(times) * 1e3:.1f}")
        for what, times in (("in the browser that approved", own), ("in another browser", others))
    )
    notes = (
        "Two windows of Chromium on one request; from the press of Approve until the comment is on the page, noted by the pages.",
    )
    return Table("An approval appears", ("where", "approvals", "p50 ms", "p95 ms", "latest ms"), rows, notes)


async def _approve(page: Page, comment: str) -> None:
    await page.wait_for_selector("html.has-scripts", state="attached")
    await page.keyboard.press("a")
    dialog = page.locator("dialog[open]")
    await dialog.get_by_label("Comment").fill(comment)
    await dialog.get_by_role("button", name="Approve").click()


@asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - a developer's package

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_FLAGS))
        yield browser
        await browser.close()


@asynccontextmanager
async def _window(browser: Browser, url: str, session: str | None) -> AsyncIterator[Page]:
    context: BrowserContext = await browser.new_context(viewport={"width": 1440, "height": 900})
    if session is not None:
        host = urlsplit(url).hostname or ""
        cookie = {"name": SESSION_COOKIE, "value": session, "domain": host, "path": "/", "secure": True, "httpOnly": True}
        await context.add_cookies([{**cookie, "sameSite": "Lax"}])
    yield await context.new_page()
    await context.close()
