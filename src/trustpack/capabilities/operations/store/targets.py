"""Targets in PostgreSQL."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, LiteralString

from trustpack.capabilities.operations.model import Target, TargetDefinition, TargetIdentity
from trustpack.capabilities.operations.rules.target_definition import definition_document, read_definition
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.proof.canonical import canonical_bytes

_SELECT: LiteralString = (
    "SELECT id, version, status, definition, identity_digest, identity_system, identity_facts FROM trustpack.targets"
)


async def insert_target(tx: Transaction, target: Target) -> None:
    """Store a new target."""
    await tx.write(
        "INSERT INTO trustpack.targets (tenant_id, id, version, status, name, definition, identity_digest, identity_system,"
        " identity_facts, created_at) VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(name)s, %(definition)s,"
        " %(identity)s, %(system)s, %(facts)s, %(now)s)",
        {**_values(tx, target), "name": target.definition.name, "now": tx.now},
    )


async def update_target(tx: Transaction, target: Target) -> None:
    """Store a locked target's next version."""
    await tx.write(
        "UPDATE trustpack.targets SET version = %(version)s, status = %(status)s, definition = %(definition)s,"
        " identity_digest = %(identity)s, identity_system = %(system)s, identity_facts = %(facts)s"
        " WHERE tenant_id = %(tenant)s AND id = %(id)s",
        _values(tx, target),
    )


async def active_target(unit_of_work: UnitOfWork, *, tenant_id: str, name: str) -> Target | None:
    """Return an active target by name, outside any transaction, or None."""
    row = await unit_of_work.call(
        "SELECT id, version, status, definition, identity_digest, identity_system, identity_facts"
        " FROM trustpack.active_target(%(tenant)s, %(name)s)",
        {"tenant": tenant_id, "name": name},
    )
    return _target(row) if row is not None else None


async def target_by_id(tx: Transaction, target_id: str) -> Target:
    """Return a target that a stored request names, whatever its status."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {"tenant": tx.tenant_id, "id": target_id},
    )
    assert row is not None  # a foreign key holds it
    return _target(row)


async def lock_target(tx: Transaction, name: str) -> Target | None:
    """Return a target by name, whatever its status, and hold its row until the transaction ends."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND name = %(name)s FOR UPDATE",
        {"tenant": tx.tenant_id, "name": name},
    )
    return _target(row) if row is not None else None


async def lock_target_by_id(tx: Transaction, target_id: str) -> Target:
    """Return a target that a stored row names and hold its row until the transaction ends."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
        {"tenant": tx.tenant_id, "id": target_id},
    )
    assert row is not None  # a foreign key holds it
    return _target(row)


async def targets(tx: Transaction) -> tuple[Target, ...]:
    """Return the tenant's active targets by name."""
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s AND status = 'active' ORDER BY name",
        {"tenant": tx.tenant_id},
    )
    return tuple(_target(row) for row in rows)


async def names_of_targets(tx: Transaction, *, holding: str, limit: int) -> tuple[str, ...]:
    """Return the names, also of targets that were removed, that hold a text, whatever the case of its letters."""
    rows = await tx.fetch_all(
        "SELECT name FROM trustpack.targets WHERE tenant_id = %(tenant)s AND strpos(lower(name), lower(%(text)s)) > 0"
        " ORDER BY name LIMIT %(limit)s",
        {"tenant": tx.tenant_id, "text": holding, "limit": limit},
    )
    return tuple(row["name"] for row in rows)


@lru_cache(maxsize=256)
def _definition(encoded: bytes) -> TargetDefinition:
    return read_definition(json.loads(encoded))


def _target(row: dict[str, Any]) -> Target:
    return Target(
        id=row["id"],
        version=row["version"],
        status=row["status"],
        definition=_definition(bytes(row["definition"])),
        identity=TargetIdentity(
            digest=row["identity_digest"], system=row["identity_system"], facts=json.loads(row["identity_facts"])
        ),
    )


def _values(tx: Transaction, target: Target) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": target.id,
        "version": target.version,
        "status": target.status,
        "definition": canonical_bytes(definition_document(target.definition)),
        "identity": target.identity.digest,
        "system": target.identity.system,
        "facts": canonical_bytes(target.identity.facts),
    }
