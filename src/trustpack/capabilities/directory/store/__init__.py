"""Tenants, people, teams and tokens in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString

from trustpack.capabilities.directory.model import Person, PersonStatus, Team, Tenant, Token
from trustpack.kernel.actor import ActorKind, Role
from trustpack.platform.unit_of_work import Transaction, UnitOfWork

_SELECT_PEOPLE: LiteralString = "SELECT id, version, status, handle, display_name, kind, roles, team_ids FROM trustpack.people"


async def insert_tenant(tx: Transaction, *, name: str, is_demo: bool) -> None:
    """Store the tenant of this transaction as version 1."""
    await tx.write(
        "INSERT INTO trustpack.tenants (tenant_id, id, version, status, name, is_demo, created_at)"
        " VALUES (%(tenant)s, %(tenant)s, 1, 'active', %(name)s, %(is_demo)s, %(now)s)",
        {"tenant": tx.tenant_id, "name": name, "is_demo": is_demo, "now": tx.now},
    )


async def find_tenant(tx: Transaction) -> Tenant | None:
    """Return the tenant of this transaction, or None."""
    row = await tx.fetch_one(
        "SELECT id, version, status, name, is_demo FROM trustpack.tenants WHERE tenant_id = %(tenant)s", {"tenant": tx.tenant_id}
    )
    return Tenant(**row) if row is not None else None


async def insert_person(tx: Transaction, person: Person) -> None:
    """Store a new person."""
    await tx.write(
        "INSERT INTO trustpack.people (tenant_id, id, version, status, handle, display_name, kind, roles, team_ids, created_at)"
        " VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(handle)s, %(display_name)s, %(kind)s, %(roles)s,"
        " %(teams)s, %(now)s)",
        {**_person_values(tx, person), "handle": person.handle, "kind": person.kind.value, "now": tx.now},
    )


async def update_person(tx: Transaction, person: Person) -> None:
    """Store a locked person's next version."""
    await tx.write(
        "UPDATE trustpack.people SET version = %(version)s, status = %(status)s, display_name = %(display_name)s,"
        " roles = %(roles)s,"
        " team_ids = %(teams)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        _person_values(tx, person),
    )


async def people_called(tx: Transaction, text: str, *, limit: int) -> tuple[str, ...]:
    """Return the ids of people whose handle or name holds a text, whatever the case of its letters."""
    rows = await tx.fetch_all(
        "SELECT id FROM trustpack.people WHERE tenant_id = %(tenant)s AND (strpos(lower(handle), lower(%(text)s)) > 0"
        " OR strpos(lower(display_name), lower(%(text)s)) > 0) ORDER BY handle LIMIT %(limit)s",
        {"tenant": tx.tenant_id, "text": text, "limit": limit},
    )
    return tuple(row["id"] for row in rows)


async def person_by_handle(tx: Transaction, handle: str) -> Person | None:
    """Return a person by handle, or None."""
    row = await tx.fetch_one(
        _SELECT_PEOPLE + " WHERE tenant_id = %(tenant)s AND handle = %(handle)s",
        {"tenant": tx.tenant_id, "handle": handle},
    )
    return _person(row) if row is not None else None


async def lock_person(tx: Transaction, person_id: str) -> Person | None:
    """Return a person and hold the row against every other change until the transaction ends."""
    row = await tx.fetch_one(
        _SELECT_PEOPLE + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
        {"tenant": tx.tenant_id, "id": person_id},
    )
    return _person(row) if row is not None else None


async def people_for_share(tx: Transaction, person_ids: Sequence[str]) -> tuple[Person, ...]:
    """Return people as they are now and keep their roles from changing until the transaction ends.

    Rows are locked in the order of their ids, so that two transactions cannot wait for each other.
    """
    rows = await tx.fetch_all(
        _SELECT_PEOPLE + " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) ORDER BY id FOR SHARE",
        {"tenant": tx.tenant_id, "ids": list(person_ids)},
    )
    return tuple(_person(row) for row in rows)


async def people_with_ids(tx: Transaction, person_ids: Sequence[str]) -> tuple[Person, ...]:
    """Return people by id."""
    rows = await tx.fetch_all(
        _SELECT_PEOPLE + " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) ORDER BY id",
        {"tenant": tx.tenant_id, "ids": list(person_ids)},
    )
    return tuple(_person(row) for row in rows)


async def people(tx: Transaction) -> tuple[Person, ...]:
    """Return everybody of the tenant by handle."""
    rows = await tx.fetch_all(
        _SELECT_PEOPLE + " WHERE tenant_id = %(tenant)s ORDER BY handle",
        {"tenant": tx.tenant_id},
    )
    return tuple(_person(row) for row in rows)


async def insert_account(tx: Transaction, account_id: str) -> None:
    """Store an account if it is not known yet."""
    await tx.write(
        "INSERT INTO trustpack.accounts (id, created_at) VALUES (%(id)s, %(now)s) ON CONFLICT ON CONSTRAINT"
        " accounts_pkey DO NOTHING",
        {"id": account_id, "now": tx.now},
    )


async def insert_person_account(tx: Transaction, *, account_id: str, person: Person) -> None:
    """Tie an account to a person, naming the receipt of the person's current version."""
    await tx.write(
        "INSERT INTO trustpack.person_accounts (tenant_id, account_id, person_id, seq)"
        " VALUES (%(tenant)s, %(account)s, %(person)s, %(seq)s)",
        {"tenant": tx.tenant_id, "account": account_id, "person": person.id, "seq": person.version},
    )


