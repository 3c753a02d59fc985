"""Take pictures of Switchboard's main pages for `docs/screens/`: `make screens`.

The console runs for real on a fresh temporary data directory, with the demo's tenant, its deals and a few requests for access.
Every picture is taken in the system's Chromium in light, in dark and as on a phone. A page that is not there is reported, and
the program then ends with 1 after all other pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as BrowserError

from trustpack.app.bootstrap import open_container
from trustpack.app.demo.seed import issue_tokens, seed_tenant
from trustpack.app.local_store import demo_store
from trustpack.app.server import running_server
from trustpack.platform.embedded_postgres import free_port
from trustpack.platform.settings import Settings
from trustpack.platform.telemetry.logs import configure_logs

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "screens"
TENANT: Final = "demo-external"
TARGET: Final = "orders-prod"
SECURITY: Final = "/switchboard/security"
REVOPS: Final = "/switchboard/revops"
_FLAGS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_STYLES: Final = (("light", "light", 1440, 900), ("dark", "dark", 1440, 900), ("phone", "light", 390, 844))
_FOUND_WITHIN_MS: Final = 6_000
_SETTLED_SECONDS: Final = 0.5
_OK: Final = 200

# What people have asked for: why, the ticket, whose rows, minutes, by whom, and what others did about it since.
_CASES: Final = (
    ("Reconcile the September payouts with the bank's file", "FIN-1187", "globex", 60, "user-engineer", "cancel"),
    ("Export for the year-end audit", "AUD-77", "initech", 90, "user-engineer-2", "reject"),
    ("Find why invoices of November are doubled", "INC-2036", "acme", 30, "user-engineer", "approve approve execute revert"),
    ("Check amounts after the currency change", "INC-2038", "globex", 45, "user-engineer-2", "approve approve execute"),
    ("Customer asks which orders were refunded", "SUP-4410", "initech", 30, "user-engineer", "approve approve"),
    ("Compare stuck orders with the queue", "INC-2040", "acme", 60, "user-engineer-2", ""),
    ("Investigate stuck refunds", "INC-2041", "acme", 60, "user-engineer", "approve"),
)
_ACTORS: Final = {"approve": ("user-team-lead", "user-security"), "reject": ("user-security",)}
_BODIES: Final = {
    "approve": {"comment": "Scope and time fit the ticket"},
    "reject": {"reason": "Use the nightly export instead"},
    "cancel": {"reason": "The bank sent its file again"},
    "revert": {"reason": "Found: a retry without its key"},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One page: who looks, at what, and what they do before the picture is taken."""

    name: str
    handle: str | None
    path: str
    act: Callable[[Page], Awaitable[None]] | None = None


class NotThere(Exception):
    """A page, or something on it, that a picture is of."""


async def _open_first_waiting_quote(page: Page) -> None:
    await page.locator("main table tbody a").first.click()
    await page.locator("section.detail-pane .object-head").wait_for(timeout=_FOUND_WITHIN_MS)


async def _ask_to_approve(page: Page) -> None:
    await page.keyboard.press("a")
    await page.locator("dialog[open]").wait_for(timeout=_FOUND_WITHIN_MS)


async def _search(page: Page) -> None:
    await page.keyboard.press("Control+k")
    await page.locator("dialog#palette[open] input").fill("solano")


async def _fill_request(page: Page) -> None:
    for name, value in (("minutes", "60"), ("justification", "Investigate stuck refunds"), ("ticket", "INC-2042")):
        await page.locator(f"#field-{name}").fill(value)
    scope = page.locator("#field-scope")
    if await page.locator("select#field-scope").count():
        await scope.select_option("acme")
    else:
        await scope.fill("acme")
    await scope.blur()


async def _write_quote(page: Page) -> None:
    await page.locator("main table tbody a").first.click()
    await page.locator('main a[href*="/quotes/new"]').first.click(timeout=_FOUND_WITHIN_MS)
    await page.locator("main form").first.wait_for(timeout=_FOUND_WITHIN_MS)


def pictures(requests: Sequence[str]) -> Iterator[Picture]:
    """Yield every picture; `requests` are the ids of the cases, in their order."""
    reverted, active, half = requests[2], requests[3], requests[-1]
    yield Picture("sign-in", None, "/switchboard/sign-in")
    yield Picture("home", "user-security", "/switchboard")
    yield Picture("requests", "user-security", f"{SECURITY}/requests")
    yield Picture("request", "user-security", f"{SECURITY}/requests/{half}")
    yield Picture("request-active", "user-engineer-2", f"{SECURITY}/requests/{active}/access")
    yield Picture("request-evidence", "user-auditor", f"{SECURITY}/requests/{reverted}/evidence")
    yield Picture("approve", "user-security", f"{SECURITY}/requests/{half}/change", _ask_to_approve)
    yield Picture("request-form", "user-engineer", f"{SECURITY}/requests/new", _fill_request)
    yield Picture("inbox", "user-security", f"{SECURITY}/inbox")
    yield Picture("quotes", "user-manager", f"{REVOPS}/quotes")
    yield Picture("quote", "user-manager", f"{REVOPS}/quotes?status=pending_approval", _open_first_waiting_quote)
    yield Picture("quote-inbox", "user-manager", f"{REVOPS}/inbox")
    yield Picture("quote-form", "ana-ruiz", f"{REVOPS}/opportunities", _write_quote)
    yield Picture("palette", "user-auditor", f"{SECURITY}/requests", _search)


