"""External ids in PostgreSQL, and what they lead to."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.capabilities.revops.model import ImportedId
from trustpack.platform.unit_of_work import Transaction


async def lock_imports(tx: Transaction) -> None:
    """Let no other import of the tenant store anything until the transaction ends.

    Two that hold many mailboxes each, taken in different orders, would otherwise wait for each other for ever.
    """
    key = {"tenant": tx.tenant_id}
    await tx.write("SELECT pg_advisory_xact_lock(hashtextextended('revops_import:' || %(tenant)s, 0))", key)


async def imported_ids(tx: Transaction, *, kind: str, external_ids: Sequence[str]) -> dict[str, ImportedId]:
    """Return what was imported under some of the external ids, by external id."""
    rows = await tx.fetch_all(
        "SELECT external_id, subject_id, content_digest FROM trustpack.external_ids WHERE tenant_id = %(tenant)s"
        " AND kind = %(kind)s AND external_id = ANY(%(ids)s)",
        {"tenant": tx.tenant_id, "kind": kind, "ids": list(external_ids)},
    )
    return {row["external_id"]: ImportedId(**row) for row in rows}


async def insert_imported_ids(tx: Transaction, *, kind: str, imported: Sequence[ImportedId]) -> None:
    """Store what was imported under new external ids."""
    await tx.write(
        "INSERT INTO trustpack.external_ids (tenant_id, kind, external_id, subject_id, content_digest, created_at)"
        " SELECT %(tenant)s, %(kind)s, i.external_id, i.subject_id, i.digest, %(now)s"
        " FROM unnest(%(ids)s::text[], %(subjects)s::text[], %(digests)s::text[]) AS i (external_id, subject_id, digest)",
        {
            "tenant": tx.tenant_id,
            "kind": kind,
            "now": tx.now,
            "ids": [entry.external_id for entry in imported],
            "subjects": [entry.subject_id for entry in imported],
            "digests": [entry.content_digest for entry in imported],
        },
    )


async def opportunities_of_leads(tx: Transaction, lead_external_ids: Sequence[str]) -> dict[str, str]:
    """Return the opportunities of imported leads, by the leads' external ids."""
    rows = await tx.fetch_all(
        "SELECT known.external_id, lead.opportunity_id FROM trustpack.external_ids AS known JOIN trustpack.leads AS lead"
        " ON lead.tenant_id = known.tenant_id AND lead.id = known.subject_id"
        " WHERE known.tenant_id = %(tenant)s AND known.kind = 'lead' AND known.external_id = ANY(%(ids)s)",
        {"tenant": tx.tenant_id, "ids": list(lead_external_ids)},
    )
    return {row["external_id"]: row["opportunity_id"] for row in rows}


async def opportunities_of_mailboxes(tx: Transaction, email_keys: Sequence[str]) -> dict[str, str]:
    """Return the opportunities of leads, by their mailboxes."""
    rows = await tx.fetch_all(
        "SELECT email_key, opportunity_id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND email_key = ANY(%(keys)s)",
        {"tenant": tx.tenant_id, "keys": list(email_keys)},
    )
    return {row["email_key"]: row["opportunity_id"] for row in rows}


async def quotes_of_external_ids(tx: Transaction, external_ids: Sequence[str]) -> dict[str, str]:
    """Return the quotes that have some of the external ids, however they came by them."""
    rows = await tx.fetch_all(
        "SELECT external_id, id FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND external_id = ANY(%(ids)s)",
        {"tenant": tx.tenant_id, "ids": list(external_ids)},
    )
    return {row["external_id"]: row["id"] for row in rows}
