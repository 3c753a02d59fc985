"""What a grantee sees: rows of one tenant, without what is hidden, until the database's own clock says that it is over."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.targets import (
    GRANTEE_PASSWORD,
    SERVICE_PASSWORD,
    TargetDatabase,
    a_definition,
    create_database,
    granted,
    handed_out,
    marked,
    prepare,
)
from trustpack.capabilities.operations.adapters.postgres.install import install
from trustpack.capabilities.operations.model import TargetRefused


@pytest.fixture
async def grantee(target, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        yield conn


async def test_a_grantee_sees_one_tenant_without_hidden_and_with_masked_columns(grantee):
    row = grantee.execute("select * from orders order by id limit 1")

    assert [column.name for column in row.description] == ["id", "tenant", "email", "phone", "note", "amount"]
    assert row.fetchone() == (3, "acme", "u***", "***0003", "***", 3)
    assert grantee.execute("select count(*), count(distinct tenant) from orders").fetchone() == (100, 1)
    assert grantee.execute("select count(*) from orders join refunds using (tenant)").fetchone() == (1000,)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from public.orders",
        "select card_number from orders",
        "select * from {state}.grants",
        "select * from {state}.settings",
        "insert into {state}.grants (role_name, expires_at) values ('x', now())",
        "update orders set amount = 0",
        "delete from orders",
        "select {api}.grant_access('tpk_00000000000000000000000000000000', 'globex', 60, 1)",
        "select {api}.set_verifier(session_user::text, 'x')",
        "set role {owner}",
        "set role {provisioner}",
        "set session authorization {service}",
        "alter role current_user valid until 'infinity'",
        "alter role current_user connection limit 100",
        "create table {views}.mine (id integer)",
        "create or replace function {views}.scope() returns text language sql as $$ select 'globex' $$",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/passwd')",
    ],
)
async def test_everything_else_is_denied(target, grantee, statement):
    names = target.names
    places = {kind: sql.Identifier(getattr(names, kind)) for kind in ("state", "api", "owner", "provisioner", "service", "views")}

    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedColumn)):
        grantee.execute(sql.SQL(statement).format(**places))


@pytest.mark.adversarial(43)
async def test_nothing_that_a_session_can_set_changes_the_scope(target, grantee):
    attempts = [
        "set app.tenant = 'globex'",
        "set row_security = off",
        "set search_path = pg_temp, public",
        "create temporary view orders as select 'globex' as tenant",
        "create function pg_temp.scope() returns text language sql as $$ select 'globex' $$",
        "alter role current_user set search_path = public",
    ]
    if target.version < 16:
        attempts.append(f"set role {target.names.reader}")

    for attempt in attempts:
        grantee.execute(attempt)

    seen = grantee.execute(f"select distinct tenant from {target.names.views}.orders").fetchall()
    assert seen == [("acme",)]


async def test_a_cheap_function_of_the_grantee_never_sees_another_tenant(target, grantee):
    grantee.execute(
        "create function pg_temp.spy(tenant text) returns boolean language plpgsql cost 0.0000001 as $$"
        " begin if tenant <> 'acme' then raise exception 'saw %', tenant; end if; return true; end $$"
    )

    assert grantee.execute("select count(*) from orders where pg_temp.spy(tenant)").fetchone() == (100,)
    assert grantee.execute(
        "select count(*) from orders where 1 / (case tenant when 'globex' then 0 else 1 end) = 1"
    ).fetchone() == (100,)


async def test_two_grantees_see_their_own_tenants_at_the_same_time(target, order, another_order, grant_access, grantee):
    other = await grant_access(replace(another_order, scope="globex"))

    with target.grantee(other) as conn:
        assert conn.execute("select distinct tenant from orders").fetchall() == [("globex",)]
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute(sql.SQL("set role {}").format(sql.Identifier(order.role_name)))
    assert grantee.execute("select distinct tenant from orders").fetchall() == [("acme",)]


async def test_access_ends_on_the_clock_of_the_database_with_nothing_revoked(target, order, grant_access):
    role_name = await grant_access(replace(order, duration_seconds=1))
    with target.grantee(role_name) as conn, target.grantee(role_name) as in_transaction:
        in_transaction.execute("begin isolation level repeatable read")
        in_transaction.execute("select count(*) from orders")
        conn.execute("prepare mine as select count(*) from orders")
        before = conn.execute("execute mine").fetchone()
        if target.version < 16:
            conn.execute(sql.SQL("set role {}").format(sql.Identifier(target.names.reader)))

        conn.execute("select pg_sleep(1.05)")

        assert before == (100,)
        assert conn.execute("execute mine").fetchone() == (0,)
        assert in_transaction.execute("select count(*) from orders").fetchone() == (0,)
        assert conn.execute("select count(*) from orders").fetchone() == (0,)
        assert conn.execute(f"select {target.names.views}.scope()").fetchone() == (None,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        target.grantee(role_name)


async def test_a_grantee_has_no_password_until_one_is_set(target, adapter, order):
    await granted(adapter, target.definition, order)

    for password in ("", GRANTEE_PASSWORD):
        with pytest.raises(psycopg.OperationalError):
            target.grantee(order.role_name, password=password)


async def test_a_new_password_replaces_the_old_one(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    mark = await marked(adapter, target.definition, role_name)

    await adapter.set_verifier(target.definition, mark, password="the-next-one", generation=2)

    target.grantee(role_name, password="the-next-one").close()
    with pytest.raises(psycopg.OperationalError):
        target.grantee(role_name)


async def test_the_connection_limit_holds(target, order, grant_access):
    role_name = await grant_access(replace(order, connection_limit=1))

    with target.grantee(role_name), pytest.raises(psycopg.OperationalError, match="too many connections"):
        target.grantee(role_name)


async def test_statement_logging_is_pinned_by_a_superuser_installation(target, grantee):
    if target.installed_by == "owner":
        assert "not logged by force" in target.report.missing_protections[0]
        return
    assert grantee.execute("show log_statement").fetchone() == ("all",)
    for attempt in ("set log_statement = 'none'", "alter role current_user reset log_statement"):
        with pytest.raises(errors.InsufficientPrivilege):
            grantee.execute(attempt)


HOSTILE_SCHEMA = """
    create schema "sales; drop table x";
    create table "sales; drop table x"."Order ""Items"" 100%" (
      id integer, "the tenant's id" uuid, "; select 1 --" text, "{braces}" text, "%s" text, "select" text);
    insert into "sales; drop table x"."Order ""Items"" 100%" values
      (1, '00000000-0000-0000-0000-000000000001', 'a', 'b', 'secret', 'e'),
      (2, '00000000-0000-0000-0000-000000000002', 'a', 'b', 'secret', 'e');
    create schema archive;
    create table archive.orders (tenant varchar(20), amount bigint);
    insert into archive.orders values ('acme', 1), ('globex', 2);
