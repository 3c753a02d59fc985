"""What every administrative act on a target shares: its transaction, our roles on loan, and errors without statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from trustpack.capabilities.operations.adapters.postgres.script import borrow_roles, return_roles
from trustpack.capabilities.operations.model import TargetDefinition, TargetRefused


@contextmanager
def administering(conn: Connection[Any]) -> Iterator[None]:
    """Run a transaction; turn what the server says against it into `TargetRefused`, without the statement."""
    try:
        with conn.transaction():
            yield
    except psycopg.Error as error:
        diagnostic = error.diag
        more = " ".join(part for part in (diagnostic.message_detail, diagnostic.message_hint) if part)
        reason = diagnostic.message_primary or type(error).__name__
        raise TargetRefused(f"The server refused: {reason}. {more}".rstrip(), sqlstate=error.sqlstate) from None


def is_superuser(conn: Connection[Any]) -> bool:
    """Say whether the connection's user is a superuser."""
    return exists(conn, "select from pg_catalog.pg_roles where rolname = current_user and rolsuper")


def exists(conn: Connection[Any], query: str, *arguments: str) -> bool:
    """Say whether the query finds a row."""
    return conn.execute(query, arguments).fetchone() is not None


def borrow(conn: Connection[Any], definition: TargetDefinition) -> None:
    """Lend a non-superuser the rights of our roles, inside a transaction; `give_back` ends it. A superuser needs none."""
    if not is_superuser(conn):
        conn.execute(borrow_roles(definition, server_version=conn.info.server_version))


def give_back(conn: Connection[Any], definition: TargetDefinition) -> None:
    """Undo `borrow`."""
    if not is_superuser(conn):
        conn.execute(return_roles(definition, server_version=conn.info.server_version))


@contextmanager
def borrowed(conn: Connection[Any], definition: TargetDefinition) -> Iterator[None]:
    """Lend a non-superuser the rights of our roles for reading, in a transaction that is rolled back."""
    with conn.transaction(force_rollback=True):
        borrow(conn, definition)
        yield
