"""The statements on `trustpack.jobs`: ask for work, claim it, keep it, put it off, finish it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from trustpack.kernel.errors import TrustpackError
from trustpack.platform.unit_of_work import Transaction

LEASE_SECONDS = 4.0
"""Short, because a crashed revert must be taken up within 5 s of our return; a live worker renews it every third of this."""
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0

held_lease: ContextVar[str] = ContextVar("held_lease", default="")
"""The lease under which the current handler runs; empty outside of handlers."""


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed piece of work. `attempts` counts this one; `due_at` is when it was to be done; `lease_id` is this claim's."""

    tenant_id: str
    id: str
    kind: str
    subject_id: str
    due_at: datetime
    attempts: int
    lease_id: str


class RetryLater(TrustpackError):
    """The handler could not finish and wants to be called again; `code` in `data` says why, for people and metrics."""

    code = "jobs.retry_later"
    detail = "The work could not be finished yet and will be tried again."


async def schedule(tx: Transaction, *, kind: str, subject_id: str, due_at: datetime, lane: str | None = None) -> None:
    """Ask for work on a subject at a time; an earlier request of the same kind is moved to the new time and starts afresh.

    A handler that schedules its own job gives its lease back with that. A lease that somebody else holds stays theirs: they run
    on, and unless their work already covers the new time, the job is still there for it when they have finished. Jobs of one
    `lane` (of a tenant; default: the kind) wait for each other and for nobody else.
    """
    await tx.write(
        "INSERT INTO trustpack.jobs AS job (tenant_id, id, kind, lane, subject_id, due_at, created_at)"
        " VALUES (%(tenant)s, %(id)s, %(kind)s, %(lane)s, %(subject)s, %(due)s, %(now)s)"
        " ON CONFLICT ON CONSTRAINT jobs_one_per_subject DO UPDATE SET due_at = excluded.due_at, lane = excluded.lane,"
        " (attempts, last_error, locked_until, lease_id) = (SELECT leased.attempts, leased.last_error, leased.locked_until,"
        " leased.lease_id FROM (VALUES (job.attempts, job.last_error, job.locked_until, job.lease_id, true),"
        " (0, NULL, NULL, NULL, false)) AS leased (attempts, last_error, locked_until, lease_id, is_foreign)"
        " WHERE leased.is_foreign = coalesce(job.locked_until > clock_timestamp() AND job.lease_id <> %(held)s, false))",
        {
            "tenant": tx.tenant_id,
            "id": tx.new_id("job"),
            "kind": kind,
            "lane": lane or kind,
            "subject": subject_id,
            "due": due_at,
            "now": tx.now,
            "held": held_lease.get(),
        },
    )


async def schedule_claimed(tx: Transaction, *, kind: str, subject_id: str, lane: str | None = None) -> Job | None:
    """Ask for work now and claim it for the caller, who runs it as soon as the transaction has committed.

    Returns None when somebody else holds a live lease: the work is under way and the caller has nothing to run. Attempts go on
    counting. If the caller dies before it runs the job, the lease runs out and a worker takes it up.
    """
    lease_id = tx.new_id("lease")
    row = await tx.fetch_one(
        "INSERT INTO trustpack.jobs AS job"
        " (tenant_id, id, kind, lane, subject_id, due_at, created_at, attempts, locked_until, lease_id)"
        " VALUES (%(tenant)s, %(id)s, %(kind)s, %(lane)s, %(subject)s, %(now)s, %(now)s, 1, clock_timestamp() + %(lease)s,"
        " %(lease_id)s) ON CONFLICT ON CONSTRAINT jobs_one_per_subject"
        " DO UPDATE SET due_at = least(job.due_at, excluded.due_at), (attempts, locked_until, lease_id) ="
        " (SELECT next.attempts, next.locked_until, next.lease_id FROM"
        " (VALUES (job.attempts, job.locked_until, job.lease_id, true),"
        " (job.attempts + 1, excluded.locked_until, excluded.lease_id, false))"
        " AS next (attempts, locked_until, lease_id, is_held)"
        " WHERE next.is_held = coalesce(job.locked_until > clock_timestamp(), false))"
        " RETURNING tenant_id, id, kind, subject_id, due_at, attempts, lease_id",
        {
            "tenant": tx.tenant_id,
            "id": tx.new_id("job"),
            "kind": kind,
            "lane": lane or kind,
            "subject": subject_id,
            "now": tx.now,
            "lease": timedelta(seconds=LEASE_SECONDS),
            "lease_id": lease_id,
        },
    )
    assert row is not None  # an upsert always returns its row
    return Job(**row) if row["lease_id"] == lease_id else None


