"""Measure the work that waits, of all tenants, whoever does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trustpack.platform.unit_of_work import Pool


@dataclass(frozen=True, slots=True)
class Backlog:
    """Jobs that are due and not claimed, the lateness of the oldest, and how many jobs of each kind failed and are retried."""

    due: int
    oldest_due_seconds: float
    retrying: Mapping[str, int]


async def read_backlog(system_pool: Pool, *, now: datetime) -> Backlog:
    """Return what waits at `now`, read as the system role."""
    async with system_pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT kind, count(*) FILTER (WHERE last_error IS NOT NULL) AS retrying, count(*) FILTER (WHERE is_due) AS due,"
            " min(due_at) FILTER (WHERE is_due) AS oldest FROM (SELECT kind, last_error, due_at, due_at <= %(now)s"
            " AND (locked_until IS NULL OR locked_until < clock_timestamp()) AS is_due FROM trustpack.jobs) AS job GROUP BY kind",
            {"now": now},
        )
        rows = await cursor.fetchall()
    oldest = min((row["oldest"] for row in rows if row["oldest"] is not None), default=now)
    return Backlog(
        due=sum(row["due"] for row in rows),
        oldest_due_seconds=(now - oldest).total_seconds(),
        retrying={row["kind"]: row["retrying"] for row in rows},
    )
