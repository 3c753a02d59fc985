"""What lies in the store behind the API: rows of one tenant, its due work, and a search through every table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from tests.support.world import World
from trustpack.capabilities.operations.service.context import EXECUTE_JOB, EXPIRE_JOB, REVERT_JOB
from trustpack.platform.database import store_logins
from trustpack.proof.receipt_chain import check_chain

KINDS = (EXECUTE_JOB, EXPIRE_JOB, REVERT_JOB)
FLOW_TABLES = (
    "high_risk_requests", "policy_decisions", "receipts", "disclosures", "usage_events", "approvals", "executions", "grants",
)  # fmt: skip


async def rows(world: World, query: str, **parameters: Any) -> Sequence[Mapping[str, Any]]:
    """Return what a query finds in the world's tenant, as the application sees it."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return await tx.fetch_all(query, parameters)


async def counts(world: World, *tables: str) -> dict[str, int]:
    """Return the number of the tenant's rows in each table, by default of all that the flow writes, with its jobs."""
    found = {}
    for table in tables or FLOW_TABLES:
        [counted] = await rows(world, f"SELECT count(*) AS number FROM trustpack.{table}")
        found[table] = counted["number"]
    return found if tables else {**found, "jobs": len(await jobs_of(world))}


async def jobs_of(world: World) -> Sequence[Mapping[str, Any]]:
    """Return the work that the flow has asked for."""
    return await rows(world, "SELECT * FROM trustpack.jobs WHERE kind = ANY(%(kinds)s) ORDER BY due_at", kinds=list(KINDS))


async def decisions_about(world: World, request_id: str) -> Sequence[Mapping[str, Any]]:
    """Return the stored decisions about a request, oldest first."""
    return await rows(
        world,
        "SELECT * FROM trustpack.policy_decisions WHERE subject_id = %(subject)s ORDER BY decided_at, id",
        subject=request_id,
    )


async def usage_about(world: World, request_id: str) -> list[str]:
    """Return the types of the usage events that name a request or a decision about it, sorted."""
    decisions = [row["id"] for row in await decisions_about(world, request_id)]
    events = await rows(
        world,
        "SELECT type FROM trustpack.usage_events WHERE metadata ->> 'subject_id' = %(subject)s"
        " OR metadata ->> 'decision_id' = ANY(%(decisions)s)",
        subject=request_id,
        decisions=decisions,
    )
    return sorted(event["type"] for event in events)


async def run_due(world: World, *, kinds: tuple[str, ...] = KINDS) -> int:
    """Do what the flow has to do now for this tenant, through the worker's own claim and runner; targets are not compared."""
    runner, done = world.container.runner, 0
    while True:
        due = await rows(
            world,
            "SELECT id FROM trustpack.jobs WHERE kind = ANY(%(kinds)s) AND due_at <= %(now)s"
            " AND (locked_until IS NULL OR locked_until < clock_timestamp())",
            kinds=list(kinds),
            now=world.clock.now(),
        )
        claimed = [job for row in due if (job := await runner.claim(world.tenant_id, row["id"])) is not None]
        await asyncio.gather(*(runner.run(job) for job in claimed))
        done += len(claimed)
        if not claimed:
            return done


async def end_leases(world: World) -> None:
    """Let every lease of the tenant's jobs be over, as it is some seconds after a crash."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await tx.write("UPDATE trustpack.jobs SET locked_until = clock_timestamp() - interval '1 second'", {})


async def chain_faults(world: World, subject_id: str, *, table: str = "high_risk_requests") -> Sequence[object]:
    """Return every fault of a subject's stored receipts, gaps and a version that differs from their number included."""
    bodies = await rows(
        world, "SELECT body FROM trustpack.receipts WHERE subject_id = %(subject)s ORDER BY seq", subject=subject_id
    )
    [subject] = await rows(world, f"SELECT version FROM trustpack.{table} WHERE id = %(id)s", id=subject_id)
    return check_chain([row["body"] for row in bodies], subject_id=subject_id, expected_count=subject["version"])


def tables_holding(world: World, text: str) -> list[str]:
    """Return the tables of the store in which a text occurs in any column of any tenant's row, as text or as bytes."""
    owner = store_logins(world.container.settings).owner
    assert owner is not None
    found = []
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("SET trustpack.tenant = {}").format(sql.Literal(world.tenant_id)))
        names = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in names:
            query = sql.SQL("SELECT count(*) FROM {} AS whole WHERE whole::text LIKE ANY(%s)").format(
                sql.Identifier(schema, table)
            )
            held = connection.execute(query, ([f"%{text}%", f"%{text.encode().hex()}%"],)).fetchone()
            if held is not None and held[0]:
                found.append(f"{schema}.{table}")
    return found
