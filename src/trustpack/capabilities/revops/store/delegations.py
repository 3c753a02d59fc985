"""Delegations in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString

from trustpack.capabilities.revops.model import Delegation, DelegationStatus
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction

_SELECT: LiteralString = (
    "SELECT id, version, status, role, from_person, to_person, from_date, until_date, created_by, created_at, ended_at"
    " FROM trustpack.delegations"
)


@dataclass(frozen=True, slots=True)
class DelegationFilter:
    """What a list asks for: `is_active`, those neither ended nor over, or all others; `visible_to`, those of a person."""

    is_active: bool | None = None
    before_id: str | None = None
    limit: int = 50
    visible_to: str | None = None


async def insert_delegation(tx: Transaction, delegation: Delegation) -> None:
    """Store a new delegation."""
    await tx.write(
        "INSERT INTO trustpack.delegations (tenant_id, id, version, status, role, from_person, to_person, from_date, until_date,"
        " created_by, created_at, ended_at) VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(role)s, %(from)s, %(to)s,"
        " %(first)s, %(last)s, %(by)s, %(created)s, %(ended)s)",
        {
            "tenant": tx.tenant_id,
            "id": delegation.id,
            "version": delegation.version,
            "status": delegation.status.value,
            "role": delegation.role.value,
            "from": delegation.from_person,
            "to": delegation.to_person,
            "first": delegation.from_date,
            "last": delegation.until_date,
            "by": delegation.created_by,
            "created": delegation.created_at,
            "ended": delegation.ended_at,
        },
    )


async def update_delegation(tx: Transaction, delegation: Delegation) -> None:
    """Store a locked delegation's next version; what it lends, to whom and when never changes."""
    await tx.write(
        "UPDATE trustpack.delegations SET version = %(version)s, status = %(status)s, ended_at = %(ended)s"
        " WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {
            "tenant": tx.tenant_id,
            "id": delegation.id,
            "version": delegation.version,
            "status": delegation.status.value,
            "ended": delegation.ended_at,
        },
    )


async def find_delegation(tx: Transaction, delegation_id: str) -> Delegation | None:
    """Return a delegation, or None."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s", {"tenant": tx.tenant_id, "id": delegation_id}
    )
    return _delegation(row) if row is not None else None


async def lock_delegation(tx: Transaction, delegation_id: str) -> Delegation | None:
    """Return a delegation and hold its row until the transaction ends."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE", {"tenant": tx.tenant_id, "id": delegation_id}
    )
    return _delegation(row) if row is not None else None


async def delegations_by_id(tx: Transaction, delegation_ids: Sequence[str]) -> dict[str, Delegation]:
    """Return several delegations by id. Nothing is asked where none is wanted, as for nearly every quote."""
    if not delegation_ids:
        return {}
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)", {"tenant": tx.tenant_id, "ids": list(delegation_ids)}
    )
    return {row["id"]: _delegation(row) for row in rows}


async def list_delegations(tx: Transaction, wanted: DelegationFilter, *, today: date) -> tuple[Delegation, ...]:
    """Return one page, newest first."""
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s AND (%(before)s::text IS NULL OR id < %(before)s)"
        " AND (%(active)s::boolean IS NULL OR (status = 'active' AND until_date >= %(today)s) = %(active)s)"
        " AND (%(person)s::text IS NULL OR from_person = %(person)s OR to_person = %(person)s)"
        " ORDER BY id DESC LIMIT %(limit)s",
        {
            "tenant": tx.tenant_id,
            "before": wanted.before_id,
            "active": wanted.is_active,
            "today": today,
            "person": wanted.visible_to,
            "limit": wanted.limit,
        },
    )
    return tuple(_delegation(row) for row in rows)


async def count_active(tx: Transaction, *, from_person: str, today: date) -> int:
    """Return how many of a person's delegations are neither ended nor over; whoever else counts them waits."""
    key = {"tenant": tx.tenant_id, "person": from_person, "today": today}
    await tx.write("SELECT pg_advisory_xact_lock(hashtextextended('delegations:' || %(tenant)s || ':' || %(person)s, 0))", key)
    row = await tx.fetch_one(
        "SELECT count(*) AS count FROM trustpack.delegations WHERE tenant_id = %(tenant)s AND from_person = %(person)s"
        " AND status = 'active' AND until_date >= %(today)s",
        key,
    )
    return int(row["count"]) if row is not None else 0


async def dated_for(tx: Transaction, *, day: date) -> tuple[Delegation, ...]:
    """Return every delegation that covers a day and was not ended."""
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s AND status = 'active' AND until_date >= %(day)s AND from_date <= %(day)s",
        {"tenant": tx.tenant_id, "day": day},
    )
    return tuple(_delegation(row) for row in rows)


async def dated_for_share(tx: Transaction, *, to_person: str, day: date) -> tuple[Delegation, ...]:
    """Return the delegations to a person that cover a day, and keep them from being ended until the transaction ends."""
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s AND to_person = %(person)s AND status = 'active'"
        " AND until_date >= %(day)s AND from_date <= %(day)s ORDER BY id FOR SHARE",
        {"tenant": tx.tenant_id, "person": to_person, "day": day},
    )
    return tuple(_delegation(row) for row in rows)


def _delegation(row: dict[str, Any]) -> Delegation:
    return Delegation(**{**row, "status": DelegationStatus(row["status"]), "role": Role(row["role"])})
