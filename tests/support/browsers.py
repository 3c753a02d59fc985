"""A browser that speaks to the application: it holds cookies, says where a request comes from, and fills forms in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tests.support.world import World
from trustpack.app.http import build_app
from trustpack.capabilities.directory.model.sessions import OpenedSession, Session
from trustpack.capabilities.directory.pages.views import Present
from trustpack.capabilities.directory.service.sessions import open_session, resume_session
from trustpack.capabilities.directory.store import accounts_of
from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.auth.csrf import FIELD, csrf_token

_COOKIE = re.compile(r"(?P<name>[^=;]+)=\"?(?P<value>[^;\"]*)")
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


async def signed_in(world: World, handle: str, *, account_id: str | None = None) -> OpenedSession:
    """Open a session of somebody who has just proven their account."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        account = account_id or (await accounts_of(tx, world.people[handle].id))[0]
        return await open_session(tx, account, method="passkey", client="Test", limits=world.container.sign_in.limits)


async def session_of(world: World, handle: str) -> Session:
    """Return a new session of somebody as a request resumes it."""
    return await resume_session(world.container.sign_in, (await signed_in(world, handle)).text)


async def present_plainly(request: Request, page: str, view: object, *, status: int = 200) -> Response:
    """Return a page that shows what a view holds, and nothing of how it will look."""
    assert is_dataclass(view)
    assert not isinstance(view, type)
    content = json.dumps({"page": page, **asdict(view)}, default=str)
    return HTMLResponse(f"<!doctype html><title>{page}</title><pre>{html.escape(content)}</pre>", status)


@dataclass(slots=True)
class Browser:
    """Keeps cookies as a browser does; `get` and `post` are what a page of ours has it send."""

    http: httpx2.AsyncClient
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def session_text(self) -> str:
        return self.cookies[SESSION_COOKIE]

    @property
    def csrf(self) -> str:
        return csrf_token(self.session_text)

    def copy(self) -> Browser:
        """Return another browser that holds the same cookies."""
        return replace(self, cookies=dict(self.cookies))

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.send("GET", path, headers=headers)

    async def post(
        self, path: str, fields: Mapping[str, str] | None = None, *, csrf: str | None = "own", **headers: str
    ) -> httpx2.Response:
        """Send a form from a page of ours, with the session's token if there is a session."""
        sent = dict(fields or {})
        if csrf == "own" and SESSION_COOKIE in self.cookies:
            sent[FIELD] = self.csrf
        elif csrf not in {None, "own"}:
            sent[FIELD] = csrf or ""
        return await self.send("POST", path, fields=sent, headers={**SAME_ORIGIN, **headers})

    async def send(
        self, method: str, path: str, *, fields: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send a request as it is given, with the cookies; keep what the answer sets."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = await self.http.request(method, path, data=dict(fields) if fields is not None else None, headers=sent)
        for line in response.headers.get_list("set-cookie"):
            match = _COOKIE.match(line)
            assert match is not None
            if "max-age=0" in line.lower():
                self.cookies.pop(match["name"], None)
            else:
                self.cookies[match["name"]] = match["value"]
        self.http.cookies.clear()
        return response


def shown(response: httpx2.Response) -> dict[str, Any]:
    """Return what the view behind a plain page holds."""
    match = re.search(r"<pre>(.*)</pre>", response.text, re.DOTALL)
    assert match is not None, response.text
    return dict(json.loads(html.unescape(match[1])))


def code_of(response: httpx2.Response) -> str:
    """Return the code of the problem that a page explains."""
    match = re.search(r'<span class="code muted">([\w.]+)</span>', response.text)
    assert match is not None, response.text
    return match[1]


def console_of(world: World, *, show: Present = present_plainly, **settings: Any) -> FastAPI:
    """Return the application of a world under other settings, with pages that show what they hold."""
    own = world.container.settings.model_copy(update=settings)
    return build_app(replace(world.container, settings=own), with_worker=False, show=show)


@asynccontextmanager
async def browsing(world: World, *, address: str = "192.0.2.7", **settings: Any) -> AsyncIterator[Browser]:
    """Open a browser on the pages of a world."""
    transport = httpx2.ASGITransport(app=console_of(world, **settings), raise_app_exceptions=False, client=(address, 4711))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        yield Browser(http)


@asynccontextmanager
async def browsing_as(world: World, handle: str, **settings: Any) -> AsyncIterator[Browser]:
    """Open a browser in which somebody has just signed in."""
    async with browsing(world, **settings) as browser:
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, handle)).text
        yield browser