async def claim(tx: Transaction, job_id: str) -> Job | None:
    """Claim a due job, or return None if it is not due or somebody else was faster."""
    row = await tx.fetch_one(
        "UPDATE trustpack.jobs SET attempts = attempts + 1, locked_until = clock_timestamp() + %(lease)s, lease_id = %(lease_id)s"
        " WHERE tenant_id = %(tenant)s AND id = %(id)s AND due_at <= %(now)s"
        " AND (locked_until IS NULL OR locked_until < clock_timestamp())"
        " RETURNING tenant_id, id, kind, subject_id, due_at, attempts, lease_id",
        {
            "tenant": tx.tenant_id,
            "id": job_id,
            "now": tx.now,
            "lease": timedelta(seconds=LEASE_SECONDS),
            "lease_id": tx.new_id("lease"),
        },
    )
    return Job(**row) if row is not None else None


async def cancel(tx: Transaction, *, kind: str, subject_id: str) -> None:
    """Take back a request for work, if there is one; a handler that is under way finds its lease lost."""
    await tx.write(
        "DELETE FROM trustpack.jobs WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND subject_id = %(subject)s",
        {"tenant": tx.tenant_id, "kind": kind, "subject": subject_id},
    )


async def finish(tx: Transaction, job: Job) -> None:
    """Delete the job in the transaction that records its outcome.

    It stays if the lease was lost, because then it is the next holder's, or if somebody asked meanwhile for a later time: then
    it runs again at that time.
    """
    await tx.write(
        "DELETE FROM trustpack.jobs WHERE tenant_id = %(tenant)s AND id = %(id)s AND lease_id = %(lease_id)s"
        " AND due_at <= %(claimed_for)s",
        {"tenant": tx.tenant_id, "id": job.id, "lease_id": job.lease_id, "claimed_for": job.due_at},
    )


async def renew(tx: Transaction, job: Job) -> bool:
    """Extend the lease; return whether it is still held."""
    row = await tx.fetch_one(
        "UPDATE trustpack.jobs SET locked_until = clock_timestamp() + %(lease)s"
        " WHERE tenant_id = %(tenant)s AND id = %(id)s AND lease_id = %(lease_id)s RETURNING id",
        {
            "tenant": tx.tenant_id,
            "id": job.id,
            "lease": timedelta(seconds=LEASE_SECONDS),
            "lease_id": job.lease_id,
        },
    )
    return row is not None


async def put_off(tx: Transaction, job: Job, *, error: str) -> None:
    """Give the lease back and try again after a pause, or at the later time that somebody asked for meanwhile."""
    await tx.write(
        "UPDATE trustpack.jobs SET due_at = greatest(due_at, %(due)s), locked_until = NULL, lease_id = NULL,"
        " last_error = %(error)s WHERE tenant_id = %(tenant)s AND id = %(id)s AND lease_id = %(lease_id)s",
        {
            "tenant": tx.tenant_id,
            "id": job.id,
            "due": tx.now + timedelta(seconds=backoff_seconds(job.attempts)),
            "error": error,
            "lease_id": job.lease_id,
        },
    )


def backoff_seconds(attempts: int) -> float:
    """Return the pause after the given number of attempts: doubling from half a second, at most a minute, for ever."""
    return float(min(FIRST_BACKOFF_SECONDS * 2 ** min(attempts - 1, 20), LONGEST_BACKOFF_SECONDS))
