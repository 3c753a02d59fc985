"""`/switchboard/events`: what changes, as a stream for every open page.

A signal names ids and nothing else: a page fetches what it shows by its own route, which decides anew who may read it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from trustpack.app.bootstrap import Container
from trustpack.app.subjects import EVENTS, PAGES, readable_ones
from trustpack.capabilities import ledger
from trustpack.capabilities.directory.pages.session import watching_session
from trustpack.kernel.actor import Actor
from trustpack.kernel.clock import parse_time
from trustpack.platform.auth.redirects import SIGN_IN
from trustpack.platform.changes import Changes
from trustpack.platform.signals import HEARTBEAT_SECONDS, MOST_CHANGES, Signals, TooManyStreams
from trustpack.platform.web.pages.headers import BASE_PATH

EVENTS_PATH: Final = f"{BASE_PATH}/events"
_WATCHED: Final = ("session", "person")
_LONGEST: Final = 60
_HEADERS: Final = {"X-Accel-Buffering": "no"}
"""A reverse proxy that collects an answer before it passes it on would hold signals back."""

router = APIRouter(include_in_schema=False)


def signals_of(container: Container, *, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> Signals:
    """Return the signals of a process."""
    kinds = (*EVENTS, *_WATCHED)

    async def look(seen: str | None) -> Changes:
        return await ledger.changes_since(container.system_pool, seen, kinds=kinds, limit=MOST_CHANGES)

    async def decide(tenant_id: str, people: Sequence[Actor], subject_ids: Collection[str]) -> Mapping[str, Collection[str]]:
        async with container.unit_of_work.transaction(tenant_id) as tx:
            return {person.id: await readable_ones(tx, person, subject_ids) for person in people}

    return Signals(
        look,
        decide,
        events=EVENTS,
        pages=PAGES,
        clock=container.unit_of_work.clock,
        epoch=container.unit_of_work.ids.random_bytes(8).hex(),
        most_streams=container.settings.max_streams,
        heartbeat_seconds=heartbeat_seconds,
    )


@router.get(EVENTS_PATH)
async def stream_events(
    request: Request,
    since: Annotated[str, Query(max_length=_LONGEST)] = "",
    after: Annotated[str, Query(max_length=_LONGEST)] = "",
    last_event_id: Annotated[str, Header(max_length=_LONGEST)] = "",
) -> Response:
    """Send signals until the session ends, after the last event that the browser got, else since its page was made."""
    signals: Signals = request.app.state.signals

    async def look_again() -> Actor | None:
        now = await watching_session(request)
        return now.actor if now is not None else None

    # The body of a refusal would be swapped into the page: there is none.
    session = await watching_session(request)
    if session is None:
        return Response(status_code=401, headers={"HX-Redirect": SIGN_IN})
    try:
        signals.require_room(session.actor)
    except TooManyStreams:
        return Response(status_code=429)
    events: AsyncIterator[str] = signals.stream(
        session.actor, session.id, look_again=look_again, after=last_event_id or after, since=_time_or_none(since)
    )
    return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)


def _time_or_none(text: str) -> datetime | None:
    with suppress(ValueError):
        return parse_time(text)
    return None
