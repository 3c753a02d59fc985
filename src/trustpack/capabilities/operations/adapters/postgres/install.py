"""Preparing a database as a target and taking that back, as its administrator. No table of the database is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql
from psycopg.errors import Diagnostic

from trustpack.capabilities.operations.adapters.postgres.administration import (
    administering,
    borrow,
    exists,
    give_back,
    is_superuser,
)
from trustpack.capabilities.operations.adapters.postgres.catalogue import misfits, read_catalogue
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.adapters.postgres.script import (
    as_transaction,
    install_statements,
    revoke_columns,
)
from trustpack.capabilities.operations.model import TargetDefinition, TargetNotPrepared, TargetRefused

OLDEST_SERVER_VERSION: Final = 150000
CREATEROLE_IS_BOUNDED: Final = 160000
"""From PostgreSQL 16 on CREATEROLE reaches only roles on which it also has ADMIN OPTION."""

_MISSING_WITHOUT_SUPERUSER: Final = (
    "A grantee's statements are not logged by force, and its temporary files are not limited (log_statement, temp_file_limit).",
    "Sessions whose role somebody else dropped cannot be ended (kill_orphans needs pg_signal_backend).",
    "A password changed by its grantee is not noticed; it is harmless, as an ended grant lets nobody in.",
    "A grantee that fills the server's lock table can delay its own revocation; only a superuser can take advisory locks away.",
)
_MISSING_BEFORE_16: Final = (
    "The provisioner's CREATEROLE is close to superuser: the bodies of the installed functions are the boundary."
)


@dataclass(frozen=True, slots=True)
class InstallReport:
    """What was installed, by whom, and which protections that installer could not provide."""

    service_role: str
    as_superuser: bool
    missing_protections: tuple[str, ...]


def render_install(conn: Connection[Any], definition: TargetDefinition) -> str:
    """Return the installation as a script for `psql`, with every view spelled out, and no secret.

    The catalogue is read for the columns; nothing is changed. Raises `TargetRefused` when definition and catalogue disagree.
    """
    statements = as_transaction(_install_statements(conn, definition))
    notes = [f"-- Lacking without a superuser: {sentence}" for sentence in _missing(conn)]
    service = installed_names(definition.name).service
    notes.append(f"-- Then give {service} a password, for example with \\password in psql.")
    return "\n".join([statements.as_string(conn), *notes, ""])


def install(conn: Connection[Any], definition: TargetDefinition, *, service_password: str | None = None) -> InstallReport:
    """Prepare the database of the connection for the definition, or bring an earlier installation up to date.

    One transaction; live grants keep working. `service_password` becomes the service login's (None keeps the one it has) and
    reaches the server as a SCRAM verifier only. Raises `TargetRefused` with the server's reason; then nothing was changed.
    """
    statements = _install_statements(conn, definition)
    with administering(conn):
        conn.execute(statements)
        if service_password is not None:
            _set_service_password(conn, definition, service_password)
    return InstallReport(
        service_role=installed_names(definition.name).service, as_superuser=is_superuser(conn), missing_protections=_missing(conn)
    )


def uninstall(conn: Connection[Any], definition: TargetDefinition, *, force: bool = False) -> tuple[str, ...]:
    """Remove everything that was installed, and return the names of the grants that were ended for it.

    The connection is in autocommit mode. Raises `TargetRefused` while grants are live, unless `force` ends them first, and
    when an object of somebody else depends on ours. Guarantee: the target's own tables, and the rights of others on them, are
    as they were before the installation.
    """
    if not conn.autocommit:
        raise ValueError("a grant can only be ended in several transactions: use an autocommit connection")
    names = installed_names(definition.name)
    if not is_installed(conn, definition):
        raise TargetNotPrepared(f"This database holds no installation of the target {definition.name}.")
    with administering(conn):
        borrow(conn, definition)
        live = _live_grants(conn, names.state)
        if live and not force:
            raise TargetRefused(
                f"{len(live)} grants are live: {', '.join(live[:5])}.", next_step="Revert them first, or uninstall with --force."
            )
        give_back(conn, definition)
    for role_name in live:
        _end_grant(conn, definition, role_name)
    with administering(conn):
        conn.execute(sql.SQL("set local search_path = pg_catalog, pg_temp"))
        borrow(conn, definition)
        conn.execute(revoke_columns(definition, database=conn.info.dbname))
        for role in (names.service, names.killer, names.reader, names.owner, names.provisioner):
            if exists(conn, "select from pg_catalog.pg_roles where rolname = %s", role):
                conn.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
                conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    return live


def harden(conn: Connection[Any], statement: str) -> None:
    """Carry out one statement of `exposures`. Raises `TargetRefused`, also when a right was not really taken away."""
    with administering(conn), _notices(conn) as notices:
        conn.execute(statement)
        if notices:
            # A REVOKE without the authority for it succeeds with a warning.
            raise TargetRefused(f"The server refused: {notices[0]}.", next_step="Connect as a superuser.")


def missing_without_superuser(server_version: int) -> tuple[str, ...]:
    """Return what an installation by a database owner with CREATEROLE lacks. Source: research/jit-provisioning sections 1, 5."""
    before_16 = (_MISSING_BEFORE_16,) if server_version < CREATEROLE_IS_BOUNDED else ()
    return (*_MISSING_WITHOUT_SUPERUSER, *before_16)


def is_installed(conn: Connection[Any], definition: TargetDefinition) -> bool:
    """Say whether the database of the connection holds an installation of this target, whatever its state."""
    names = installed_names(definition.name)
    return exists(conn, "select from pg_catalog.pg_namespace where nspname = %s", names.state)


def _install_statements(conn: Connection[Any], definition: TargetDefinition) -> sql.Composed:
    if conn.info.server_version < OLDEST_SERVER_VERSION:
        raise TargetRefused("The server is older than PostgreSQL 15.", next_step="Upgrade the server.")
    tables = read_catalogue(conn, definition)
    wrong = misfits(tables)
    if wrong:
        raise TargetRefused(f"The definition does not fit the database: {'; '.join(wrong)}.", next_step="Correct the definition.")
    return install_statements(
        definition, tables, database=conn.info.dbname, server_version=conn.info.server_version, as_superuser=is_superuser(conn)
    )


def _missing(conn: Connection[Any]) -> tuple[str, ...]:
    return () if is_superuser(conn) else missing_without_superuser(conn.info.server_version)


def _set_service_password(conn: Connection[Any], definition: TargetDefinition, password: str) -> None:
    service = installed_names(definition.name).service
    verifier = conn.pgconn.encrypt_password(password.encode(), service.encode(), b"scram-sha-256").decode()
    # A failing ALTER ROLE would put the verifier into the server log, so it travels as a parameter and its errors are replaced.
    conn.execute("select pg_catalog.set_config('trustpack.service_verifier', %s, true)", (verifier,))
    conn.execute(
        sql.SQL("""
            do $body$ declare failure text; begin
              begin
                execute format('alter role %I password %L', {service}, current_setting('trustpack.service_verifier'));
              exception when query_canceled or others then failure := sqlstate; end;
              if failure is not null then
                raise exception 'the service password could not be set (SQLSTATE %)', failure using errcode = failure;
              end if;
            end $body$""").format(service=sql.Literal(service))
    )


def _live_grants(conn: Connection[Any], state: str) -> tuple[str, ...]:
    query = sql.SQL("select role_name from {} where dropped_at is null order by role_name").format(
        sql.Identifier(state, "grants")
    )
    return tuple(name for (name,) in conn.execute(query).fetchall())


def _end_grant(conn: Connection[Any], definition: TargetDefinition, role_name: str) -> None:
    api = installed_names(definition.name).api
    result: dict[str, Any] = {}
    # Each call in a transaction of its own: sessions can only be ended once the end of the grant is committed.
    for function, arguments in (("expire", [role_name]), ("kill", [role_name, 5000]), ("drop_role", [role_name, None])):
        call = sql.SQL("select {}({})").format(sql.Identifier(api, function), sql.SQL(", ").join(map(sql.Literal, arguments)))
        with administering(conn):
            borrow(conn, definition)
            [(result,)] = conn.execute(call).fetchall()
            give_back(conn, definition)
    if not result["dropped"]:
        raise TargetRefused(
            f"The role {role_name} could not be dropped: {result['reason']}.", blockers=result.get("blockers", [])
        )


@contextmanager
def _notices(conn: Connection[Any]) -> Iterator[list[str]]:
    """Collect the warnings of the statements in between."""
    found: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            found.append(diagnostic.message_primary or "")

    conn.add_notice_handler(note)
    try:
        yield found
    finally:
        conn.remove_notice_handler(note)