"""


@pytest.mark.adversarial(31)
async def test_hostile_names_and_tables_of_the_same_name_are_served(server, new_name, order):
    version, cluster = server
    database = new_name.replace("-", "_")
    url = create_database(cluster, database)
    tables = [
        {"table": "public.orders", "tenant_column": "tenant", "hide": ["card_number"]},
        {"table": "archive.orders", "tenant_column": "tenant", "mask": {"amount": "last_four"}},
        {
            "table": 'sales; drop table x.Order "Items" 100%',
            "tenant_column": "the tenant's id",
            "hide": ["%s"],
            "mask": {"; select 1 --": "redacted", "{braces}": "first_letter"},
        },
    ]
    definition = a_definition(new_name, tables=tables)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(HOSTILE_SCHEMA)
        report = install(conn, definition, service_password=SERVICE_PASSWORD)
        names = conn.execute(
            "select viewname from pg_views where schemaname = %s order by 1", (f"trustpack_{database}_views",)
        ).fetchall()
        assert names == [('Order "Items" 100%',), ("archive_orders",), ("public_orders",)]
    adapter = TargetDatabase(version, "superuser", cluster, database, url, definition, report).adapter()
    await granted(adapter, definition, replace(order, scope="00000000-0000-0000-0000-000000000002"))
    await handed_out(adapter, definition, order.role_name)
    with psycopg.connect(cluster.url(user=order.role_name, password=GRANTEE_PASSWORD, database=database)) as conn:
        row = conn.execute(sql.SQL("select * from {}").format(sql.Identifier('Order "Items" 100%'))).fetchone()
        assert row == (2, UUID(int=2), "***", "***", "e")


@pytest.mark.parametrize(
    ("scope", "rows"),
    [
        ("00000000-0000-0000-0000-000000000001", [(1,)]),
        ("00000000-0000-0000-0000-00000000000A", []),
    ],
)
async def test_a_uuid_tenant_column_is_compared_as_uuid(server, new_name, order, scope, rows):
    version, cluster = server
    target = prepare_with(cluster, version, new_name, "create table public.things (id integer, owner uuid)", "things", "owner")
    with target.superuser() as conn:
        conn.execute("insert into things values (1, '00000000-0000-0000-0000-000000000001')")
    adapter = target.adapter()
    await granted(adapter, target.definition, replace(order, scope=scope))
    await handed_out(adapter, target.definition, order.role_name)

    with target.grantee(order.role_name) as conn:
        assert conn.execute("select id from things").fetchall() == rows


async def test_a_scope_that_does_not_fit_the_tenant_columns_type_shows_nothing(server, new_name, order):
    version, cluster = server
    target = prepare_with(
        cluster, version, new_name, "create table public.things as select 1 as id, 1 as owner", "things", "owner"
    )
    adapter = target.adapter()
    await granted(adapter, target.definition, replace(order, scope="1 or 1=1"))
    await handed_out(adapter, target.definition, order.role_name)

    with target.grantee(order.role_name) as conn, pytest.raises(errors.InvalidTextRepresentation):
        conn.execute("select id from things")


@pytest.mark.parametrize("scope", ["o'brien; drop table orders", '"', "$body$", "%s", "{x}", "ü-ähnlich", "acme ", "\\"], ids=str)
@pytest.mark.adversarial(31)
async def test_hostile_scopes_are_values_only(target, adapter, order, scope):
    await granted(adapter, target.definition, replace(order, scope=scope))
    await handed_out(adapter, target.definition, order.role_name)

    with target.grantee(order.role_name) as conn:
        assert conn.execute(f"select {target.names.views}.scope()").fetchone() == (scope,)
        assert conn.execute("select count(*) from orders").fetchone() == (0,)


@pytest.mark.parametrize("scope", ["a\nb", "a\x7fb", "x" * 201, ""], ids=repr)
@pytest.mark.adversarial(31)
async def test_scopes_that_cannot_be_shown_to_an_approver_are_refused(target, adapter, order, scope):
    with pytest.raises(TargetRefused):
        await granted(adapter, target.definition, replace(order, scope=scope))


def prepare_with(cluster, version, name, statement, table, tenant_column):
    database = name.replace("-", "_")
    target = prepare(cluster, version=version, installed_by="superuser", name=name)
    definition = a_definition(name, tables=[{"table": f"public.{table}", "tenant_column": tenant_column}])
    with psycopg.connect(cluster.url(database=database), autocommit=True) as conn:
        conn.execute(statement)
        install(conn, definition)
    return replace(target, definition=definition)
