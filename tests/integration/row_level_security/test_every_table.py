"""Every table of the catalogue, every operation: row-level security alone keeps two tenants apart.

The operations run as a login of ours with every right on the table and every trigger out of the way, so that nothing but the
policies is left to stop them; each transaction is rolled back.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.rows import DictRow

from tests.support.clock import MovableClock
from tests.support.store import as_owner, tables_of_system, tables_of_tenants
from tests.support.tenant_rows import Row, fill_what_is_empty, insert, live, rows_of
from tests.support.worlds import scripted_world
from trustpack.app.bootstrap import Container
from trustpack.platform.settings import Settings

ROLES = ["trustpack_app", "trustpack_system"]
NOBODY: Mapping[str, str | None] = {"unset": None, "empty": "", "unknown": "nobody", "a pattern": "%"}
VIOLATION = "violates row-level security policy"


@dataclass(frozen=True, slots=True)
class Tables:
    """Two tenants' rows in every table of the catalogue, and the owner's connection to them."""

    connection: Connection[DictRow]
    mine: str
    theirs: str
    rows: Mapping[str, Mapping[str, list[Row]]]
    of_system: set[str]

    def are_all_seen(self, role: str, table: str, operation: str) -> bool:
        """Say whether this is the one exception: the system role finds due work of every tenant.

        A MERGE that it may not do fails there, for PostgreSQL refuses aloud to change a row that can be seen.
        """
        return role == "trustpack_system" and table in self.of_system and operation in {"SELECT", "COPY TO", "MERGE"}

    @contextmanager
    def unhindered(self, table: str, role: str, tenant_id: str | None) -> Iterator[Connection[DictRow]]:
        """Open a transaction as a role that may do everything to a table and that no trigger stops; roll it back."""
        right = sql.SQL("GRANT ALL ON {} TO {}").format(sql.Identifier("trustpack", table), sql.Identifier(role))
        with self.as_role(role, right, sql.SQL("SET LOCAL session_replication_role = replica")):
            if tenant_id is not None:
                self.connection.execute(sql.SQL("SET LOCAL trustpack.tenant = {}").format(sql.Literal(tenant_id)))
            yield self.connection

    @contextmanager
    def as_role(self, role: str, *before: sql.Composable) -> Iterator[Connection[DictRow]]:
        """Open a transaction as a role, after what the owner does before; roll it back."""
        with self.connection.transaction(force_rollback=True):
            for statement in before:
                self.connection.execute(statement)
            self.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            yield self.connection


@pytest.fixture(scope="module")
async def tables(container: Container, clock: MovableClock, settings: Settings) -> AsyncIterator[Tables]:
    """Two tenants with rows in every table: the one that acts, and the other."""
    names = tables_of_tenants(settings)
    async with scripted_world(container, clock) as mine, scripted_world(container, clock) as theirs:
        ids = mine.tenant_id, theirs.tenant_id
        with as_owner(settings) as connection:
            for world in (mine, theirs):
                await live(world)
                fill_what_is_empty(connection, names, world.tenant_id)
            rows = {table: {tenant_id: rows_of(connection, table, tenant_id) for tenant_id in ids} for table in names}
            yield Tables(connection, *ids, rows, tables_of_system(settings))


def count(connection: Connection[DictRow], statement: str, *parameters: Any) -> int:
    """Run a statement and return how many rows it touched or returned."""
    return connection.execute(cast("Any", statement), parameters or None).rowcount


def refusal_of(work: Callable[..., object], *arguments: Any) -> str:
    """Return what PostgreSQL says to something that it must refuse."""
    with pytest.raises(psycopg.Error) as refusal:
        work(*arguments)
    return str(refusal.value)


def select(connection: Connection[DictRow], table: str) -> int:
    return count(connection, f"SELECT FROM trustpack.{table}")


def lock(connection: Connection[DictRow], table: str) -> int:
    return count(connection, f"SELECT FROM trustpack.{table} FOR UPDATE")


def copied_out(connection: Connection[DictRow], table: str) -> int:
    with connection.cursor() as cursor, cursor.copy(cast("Any", f"COPY trustpack.{table} TO STDOUT")) as copy:
        return sum(1 for _ in copy.rows())


def copied_in(connection: Connection[DictRow], table: str) -> None:
    with connection.cursor() as cursor, cursor.copy(cast("Any", f"COPY trustpack.{table} FROM STDIN")) as copy:
        copy.write(b"")


def update(connection: Connection[DictRow], table: str) -> int:
    return count(connection, f"UPDATE trustpack.{table} SET tenant_id = tenant_id")


def delete(connection: Connection[DictRow], table: str) -> int:
    return count(connection, f"DELETE FROM trustpack.{table}")


def merge_away(connection: Connection[DictRow], table: str) -> int:
    source = "(SELECT 1) AS one (x) ON tenant_id IS NOT NULL"
    return count(connection, f"MERGE INTO trustpack.{table} USING {source} WHEN MATCHED THEN DELETE")


def insert_or_leave(connection: Connection[DictRow], table: str, row: Row) -> None:
    insert(connection, table, row, end="ON CONFLICT DO NOTHING")


def insert_and_return(connection: Connection[DictRow], table: str, row: Row) -> None:
    insert(connection, table, row, end="RETURNING tenant_id")


def insert_or_update(connection: Connection[DictRow], table: str, row: Row) -> None:
    end = f"ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET tenant_id = excluded.tenant_id"
    insert(connection, table, row, end=end)


def merge_in(connection: Connection[DictRow], table: str, row: Row) -> None:
    new = ", ".join(f"new.{column}" for column in row)
    statement = (
        f"MERGE INTO trustpack.{table} USING jsonb_populate_record(NULL::trustpack.{table}, %s) AS new ON false"
        f" WHEN NOT MATCHED THEN INSERT ({', '.join(row)}) VALUES ({new})"
    )
    connection.execute(cast("Any", statement), (json.dumps(row),))


MEETS_ROWS: Mapping[str, Callable[[Connection[DictRow], str], int]] = {
    "SELECT": select,
    "SELECT FOR UPDATE": lock,
    "COPY TO": copied_out,
    "UPDATE": update,
    "DELETE": delete,
    "MERGE": merge_away,
}
INSERTS: Mapping[str, Callable[[Connection[DictRow], str, Row], None]] = {
    "INSERT": insert,
    "INSERT RETURNING": insert_and_return,
    "INSERT ON CONFLICT DO NOTHING": insert_or_leave,
    "INSERT ON CONFLICT DO UPDATE": insert_or_update,
    "MERGE INSERT": merge_in,
}


def test_both_tenants_have_rows_in_every_table(settings: Settings, tables: Tables) -> None:
    # The counter-proof: "sees no rows" says nothing about a table that has none.
    assert list(tables.rows) == tables_of_tenants(settings) != []
    assert [table for table, rows in tables.rows.items() if not all(rows.values())] == []


def test_a_table_that_the_flow_leaves_empty_is_filled_by_its_columns_and_constraints(tables: Tables) -> None:
    connection = tables.connection
    with connection.transaction(force_rollback=True):
        connection.execute(
            "CREATE TABLE trustpack.tomorrows (tenant_id text NOT NULL, id text NOT NULL, person_id text NOT NULL,"
            " status text NOT NULL CHECK (status IN ('open', 'done')), amount bigint NOT NULL, names text[] NOT NULL,"
            " body bytea NOT NULL, made_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, id),"
            " FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id))"
        )

        fill_what_is_empty(connection, ["tomorrows"], tables.mine)

        [row] = rows_of(connection, "tomorrows", tables.mine)
        assert row["status"] == "open"
        assert row["person_id"] in {person["id"] for person in tables.rows["people"][tables.mine]}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", MEETS_ROWS)
def test_an_operation_on_all_rows_meets_those_of_its_tenant_alone(tables: Tables, operation: str, role: str) -> None:
    met, own = {}, {}
    for table, rows in tables.rows.items():
        for tenant_id in () if tables.are_all_seen(role, table, operation) else rows:
            own[table, tenant_id] = len(rows[tenant_id])
            with tables.unhindered(table, role, tenant_id) as connection:
                met[table, tenant_id] = MEETS_ROWS[operation](connection, table)

    assert met == own


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("who", NOBODY)
def test_without_the_name_of_a_tenant_an_operation_meets_no_row(tables: Tables, who: str, role: str) -> None:
    met = {}
    for table in tables.rows:
        with tables.unhindered(table, role, NOBODY[who]) as connection:
            for operation, work in MEETS_ROWS.items():
                met[table, operation] = 0 if tables.are_all_seen(role, table, operation) else work(connection, table)

    assert {found for found, rows in met.items() if rows} == set()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", INSERTS)
def test_no_row_can_be_made_for_another_tenant_or_for_none(tables: Tables, operation: str, role: str) -> None:
    said = {}
    for table, rows in tables.rows.items():
        for tenant_id in (tables.mine, *NOBODY.values()):
            with tables.unhindered(table, role, tenant_id) as connection:
                said[table, tenant_id] = refusal_of(INSERTS[operation], connection, table, rows[tables.theirs][0])

    assert {where: text for where, text in said.items() if VIOLATION not in text} == {}


@pytest.mark.parametrize("role", ROLES)
def test_an_own_row_can_be_made_again_after_it_was_taken_away(tables: Tables, role: str) -> None:
    # The counter-proof: what is refused above is refused for its tenant and for nothing else.
    for table, rows in tables.rows.items():
        with tables.unhindered(table, role, tables.mine) as connection:
            MEETS_ROWS["DELETE"](connection, table)
            for operation, work in INSERTS.items():
                work(connection, table, rows[tables.mine][0])
                assert MEETS_ROWS["DELETE"](connection, table) == 1, (table, operation)


@pytest.mark.parametrize("role", ROLES)
def test_an_own_row_cannot_be_moved_to_another_tenant(tables: Tables, role: str) -> None:
    said = {}
    for table in tables.rows:
        with tables.unhindered(table, role, tables.mine) as connection:
            said[table] = refusal_of(count, connection, f"UPDATE trustpack.{table} SET tenant_id = %s", tables.theirs)

    assert {table: text for table, text in said.items() if VIOLATION not in text} == {}


@pytest.mark.parametrize("role", ROLES)
def test_rows_cannot_be_copied_in_past_the_policies(tables: Tables, role: str) -> None:
    said = {}
    for table in tables.rows:
        with tables.unhindered(table, role, tables.mine) as connection:
            said[table] = refusal_of(copied_in, connection, table)

    assert {table: text for table, text in said.items() if "row-level security" not in text} == {}


def test_no_row_can_point_to_a_row_of_another_tenant(tables: Tables) -> None:
    keys = tables.connection.execute(
        "SELECT con.conname AS name, c.relname AS here, f.relname AS there, own.attname AS own, aim.attname AS aim"
        " FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_class f ON f.oid = con.confrelid"
        " CROSS JOIN unnest(con.conkey, con.confkey) AS pair (own, aim)"
        " JOIN pg_attribute own ON own.attrelid = con.conrelid AND own.attnum = pair.own"
        " JOIN pg_attribute aim ON aim.attrelid = con.confrelid AND aim.attnum = pair.aim"
        " WHERE con.contype = 'f' AND own.attname <> 'tenant_id' AND f.relname = ANY(%s)",
        (list(tables.rows),),
    ).fetchall()

    said = {}
    for key in keys:
        aim, rows = tables.rows[key["there"]][tables.theirs][0][key["aim"]], tables.rows[key["there"]][tables.mine]
        if aim in [row[key["aim"]] for row in rows]:
            continue  # a number of a revision, say, that both tenants have
        table = f"trustpack.{key['here']}"
        change = f"UPDATE {table} SET {key['own']} = %s WHERE ctid = (SELECT ctid FROM {table} WHERE tenant_id = %s LIMIT 1)"
        with tables.connection.transaction(force_rollback=True):
            tables.connection.execute(cast("Any", f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            tables.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            said[key["name"], key["own"]] = refusal_of(count, tables.connection, change, aim, tables.mine)

    assert {name for name, _ in said} == {key["name"] for key in keys} != set()
    assert {where: text for where, text in said.items() if "violates foreign key constraint" not in text} == {}


@pytest.mark.parametrize("role", ROLES)
def test_no_login_of_ours_can_empty_a_table(tables: Tables, role: str) -> None:
    # TRUNCATE asks no policy, so there is no right to it.
    said = {}
    for table in tables.rows:
        with tables.as_role(role) as connection:
            said[table] = refusal_of(count, connection, f"TRUNCATE trustpack.{table}")

    assert {table: text for table, text in said.items() if "permission denied" not in text} == {}


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE", "MERGE", *INSERTS])
def test_the_system_role_has_no_right_to_change_anything(tables: Tables, operation: str) -> None:
    said = {}
    for table, rows in tables.rows.items():
        with tables.as_role("trustpack_system") as connection:
            said[table] = (
                refusal_of(INSERTS[operation], connection, table, rows[tables.mine][0])
                if operation in INSERTS
                else refusal_of(MEETS_ROWS[operation], connection, table)
            )

    assert {table: text for table, text in said.items() if "permission denied" not in text} == {}
