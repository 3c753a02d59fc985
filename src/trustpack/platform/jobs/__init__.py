"""Work that must be done later, once, whatever happens to the process (ADR-0010).

A job is a row that names its subject and is its own timer. It is made in the transaction of the transition that asks for it,
found by a plain scan over all tenants, claimed by compare-and-set with a short lease that a live worker keeps renewing, and
deleted in the transaction that records its outcome. Each claim draws a fresh `lease_id`, and whatever a holder does to its job
names it: a holder that lost its lease changes nothing any more. After `kill -9` the lease runs out and the next worker takes
the job up, so a handler must be idempotent. Lateness: at most one poll while a worker lives; lease plus one poll after a crash.
"""

from trustpack.platform.jobs.backlog import Backlog, read_backlog
from trustpack.platform.jobs.queue import (
    FIRST_BACKOFF_SECONDS,
    LEASE_SECONDS,
    LONGEST_BACKOFF_SECONDS,
    Job,
    RetryLater,
    backoff_seconds,
    cancel,
    finish,
    schedule,
    schedule_claimed,
)
from trustpack.platform.jobs.runner import Handler, JobRunner
from trustpack.platform.jobs.worker import CONCURRENT_JOBS, JOBS_PER_LANE, Worker

__all__ = [
    "CONCURRENT_JOBS",
    "FIRST_BACKOFF_SECONDS",
    "JOBS_PER_LANE",
    "LEASE_SECONDS",
    "LONGEST_BACKOFF_SECONDS",
    "Backlog",
    "Handler",
    "Job",
    "JobRunner",
    "RetryLater",
    "Worker",
    "backoff_seconds",
    "cancel",
    "finish",
    "read_backlog",
    "schedule",
    "schedule_claimed",
]