async def accounts_of(tx: Transaction, person_id: str) -> tuple[str, ...]:
    """Return the accounts of a person, the first one linked first."""
    rows = await tx.fetch_all(
        "SELECT account_id FROM trustpack.person_accounts WHERE tenant_id = %(tenant)s AND person_id = %(person)s"
        " ORDER BY seq, account_id",
        {"tenant": tx.tenant_id, "person": person_id},
    )
    return tuple(row["account_id"] for row in rows)


async def person_of_account(tx: Transaction, account_id: str) -> Person | None:
    """Return the person who signs in with an account, keeping them from changing until the transaction ends."""
    row = await tx.fetch_one(
        "SELECT p.id, p.version, p.status, p.handle, p.display_name, p.kind, p.roles, p.team_ids FROM trustpack.people p"
        " JOIN trustpack.person_accounts a ON a.tenant_id = p.tenant_id AND a.person_id = p.id"
        " WHERE p.tenant_id = %(tenant)s AND a.account_id = %(account)s FOR SHARE OF p",
        {"tenant": tx.tenant_id, "account": account_id},
    )
    return _person(row) if row is not None else None


async def insert_team(tx: Transaction, team: Team) -> None:
    """Store a new team."""
    await tx.write(
        "INSERT INTO trustpack.teams (tenant_id, id, version, status, name, created_at)"
        " VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(name)s, %(now)s)",
        {"tenant": tx.tenant_id, "id": team.id, "version": team.version, "status": team.status, "name": team.name, "now": tx.now},
    )


async def team_by_name(tx: Transaction, name: str) -> Team | None:
    """Return a team by name, or None."""
    row = await tx.fetch_one(
        "SELECT id, version, status, name FROM trustpack.teams WHERE tenant_id = %(tenant)s AND name = %(name)s",
        {"tenant": tx.tenant_id, "name": name},
    )
    return Team(**row) if row is not None else None


async def insert_token(tx: Transaction, token: Token, *, digest: str) -> None:
    """Store a new token by the digest of its secret."""
    await tx.write(
        "INSERT INTO trustpack.tokens (tenant_id, id, version, status, account_id, person_id, label, digest,"
        " created_at, expires_at)"
        " VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(account)s, %(person)s, %(label)s, %(digest)s, %(now)s, %(end)s)",
        {
            "tenant": tx.tenant_id,
            "id": token.id,
            "version": token.version,
            "status": token.status,
            "account": token.account_id,
            "person": token.person_id,
            "label": token.label,
            "digest": digest,
            "now": tx.now,
            "end": token.expires_at,
        },
    )


async def lock_token(tx: Transaction, token_id: str) -> Token | None:
    """Return a token and hold its row until the transaction ends."""
    row = await tx.fetch_one(
        "SELECT id, version, status, person_id, account_id, label, created_at, expires_at, NULL::timestamptz AS last_used_at"
        " FROM trustpack.tokens WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
        {"tenant": tx.tenant_id, "id": token_id},
    )
    return Token(**row) if row is not None else None


async def update_token(tx: Transaction, *, token_id: str, version: int, status: str) -> None:
    """Store a locked token's next version."""
    await tx.write(
        "UPDATE trustpack.tokens SET version = %(version)s, status = %(status)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {"tenant": tx.tenant_id, "id": token_id, "version": version, "status": status},
    )


async def tokens_of(tx: Transaction, person_id: str) -> tuple[Token, ...]:
    """Return a person's tokens, newest first."""
    rows = await tx.fetch_all(
        "SELECT t.id, t.version, t.status, t.person_id, t.account_id, t.label, t.created_at, t.expires_at, u.last_used_at"
        " FROM trustpack.tokens t LEFT JOIN trustpack.token_uses u ON u.tenant_id = t.tenant_id AND u.token_id = t.id"
        " WHERE t.tenant_id = %(tenant)s AND t.person_id = %(person)s ORDER BY t.id DESC",
        {"tenant": tx.tenant_id, "person": person_id},
    )
    return tuple(Token(**row) for row in rows)


async def signed_in(
    unit_of_work: UnitOfWork, *, tenant_id: str, digest: str, now: datetime, grain: timedelta
) -> dict[str, Any] | None:
    """Return the person and account behind a token that is valid now, or None; note its use if the last is older than `grain`."""
    return await unit_of_work.call(
        "SELECT id, account_id, kind, handle, roles, team_ids FROM trustpack.sign_in(%(tenant)s, %(digest)s, %(now)s, %(grain)s)",
        {"tenant": tenant_id, "digest": digest, "now": now, "grain": grain},
    )


def _person(row: dict[str, Any]) -> Person:
    return Person(
        id=row["id"],
        version=row["version"],
        status=PersonStatus(row["status"]),
        handle=row["handle"],
        display_name=row["display_name"],
        kind=ActorKind(row["kind"]),
        roles=frozenset(Role(role) for role in row["roles"]),
        team_ids=frozenset(row["team_ids"]),
    )


def _person_values(tx: Transaction, person: Person) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": person.id,
        "version": person.version,
        "status": person.status.value,
        "display_name": person.display_name,
        "roles": sorted(role.value for role in person.roles),
        "teams": sorted(person.team_ids),
    }
