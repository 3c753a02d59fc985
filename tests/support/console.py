"""The console without a store: a viewer from nowhere, an object to find, and a server for browsers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from psycopg import OperationalError
from pydantic import Field
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, Response, StreamingResponse

from trustpack.app import console
from trustpack.capabilities.directory.model.sessions import SessionNeeded
from trustpack.kernel.actor import Actor, ActorKind, Role
from trustpack.platform.auth.csrf import csrf_token
from trustpack.platform.auth.forms import require_form_token
from trustpack.platform.auth.hosts import trusted_names
from trustpack.platform.entropy import SystemIds
from trustpack.platform.system_clock import SystemClock
from trustpack.platform.web import problems
from trustpack.platform.web.middleware import RequestFrame
from trustpack.platform.web.pages import Form, Found, TenantChoice, ThisPage, Viewer

SESSION_TEXT = "ten_1_session"
FORM_TOKEN = csrf_token(SESSION_TEXT)
SIGNED_OUT = "signed-out"
STORE_AWAY = "store-away"


async def sofia(request: Request) -> Viewer:
    """A viewer, whatever is asked for, but for two cookies."""
    if SIGNED_OUT in request.cookies:
        raise SessionNeeded
    if STORE_AWAY in request.cookies:
        raise OperationalError
    await require_form_token(request, session_text=SESSION_TEXT)
    actor = Actor("ten_1", "usr_1", ActorKind.PERSON, "sofia", roles=frozenset({Role.SECURITY_OFFICER}))
    tenants = (TenantChoice("ten_1", "Acme"), TenantChoice("ten_2", "Umbrella"))
    return Viewer(
        actor=actor, name="Sofia Duarte", tenant_name="Acme", form_token=csrf_token(SESSION_TEXT), is_demo=True, tenants=tenants
    )


async def find_requests(viewer: Viewer, text: str) -> Sequence[Found]:
    """One object, when it is asked for; its name is hostile."""
    if not text.upper().startswith("HRR-"):
        return ()
    path = "/switchboard/components/list/HRR-1048"
    return (Found("HRR-1048", f"Found for {viewer.name} <img src=x onerror=alert(1)>", "shield-check", path),)


class Note(Form):
    """A form for tests."""

    text: str
    amount: int = 0
    tags: list[str] = Field(default_factory=list)


@dataclass(slots=True)
class Kept:
    """What the routes for tests were told."""

    notes: list[Note]


def build_console(*, developer_pages: bool = True, max_body_bytes: int = 65_536, with_signals: bool = False) -> FastAPI:
    """Return an application with the console's frame and pages alone, and routes that fail, keep what they get, or signal."""
    clock = SystemClock()
    ids = SystemIds(clock)
    site = replace(
        console.build_site(
            clock,
            public_url="http://localhost:8000",
            trusted_hosts=trusted_names("http://localhost:8000", more="trustpack.test", is_demo=False),
            viewer_source=sofia,
            developer_pages=developer_pages,
        ),
        finders=(find_requests,),
        events_path="/switchboard/events" if with_signals else None,
    )
    frame = Middleware(RequestFrame, ids=ids, max_body_bytes=max_body_bytes)
    app = FastAPI(openapi_url=None, middleware=[console.frame_of(site, ids), frame])
    problems.install(app)
    console.mount(app, site, developer_pages=developer_pages)
    app.state.kept = Kept([])
    app.state.signals = 0
    app.include_router(_routes_for_tests)
    return app


_routes_for_tests = APIRouter()


@_routes_for_tests.post("/switchboard/components")
async def keep_note(page: ThisPage) -> Response:
    """Keep a note, and lead back."""
    reading = await page.read(Note)
    if reading.form is None:
        return await page.show("find.html", status=422, text=str(reading.errors), found=[])
    page.request.app.state.kept.notes.append(reading.form)
    return page.go("/switchboard/components")


@_routes_for_tests.get("/switchboard/broken")
async def broken(page: ThisPage) -> Response:
    """Fail as nobody foresaw."""
    raise ZeroDivisionError(page.viewer.name)


@_routes_for_tests.get("/switchboard/injected")
async def injected(page: ThisPage, markup: str) -> Response:
    """A page into which somebody got markup, past every escaping."""
    shown = page.site.html("find.html", request=page.request, viewer=page.viewer, counts={}, text="", found=[])
    return HTMLResponse(shown.replace("</main>", f"<div id='injected'>{markup}</div></main>"))


@_routes_for_tests.get("/switchboard/events")
async def events(request: Request) -> Response:
    """Send a signal whenever the test has counted one more."""

    async def signals() -> AsyncIterator[str]:
        sent = request.app.state.signals
        yield ": connected\n\n"
        while not await request.is_disconnected():
            if request.app.state.signals > sent:
                sent = request.app.state.signals
                yield f"event: sample-changed\nid: {sent}\ndata: {{}}\n\n"
            await asyncio.sleep(0.02)

    return StreamingResponse(signals(), media_type="text/event-stream")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port for as long as the context lasts; yields its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", ws="none", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
