"""Receipts, disclosures and the outbox in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from trustpack.capabilities.ledger.model import Receipt, Transition
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.changes import Change, Changes
from trustpack.platform.unit_of_work import Pool, Transaction
from trustpack.proof.canonical import canonical_bytes
from trustpack.proof.commitments import Disclosure


async def head_digest(tx: Transaction, *, subject_id: str, seq: int) -> str | None:
    """Return the digest of one receipt of a subject, or None."""
    row = await tx.fetch_one(
        "SELECT digest FROM trustpack.receipts WHERE tenant_id = %(tenant)s AND subject_id = %(subject)s AND seq = %(seq)s",
        {"tenant": tx.tenant_id, "subject": subject_id, "seq": seq},
    )
    return row["digest"] if row is not None else None


async def insert_receipt(tx: Transaction, receipt: Receipt, *, transition: Transition, occurred_at: datetime) -> None:
    """Store a receipt; the store puts it into the outbox of the tenant's log."""
    await tx.write(
        "INSERT INTO trustpack.receipts"
        " (tenant_id, id, subject_id, subject_kind, seq, action, state, actor_id, occurred_at, body, digest, prev_hash)"
        " VALUES (%(tenant)s, %(id)s, %(subject)s, %(kind)s, %(seq)s, %(action)s, %(state)s, %(actor)s, %(occurred_at)s,"
        " %(body)s, %(digest)s, %(prev_hash)s)",
        {
            "tenant": tx.tenant_id,
            "id": receipt.id,
            "subject": receipt.subject_id,
            "kind": transition.subject_kind,
            "seq": receipt.seq,
            "action": receipt.action,
            "state": receipt.state,
            "actor": transition.actor.id,
            "occurred_at": occurred_at,
            "body": receipt.body,
            "digest": receipt.digest,
            "prev_hash": receipt.prev_hash,
        },
    )


async def insert_disclosures(tx: Transaction, *, receipt_id: str, disclosures: Sequence[Disclosure]) -> None:
    """Store what opens the commitments of a receipt."""
    await tx.write(
        "INSERT INTO trustpack.disclosures (tenant_id, receipt_id, path, salt, value)"
        " SELECT %(tenant)s, %(receipt)s, d.path, d.salt, d.value"
        " FROM unnest(%(paths)s::text[], %(salts)s::bytea[], %(values)b::bytea[]) AS d (path, salt, value)",
        {
            "tenant": tx.tenant_id,
            "receipt": receipt_id,
            "paths": [entry.path for entry in disclosures],
            "salts": [entry.salt for entry in disclosures],
            "values": [canonical_bytes(entry.value) for entry in disclosures],
        },
    )


async def receipts_of(tx: Transaction, *subject_ids: str) -> tuple[Receipt, ...]:
    """Return every receipt of the given subjects: subject after subject, each one's in order."""
    rows = await tx.fetch_all(
        "SELECT id, subject_id, seq, action, state, body, digest, prev_hash FROM trustpack.receipts"
        " WHERE tenant_id = %(tenant)s AND subject_id = ANY(%(subjects)s)"
        " ORDER BY array_position(%(subjects)s::text[], subject_id), seq",
        {"tenant": tx.tenant_id, "subjects": list(subject_ids)},
    )
    return tuple(Receipt(**row) for row in rows)


async def disclosures_of(tx: Transaction, *subject_ids: str) -> dict[str, tuple[Disclosure, ...]]:
    """Return what opens the commitments of the receipts of the given subjects, by receipt id."""
    rows = await tx.fetch_all(
        "SELECT d.receipt_id, d.path, d.salt, d.value FROM trustpack.disclosures d"
        " JOIN trustpack.receipts r ON r.tenant_id = d.tenant_id AND r.id = d.receipt_id"
        " WHERE r.tenant_id = %(tenant)s AND r.subject_id = ANY(%(subjects)s) ORDER BY r.seq, d.path",
        {"tenant": tx.tenant_id, "subjects": list(subject_ids)},
    )
    found: dict[str, tuple[Disclosure, ...]] = {}
    for row in rows:
        entry = Disclosure(path=row["path"], value=json.loads(row["value"]), salt=row["salt"])
        found[row["receipt_id"]] = (*found.get(row["receipt_id"], ()), entry)
    return found


