"""Read everything that one story left in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from psycopg import sql

from trustpack.app.bulk.moulds import Rows
from trustpack.capabilities.metering import UsageType
from trustpack.kernel.ids import derive_id
from trustpack.platform.unit_of_work import Transaction

_SUBJECT: Final = "subject_id"
_RECEIPT: Final = "receipt_id"
_EVENTS: Final = "usage_events"
TABLES: Final[Mapping[str, str]] = {
    "policy_decisions": _SUBJECT,
    "leads": "id",
    "opportunities": "id",
    "quotes": "id",
    "high_risk_requests": "id",
    "receipts": _SUBJECT,
    "disclosures": _RECEIPT,
    "quote_people": "quote_id",
    "quote_revisions": "quote_id",
    "contracts": "quote_id",
    "approvals": _SUBJECT,
    "executions": "request_id",
    "grants": "request_id",
    _EVENTS: "id",
    "jobs": _SUBJECT,
}
"""Every table that a story leaves rows in, with the column that says of what; those that others refer to come first."""


async def rows_of_story(tx: Transaction, subject_ids: Sequence[str]) -> Rows:
    """Return the rows that the subjects of a story have left, by table."""
    found: dict[str, Sequence[Mapping[str, Any]]] = {}
    for table, column in TABLES.items():
        ids = list(subject_ids)
        if column == _RECEIPT:
            ids = [receipt["id"] for receipt in found["receipts"]]
        elif table == _EVENTS:
            ids = _event_ids([*subject_ids, *(decision["id"] for decision in found["policy_decisions"])])
        query = sql.SQL("SELECT * FROM {} WHERE tenant_id = %(tenant)s AND {} = ANY(%(ids)s)")
        cursor = await tx.connection.execute(
            query.format(sql.Identifier("trustpack", table), sql.Identifier(column)), {"tenant": tx.tenant_id, "ids": ids}
        )
        found[table] = await cursor.fetchall()
    return found


async def deals_there(tx: Transaction, mailboxes: Sequence[str]) -> frozenset[str]:
    """Return which of the mailboxes have a lead."""
    rows = await tx.fetch_all(
        "SELECT email_key FROM trustpack.leads WHERE tenant_id = %(tenant)s AND email_key = ANY(%(mailboxes)s)",
        {"tenant": tx.tenant_id, "mailboxes": list(mailboxes)},
    )
    return frozenset(row["email_key"] for row in rows)


def _event_ids(sources: Iterable[str]) -> list[str]:
    return [derive_id("evt", source_id=source, purpose=usage.value) for source in sources for usage in UsageType]
