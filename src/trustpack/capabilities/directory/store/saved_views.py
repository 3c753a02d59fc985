"""Saved views in PostgreSQL."""

from __future__ import annotations

from trustpack.capabilities.directory.model.saved_views import SavedView
from trustpack.platform.unit_of_work import Transaction


async def views_of(tx: Transaction, person_id: str, path: str) -> tuple[SavedView, ...]:
    """Return what somebody keeps of a list, oldest first."""
    rows = await tx.fetch_all(
        "SELECT id, path, name, query FROM trustpack.saved_views WHERE tenant_id = %(tenant)s AND person_id = %(person)s"
        " AND path = %(path)s ORDER BY id",
        {"tenant": tx.tenant_id, "person": person_id, "path": path},
    )
    return tuple(SavedView(**row) for row in rows)


async def lock_person(tx: Transaction, person_id: str) -> None:
    """Let one change of somebody's views happen at a time, so that no two of them count the same."""
    await tx.fetch_one(
        "SELECT id FROM trustpack.people WHERE tenant_id = %(tenant)s AND id = %(person)s FOR NO KEY UPDATE",
        {"tenant": tx.tenant_id, "person": person_id},
    )


async def find_view(tx: Transaction, person_id: str, view_id: str) -> SavedView | None:
    """Return a view that somebody keeps, or None."""
    row = await tx.fetch_one(
        "SELECT id, path, name, query FROM trustpack.saved_views WHERE tenant_id = %(tenant)s AND person_id = %(person)s"
        " AND id = %(id)s",
        {"tenant": tx.tenant_id, "person": person_id, "id": view_id},
    )
    return SavedView(**row) if row is not None else None


async def put_view(tx: Transaction, person_id: str, view: SavedView) -> None:
    """Store a view; another query under the same name takes the place of the one before."""
    await tx.write(
        "INSERT INTO trustpack.saved_views (tenant_id, id, person_id, path, name, query, created_at) VALUES (%(tenant)s, %(id)s,"
        " %(person)s, %(path)s, %(name)s, %(query)s, %(now)s) ON CONFLICT ON CONSTRAINT saved_views_name"
        " DO UPDATE SET query = excluded.query",
        {
            "tenant": tx.tenant_id,
            "id": view.id,
            "person": person_id,
            "path": view.path,
            "name": view.name,
            "query": view.query,
            "now": tx.now,
        },
    )


async def rename_view(tx: Transaction, view_id: str, name: str) -> None:
    """Give a view another name."""
    await tx.write(
        "UPDATE trustpack.saved_views SET name = %(name)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {"tenant": tx.tenant_id, "id": view_id, "name": name},
    )


async def delete_view(tx: Transaction, view_id: str) -> None:
    """Remove a view."""
    await tx.write(
        "DELETE FROM trustpack.saved_views WHERE tenant_id = %(tenant)s AND id = %(id)s", {"tenant": tx.tenant_id, "id": view_id}
    )
