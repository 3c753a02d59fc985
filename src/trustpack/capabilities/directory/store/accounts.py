"""How accounts sign in, in PostgreSQL: names, passkeys, passwords, ceremonies. Global, like the accounts themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from trustpack.capabilities.directory.model.sessions import Passkey
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.auth.passkeys import NewPasskey
from trustpack.platform.unit_of_work import Transaction, UnitOfWork

_SELECT_PASSKEYS: LiteralString = (
    "SELECT id, account_id, credential_id, public_key, sign_count, label, created_at, last_used_at FROM trustpack.passkeys"
)


async def name_of(tx: Transaction, account_id: str) -> str | None:
    """Return the sign-in name of an account."""
    row = await tx.fetch_one("SELECT name FROM trustpack.account_names WHERE account_id = %(account)s", {"account": account_id})
    return row["name"] if row is not None else None


async def put_name(tx: Transaction, account_id: str, name: str) -> None:
    """Give an account its sign-in name, instead of an earlier one."""
    await tx.write(
        "INSERT INTO trustpack.account_names (account_id, name, created_at) VALUES (%(account)s, %(name)s, %(now)s)"
        " ON CONFLICT ON CONSTRAINT account_names_pkey DO UPDATE SET name = excluded.name",
        {"account": account_id, "name": name, "now": tx.now},
    )


async def remove_name(tx: Transaction, account_id: str) -> None:
    """Forget the sign-in name of an account."""
    await tx.write("DELETE FROM trustpack.account_names WHERE account_id = %(account)s", {"account": account_id})


async def insert_passkey(tx: Transaction, *, passkey_id: str, account_id: str, made: NewPasskey, label: str) -> None:
    """Store a new passkey of an account."""
    await tx.write(
        "INSERT INTO trustpack.passkeys (id, account_id, credential_id, public_key, sign_count, label, created_at)"
        " VALUES (%(id)s, %(account)s, %(credential)s, %(key)s, %(count)s, %(label)s, %(now)s)",
        {
            "id": passkey_id,
            "account": account_id,
            "credential": made.credential_id,
            "key": made.public_key,
            "count": made.sign_count,
            "label": label,
            "now": tx.now,
        },
    )


async def passkeys_of(tx: Transaction, account_id: str) -> tuple[Passkey, ...]:
    """Return the passkeys of an account, the first one added first."""
    rows = await tx.fetch_all(_SELECT_PASSKEYS + " WHERE account_id = %(account)s ORDER BY id", {"account": account_id})
    return tuple(Passkey(**row) for row in rows)


async def lock_ways_in(tx: Transaction, account_id: str) -> None:
    """Let no other transaction change how an account signs in until this one ends."""
    # An advisory lock: the row of the account may only be read, for it says when the account was made.
    await tx.fetch_one(
        "SELECT pg_advisory_xact_lock(hashtextextended('trustpack.account:' || %(account)s, 0))", {"account": account_id}
    )


async def remove_passkey(tx: Transaction, passkey_id: str) -> None:
    """Forget a passkey."""
    await tx.write("DELETE FROM trustpack.passkeys WHERE id = %(id)s", {"id": passkey_id})


async def credentials_of(unit_of_work: UnitOfWork, account_id: str) -> list[bytes]:
    """Return the credential ids of an account's passkeys."""
    row = await unit_of_work.call(
        "SELECT coalesce(array_agg(credential_id ORDER BY id), '{}') AS known FROM trustpack.passkeys"
        " WHERE account_id = %(account)s",
        {"account": account_id},
    )
    return list(row["known"]) if row is not None else []


async def passkey_by_credential(unit_of_work: UnitOfWork, credential_id: bytes) -> Passkey | None:
    """Return the passkey of a credential id, whoever's it is."""
    row = await unit_of_work.call(_SELECT_PASSKEYS + " WHERE credential_id = %(credential)s", {"credential": credential_id})
    return Passkey(**row) if row is not None else None


async def count_use(unit_of_work: UnitOfWork, passkey: Passkey, *, sign_count: int, now: datetime) -> bool:
    """Note a use of a passkey; False if it is gone or its counter has moved since it was read."""
    row = await unit_of_work.call(
        "UPDATE trustpack.passkeys SET sign_count = %(count)s, last_used_at = %(now)s"
        " WHERE id = %(id)s AND sign_count = %(before)s RETURNING id",
        {"id": passkey.id, "before": passkey.sign_count, "count": sign_count, "now": now},
    )
    return row is not None


async def put_password(tx: Transaction, account_id: str, password_hash: str) -> None:
    """Give an account its password, instead of an earlier one."""
    await tx.write(
        "INSERT INTO trustpack.passwords (account_id, hash, changed_at) VALUES (%(account)s, %(hash)s, %(now)s)"
        " ON CONFLICT ON CONSTRAINT passwords_pkey DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        {"account": account_id, "hash": password_hash, "now": tx.now},
    )


async def has_password(tx: Transaction, account_id: str) -> bool:
    """Say whether an account has a password."""
    return await password_of(tx, account_id) is not None


async def password_of(tx: Transaction, account_id: str) -> str | None:
    """Return the hash of an account's password."""
    row = await tx.fetch_one("SELECT hash FROM trustpack.passwords WHERE account_id = %(account)s", {"account": account_id})
    return row["hash"] if row is not None else None


async def remove_password(tx: Transaction, account_id: str) -> None:
    """Forget the password of an account."""
    await tx.write("DELETE FROM trustpack.passwords WHERE account_id = %(account)s", {"account": account_id})


async def password_by_name(unit_of_work: UnitOfWork, name: str) -> tuple[str, str] | None:
    """Return the account of a sign-in name and the hash of its password; None if there is no such name or no password."""
    row = await unit_of_work.call(
        "SELECT n.account_id, p.hash FROM trustpack.account_names n JOIN trustpack.passwords p ON p.account_id = n.account_id"
        " WHERE n.name = %(name)s",
        {"name": name},
    )
    return (row["account_id"], row["hash"]) if row is not None else None


async def keep_ceremony(
    unit_of_work: UnitOfWork, *, digest: str, kind: str, kept: JsonObject, now: datetime, expires_at: datetime
) -> None:
    """Remember a ceremony, and forget some that nobody finished, so that they never pile up."""
    await unit_of_work.call(
        "WITH old AS (DELETE FROM trustpack.ceremonies WHERE digest IN (SELECT digest FROM trustpack.ceremonies"
        " WHERE expires_at < %(now)s ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED))"
        " INSERT INTO trustpack.ceremonies (digest, kind, kept, expires_at) VALUES (%(digest)s, %(kind)s, %(kept)s, %(end)s)"
        " RETURNING digest",
        {"digest": digest, "kind": kind, "kept": Jsonb(kept), "now": now, "end": expires_at},
    )


async def take_ceremony(unit_of_work: UnitOfWork, *, digest: str, kind: str, now: datetime) -> dict[str, Any] | None:
    """Return what was kept for a ceremony and forget it: the second to ask gets None."""
    row = await unit_of_work.call(
        "DELETE FROM trustpack.ceremonies WHERE digest = %(digest)s AND kind = %(kind)s AND expires_at > %(now)s RETURNING kept",
        {"digest": digest, "kind": kind, "now": now},
    )
    return row["kept"] if row is not None else None