async def take_pictures(folder: Path, *, only: Sequence[str]) -> list[str]:
    """Write the pictures and return what could not be taken, with the reason."""
    missing = []
    async with _running_console() as (url, requests), _chromium() as browser:
        for picture in pictures(requests):
            for style in _STYLES if not only or picture.name in only else ():
                name = f"{picture.name}-{style[0]}.png"
                try:
                    await _take(browser, url, picture, style, folder / name)
                except (NotThere, BrowserError) as error:
                    missing.append(f"{name}: {str(error).splitlines()[0]}")
    return missing


async def _take(browser: Browser, url: str, picture: Picture, style: tuple[str, str, int, int], file: Path) -> None:
    _, scheme, width, height = style
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    try:
        page = await context.new_page()
        if picture.handle is not None:
            await page.goto(f"{url}/switchboard/sign-in")
            await page.locator(f'button[value="{picture.handle}"]').first.click()
            await page.locator(".whoami").wait_for(timeout=_FOUND_WITHIN_MS)
        answer = await page.goto(f"{url}{picture.path}")
        if answer is None or answer.status != _OK:
            raise NotThere(f"{picture.path} was answered {answer.status if answer else 'not at all'}")
        await page.wait_for_selector("html.has-scripts", state="attached")
        if picture.act is not None:
            await picture.act(page)
        # Fonts, and what a page fetches after a change, have arrived by then.
        await page.evaluate("document.fonts.ready")
        await asyncio.sleep(_SETTLED_SECONDS)
        await page.screenshot(path=file, animations="disabled", caret="hide")
    finally:
        await context.close()


@asynccontextmanager
async def _running_console() -> AsyncIterator[tuple[str, list[str]]]:
    """Serve the demo's tenant from a temporary directory; yields the address, and the ids of the requests for access."""
    directory = Path(tempfile.mkdtemp(prefix="trustpack-screens-"))
    port = free_port()
    settings = Settings(
        data_dir=directory,
        database_url=None,
        app_database_url=None,
        listen=f"127.0.0.1:{port}",
        demo_sign_in=True,
        log_level="error",
    )
    configure_logs(settings.log_level)
    try:
        with demo_store(settings):
            async with open_container(settings) as container:
                await seed_tenant(container, TENANT)
                tokens = await issue_tokens(container, TENANT)
                async with running_server(container, with_worker=True) as (url, _):
                    requests = await _tell_cases(url, tokens)
                    yield f"http://localhost:{port}", requests
    finally:
        shutil.rmtree(directory)


async def _tell_cases(url: str, tokens: dict[str, str]) -> list[str]:
    async with httpx2.AsyncClient(base_url=url, timeout=30) as http:

        async def send(handle: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = await http.post(path, json=body, headers={"Authorization": f"Bearer {tokens[handle]}"})
            if answer.is_error:
                raise NotThere(f"{path}: {answer.text}")
            return dict(answer.json())

        ids = []
        for justification, ticket, scope, minutes, handle, deeds in _CASES:
            asked = {"type": "TEMP_DB_READ_ACCESS", "environment": "prod", "justification": justification, "ticket": ticket}
            target = {"database": TARGET, "scope": {"tenant": scope}}
            path = "/high-risk-ops/requests"
            request_id = (await send(handle, path, {**asked, "target": target, "duration_minutes": minutes}))["id"]
            ids.append(request_id)
            voters = iter(_ACTORS["approve"])
            for deed in deeds.split():
                actor = next(voters) if deed == "approve" else _ACTORS.get(deed, (handle,))[0]
                await send(actor, f"{path}/{request_id}/{deed}", dict(_BODIES.get(deed, {})))
        return ids


@asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_FLAGS))
        yield browser
        await browser.close()


def main() -> int:
    """Take the pictures, say what is missing, and return 1 if anything is."""
    parser = argparse.ArgumentParser(description="Take pictures of the console's main pages.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    parser.add_argument("--only", nargs="+", default=(), help="take pictures of these names alone")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    missing = asyncio.run(take_pictures(options.folder, only=options.only))
    print(*(f"no picture of {one}" for one in missing), sep="\n", file=sys.stderr)
    taken = list(options.folder.glob("*.png"))
    print(f"{len(taken)} pictures in {options.folder}, {sum(file.stat().st_size for file in taken) // 1024:,} KiB")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
