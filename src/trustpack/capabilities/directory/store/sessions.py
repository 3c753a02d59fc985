"""Sessions and invitations in PostgreSQL, and in which tenants an account is somebody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString

from trustpack.capabilities.directory.model.sessions import Invitation, KeptSession, SessionStatus, TenantOfAccount
from trustpack.platform.unit_of_work import Pool, Transaction, UnitOfWork

_SELECT_SESSIONS: LiteralString = (
    "SELECT s.id, s.version, s.status, s.account_id, s.person_id, s.method, s.client, s.authenticated_at, s.created_at,"
    " s.absolute_end, u.last_seen_at FROM trustpack.sessions s"
    " JOIN trustpack.session_uses u ON u.tenant_id = s.tenant_id AND u.session_id = s.id"
)
_SELECT_INVITATIONS: LiteralString = "SELECT id, version, status, account_id, person_id, expires_at FROM trustpack.invitations"


async def insert_session(tx: Transaction, session: KeptSession, *, digest: str) -> None:
    """Store a new session by the digest of its text, seen at its beginning."""
    await tx.write(
        "INSERT INTO trustpack.sessions (tenant_id, id, version, status, account_id, person_id, digest, method, client,"
        " authenticated_at, created_at, absolute_end) VALUES (%(tenant)s, %(id)s, 1, %(status)s, %(account)s, %(person)s,"
        " %(digest)s, %(method)s, %(client)s, %(authenticated_at)s, %(created_at)s, %(absolute_end)s)",
        {
            "tenant": tx.tenant_id,
            "id": session.id,
            "status": session.status.value,
            "account": session.account_id,
            "person": session.person_id,
            "digest": digest,
            "method": session.method,
            "client": session.client,
            "authenticated_at": session.authenticated_at,
            "created_at": session.created_at,
            "absolute_end": session.absolute_end,
        },
    )
    await tx.write(
        "INSERT INTO trustpack.session_uses (tenant_id, session_id, last_seen_at) VALUES (%(tenant)s, %(id)s, %(seen)s)",
        {"tenant": tx.tenant_id, "id": session.id, "seen": session.last_seen_at},
    )


async def resumed(
    unit_of_work: UnitOfWork, *, tenant_id: str, digest: str, now: datetime, idle: timedelta, grain: timedelta
) -> dict[str, Any] | None:
    """Return the session behind a text that is good now, with its person and tenant; note that it was seen."""
    return await unit_of_work.call(
        "SELECT id, account_id, person_id, kind, handle, display_name, roles, team_ids, method, authenticated_at, absolute_end,"
        " tenant_name, is_demo FROM trustpack.resume_session(%(tenant)s, %(digest)s, %(now)s, %(idle)s, %(grain)s)",
        {"tenant": tenant_id, "digest": digest, "now": now, "idle": idle, "grain": grain},
    )


async def lock_session(tx: Transaction, session_id: str) -> KeptSession | None:
    """Return a session and hold its row until the transaction ends."""
    row = await tx.fetch_one(
        _SELECT_SESSIONS + " WHERE s.tenant_id = %(tenant)s AND s.id = %(id)s FOR UPDATE OF s",
        {"tenant": tx.tenant_id, "id": session_id},
    )
    return _session(row) if row is not None else None


async def lock_active_sessions(tx: Transaction, person_id: str) -> tuple[KeptSession, ...]:
    """Return every session of a person that is not ended, holding the rows, in the order of their ids."""
    rows = await tx.fetch_all(
        _SELECT_SESSIONS + " WHERE s.tenant_id = %(tenant)s AND s.person_id = %(person)s AND s.status = 'active'"
        " ORDER BY s.id FOR UPDATE OF s",
        {"tenant": tx.tenant_id, "person": person_id},
    )
    return tuple(_session(row) for row in rows)


async def update_session(tx: Transaction, *, session_id: str, version: int, status: SessionStatus) -> None:
    """Store a locked session's next version."""
    await tx.write(
        "UPDATE trustpack.sessions SET version = %(version)s, status = %(status)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {"tenant": tx.tenant_id, "id": session_id, "version": version, "status": status.value},
    )


