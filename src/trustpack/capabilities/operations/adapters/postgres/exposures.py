"""What every login of a server may do by default and a grantee therefore may too, with the statement that takes it away.

Source: research/jit-provisioning section 5. What cannot be taken away at all is listed in docs/how-to/prepare-a-target.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql

from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.model import TargetDefinition


@dataclass(frozen=True, slots=True)
class Exposure:
    """One right of PUBLIC. `statement` takes it away; each application that relied on it needs it granted by name then."""

    code: str
    what: str
    statement: str


_LARGE_OBJECTS: Final = ("lo_creat", "lo_create", "lo_from_bytea")
_SIGNALS: Final = ("pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_notify", "pg_logical_emit_message", "pg_export_snapshot")
_OPEN_FUNCTIONS: Final = """
    select format('%%I.%%I(%%s)', space.nspname, routine.proname, pg_catalog.pg_get_function_identity_arguments(routine.oid))
      from pg_catalog.pg_proc as routine join pg_catalog.pg_namespace as space on space.oid = routine.pronamespace
     where space.nspname = 'pg_catalog' and routine.proname ~ %s
       and pg_catalog.has_function_privilege('public', routine.oid, 'execute')
     order by 1
"""


def exposures(conn: Connection[Any], definition: TargetDefinition) -> tuple[Exposure, ...]:
    """Return what PUBLIC may still do on the server of the connection."""
    return (
        *_database_rights(conn),
        *_languages(conn, definition),
        *_functions(
            conn,
            code="advisory_locks",
            what="Every login may take advisory locks: enough of them fill the lock table and delay a revocation.",
            pattern="^pg_(try_)?advisory_",
        ),
        *_functions(
            conn,
            code="large_objects",
            what="Every login may create large objects.",
            pattern=f"^({'|'.join(_LARGE_OBJECTS)})$",
        ),
        *_functions(
            conn,
            code="signals",
            what="Every login may sleep in a session, notify other sessions, and hold back cleaning by exported snapshots.",
            pattern=f"^({'|'.join(_SIGNALS)})$",
            needed=sql.SQL("grant execute on function pg_catalog.pg_sleep(double precision) to {};").format(
                sql.Identifier(installed_names(definition.name).provisioner)
            ),
        ),
        *_activity(conn, definition),
    )


def _database_rights(conn: Connection[Any]) -> list[Exposure]:
    found = []
    if _is_true(conn, "select pg_catalog.has_database_privilege('public', pg_catalog.current_database(), 'temporary')"):
        statement = sql.SQL("revoke temporary on database {} from public;").format(sql.Identifier(conn.info.dbname))
        what = "Every login may create temporary tables and functions in this database."
        found.append(Exposure("temporary_objects", what, statement.as_string(conn)))
    others = conn.execute(
        "select datname from pg_catalog.pg_database where datallowconn and datname <> pg_catalog.current_database()"
        " and pg_catalog.has_database_privilege('public', oid, 'connect') order by datname"
    ).fetchall()
    if others:
        names = [name for (name,) in others]
        statement = sql.SQL("revoke connect on database {} from public;").format(sql.SQL(", ").join(map(sql.Identifier, names)))
        what = f"Every login may connect to the other databases of the cluster: {', '.join(names)}."
        found.append(Exposure("other_databases", what, statement.as_string(conn)))
    return found


def _languages(conn: Connection[Any], definition: TargetDefinition) -> list[Exposure]:
    rows = conn.execute(
        "select lanname from pg_catalog.pg_language"
        " where lanpltrusted and pg_catalog.has_language_privilege('public', oid, 'usage') order by lanname"
    ).fetchall()
    if not rows:
        return []
    names = installed_names(definition.name)
    # Our own roles keep them: the next `target install` creates their functions anew.
    statement = sql.SQL(
        "revoke usage on language {languages} from public;\ngrant usage on language {languages} to {roles};"
    ).format(
        languages=sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows),
        roles=sql.SQL(", ").join([sql.Identifier(names.owner), sql.Identifier(names.provisioner)]),
    )
    return [Exposure("languages", "Every login may run code of its own (DO blocks, functions).", statement.as_string(conn))]


def _functions(
    conn: Connection[Any], *, code: str, what: str, pattern: str, needed: sql.Composable | None = None
) -> list[Exposure]:
    signatures = [signature for (signature,) in conn.execute(_OPEN_FUNCTIONS, (pattern,)).fetchall()]
    if not signatures:
        return []
    statement = f"revoke execute on function {', '.join(signatures)} from public;"
    if needed is not None:
        statement += f"\n{needed.as_string(conn)}"
    return [Exposure(code, what, statement)]


def _activity(conn: Connection[Any], definition: TargetDefinition) -> list[Exposure]:
    if not _is_true(conn, "select pg_catalog.has_table_privilege('public', 'pg_catalog.pg_stat_activity', 'select')"):
        return []
    names = installed_names(definition.name)
    roles = [sql.Identifier(names.provisioner), sql.Identifier("pg_monitor")]
    if _is_true(conn, "select exists (select from pg_catalog.pg_roles where rolname = %s)", names.killer):
        roles.append(sql.Identifier(names.killer))
    statement = sql.SQL(
        "revoke select on pg_catalog.pg_stat_activity, pg_catalog.pg_stat_all_tables, pg_catalog.pg_stat_user_tables"
        " from public;\n"
        "revoke execute on function pg_catalog.pg_stat_get_activity(integer) from public;\n"
        "grant select on pg_catalog.pg_stat_activity to {roles};\n"
        "grant execute on function pg_catalog.pg_stat_get_activity(integer) to {roles};"
    ).format(roles=sql.SQL(", ").join(roles))
    what = "Every login may see who is connected, with which application, and how many rows each table has."
    return [Exposure("activity", what, statement.as_string(conn))]


def _is_true(conn: Connection[Any], query: str, *arguments: str) -> bool:
    row = conn.execute(query, arguments or None).fetchone()
    return row is not None and bool(row[0])
