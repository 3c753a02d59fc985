"""Cleaning up after ended grants in the other databases of a target's cluster: a temporary role may own things there too."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

from trustpack.capabilities.operations.adapters.postgres.administration import (
    administering,
    borrow,
    exists,
    give_back,
    is_superuser,
)
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.adapters.postgres.script import as_transaction, cleaning_statements
from trustpack.capabilities.operations.model import TargetDefinition, TargetNotPrepared


def render_cleaning(conn: Connection[Any], definition: TargetDefinition) -> str:
    """Return the script of `install_cleaning`."""
    return as_transaction(_cleaning_statements(conn, definition)).as_string(conn)


def install_cleaning(conn: Connection[Any], definition: TargetDefinition) -> None:
    """Let the target's reverts drop, in another database of its cluster, what its grantees made there.

    The connection is to that other database; the target itself is installed first. Raises `TargetRefused`, `TargetNotPrepared`.
    """
    names = installed_names(definition.name)
    if not exists(conn, "select from pg_catalog.pg_roles where rolname = %s", names.provisioner):
        raise TargetNotPrepared(f"This cluster holds no target {definition.name}: install it in its own database first.")
    with administering(conn):
        conn.execute(_cleaning_statements(conn, definition))


def uninstall_cleaning(conn: Connection[Any], definition: TargetDefinition) -> None:
    """Take back what `install_cleaning` did in the database of the connection. Raises `TargetRefused`, `TargetNotPrepared`."""
    names = installed_names(definition.name)
    if not exists(conn, "select from pg_catalog.pg_namespace where nspname = %s", names.api):
        raise TargetNotPrepared(f"This database holds nothing of the target {definition.name}.")
    with administering(conn):
        borrow(conn, definition)
        conn.execute(sql.SQL("drop function {}.drop_owned(text)").format(sql.Identifier(names.api)))
        conn.execute(sql.SQL("drop schema {}").format(sql.Identifier(names.api)))
        revoked = sql.SQL("revoke connect on database {} from {}")
        conn.execute(revoked.format(sql.Identifier(conn.info.dbname), sql.Identifier(names.service)))
        give_back(conn, definition)


def _cleaning_statements(conn: Connection[Any], definition: TargetDefinition) -> sql.Composed:
    return cleaning_statements(
        definition, database=conn.info.dbname, server_version=conn.info.server_version, as_superuser=is_superuser(conn)
    )
