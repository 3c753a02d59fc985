"""Two tenants with rows in every table, and SQL past the product: neither sees, makes or changes a row of the other."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.store import as_app, as_system, rows_as_owner, run_as_app, tables_of_tenants
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.capabilities import directory
from trustpack.platform.settings import Settings

# Every table of the schema; a new one fails the first test until the flow below fills it.
TABLES = [
    "approvals",
    "disclosures",
    "executions",
    "grants",
    "high_risk_requests",
    "idempotency_keys",
    "jobs",
    "log_outbox",
    "people",
    "person_accounts",
    "policy_decisions",
    "receipts",
    "targets",
    "teams",
    "tenants",
    "token_uses",
    "tokens",
    "usage_events",
]
CHANGEABLE = [
    "executions",
    "grants",
    "high_risk_requests",
    "idempotency_keys",
    "jobs",
    "people",
    "targets",
    "teams",
    "tenants",
    "token_uses",
    "tokens",
]
REMOVABLE = ["idempotency_keys", "jobs"]


async def live(world: World) -> None:
    """Do something of everything, so that the tenant has rows in every table."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_team(tx, world.operator, name="payments")
    await world.active()
    response = await world.call("user-engineer", "POST", "/high-risk-ops/requests", {"type": "?"}, key="k1")
    assert response.status_code == 422
    request = await world.ask()
    response = await world.act("user-engineer", request["id"], "cancel", key="k2")
    assert response.status_code == 200


@pytest.fixture
async def mine(world: World) -> World:
    await live(world)
    return world


@pytest.fixture
async def theirs(other_world: World) -> World:
    await live(other_world)
    return other_world


def rows_of(settings: Settings, table: str, tenant_id: str) -> int:
    [row] = rows_as_owner(settings, f"SELECT count(*) AS n FROM trustpack.{table} WHERE tenant_id = %s", tenant_id)
    return int(row["n"])


def content(settings: Settings, table: str, tenant_id: str) -> list[str]:
    rows = rows_as_owner(settings, f"SELECT t::text AS row FROM trustpack.{table} t WHERE tenant_id = %s ORDER BY 1", tenant_id)
    return [row["row"] for row in rows]


def test_the_list_of_tables_is_that_of_the_schema(settings: Settings):
    assert tables_of_tenants(settings) == TABLES


async def test_the_flow_fills_every_table_of_both_tenants(settings: Settings, mine: World, theirs: World):
    # The counter-proof: "sees no rows" says nothing about a table that has none.
    empty = [table for table in TABLES for world in (mine, theirs) if rows_of(settings, table, world.tenant_id) == 0]

    assert empty == []


async def test_a_tenant_sees_all_of_its_own_rows_and_none_of_the_others(
    container: Container, settings: Settings, mine: World, theirs: World
):
    seen: dict[str, list[tuple[str, int]]] = {}
    async with as_app(container, mine.tenant_id) as connection:
        for table in TABLES:
            cursor = await connection.execute(f"SELECT tenant_id, count(*) AS n FROM trustpack.{table} GROUP BY tenant_id")
            seen[table] = [(row["tenant_id"], row["n"]) for row in await cursor.fetchall()]

    assert seen == {table: [(mine.tenant_id, rows_of(settings, table, mine.tenant_id))] for table in TABLES}


@pytest.mark.parametrize("tenant_id", [None, "", "nobody", "%", "tenant-1' OR true --"], ids=repr)
async def test_without_the_name_of_a_tenant_no_row_is_seen(container: Container, mine: World, tenant_id: str | None):
    seen = {}
    async with as_app(container, tenant_id) as connection:
        for table in TABLES:
            cursor = await connection.execute(f"SELECT count(*) AS n FROM trustpack.{table}")
            row = await cursor.fetchone()
            seen[table] = row["n"] if row else None

    assert seen == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_cannot_be_made_for_another_tenant(
    container: Container, settings: Settings, mine: World, theirs: World, table: str
):
    before = content(settings, table, theirs.tenant_id)
    columns = [
        row["attname"]
        for row in rows_as_owner(
            settings,
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            f"trustpack.{table}",
        )
    ]
    # A copy of one's own row under the other's name: right in every other way.
    values = ", ".join({"tenant_id": "%(theirs)s", "version": "1"}.get(column, column) for column in columns)
    statement = f"INSERT INTO trustpack.{table} ({', '.join(columns)}) SELECT {values} FROM trustpack.{table} LIMIT 1"

    with pytest.raises(psycopg.Error):
        await run_as_app(container, mine.tenant_id, statement, theirs=theirs.tenant_id)

    assert content(settings, table, theirs.tenant_id) == before


@pytest.mark.parametrize("table", CHANGEABLE)
async def test_a_row_of_another_tenant_cannot_be_changed(
    container: Container, settings: Settings, mine: World, theirs: World, table: str
):
    before = content(settings, table, theirs.tenant_id)

    async with as_app(container, mine.tenant_id) as connection:
        cursor = await connection.execute(
            f"UPDATE trustpack.{table} SET tenant_id = tenant_id WHERE tenant_id = %s", (theirs.tenant_id,)
        )

        assert cursor.rowcount == 0
    assert content(settings, table, theirs.tenant_id) == before


@pytest.mark.parametrize("table", ["jobs", "idempotency_keys", "token_uses"])
async def test_an_own_row_cannot_be_moved_to_another_tenant(container: Container, mine: World, theirs: World, table: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        await run_as_app(
            container, mine.tenant_id, f"UPDATE trustpack.{table} SET tenant_id = %(theirs)s", theirs=theirs.tenant_id
        )


@pytest.mark.parametrize("table", REMOVABLE)
async def test_a_row_of_another_tenant_cannot_be_removed(
    container: Container, settings: Settings, mine: World, theirs: World, table: str
):
    before = content(settings, table, theirs.tenant_id)

    await run_as_app(container, mine.tenant_id, f"DELETE FROM trustpack.{table}")

    assert content(settings, table, theirs.tenant_id) == before


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


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"jobs", "tenants"}))
def test_the_system_role_reads_no_other_table(settings: Settings, table: str):
    with as_system(settings) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT count(*) FROM trustpack.{table}")  # type: ignore[arg-type]


async def test_over_http_a_request_of_another_tenant_does_not_exist(mine: World, theirs: World):
    request = await theirs.ask()
    unknown = "hro_" + "0" * 12 + "7" + "0" * 3 + "8" + "0" * 15

    answers = [
        await mine.call("user-admin", method, f"/high-risk-ops/requests/{request_id}{rest}", body)
        for request_id in (request["id"], unknown)
        for method, rest, body in (
            ("GET", "", None),
            ("GET", "/receipts", None),
            ("POST", "/cancel", {}),
            ("POST", "/execute", None),
        )
    ]

    assert {answer.status_code for answer in answers} == {404}
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[:4] == bodies[4:]