async def live_sessions_of(tx: Transaction, person_id: str, *, seen_after: datetime) -> tuple[KeptSession, ...]:
    """Return the sessions of a person that could be resumed now, newest first."""
    rows = await tx.fetch_all(
        _SELECT_SESSIONS + " WHERE s.tenant_id = %(tenant)s AND s.person_id = %(person)s AND s.status = 'active'"
        " AND s.absolute_end > %(now)s AND u.last_seen_at > %(seen_after)s ORDER BY s.id DESC",
        {"tenant": tx.tenant_id, "person": person_id, "now": tx.now, "seen_after": seen_after},
    )
    return tuple(_session(row) for row in rows)


async def tenants_of_account(system_pool: Pool, account_id: str) -> tuple[TenantOfAccount, ...]:
    """Return the active tenants in which an account is an active person, by name; asked as the login that sees every tenant."""
    async with system_pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT n.tenant_id, n.name, n.is_demo FROM trustpack.person_accounts a"
            " JOIN trustpack.people p ON p.tenant_id = a.tenant_id AND p.id = a.person_id"
            " AND p.status = 'active' AND p.kind = 'person'"
            " JOIN trustpack.tenants n ON n.tenant_id = a.tenant_id AND n.status = 'active'"
            " WHERE a.account_id = %(account)s ORDER BY n.name, n.tenant_id",
            {"account": account_id},
        )
        return tuple(TenantOfAccount(**row) for row in await cursor.fetchall())


async def demo_tenants(system_pool: Pool) -> tuple[TenantOfAccount, ...] | None:
    """Return the active tenants of a store of demo tenants only; None if it holds another one."""
    async with system_pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT tenant_id, name, is_demo, status FROM trustpack.tenants ORDER BY name, tenant_id"
        )
        rows = await cursor.fetchall()
    if not all(row["is_demo"] for row in rows):
        return None
    return tuple(
        TenantOfAccount(tenant_id=row["tenant_id"], name=row["name"], is_demo=True) for row in rows if row["status"] == "active"
    )


async def insert_invitation(tx: Transaction, invitation: Invitation, *, digest: str) -> None:
    """Store a new invitation by the digest of its text."""
    await tx.write(
        "INSERT INTO trustpack.invitations (tenant_id, id, version, status, account_id, person_id, digest, created_at,"
        " expires_at) VALUES (%(tenant)s, %(id)s, 1, %(status)s, %(account)s, %(person)s, %(digest)s, %(now)s, %(end)s)",
        {
            "tenant": tx.tenant_id,
            "id": invitation.id,
            "status": invitation.status,
            "account": invitation.account_id,
            "person": invitation.person_id,
            "digest": digest,
            "now": tx.now,
            "end": invitation.expires_at,
        },
    )


async def find_invitation(tx: Transaction, digest: str) -> Invitation | None:
    """Return an invitation."""
    row = await tx.fetch_one(
        _SELECT_INVITATIONS + " WHERE tenant_id = %(tenant)s AND digest = %(digest)s", {"tenant": tx.tenant_id, "digest": digest}
    )
    return Invitation(**row) if row is not None else None


async def lock_invitation(tx: Transaction, digest: str) -> Invitation | None:
    """Return an invitation and hold its row, so that it is used once."""
    row = await tx.fetch_one(
        _SELECT_INVITATIONS + " WHERE tenant_id = %(tenant)s AND digest = %(digest)s FOR UPDATE",
        {"tenant": tx.tenant_id, "digest": digest},
    )
    return Invitation(**row) if row is not None else None


async def lock_open_invitations(tx: Transaction, account_id: str) -> tuple[Invitation, ...]:
    """Return the open invitations of an account, holding the rows, in the order of their ids."""
    rows = await tx.fetch_all(
        _SELECT_INVITATIONS + " WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND status = 'open'"
        " ORDER BY id FOR UPDATE",
        {"tenant": tx.tenant_id, "account": account_id},
    )
    return tuple(Invitation(**row) for row in rows)


async def update_invitation(tx: Transaction, invitation: Invitation, *, status: str) -> None:
    """Store a locked invitation's next version."""
    await tx.write(
        "UPDATE trustpack.invitations SET version = %(version)s, status = %(status)s"
        " WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {"tenant": tx.tenant_id, "id": invitation.id, "version": invitation.version + 1, "status": status},
    )


def _session(row: dict[str, Any]) -> KeptSession:
    return KeptSession(**{**row, "status": SessionStatus(row["status"])})
