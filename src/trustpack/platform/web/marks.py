"""What people have seen or put away in the console, once each: an observation that helps them along and proves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.platform.unit_of_work import Transaction


async def put_mark(tx: Transaction, person_id: str, mark: str) -> None:
    """Keep a mark of a person; keeping it again changes nothing."""
    await tx.write(
        "INSERT INTO trustpack.person_marks (tenant_id, person_id, mark, created_at) VALUES (%(tenant)s, %(person)s, %(mark)s,"
        " %(now)s) ON CONFLICT ON CONSTRAINT person_marks_pkey DO NOTHING",
        {"tenant": tx.tenant_id, "person": person_id, "mark": mark, "now": tx.now},
    )


async def has_mark(tx: Transaction, person_ids: Sequence[str], mark: str) -> bool:
    """Say whether any of these people has a mark."""
    row = await tx.fetch_one(
        "SELECT EXISTS (SELECT 1 FROM trustpack.person_marks WHERE tenant_id = %(tenant)s AND person_id = ANY(%(people)s)"
        " AND mark = %(mark)s) AS found",
        {"tenant": tx.tenant_id, "people": list(person_ids), "mark": mark},
    )
    return row is not None and bool(row["found"])


async def people_with_mark(tx: Transaction, mark: str) -> tuple[str, ...]:
    """Return the ids of the people of the tenant who have a mark."""
    rows = await tx.fetch_all(
        "SELECT person_id FROM trustpack.person_marks WHERE tenant_id = %(tenant)s AND mark = %(mark)s",
        {"tenant": tx.tenant_id, "mark": mark},
    )
    return tuple(row["person_id"] for row in rows)
