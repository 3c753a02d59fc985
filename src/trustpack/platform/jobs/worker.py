"""Look for due work of all tenants and start it, so that no target and no bug holds up the rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from psycopg import Error as DatabaseError

from trustpack.platform.jobs.runner import JobRunner
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.unit_of_work import Pool, UnitOfWork

CONCURRENT_JOBS = 64
"""Jobs that one worker runs at a time, of all lanes."""
JOBS_PER_LANE = 4
"""Jobs of one lane that one worker runs at a time: a target that hangs must not hold up the reverts of the others.

A revert takes a tenth of a second, so that two at a time just keep up with a thousand ends a minute and never catch up; more than
four are more sessions on the target than four workers may have together.
"""
SCAN_LIMIT = 200
TICK_SECONDS = 60.0
"""How often a worker looks after what no job does, beginning when it starts."""

Tick = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Due:
    tenant_id: str
    id: str
    kind: str
    lane: str

    @property
    def lane_key(self) -> tuple[str, str]:
        return self.tenant_id, self.lane


class Worker:
    """Looks for due jobs of all tenants and runs them, a few of each lane at a time, until it is told to stop.

    `most_of_kind` limits kinds of which each subject has a lane: together they would fill every place. Theirs come after others.
    """

    def __init__(
        self,
        runner: JobRunner,
        *,
        system_pool: Pool,
        unit_of_work: UnitOfWork,
        poll_seconds: float,
        most_of_kind: Mapping[str, int] | None = None,
        tick: Tick | None = None,
    ) -> None:
        self._runner = runner
        self._system_pool = system_pool
        self._unit_of_work = unit_of_work
        self._poll_seconds = poll_seconds
        self._most_of_kind = most_of_kind or {}
        self._running: dict[str, _Due] = {}
        self._has_room_again = asyncio.Event()
        self._polled_at: float | None = None
        self._tick = tick
        self._ticked_at: float | None = None

    @property
    def poll_age_seconds(self) -> float | None:
        """The time since the last poll that succeeded (at first: since the start); None while the loop does not run."""
        return None if self._polled_at is None else monotonic_seconds() - self._polled_at

    @property
    def poll_seconds(self) -> float:
        return self._poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Take work up until `stop` is set; what runs then goes on. Survives whatever a poll raises and polls again."""
        self._polled_at = monotonic_seconds()
        try:
            while not stop.is_set():
                self._has_room_again.clear()
                try:
                    await self._start_due_jobs()
                    self._polled_at = monotonic_seconds()
                    await self._tick_if_due()
                except DatabaseError as error:
                    _log.warning("worker_waits_for_database", reason=type(error).__name__)
                except Exception:  # noqa: BLE001 - without this loop no access would end any more
                    _log.error("worker_poll_failed", exc_info=True)
                await self._pause(stop)
        finally:
            self._polled_at = None

    async def run_due(self) -> int:
        """Run what is due now to its end and return how many jobs that were; for commands and tests that do not loop."""
        count = 0
        while due := await self._due(per_lane=SCAN_LIMIT):
            claimed = [job for found in due if (job := await self._runner.claim(found.tenant_id, found.id)) is not None]
            await asyncio.gather(*(self._runner.run(job) for job in claimed))
            count += len(claimed)
            if not claimed:
                break
        return count

    async def _tick_if_due(self) -> None:
        if self._tick is None or (self._ticked_at is not None and monotonic_seconds() - self._ticked_at < TICK_SECONDS):
            return
        await self._tick()
        self._ticked_at = monotonic_seconds()

    async def _start_due_jobs(self) -> None:
        for found in await self._due(per_lane=JOBS_PER_LANE):
            if len(self._running) >= CONCURRENT_JOBS:
                return
            if found.id in self._running or not self._has_room_for(found):
                continue
            job = await self._runner.claim(found.tenant_id, found.id)
            if job is not None:
                self._running[job.id] = found
                self._runner.start(job).add_done_callback(partial(self._forget, job.id))

    def _has_room_for(self, due: _Due) -> bool:
        of_lane = sum(job.lane_key == due.lane_key for job in self._running.values())
        of_kind = sum(job.kind == due.kind for job in self._running.values())
        return of_lane < JOBS_PER_LANE and of_kind < self._most_of_kind.get(due.kind, CONCURRENT_JOBS)

    def _full_lanes(self) -> list[tuple[str, str]]:
        counts = Counter(job.lane_key for job in self._running.values())
        return [lane for lane, count in counts.items() if count >= JOBS_PER_LANE]

    def _full_kinds(self) -> list[str]:
        counts = Counter(job.kind for job in self._running.values())
        return [kind for kind, most in self._most_of_kind.items() if counts[kind] >= most]

    def _forget(self, job_id: str, _: asyncio.Task[None]) -> None:
        # After every job, also one of a lane that was not full: the last scan named only the first few of each lane.
        del self._running[job_id]
        self._has_room_again.set()

    async def _pause(self, stop: asyncio.Event) -> None:
        waiting = [asyncio.create_task(event.wait()) for event in (stop, self._has_room_again)]
        await asyncio.wait(waiting, timeout=self._poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _due(self, *, per_lane: int) -> list[_Due]:
        full = self._full_lanes()
        async with self._system_pool.connection() as connection:
            # The first of every lane come before the second of any, kinds that are limited after all others, and what is full is
            # left out: a long queue hides nobody.
            cursor = await connection.execute(
                "SELECT tenant_id, id, kind, lane FROM (SELECT tenant_id, id, kind, lane, due_at, row_number() OVER"
                " (PARTITION BY tenant_id, lane ORDER BY due_at, id) AS place FROM trustpack.jobs WHERE due_at <= %(now)s"
                " AND (locked_until IS NULL OR locked_until < clock_timestamp()) AND kind <> ALL (%(full_kinds)s)"
                " AND (tenant_id, lane) NOT IN"
                " (SELECT full_tenant, full_lane FROM unnest(%(tenants)s::text[], %(lanes)s::text[])"
                " AS filled (full_tenant, full_lane))) AS due WHERE place <= %(per_lane)s"
                " ORDER BY kind = ANY (%(limited_kinds)s), place, due_at LIMIT %(limit)s",
                {
                    "now": self._unit_of_work.clock.now(),
                    "tenants": [tenant_id for tenant_id, _ in full],
                    "lanes": [lane for _, lane in full],
                    "full_kinds": self._full_kinds(),
                    "limited_kinds": list(self._most_of_kind),
                    "per_lane": per_lane,
                    "limit": SCAN_LIMIT,
                },
            )
            return [_Due(**row) for row in await cursor.fetchall()]
