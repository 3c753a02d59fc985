"""Bring a database to the schema of this version: one transaction per file, never waiting long for a lock.

Source: research/stack section 4. A changed file, a gap, or a database newer than the code stops the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import psycopg
import stamina
from psycopg import sql

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.database import APP_ROLE, SYSTEM_ROLE
from trustpack.platform.system_clock import monotonic_seconds

_ADVISORY_LOCK = 0x74727573_74706B31
"""Only one runner at a time per database; the number spells `trustpk1`."""
_LOCK_TIMEOUT = "3s"
"""A migration that waits behind a long transaction would block everyone behind itself: give up and try again instead."""
_ATTEMPTS = 10


class MigrationFault(TrustpackError):
    """The database and the migration files do not fit together; nothing was changed."""

    kind = ErrorKind.CONFLICT
    code = "platform.migration_fault"
    title = "The database cannot be migrated"
    next_step = "Use the release that this database was made by, or restore the migration file that was changed."


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of this package."""

    version: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """Return every migration of this version in order."""
    files = (entry for entry in resources.files(__package__).iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(version=int(entry.name[:4]), name=entry.name, text=entry.read_text(encoding="utf-8"))
        for entry in sorted(files, key=lambda entry: entry.name)
    )


def migrate(owner_url: str, *, role_passwords: dict[str, str] | None = None, upto: int | None = None) -> tuple[str, ...]:
    """Apply every migration that is missing, up to version `upto` if given; return the names of those applied.

    `role_passwords` are set for our two login roles where the server asks for passwords. Safe to call from several
    processes at once. Raises `MigrationFault`; `psycopg.errors.LockNotAvailable` if a lock was held through every retry.
    """
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        _ensure_roles(connection, role_passwords or {})
        connection.execute(
            "CREATE TABLE IF NOT EXISTS public.trustpack_migrations (version integer PRIMARY KEY, name text NOT NULL,"
            " digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), duration_ms integer NOT NULL)"
        )
        connection.execute(sql.SQL("GRANT SELECT ON public.trustpack_migrations TO {}").format(sql.Identifier(APP_ROLE)))
        missing = tuple(_missing(connection))
        wanted = tuple(step for step in missing if upto is None or step.version <= upto)
        for step in wanted:
            _apply(connection, step)
    return tuple(step.name for step in wanted)


def _missing(connection: psycopg.Connection) -> Iterator[Migration]:
    applied: dict[int, str] = dict(connection.execute("SELECT version, digest FROM public.trustpack_migrations").fetchall())
    known = {step.version: step for step in migrations()}
    if unknown := applied.keys() - known.keys():
        raise MigrationFault(f"The database has migration {max(unknown)}, which this version does not know.")
    newest = max(applied, default=0)
    for version, step in known.items():
        if version not in applied and version < newest:
            raise MigrationFault(f"The database has migration {newest}, but not {step.name}, which comes before it.")
        if version not in applied:
            yield step
        elif applied[version] != step.digest:
            raise MigrationFault(f"The file {step.name} was changed after it had been applied.")


@stamina.retry(on=psycopg.errors.LockNotAvailable, attempts=_ATTEMPTS, timeout=None)
def _apply(connection: psycopg.Connection, step: Migration) -> None:
    started = monotonic_seconds()
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
        connection.execute(step.text.encode())
        duration_ms = round((monotonic_seconds() - started) * 1000)
        connection.execute(
            "INSERT INTO public.trustpack_migrations (version, name, digest, duration_ms) VALUES (%s, %s, %s, %s)",
            (step.version, step.name, step.digest, duration_ms),
        )


def _ensure_roles(connection: psycopg.Connection, passwords: dict[str, str]) -> None:
    for role in (APP_ROLE, SYSTEM_ROLE):
        name = sql.Identifier(role)
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS").format(name))
        if role in passwords:
            verifier = connection.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier)))
