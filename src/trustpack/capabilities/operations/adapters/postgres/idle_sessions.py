"""Sessions that stay open for a moment after a call, so that the next call need not log in.

A login costs the target more processor time than most calls; where many grants end at once, logins decide how late they end.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import psycopg

from trustpack.capabilities.operations.adapters.postgres.session import TargetSession
from trustpack.platform.system_clock import monotonic_seconds

_MOST_IDLE: Final = 8
"""For one login. A new one is opened only while none is idle, so there are never more than were in use at one time."""
_LIFE_SECONDS: Final = 30.0
"""How long the login goes on where a new one would fail, or lead elsewhere: a password changed on the target, a moved name."""
_ANSWER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What two calls must have in common to use one session; the connection string stands in it as a digest."""

    target: str
    dsn_digest: bytes

    @staticmethod
    def of(target: str, *, dsn: str) -> SessionKey:
        return SessionKey(target, hashlib.sha256(dsn.encode()).digest())


@dataclass(eq=False, frozen=True, slots=True)
class _Held:
    key: SessionKey
    session: TargetSession
    opened_at: float


class IdleSessions:
    """Lends sessions, each to one caller at a time, and keeps what comes back sound for `idle_seconds`; 0 keeps nothing."""

    def __init__(self, *, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._idle: dict[_Held, asyncio.TimerHandle] = {}

    @asynccontextmanager
    async def session(self, key: SessionKey, connect: Callable[[], Awaitable[TargetSession]]) -> AsyncIterator[TargetSession]:
        """Lend an idle session in the state of a new one, or a new one; whatever is raised during its use ends it.

        Raises what `connect` raises.
        """
        held = await self._take(key) or _Held(key, await connect(), opened_at=monotonic_seconds())
        with ExitStack() as unless_kept:
            unless_kept.callback(held.session.end)
            yield held.session
            if self._keep(held):
                unless_kept.pop_all()

    def close(self) -> None:
        """End what is idle now, and everything that comes back later."""
        self._idle_seconds = 0
        self._end(*self._idle)

    async def _take(self, key: SessionKey) -> _Held | None:
        held = next((held for held in reversed(self._idle) if held.key == key), None)
        if held is None:
            return None
        self._idle.pop(held).cancel()
        with ExitStack() as unless_sound:
            unless_sound.callback(held.session.end)
            if await _is_renewed(held.session):
                unless_sound.pop_all()
                return held
        # What ended this one has most likely ended the others, and each would be waited for.
        self._end(*(other for other in self._idle if other.key == key))
        return None

    def _keep(self, held: _Held) -> bool:
        seconds = min(self._idle_seconds, held.opened_at + _LIFE_SECONDS - monotonic_seconds())
        has_place = sum(other.key == held.key for other in self._idle) < _MOST_IDLE
        if seconds <= 0 or not has_place or not held.session.is_at_rest:
            return False
        self._idle[held] = asyncio.get_running_loop().call_later(seconds, self._end, held)
        return True

    def _end(self, *idle: _Held) -> None:
        for held in idle:
            self._idle.pop(held).cancel()
            held.session.end()


async def _is_renewed(session: TargetSession) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await session.renew()
    except (psycopg.Error, OSError):
        return False
