"""What the reconciler reads and keeps: live grants of a target, grants of any tenant by role name, the last comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from trustpack.capabilities.operations.model import GrantStatus
from trustpack.capabilities.operations.model.drift import KnownGrant
from trustpack.platform.unit_of_work import Pool, Transaction


@dataclass(frozen=True, slots=True)
class Told:
    """Keys of what the last comparison found, and of what it could not repair; each was told by a receipt."""

    findings: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TargetDrift:
    """What is known about the targets of one name over all tenants: the oldest success and the findings by code."""

    target_name: str
    succeeded_at: datetime | None
    findings: Mapping[str, int]


async def live_grants(tx: Transaction, target_id: str, *, execute_job: str, revert_job: str) -> dict[str, KnownGrant]:
    """Return the grants on a target that have not ended, by role name, and which of them have lost their timer."""
    rows = await tx.fetch_all(
        "SELECT g.role_name, g.tenant_id, g.request_id, g.status, g.ended_at, g.target_system, g.target_expires_at, r.scope,"
        " (convert_from(r.effect, 'UTF8')::json ->> 'connection_limit')::integer AS connection_limit, j.id IS NULL AS lost_timer"
        " FROM trustpack.high_risk_requests r JOIN trustpack.grants g ON g.tenant_id = r.tenant_id"
        " AND g.request_id = r.id LEFT JOIN trustpack.jobs j ON j.tenant_id = r.tenant_id AND j.subject_id = r.id"
        " AND j.kind = CASE g.status WHEN 'ordered' THEN %(execute)s ELSE %(revert)s END"
        " WHERE r.tenant_id = %(tenant)s AND r.status IN ('executing', 'active', 'reverting', 'revert_failed')"
        " AND r.target_id = %(target)s AND g.status IN ('ordered', 'active', 'reverting', 'revert_failed') ORDER BY g.request_id",
        {"tenant": tx.tenant_id, "target": target_id, "execute": execute_job, "revert": revert_job},
    )
    return {row["role_name"]: KnownGrant(**{**row, "status": GrantStatus(row["status"])}) for row in rows}


async def has_timer(tx: Transaction, request_id: str, *, kind: str) -> bool:
    """Say whether work of a kind is scheduled for a request."""
    row = await tx.fetch_one(
        "SELECT 1 FROM trustpack.jobs WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND subject_id = %(subject)s",
        {"tenant": tx.tenant_id, "kind": kind, "subject": request_id},
    )
    return row is not None


async def grants_of_any_tenant(system_pool: Pool, role_names: Collection[str], *, system: str) -> dict[str, KnownGrant]:
    """Return whose grants these roles, found on a system, are, of whichever tenant, as the system role may read them.

    Only a tenant whose target is registered with the same system looks after them there.
    """
    if not role_names:
        return {}
    async with system_pool.connection() as connection:
        # Tenant by tenant, so that the unique key (tenant_id, role_name) serves.
        cursor = await connection.execute(
            "SELECT g.role_name, g.tenant_id, g.request_id, g.status, g.ended_at, t.identity_system = %(system)s"
            " AND (t.status = 'active' OR g.ended_at IS NULL) AS is_watched FROM trustpack.tenants AS w"
            " JOIN trustpack.grants AS g ON g.tenant_id = w.tenant_id AND g.role_name = ANY(%(names)s)"
            " JOIN trustpack.high_risk_requests AS r ON r.tenant_id = g.tenant_id AND r.id = g.request_id"
            " JOIN trustpack.targets AS t ON t.tenant_id = r.tenant_id AND t.id = r.target_id",
            {"names": sorted(role_names), "system": system},
        )
        rows = await cursor.fetchall()
    return {row["role_name"]: KnownGrant(**{**row, "status": GrantStatus(row["status"])}) for row in rows}


async def targets_to_watch(system_pool: Pool, *, kind: str, only_without_job: bool) -> Sequence[tuple[str, str]]:
    """Return tenant and id of each target that is active or still holds a grant; those that no job looks after, or all."""
    async with system_pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT t.tenant_id, t.id FROM trustpack.targets AS t WHERE (t.status = 'active' OR EXISTS (SELECT 1 FROM"
            " trustpack.high_risk_requests AS r JOIN trustpack.grants AS g ON g.tenant_id = r.tenant_id AND g.request_id = r.id"
            " WHERE r.tenant_id = t.tenant_id AND r.target_id = t.id AND g.ended_at IS NULL))"
            " AND NOT (%(missing)s AND EXISTS (SELECT 1 FROM trustpack.jobs AS j WHERE j.tenant_id = t.tenant_id"
            " AND j.kind = %(kind)s AND j.lane = 'reconcile:' || t.id)) ORDER BY t.tenant_id, t.id",
            {"kind": kind, "missing": only_without_job},
        )
        return [(row["tenant_id"], row["id"]) for row in await cursor.fetchall()]


async def told(tx: Transaction, target_id: str) -> Told:
    """Return what was told about a target, holding its row until the transaction ends."""
    row = await tx.fetch_one(
        "SELECT findings, blocked FROM trustpack.reconciliations WHERE tenant_id = %(tenant)s AND target_id = %(target)s"
        " FOR UPDATE",
        {"tenant": tx.tenant_id, "target": target_id},
    )
    return Told() if row is None else Told(frozenset(row["findings"]), frozenset(row["blocked"]))


async def keep(tx: Transaction, target_id: str, *, target_name: str, now: Told, error: str | None = None) -> None:
    """Store what stands after an attempt to compare; without `error` it succeeded."""
    values: dict[str, Any] = {
        "tenant": tx.tenant_id,
        "target": target_id,
        "name": target_name,
        "now": tx.now,
        "succeeded": tx.now if error is None else None,
        "error": error,
        "findings": sorted(now.findings),
        "blocked": sorted(now.blocked),
    }
    await tx.write(
        "INSERT INTO trustpack.reconciliations AS kept (tenant_id, target_id, target_name, attempted_at, succeeded_at, error,"
        " findings, blocked) VALUES (%(tenant)s, %(target)s, %(name)s, %(now)s, %(succeeded)s, %(error)s, %(findings)s,"
        " %(blocked)s)"
        " ON CONFLICT ON CONSTRAINT reconciliations_pkey DO UPDATE SET target_name = excluded.target_name,"
        " attempted_at = excluded.attempted_at, succeeded_at = coalesce(excluded.succeeded_at, kept.succeeded_at),"
        " error = excluded.error, findings = excluded.findings, blocked = excluded.blocked",
        values,
    )


async def drift_of_targets(system_pool: Pool) -> Sequence[TargetDrift]:
    """Return what was found at the last comparison of each target, over all tenants."""
    async with system_pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT kept.target_name, kept.succeeded_at, kept.findings FROM trustpack.reconciliations AS kept"
            " JOIN trustpack.targets AS t ON t.tenant_id = kept.tenant_id AND t.id = kept.target_id"
            " WHERE t.status = 'active' OR cardinality(kept.findings) > 0 ORDER BY kept.target_name"
        )
        rows = await cursor.fetchall()
    return [_of_name(name, list(same)) for name, same in groupby(rows, key=itemgetter("target_name"))]


def _of_name(target_name: str, rows: Sequence[Mapping[str, Any]]) -> TargetDrift:
    times = [row["succeeded_at"] for row in rows]
    codes = Counter(key.partition(" ")[0] for row in rows for key in row["findings"])
    return TargetDrift(target_name, None if None in times else min(times), codes)
