"""One stage for the whole run, served to Chromium, and windows of everybody who looks at it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, Page

from tests.browser.conftest import Visits, ready
from tests.support.page_catalogue import NOBODY, Look
from tests.support.page_stage import Stage, open_stage
from tests.support.streams import serving_on
from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.settings import Settings


@pytest.fixture(scope="package")
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    """Both tenants, served where their public address says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://localhost:{listener.getsockname()[1]}"
        async with open_stage(settings, public_url=url) as opened, serving_on(opened.app, listener):
            yield opened


@dataclass
class Windows:
    """Windows of the people of a stage."""

    stage: Stage
    visits: Visits
    pages: dict[str, Page] = field(default_factory=dict)

    @property
    def complaints(self) -> list[str]:
        return self.visits.complaints

    async def of(self, handle: str, path: str = "", *, scripts: bool = True, **options: object) -> Page:
        """Open a new window of somebody, who is signed in."""
        browser = await self.stage.browser(handle)
        cookie = {"name": SESSION_COOKIE, "url": self.visits.url.replace("http:", "https:"), "httpOnly": True, "sameSite": "Lax"}
        cookies = [] if handle == NOBODY else [{**cookie, "value": browser.session_text}]
        page = await self.visits.blank(cookies=cookies, scripts=scripts, **options)
        if path:
            await self.go(page, path, scripts=scripts)
        return page

    async def go(self, page: Page, path: str, *, scripts: bool = True) -> None:
        """Load a page in a window, until its scripts are there."""
        await page.goto(f"{self.visits.url}{path}")
        if scripts:
            await ready(page)

    async def show(self, look: Look, *, scripts: bool = True) -> Page:
        """Show a look of a page in the window of whoever looks at it."""
        if look.by not in self.pages:
            self.pages[look.by] = await self.of(look.by, scripts=scripts)
        page = self.pages[look.by]
        things = await self.stage.kept(look.about, look.state)
        await self.go(page, self.stage.named(look.url, things), scripts=scripts)
        return page


@pytest.fixture
async def windows(chromium: Browser, stage: Stage) -> AsyncIterator[Windows]:
    """Windows whose pages may complain; the test says what about."""
    made = Windows(stage, Visits(chromium, str(stage.http.base_url).rstrip("/")))
    yield made
    await made.visits.close()


@pytest.fixture
async def quiet_windows(windows: Windows) -> AsyncIterator[Windows]:
    """At the end of the test no page may have written an error, a warning or a policy violation."""
    yield windows
    assert windows.complaints == []
