"""A real Chromium, a console to visit, and a page that must not complain."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Route, async_playwright, expect

from tests.support.console import build_console, served

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# On a machine that has much else to do, a page takes its time.
expect.set_options(timeout=20_000)
# Both are seen by the page's own script world, before any script of the page.
NOTE_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) => {
  console.error(`content security policy: ${event.violatedDirective} blocked ${event.blockedURI} ${event.sample}`);
});
"""
NOTE_READINESS = """
document.addEventListener('htmx:after:process', () => { document.documentElement.dataset.ready = ''; });
"""


async def ready(page: Page) -> None:
    """Return once the scripts of a page that was loaded do what they are there for."""
    await page.wait_for_selector("html.has-scripts[data-ready]:not([data-left])", state="attached")


async def back(page: Page) -> None:
    """Go back as the window's button does, and return once the page that stands there was loaded anew."""
    await page.evaluate("() => { document.documentElement.dataset.left = ''; history.back(); }")
    await ready(page)


async def press_twice(page: Page, button: Locator) -> None:
    """Press a button a second time before what it sent at the first is answered."""
    has_been_pressed = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            await has_been_pressed.wait()
        await route.continue_()

    await page.route("**/*", hold)
    await button.dblclick()
    has_been_pressed.set()
    await page.unroute_all(behavior="wait")


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing; tools/ensure-tools.sh installs it")
        pytest.skip("Chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def console_app():
    """The console without a store."""
    return build_console()


@pytest.fixture(scope="session")
def console_url(console_app) -> Iterator[str]:
    """Where the console is served."""
    with served(console_app) as url:
        yield url


@dataclass
class Visits:
    """Opens pages and notes what they complain about."""

    browser: Browser
    url: str
    complaints: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(self, path: str, *, width: int = 1440, height: int = 900, scripts: bool = True, **options: object) -> Page:
        """Open a path of the console in a browser window of its own."""
        page = await self.blank(width=width, height=height, scripts=scripts, **options)
        await page.goto(f"{self.url}{path}")
        if scripts:
            await ready(page)
        return page

    async def blank(
        self,
        *,
        width: int = 1440,
        height: int = 900,
        scripts: bool = True,
        cookies: Sequence[Mapping[str, object]] = (),
        **options: object,
    ) -> Page:
        """Open an empty window whose complaints are noted."""
        options.setdefault("color_scheme", "light")
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=scripts, **options
        )
        self.contexts.append(context)
        await context.add_cookies(list(cookies))
        await context.add_init_script(NOTE_VIOLATIONS)
        await context.add_init_script(NOTE_READINESS)
        page = await context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")
            self.heard.set()

    async def wait_for_complaint(self, text: str) -> None:
        """Return once a page has complained in these words."""
        async with asyncio.timeout(20):
            while not any(text in complaint for complaint in self.complaints):
                self.heard.clear()
                await self.heard.wait()

    async def close(self) -> None:
        """Close every window."""
        for context in self.contexts:
            await context.close()


Visit = Callable[..., Awaitable[Page]]


@pytest.fixture
async def visits(chromium: Browser, console_url: str) -> AsyncIterator[Visits]:
    """Windows whose pages may complain; the test says what about."""
    made = Visits(chromium, console_url)
    yield made
    await made.close()


@pytest.fixture
async def visit(visits: Visits) -> AsyncIterator[Visit]:
    """Open a path; at the end of the test no page may have written an error, a warning or a policy violation."""
    yield visits.open
    assert visits.complaints == []
