"""Kill processes at random moments under load, start them again, wait until everything has come to its end, and audit it all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Final

import httpx2

from tests.support.audit import Verdict, audit, faults_of_latest
from tests.support.crash_load import Load
from tests.support.estate import Estate, Process
from tests.support.store import rows_as_owner

CLIENTS: Final = 6
_MOST_ANSWERS: Final = 16
"""Answers between a start and the next kill, at most: counted in answers, a slow machine gets as far as a fast one."""
_LONGEST_WAIT_SECONDS: Final = 10.0
_LONGEST_DELAY_SECONDS: Final = 0.05
_QUIET_SECONDS: Final = 120
_LATEST_CASES: Final = 40


async def _say_nothing(_: int) -> None:
    return


@dataclass(slots=True)
class Campaign:
    """So many kills of processes chosen by the seed. `name` is one that no earlier campaign on the store had."""

    estate: Estate
    http: httpx2.AsyncClient
    processes: Sequence[Process]
    seed: int
    name: str
    kills: int = 0
    met: Counter[str] = field(default_factory=Counter)
    """How many kills met how many requests of each command under way; `nothing` counts those that met none."""
    answers: Counter[str] = field(default_factory=Counter)

    async def run(self, kills: int, *, after_each: Callable[[int], Awaitable[None]] = _say_nothing) -> Verdict:
        """Kill so many times, let everything end by itself, and return what an audit of the whole store finds."""
        doors = [process.url for process in self.processes if process.port is not None]
        with closing(Load(self.estate, self.http, doors, self.seed, self.name)) as load:
            try:
                for process in self.processes:
                    await asyncio.to_thread(process.start)
                faults = await self._kill_under(load, kills, after_each)
                faults = faults or await self._never_quiet()
            finally:
                for process in self.processes:
                    await asyncio.to_thread(process.kill)
            verdict = await asyncio.to_thread(audit, self.estate, acknowledged=load.told, reads=load.reads)
        self.answers += load.answers
        bugs = [f"{count} answers were {what}" for what, count in load.answers.items() if what.endswith(" 500")]
        verdict.faults[:0] = [*faults, *load.faults, *bugs]
        return verdict

    async def _kill_under(self, load: Load, kills: int, after_each: Callable[[int], Awaitable[None]]) -> list[str]:
        stop, chance = asyncio.Event(), random.Random(self.seed)
        working = asyncio.create_task(load.run(stop, clients=CLIENTS))
        faults: list[str] = []
        try:
            for _ in range(kills):
                await _progress(load, answers=chance.randint(0, _MOST_ANSWERS))
                await asyncio.sleep(chance.uniform(0, _LONGEST_DELAY_SECONDS))
                victim = chance.choice(self.processes)
                self.met += load.under_way or Counter(nothing=1)
                await asyncio.to_thread(victim.kill)
                self.kills += 1
                await asyncio.to_thread(victim.start)
                faults += await asyncio.to_thread(faults_of_latest, self.estate, count=_LATEST_CASES)
                await after_each(self.kills)
                if faults or working.done():
                    break
        except BaseException:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            raise
        stop.set()
        await working
        return faults

    async def _never_quiet(self) -> list[str]:
        """Wait until every case has ended by itself; return those that do not."""
        try:
            async with asyncio.timeout(_QUIET_SECONDS):
                while waiting := await asyncio.to_thread(_open_cases, self.estate):  # noqa: ASYNC110 - another process ends them
                    await asyncio.sleep(0.2)
        except TimeoutError:
            return [f"{request_id}: is still {status} after {_QUIET_SECONDS} s" for request_id, status in waiting.items()]
        return []


async def _progress(load: Load, *, answers: int) -> None:
    """Wait until the clients have got so many answers more; not for ever, as all may be waiting for one that died."""
    wanted = load.answers.total() + answers
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
            while load.answers.total() < wanted:  # noqa: ASYNC110 - six clients count, none of them tells
                await asyncio.sleep(0.005)


def _open_cases(estate: Estate) -> dict[str, str]:
    found = rows_as_owner(
        estate.settings,
        "SELECT id, status FROM trustpack.high_risk_requests WHERE status IN"
        " ('pending_approval', 'approved', 'executing', 'active', 'reverting', 'revert_failed')",
    )
    return {row["id"]: row["status"] for row in found}
