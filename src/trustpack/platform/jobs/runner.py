"""Run claimed jobs through their handlers, keeping their leases alive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog
from psycopg import Error as DatabaseError

from trustpack.kernel.errors import TrustpackError
from trustpack.platform.jobs import queue
from trustpack.platform.jobs.queue import LEASE_SECONDS, Job
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics
from trustpack.platform.unit_of_work import UnitOfWork

_log = structlog.get_logger(__name__)

Handler = Callable[[Job], Awaitable[None]]


class JobRunner:
    """Runs claimed jobs through their handlers; shared by the worker's loop and by requests that do not want to wait for it."""

    def __init__(self, unit_of_work: UnitOfWork, handlers: Mapping[str, Handler]) -> None:
        self._unit_of_work = unit_of_work
        self._handlers = handlers
        self._running: set[asyncio.Task[None]] = set()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of job that this process can do."""
        return tuple(self._handlers)

    def start(self, job: Job) -> asyncio.Task[None]:
        """Run one claimed job in the background; it goes on when whoever waits for it gives up."""
        task = asyncio.create_task(self.run(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def drain(self, *, grace_seconds: float) -> None:
        """Let the running jobs finish for a while, then cancel them: their leases run out and somebody takes them up."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def run(self, job: Job) -> None:
        """Run one claimed job to its end, keeping its lease alive; a failure puts it off with a growing pause.

        Raises nothing but cancellation: what went wrong is logged, counted and kept with the job.
        """
        started = monotonic_seconds()
        lease = asyncio.create_task(self._keep_lease(job))
        held = queue.held_lease.set(job.lease_id)
        outcome = "cancelled"
        try:
            await self._handlers[job.kind](job)
            outcome = "done"
        except Exception as error:  # noqa: BLE001 - the loop must outlive any handler's bug; the job stays and is retried
            outcome = str(error.data.get("code", error.code)) if isinstance(error, TrustpackError) else type(error).__name__
            with suppress(DatabaseError):  # with the store away the lease runs out, and the job is taken up after that
                await self._put_off(job, outcome)
            _log.warning(
                "job_failed", job_kind=job.kind, subject_id=job.subject_id, exc_info=not isinstance(error, TrustpackError)
            )
        finally:
            queue.held_lease.reset(held)
            lease.cancel()
            duration = monotonic_seconds() - started
            metrics.JOB_DURATION.labels(kind=job.kind, outcome="done" if outcome == "done" else "failed").observe(duration)
            _log.info(
                "job",
                tenant_id=job.tenant_id,
                job_kind=job.kind,
                subject_id=job.subject_id,
                attempts=job.attempts,
                outcome=outcome,
                late_ms=round((self._unit_of_work.clock.now() - job.due_at).total_seconds() * 1000),
                duration_ms=round(duration * 1000, 1),
            )

    async def claim(self, tenant_id: str, job_id: str) -> Job | None:
        """Claim a due job for this process, or return None if somebody else was faster."""
        async with self._unit_of_work.transaction(tenant_id) as tx:
            return await queue.claim(tx, job_id)

    async def _put_off(self, job: Job, error: str) -> None:
        async with self._unit_of_work.transaction(job.tenant_id) as tx:
            await queue.put_off(tx, job, error=error)

    async def _keep_lease(self, job: Job) -> None:
        is_held = True
        while is_held:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(DatabaseError):  # a lease that cannot be renewed runs out, which is what it is for
                async with self._unit_of_work.transaction(job.tenant_id) as tx:
                    is_held = await queue.renew(tx, job)
