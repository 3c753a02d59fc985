"""Attacks as data: a statement, and what the server says to it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection, sql

from tests.support.targets import TargetDatabase

ALLOWED = "00000"
DENIED = "42501"
FULL = "53200"
"""Out of shared memory: the lock table has no place left."""


def statement(target: TargetDatabase, text: str, **more: str) -> sql.Composed:
    """Return the text with the names of the target's roles and schemas in place of `{reader}`, `{views}` and so on."""
    kinds = ("reader", "owner", "provisioner", "service", "views", "state", "api")
    names = {kind: getattr(target.names, kind) for kind in kinds} | more
    return sql.SQL(text).format(**{kind: sql.Identifier(name) for kind, name in names.items()})


def answer(conn: Connection[Any], query: sql.Composable | str) -> str | None:
    """Execute and return the SQLSTATE of the server's answer; None where the connection itself is gone."""
    try:
        conn.execute(query)
    except psycopg.Error as error:
        return error.sqlstate
    return ALLOWED


def let_end(target: TargetDatabase, role_name: str) -> None:
    """Move the end of a grant to now, on the target: its clock cannot be moved, and nothing is revoked."""
    with target.superuser() as conn, conn.transaction():
        conn.execute(
            statement(target, "update {state}.grants set expires_at = clock_timestamp() where role_name = %s"), (role_name,)
        )
        conn.execute(statement(target, "alter role {role} valid until 'now'", role=role_name))
