"""Tell whoever looks at a page that something has changed: which kind of subject, and which ids (ADR-0026).

One look at the store serves every listener of a process, and only while there is one. A listener is told of what it may read.
What was told lately is kept for a while, so that a connection that broke goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

import structlog
from psycopg import Error as DatabaseError

from trustpack.kernel.actor import Actor
from trustpack.kernel.clock import Clock
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.changes import Change, Changes, ToldLately
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics

MOST_CHANGES: Final = 1_000
"""Receipts that one look may find and still tell apart; beyond it every page is told to fetch itself anew."""
_MOST_IDS: Final = 100
"""Ids that one event names; beyond it the event stands for all subjects of its kind."""
_MOST_OF_PERSON: Final = 20
_POLL_SECONDS: Final = 0.1
_REST: Final = 10
_LONGEST_REST_SECONDS: Final = 0.5
_WITHOUT_STORE_SECONDS: Final = 2.0
HEARTBEAT_SECONDS: Final = 15.0
"""How often a stream asks whether its session is still good."""
_RECONNECT_MS: Final = 1_000
_log = structlog.get_logger(__name__)

Look = Callable[[str | None], Awaitable[Changes]]
Decide = Callable[[str, Sequence[Actor], Collection[str]], Awaitable[Mapping[str, Collection[str]]]]
"""Says which of some subjects of a tenant each of some people may read, by the person's id."""
LookAgain = Callable[[], Awaitable[Actor | None]]
"""Returns whom a session belongs to as of now; None where it has ended."""


def rest_after(seconds: float) -> float:
    """Return how long the next look waits after one that took so long: a store where looks take long is not kept busy by them."""
    return min(max(_POLL_SECONDS, _REST * seconds), _LONGEST_REST_SECONDS)


class TooManyStreams(TrustpackError):
    """The person, or the whole process, has as many streams as it may have."""

    kind = ErrorKind.LIMITED
    code = "signals.too_many_streams"
    title = "Too many open pages"
    detail = "Too many pages that refresh themselves are open."
    next_step = "Close some of them; a page that does not refresh itself still works."


@dataclass(slots=True, eq=False)
class _Listener:
    """One open page: whose it is, what it has to be told, and how far it has been told."""

    actor: Actor
    session_id: str
    position: int
    pages: Mapping[str, Collection[str]]
    pending: dict[str, set[str] | None] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_in_doubt: bool = False

    def offer(self, event: str, ids: Collection[str] | None) -> None:
        known = self.pending.get(event, set())
        joint = None if ids is None or known is None else known | set(ids)
        self.pending[event] = None if joint is None or len(joint) > _MOST_IDS else joint
        self.woken.set()

    def doubt(self) -> None:
        self.is_in_doubt = True
        self.woken.set()

    def take(self) -> str:
        told = [
            f"event: {event}\ndata: {json.dumps({} if ids is None else {'ids': sorted(ids)})}\n\n"
            for event, ids in sorted(self.pending.items())
        ]
        told += [
            f"event: {page}\ndata: {{}}\n\n" for page, shown in self.pages.items() if not self.pending.keys().isdisjoint(shown)
        ]
        self.pending.clear()
        return "".join(told)


