"""Two tenants with rows in every table, and SQL past the product: neither sees, makes or changes a row of the other."""

from __future__ import annotations

import json
from contextlib import suppress

import psycopg
import pytest

from tests.support.store import as_app, as_owner, as_system, run_as_app, tables_of_system, tables_of_tenants
from tests.support.tenant_rows import live, rows_of
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.platform.settings import Settings


@pytest.fixture
async def mine(world: World) -> World:
    await live(world)
    return world


@pytest.fixture
async def theirs(other_world: World) -> World:
    await live(other_world)
    return other_world


async def test_a_tenant_sees_all_of_its_own_rows_and_none_of_the_others(
    container: Container, settings: Settings, mine: World, theirs: World
):
    seen, own = {}, {}
    with as_owner(settings) as owner:
        async with as_app(container, mine.tenant_id) as connection:
            for table in tables_of_tenants(settings):
                cursor = await connection.execute(f"SELECT to_jsonb(t) AS row FROM trustpack.{table} t ORDER BY t::text")
                seen[table] = [found["row"] for found in await cursor.fetchall()]
                own[table] = rows_of(owner, table, mine.tenant_id)

    assert seen == own


@pytest.mark.parametrize("tenant_id", [None, "", "nobody", "%", "tenant-1' OR true --"], ids=repr)
async def test_without_the_name_of_a_tenant_no_row_is_seen(
    container: Container, settings: Settings, mine: World, tenant_id: str | None
):
    seen = {}
    async with as_app(container, tenant_id) as connection:
        for table in tables_of_tenants(settings):
            cursor = await connection.execute(f"SELECT count(*) AS n FROM trustpack.{table}")
            row = await cursor.fetchone()
            seen[table] = row["n"] if row else None

    assert set(seen.values()) == {0}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO trustpack.{table} SELECT (jsonb_populate_record(t, %(theirs)s)).* FROM trustpack.{table} t LIMIT 1",
        "UPDATE trustpack.{table} SET tenant_id = %(tenant_id)s",
        "UPDATE trustpack.{table} SET tenant_id = tenant_id WHERE tenant_id = %(tenant_id)s",
        "DELETE FROM trustpack.{table}",
        "TRUNCATE trustpack.{table} CASCADE",
    ],
)
async def test_nothing_that_the_application_may_send_changes_a_row_of_another_tenant(
    container: Container, settings: Settings, mine: World, theirs: World, statement: str
):
    parameters = {"theirs": json.dumps({"tenant_id": theirs.tenant_id}), "tenant_id": theirs.tenant_id}
    changed = []
    with as_owner(settings) as owner:
        for table in tables_of_tenants(settings):
            before = rows_of(owner, table, theirs.tenant_id)
            # Whether it is refused or meets no row depends on the table; the other tenant's rows stay either way.
            with suppress(psycopg.Error):
                await run_as_app(container, mine.tenant_id, statement.format(table=table), **parameters)
            if rows_of(owner, table, theirs.tenant_id) != before:
                changed.append(table)

    assert changed == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER TABLE trustpack.people NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE trustpack.people DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY open ON trustpack.people USING (true)",
        "DROP POLICY tenant_rows ON trustpack.people",
        "ALTER ROLE trustpack_app BYPASSRLS",
        "COPY trustpack.people TO PROGRAM 'cat'",
        "CREATE TABLE trustpack.mine (x int)",
        "CREATE FUNCTION trustpack.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT trustpack.protect_tenant_table('people')",
    ],
)
async def test_the_application_cannot_take_the_protection_away(container: Container, mine: World, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, mine.tenant_id, statement)


async def test_turning_row_security_off_makes_statements_fail_instead_of_showing_rows(container: Container, mine: World):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, mine.tenant_id, "SET LOCAL row_security = off", "SELECT count(*) FROM trustpack.people")


def test_the_system_role_finds_jobs_of_every_tenant(settings: Settings, mine: World, theirs: World):
    with as_system(settings) as connection:
        found = {row["tenant_id"] for row in connection.execute("SELECT tenant_id FROM trustpack.jobs").fetchall()}

    assert {mine.tenant_id, theirs.tenant_id} <= found


def test_the_system_role_reads_no_other_table(settings: Settings):
    readable = []
    with as_system(settings) as connection:
        for table in tables_of_tenants(settings):
            with suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT count(*) FROM trustpack.{table}")  # type: ignore[arg-type]
                readable.append(table)

    assert set(readable) <= tables_of_system(settings)
