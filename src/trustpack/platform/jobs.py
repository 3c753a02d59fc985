"""Work that must be done later, once, whatever happens to the process (ADR-0010).

A job is a row that names its subject and is its own timer. It is made in the transaction of the transition that asks for it,
found by a plain scan over all tenants, claimed by compare-and-set with a short lease that a live worker keeps renewing, and
deleted in the transaction that records its outcome. After `kill -9` the lease runs out and the next worker takes the job up,
so a handler must be idempotent. Lateness: at most one poll while a worker lives; lease plus one poll after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from psycopg import Error as DatabaseError

from trustpack.kernel.errors import TrustpackError
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics
from trustpack.platform.unit_of_work import Pool, Transaction, UnitOfWork

LEASE_SECONDS = 4.0
"""Short, because a crashed revert must be taken up within 5 s of our return; a live worker renews it every third of this."""
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0
CONCURRENT_JOBS = 8
"""Jobs that one worker runs at a time: one unreachable target must not hold up the reverts of the others."""
SCAN_LIMIT = 200

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed piece of work. `attempts` counts this one; `due_at` is when it was to be done."""

    tenant_id: str
    id: str
    kind: str
    subject_id: str
    due_at: datetime
    attempts: int


class RetryLater(TrustpackError):
    """The handler could not finish and wants to be called again; `code` in `data` says why, for people and metrics."""

    code = "jobs.retry_later"
    detail = "The work could not be finished yet and will be tried again."


Handler = Callable[[Job], Awaitable[None]]


async def schedule(tx: Transaction, *, kind: str, subject_id: str, due_at: datetime) -> None:
    """Ask for work on a subject at a time; an earlier request of the same kind is moved to the new time."""
    await tx.write(
        "INSERT INTO trustpack.jobs (tenant_id, id, kind, subject_id, due_at, created_at)"
        " VALUES (%(tenant)s, %(id)s, %(kind)s, %(subject)s, %(due)s, %(now)s)"
        " ON CONFLICT ON CONSTRAINT jobs_one_per_subject"
        " DO UPDATE SET due_at = excluded.due_at, attempts = 0, locked_until = NULL, last_error = NULL",
        {"tenant": tx.tenant_id, "id": tx.new_id("job"), "kind": kind, "subject": subject_id, "due": due_at, "now": tx.now},
    )


async def schedule_claimed(tx: Transaction, *, kind: str, subject_id: str) -> Job:
    """Ask for work now and claim it for the caller, who runs it as soon as the transaction has committed.

    If the caller dies in between, the lease runs out and a worker takes it up.
    """
    row = await tx.fetch_one(
        "INSERT INTO trustpack.jobs (tenant_id, id, kind, subject_id, due_at, created_at, attempts, locked_until)"
        " VALUES (%(tenant)s, %(id)s, %(kind)s, %(subject)s, %(now)s, %(now)s, 1, clock_timestamp() + %(lease)s)"
        " ON CONFLICT ON CONSTRAINT jobs_one_per_subject"
        " DO UPDATE SET due_at = excluded.due_at, attempts = 1, locked_until = excluded.locked_until, last_error = NULL"
        " RETURNING tenant_id, id, kind, subject_id, due_at, attempts",
        {
            "tenant": tx.tenant_id,
            "id": tx.new_id("job"),
            "kind": kind,
            "subject": subject_id,
            "now": tx.now,
            "lease": timedelta(seconds=LEASE_SECONDS),
        },
    )
    assert row is not None  # an upsert always returns its row
    return Job(**row)


async def cancel(tx: Transaction, *, kind: str, subject_id: str) -> None:
    """Take back a request for work, if there is one."""
    await tx.write(
        "DELETE FROM trustpack.jobs WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND subject_id = %(subject)s",
        {"tenant": tx.tenant_id, "kind": kind, "subject": subject_id},
    )


async def finish(tx: Transaction, job: Job) -> None:
    """Delete the job in the transaction that records its outcome."""
    await tx.write(
        "DELETE FROM trustpack.jobs WHERE tenant_id = %(tenant)s AND id = %(id)s", {"tenant": tx.tenant_id, "id": job.id}
    )