class Signals:
    """The changes that one process sees, for everybody who listens to it.

    `events` names the event of each kind of subject that pages show, `pages` the one that tells pages once of any of several.
    Other kinds that a look finds are people and sessions: whose own has changed is looked at again at once.
    """

    def __init__(
        self,
        look: Look,
        decide: Decide,
        *,
        events: Mapping[str, str],
        pages: Mapping[str, Collection[str]],
        clock: Clock,
        epoch: str,
        most_streams: int,
        heartbeat_seconds: float,
    ) -> None:
        self._look = look
        self._decide = decide
        self._events = events
        self._pages = pages
        self._clock = clock
        self._most_streams = most_streams
        self._heartbeat_seconds = heartbeat_seconds
        self._told_lately = ToldLately(epoch)
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._one_look = asyncio.Lock()
        self._next_look = 0.0
        self._seen: str | None = None
        self._untold: list[Change] | None = []
        self._has_ended = False

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def is_idle(self) -> bool:
        """Say whether the store is not asked for anything."""
        return self._looking is None or self._looking.done()

    def end(self) -> None:
        """End every stream and begin none any more: the server stops."""
        self._has_ended = True
        for listener in self._listeners:
            listener.woken.set()

    def require_room(self, actor: Actor) -> None:
        """Let somebody open one more stream. Raises `TooManyStreams`."""
        own = sum((listener.actor.tenant_id, listener.actor.id) == (actor.tenant_id, actor.id) for listener in self._listeners)
        if self._has_ended or own >= _MOST_OF_PERSON or len(self._listeners) >= self._most_streams:
            raise TooManyStreams

    async def position(self) -> str:
        """Return the event id after which a page that is made from now on has to be told what it missed."""
        if self.is_idle:
            with suppress(DatabaseError):  # the page misses more, and is told more
                await self._look_when_due()
        return self._told_lately.event_id(self._told_lately.number)

    async def stream(
        self, actor: Actor, session_id: str, *, look_again: LookAgain, after: str, since: datetime | None
    ) -> AsyncIterator[str]:
        """Yield server-sent events for somebody, until their session or the server ends. Raises `TooManyStreams`.

        It goes on after the event id `after`, else with what has changed `since` the page was made; where neither is known any
        more, the first events name no ids, and the page fetches itself anew.
        """
        self.require_room(actor)
        with self._listening(actor, session_id) as listener:
            with suppress(DatabaseError):  # the next look finds it
                await self._look_when_due()
            await self._catch_up(listener, self._told_lately.changes_after(after, since))
            yield f"retry: {_RECONNECT_MS}\n\n"
            next_beat = monotonic_seconds() + self._heartbeat_seconds
            while not self._has_ended:
                yield f"{listener.take()}id: {self._told_lately.event_id(listener.position)}\n\n"
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, next_beat - monotonic_seconds())):
                        await listener.woken.wait()
                listener.woken.clear()
                if listener.is_in_doubt or monotonic_seconds() >= next_beat:
                    next_beat = monotonic_seconds() + self._heartbeat_seconds
                    listener.is_in_doubt = False
                    if (now := await self._looked_at(look_again)) is None:
                        return
                    listener.actor = now

    @contextmanager
    def _listening(self, actor: Actor, session_id: str) -> Iterator[_Listener]:
        listener = _Listener(actor, session_id, self._told_lately.number, self._pages)
        self._listeners.add(listener)
        metrics.SIGNAL_STREAMS.inc()
        if self.is_idle:
            self._looking = asyncio.create_task(self._keep_looking())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            metrics.SIGNAL_STREAMS.dec()

    async def _catch_up(self, listener: _Listener, missed: Sequence[Change] | None) -> None:
        if missed is None:
            self._tell_to_fetch_anew(listener)
            return
        own = [change for change in missed if change.tenant_id == listener.actor.tenant_id]
        await self._tell(listener.actor.tenant_id, own, (listener,))

    async def _looked_at(self, look_again: LookAgain) -> Actor | None:
        try:
            return await look_again()
        except DatabaseError:  # the browser comes again, and is asked then
            return None

    async def _keep_looking(self) -> None:
        while self._listeners and not self._has_ended:
            try:
                await self._look_when_due()
                pause = max(0.0, self._next_look - monotonic_seconds())
            except DatabaseError as error:  # the same snapshot is asked with again, so nothing is lost
                _log.warning("signals_wait_for_the_store", reason=type(error).__name__)
                pause = _WITHOUT_STORE_SECONDS
            await asyncio.sleep(pause)

    async def _look_when_due(self) -> None:
        async with self._one_look:
            began = monotonic_seconds()
            if began >= self._next_look:
                await self._look_once()
                ended = monotonic_seconds()
                self._next_look = ended + rest_after(ended - began)

    async def _look_once(self) -> None:
        changes = await self._look(self._seen)
        self._seen = changes.seen
        self._told_lately.add(changes.found, at=self._clock.now())
        if changes.found is None or self._untold is None:
            self._untold = None
        else:
            self._untold.extend(changes.found)
        listeners, number = tuple(self._listeners), self._told_lately.number
        if self._untold is None:
            for listener in listeners:
                self._tell_to_fetch_anew(listener)
        else:
            for tenant_id, of_tenant in groupby(sorted(set(self._untold)), key=lambda change: change.tenant_id):
                concerned = [listener for listener in listeners if listener.actor.tenant_id == tenant_id]
                await self._tell(tenant_id, list(of_tenant), concerned)
        self._untold = []
        for listener in listeners:
            listener.position = number

    async def _tell(self, tenant_id: str, changes: Sequence[Change], listeners: Sequence[_Listener]) -> None:
        kinds = {change.subject_id: change.kind for change in changes}
        for listener in listeners:
            if listener.session_id in kinds or listener.actor.id in kinds:
                listener.doubt()
        shown = {subject_id: self._events[kind] for subject_id, kind in kinds.items() if kind in self._events}
        if not shown or not listeners:
            return
        people = {listener.actor.id: listener.actor for listener in listeners}
        readable = await self._decide(tenant_id, tuple(people.values()), shown)
        for listener in listeners:
            for subject_id in readable[listener.actor.id]:
                listener.offer(shown[subject_id], {subject_id})

    def _tell_to_fetch_anew(self, listener: _Listener) -> None:
        listener.doubt()
        for event in self._events.values():
            listener.offer(event, None)
