"""Two or more things in the same moment: two servers on one store, a common start, and head starts that let every side win."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import httpx2

from tests.support.stored import run_due
from tests.support.worlds import ScriptedWorld, container_with
from trustpack.app.bootstrap import Container
from trustpack.app.http import build_app

Action: TypeAlias = Callable[[ScriptedWorld], Awaitable[Any]]
"""Something that one of the servers is asked to do."""
_FIRST_STEP = 0.002
_SMALLEST_STEP = 0.0002
_LONGEST_LEAD = 0.5
_OFFSETS = (0, 0, 0.001, 0.004)


@dataclass(slots=True)
class Duel:
    """How a race of two went so far, and with which head start it begins next.

    Whoever lost begins earlier the next time, twice as much earlier while it goes on losing: so both win some repetitions,
    and most are close.
    """

    wins: list[int] = field(default_factory=lambda: [0, 0])
    lead_of_second: float = 0.0
    _step: float = _FIRST_STEP
    _last: int | None = None

    def won_by(self, side: int) -> None:
        """Note who won, 0 or 1, and set the next head start."""
        self.wins[side] += 1
        self._step = self._step * 2 if side == self._last else max(self._step / 4, _SMALLEST_STEP)
        self._last = side
        lead = self.lead_of_second + (self._step if side == 0 else -self._step)
        self.lead_of_second = min(max(lead, -_LONGEST_LEAD), _LONGEST_LEAD)


@dataclass(frozen=True, slots=True)
class Arena:
    """A fresh tenant behind two servers, each with a pool and jobs of its own."""

    servers: tuple[ScriptedWorld, ScriptedWorld]
    chance: random.Random

    @property
    def world(self) -> ScriptedWorld:
        return self.servers[0]

    async def at_once(self, *actions: Action) -> list[Any]:
        """Start the actions within a few milliseconds, spread over the servers; return what they return, in the order given."""
        return await self._start([(action, self.chance.choice(_OFFSETS)) for action in actions])

    async def fight(self, duel: Duel, first: Action, second: Action) -> list[Any]:
        """Start two actions with the head start that the duel has come to, on different servers."""
        return await self._start([(first, max(duel.lead_of_second, 0)), (second, max(-duel.lead_of_second, 0))])

    async def _start(self, entries: list[tuple[Action, float]]) -> list[Any]:
        barrier = asyncio.Barrier(len(entries))
        turned = self.chance.randrange(len(self.servers))

        async def begin(place: int, action: Action, delay: float) -> Any:
            await barrier.wait()
            await asyncio.sleep(delay)
            return await action(self.servers[(place + turned) % len(self.servers)])

        return await asyncio.gather(*(begin(place, *entry) for place, entry in enumerate(entries)))


@asynccontextmanager
async def arena_of(world: ScriptedWorld, second: Container, chance: random.Random) -> AsyncIterator[Arena]:
    """Put a second server, on another container of the same store, beside the world's own."""
    mine = world.container.operations
    own = container_with(second, replace(second.operations, adapters=mine.adapters, limits=mine.limits))
    transport = httpx2.ASGITransport(app=build_app(own, with_worker=False), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://second.test") as http:
        yield Arena((world, replace(world, container=own, http=http)), chance)


def by(handle: str, request_id: str, command: str, body: object = None) -> Action:
    """Return the action of somebody who posts a command to a request."""
    return lambda world: world.act(handle, request_id, command, body)


def told(answer: httpx2.Response) -> str:
    """Return the status of an answer, and of a refusal its code; a refusal says why and what to do next."""
    if answer.is_success:
        return str(answer.status_code)
    problem = answer.json()
    assert problem["detail"], problem
    assert problem["next_step"], problem
    return f"{answer.status_code} {problem['code']}"


def bring_near(world: ScriptedWorld, moment: datetime, *, lead: float = 0.0) -> None:
    """Move the clock to some milliseconds before a moment, and earlier by the lead of whoever has to come before it."""
    left = moment - world.clock.now() - timedelta(seconds=0.01 + max(lead, 0))
    world.clock.advance(seconds=left.total_seconds())


def due_work_at(moment: datetime) -> Action:
    """Return the action of a worker that looks for due work as soon as a moment has come."""

    async def work(world: ScriptedWorld) -> None:
        while world.clock.now() < moment:  # noqa: ASYNC110  # time passes without an event
            await asyncio.sleep(0.0005)
        await run_due(world)

    return work