def backoff_seconds(attempts: int) -> float:
    """Return the pause after the given number of attempts: doubling from half a second, at most a minute, for ever."""
    return float(min(FIRST_BACKOFF_SECONDS * 2 ** min(attempts - 1, 20), LONGEST_BACKOFF_SECONDS))


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

    async def run(self, job: Job) -> None:
        """Run one claimed job to its end, keeping its lease alive; a failure puts it off with a growing pause.

        Raises nothing but cancellation: what went wrong is logged, counted and kept with the job.
        """
        started = monotonic_seconds()
        lease = asyncio.create_task(self._keep_lease(job))
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
            row = await tx.fetch_one(
                "UPDATE trustpack.jobs SET attempts = attempts + 1, locked_until = clock_timestamp() + %(lease)s"
                " WHERE tenant_id = %(tenant)s AND id = %(id)s AND due_at <= %(now)s"
                " AND (locked_until IS NULL OR locked_until < clock_timestamp())"
                " RETURNING tenant_id, id, kind, subject_id, due_at, attempts",
                {"tenant": tenant_id, "id": job_id, "now": tx.now, "lease": timedelta(seconds=LEASE_SECONDS)},
            )
        return Job(**row) if row is not None else None

    async def _put_off(self, job: Job, error: str) -> None:
        async with self._unit_of_work.transaction(job.tenant_id) as tx:
            await tx.write(
                "UPDATE trustpack.jobs SET due_at = %(due)s, locked_until = NULL, last_error = %(error)s"
                " WHERE tenant_id = %(tenant)s AND id = %(id)s AND attempts = %(attempts)s",
                {
                    "tenant": job.tenant_id,
                    "id": job.id,
                    "due": tx.now + timedelta(seconds=backoff_seconds(job.attempts)),
                    "error": error,
                    "attempts": job.attempts,
                },
            )

    async def _keep_lease(self, job: Job) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(DatabaseError):  # a lease that cannot be renewed runs out, which is what it is for
                async with self._unit_of_work.transaction(job.tenant_id) as tx:
                    await tx.write(
                        "UPDATE trustpack.jobs SET locked_until = clock_timestamp() + %(lease)s"
                        " WHERE tenant_id = %(tenant)s AND id = %(id)s AND attempts = %(attempts)s",
                        {
                            "tenant": job.tenant_id,
                            "id": job.id,
                            "lease": timedelta(seconds=LEASE_SECONDS),
                            "attempts": job.attempts,
                        },
                    )


class Worker:
    """Looks for due jobs of all tenants and runs them, a few at a time, until it is told to stop."""

    def __init__(self, runner: JobRunner, *, system_pool: Pool, unit_of_work: UnitOfWork, poll_seconds: float) -> None:
        self._runner = runner
        self._system_pool = system_pool
        self._unit_of_work = unit_of_work
        self._poll_seconds = poll_seconds
        self._running: set[str] = set()
        self._kinds = runner.kinds

    async def run(self, stop: asyncio.Event) -> None:
        """Take work up until `stop` is set; what runs then goes on. A database that is away is waited for."""
        while not stop.is_set():
            try:
                await self._start_due_jobs()
            except DatabaseError as error:
                _log.warning("worker_waits_for_database", reason=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=self._poll_seconds)

    async def run_due(self) -> int:
        """Run what is due now to its end and return how many jobs that were; for commands and tests that do not loop."""
        count = 0
        while due := await self._due():
            claimed = [job for tenant_id, job_id in due if (job := await self._runner.claim(tenant_id, job_id)) is not None]
            await asyncio.gather(*(self._runner.run(job) for job in claimed))
            count += len(claimed)
            if not claimed:
                break
        return count

    async def _start_due_jobs(self) -> None:
        for tenant_id, job_id in await self._due():
            if len(self._running) >= CONCURRENT_JOBS:
                return
            if job_id in self._running:
                continue
            job = await self._runner.claim(tenant_id, job_id)
            if job is not None:
                self._running.add(job_id)
                self._runner.start(job).add_done_callback(partial(self._forget, job_id))

    def _forget(self, job_id: str, _: asyncio.Task[None]) -> None:
        self._running.discard(job_id)

    async def _due(self) -> list[tuple[str, str]]:
        now = self._unit_of_work.clock.now()
        async with self._system_pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT tenant_id, id, due_at FROM trustpack.jobs WHERE due_at <= %(now)s"
                " AND (locked_until IS NULL OR locked_until < clock_timestamp()) ORDER BY due_at LIMIT %(limit)s",
                {"now": now, "limit": SCAN_LIMIT},
            )
            rows = await cursor.fetchall()
            retrying = await connection.execute(
                "SELECT kind, count(*) AS count FROM trustpack.jobs WHERE attempts > 1 GROUP BY kind"
            )
            for kind in self._kinds:
                metrics.JOBS_RETRYING.labels(kind=kind).set(0)
            for row in await retrying.fetchall():
                metrics.JOBS_RETRYING.labels(kind=row["kind"]).set(row["count"])
        metrics.JOBS_DUE.set(len(rows))
        metrics.JOBS_OLDEST_DUE_SECONDS.set((now - rows[0]["due_at"]).total_seconds() if rows else 0)
        return [(row["tenant_id"], row["id"]) for row in rows]