async def disclosed_values(tx: Transaction, subject_ids: Sequence[str], *, paths: Sequence[str]) -> dict[tuple[str, int], str]:
    """Return what people wrote in the named fields, by subject and sequence number; erased values are left out."""
    rows = await tx.fetch_all(
        "SELECT r.subject_id, r.seq, d.value FROM trustpack.disclosures d"
        " JOIN trustpack.receipts r ON r.tenant_id = d.tenant_id AND r.id = d.receipt_id"
        " WHERE r.tenant_id = %(tenant)s AND r.subject_id = ANY(%(subjects)s) AND d.path = ANY(%(paths)s)",
        {"tenant": tx.tenant_id, "subjects": list(subject_ids), "paths": list(paths)},
    )
    return {(row["subject_id"], row["seq"]): json.loads(row["value"]) for row in rows}


async def disclosed_items(tx: Transaction, subject_id: str, *, path: str, after: int, limit: int) -> list[JsonObject]:
    """Return a part of the list that was disclosed under a path; nothing where it is erased."""
    rows = await tx.fetch_all(
        "SELECT entry.item FROM trustpack.disclosures d"
        " JOIN trustpack.receipts r ON r.tenant_id = d.tenant_id AND r.id = d.receipt_id"
        " CROSS JOIN LATERAL jsonb_array_elements(convert_from(d.value, 'UTF8')::jsonb) WITH ORDINALITY AS entry (item, place)"
        " WHERE r.tenant_id = %(tenant)s AND r.subject_id = %(subject)s AND d.path = %(path)s"
        " ORDER BY r.seq, entry.place OFFSET %(after)s LIMIT %(limit)s",
        {"tenant": tx.tenant_id, "subject": subject_id, "path": path, "after": after, "limit": limit},
    )
    return [row["item"] for row in rows]


async def count_receipts(tx: Transaction, *, subject_id: str, actor_id: str, action: str) -> int:
    """Return how many receipts of one action an actor has left on a subject."""
    row = await tx.fetch_one(
        "SELECT count(*) AS count FROM trustpack.receipts WHERE tenant_id = %(tenant)s AND subject_id = %(subject)s"
        " AND actor_id = %(actor)s AND action = %(action)s",
        {"tenant": tx.tenant_id, "subject": subject_id, "actor": actor_id, "action": action},
    )
    return int(row["count"]) if row is not None else 0


async def changes_since(system_pool: Pool, snapshot: str | None, *, kinds: Sequence[str], limit: int) -> Changes:
    """Return of whom receipts were committed since a snapshot, over all tenants, and the snapshot to ask with next.

    Each receipt is in exactly one answer, however late its transaction ended: an answer holds what its own snapshot sees and the
    one before did not (ADR-0026). Without a snapshot, or with more than `limit` receipts, the answer names none of them.
    """
    async with system_pool.connection() as connection:
        if snapshot is None:
            cursor = await connection.execute("SELECT pg_current_snapshot()::text AS seen, NULL AS changes")
        else:
            # What lies beyond this snapshot too was written by another server's transactions, before a restore.
            cursor = await connection.execute(
                "SELECT pg_current_snapshot()::text AS seen, ARRAY(SELECT ARRAY[tenant_id, subject_kind, subject_id]"
                " FROM trustpack.receipts WHERE transaction_id >= pg_snapshot_xmin(%(since)s::pg_snapshot)"
                " AND transaction_id < pg_snapshot_xmax(pg_current_snapshot())"
                " AND NOT pg_visible_in_snapshot(transaction_id, %(since)s::pg_snapshot)"
                " AND subject_kind = ANY(%(kinds)s) LIMIT %(limit)s) AS changes",
                {"since": snapshot, "kinds": list(kinds), "limit": limit + 1},
            )
        row = await cursor.fetchone()
    assert row is not None  # a SELECT without FROM has one row
    known = None if row["changes"] is None or len(row["changes"]) > limit else row["changes"]
    return Changes(row["seen"], None if known is None else tuple(Change(*change) for change in known))
