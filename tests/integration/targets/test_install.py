"""Installing, checking, hardening and removing: what is left in the customer's database, and what is found there."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import psycopg
import pytest
import yaml
from psycopg import errors, sql
from typer.testing import CliRunner

from tests.support.targets import (
    BIN_PATHS,
    SERVICE_PASSWORD,
    SUPERUSER_PASSWORD,
    a_definition,
    create_database,
    granted,
    handed_out,
    prepare,
    reverted,
    with_database,
)
from trustpack.capabilities.operations.adapters.postgres import install as installation
from trustpack.capabilities.operations.adapters.postgres.check import Severity, check
from trustpack.capabilities.operations.adapters.postgres.exposures import exposures
from trustpack.capabilities.operations.adapters.postgres.target_cli import target_app
from trustpack.capabilities.operations.model import TargetNotPrepared, TargetRefused, TargetUnavailable
from trustpack.capabilities.operations.rules.target_definition import definition_document

CUSTOMERS_CATALOGUE = """
    select 'class', relname, relacl::text, relowner::regrole::text, relrowsecurity::text, reloptions::text from pg_class
     where relnamespace = 'public'::regnamespace
    union all
    select 'attribute', attrelid::regclass || '.' || attname, attacl::text, attnotnull::text, attoptions::text,
           atttypid::regtype::text
      from pg_attribute where attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
    union all
    select 'trigger', tgname, tgrelid::regclass::text, '', '', '' from pg_trigger
    union all
    select 'policy', polname, polrelid::regclass::text, '', '', '' from pg_policy
    union all
    select 'schema', nspname, case nspname when 'public' then '' else nspacl::text end, nspowner::regrole::text, '', ''
      from pg_namespace
     where nspname not like 'pg_toast%%' and nspname not like 'pg_temp%%'
    union all
    select 'role', rolname, '', '', '', '' from pg_roles where rolname like 'trustpack_' || %s || '%%'
    order by 1, 2, 3
"""


@pytest.fixture
def fresh(server, request, new_name):
    version, cluster = server
    return prepare(cluster, version=version, installed_by=getattr(request, "param", "superuser"), name=new_name)


by_both = pytest.mark.parametrize("fresh", ["superuser", "owner"], indirect=True)


def dump(target) -> bytes:
    pg_dump = BIN_PATHS[target.version] / "pg_dump"
    environment = {**os.environ, "PGPASSWORD": SUPERUSER_PASSWORD}
    arguments = ["-h", "127.0.0.1", "-p", str(target.cluster.port), "-U", "postgres", target.database]
    output = subprocess.run([str(pg_dump), *arguments], env=environment, capture_output=True, check=True).stdout
    return b"\n".join(line for line in output.splitlines() if b"restrict" not in line)


@pytest.mark.parametrize("installed_by", ["superuser", "owner"])
def test_uninstalling_leaves_the_database_as_it_was(server, new_name, installed_by):
    version, cluster = server
    target = prepare(cluster, version=version, installed_by=installed_by, name=new_name)
    stem = new_name.replace("-", "_")
    with psycopg.connect(target.admin_url, autocommit=True) as conn:
        installation.uninstall(conn, target.definition)
        before, dumped_before = conn.execute(CUSTOMERS_CATALOGUE, (stem,)).fetchall(), dump(target)

        installation.install(conn, target.definition, service_password=SERVICE_PASSWORD)
        during = conn.execute(CUSTOMERS_CATALOGUE, (stem,)).fetchall()
        installation.uninstall(conn, target.definition)
        after, dumped_after = conn.execute(CUSTOMERS_CATALOGUE, (stem,)).fetchall(), dump(target)

    assert during != before
    assert after == before
    assert dumped_after == dumped_before
    assert not any(row[0] == "role" for row in after)


def test_installing_changes_no_table_beyond_column_rights_of_our_own_role(server, new_name):
    _, cluster = server
    url = create_database(cluster, new_name.replace("-", "_"))
    query = (
        "select relname, relacl::text, relfilenode, relrowsecurity, relhastriggers from pg_class"
        " where relnamespace = 'public'::regnamespace"
    )
    with psycopg.connect(url, autocommit=True) as conn:
        before = conn.execute(query).fetchall()
        installation.install(conn, a_definition(new_name))

        assert conn.execute(query).fetchall() == before
        readable = conn.execute(
            "select attname from pg_attribute where attrelid = 'orders'::regclass"
            " and has_column_privilege(%s, attrelid, attnum, 'select') order by attnum",
            (f"trustpack_{new_name.replace('-', '_')}_owner",),
        ).fetchall()
    assert readable == [("id",), ("tenant",), ("email",), ("phone",), ("amount",)]


@by_both
async def test_uninstalling_is_refused_while_grants_are_live_unless_forced(fresh, order):
    await granted(fresh.adapter(), fresh.definition, order)
    await handed_out(fresh.adapter(), fresh.definition, order.role_name)
    with psycopg.connect(fresh.admin_url, autocommit=True) as conn, fresh.grantee(order.role_name) as session:
        with pytest.raises(TargetRefused, match="1 grants are live"):
            installation.uninstall(conn, fresh.definition)
        assert session.execute("select count(*) from orders").fetchone() == (100,)

        ended = installation.uninstall(conn, fresh.definition, force=True)

        assert ended == (order.role_name,)
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
        assert conn.execute("select count(*) from pg_roles where rolname = %s", (order.role_name,)).fetchone() == (0,)
        with pytest.raises(TargetNotPrepared):
            installation.uninstall(conn, fresh.definition)
    with pytest.raises(TargetUnavailable):
        await fresh.adapter().identify(fresh.definition)


@by_both
async def test_installing_again_keeps_live_grants_and_takes_a_new_definition_over(fresh, order):
    adapter = fresh.adapter()
    first = await granted(adapter, fresh.definition, order)
    await handed_out(adapter, fresh.definition, order.role_name)
    before = await adapter.identify(fresh.definition)
    narrower = replace(fresh.definition, tables=fresh.definition.tables[:1], max_duration_seconds=60)
    with psycopg.connect(fresh.admin_url, autocommit=True) as conn, fresh.grantee(order.role_name) as session:
        session.execute("prepare mine as select count(*) from orders")
        installation.install(conn, fresh.definition)
        assert (await adapter.identify(fresh.definition)) == before
        assert session.execute("execute mine").fetchone() == (100,)

        installation.install(conn, narrower)

        assert session.execute("execute mine").fetchone() == (100,)
        with pytest.raises(errors.UndefinedTable):
            session.execute("select * from refunds")
    with pytest.raises(TargetNotPrepared, match="another version of this definition"):
        await adapter.identify(fresh.definition)
    assert (await adapter.identify(narrower)).digest != before.digest
    assert (
        await granted(adapter, narrower, replace(order, role_name="tpk_" + "a" * 31 + order.role_name[-1], duration_seconds=60))
    ).adopted is False
    assert (await reverted(adapter, narrower, order.role_name)).proven
    assert first.adopted is False


@pytest.mark.parametrize("installed_by", ["superuser", "owner"])
def test_the_dry_run_runs_through_psql_as_it_is(server, new_name, installed_by):
    _, cluster = server
    database = new_name.replace("-", "_")
    url = create_database(cluster, database, owner=f"{database}_dba" if installed_by == "owner" else None)
    definition = a_definition(new_name, scopes=["acme", "o'brien"])
    with psycopg.connect(url, autocommit=True) as conn:
        script = installation.render_install(conn, definition)
        assert not installation.is_installed(conn, definition)

        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url], input=script.encode(), capture_output=True, check=True)

        assert installation.is_installed(conn, definition)
        assert [finding for finding in check(conn, definition) if finding.severity is Severity.HIGH] == []
    assert "create view" in script
    assert "SCRAM" not in script.replace("SCRAM-SHA-256", "")


def test_two_targets_share_a_cluster_and_even_a_database(server, new_name):
    version, cluster = server
    first = prepare(cluster, version=version, installed_by="superuser", name=new_name)
    second = a_definition(f"{new_name}-b")
    with psycopg.connect(first.superuser_url, autocommit=True) as conn:
        installation.install(conn, second)

        high = [
            finding
            for definition in (first.definition, second)
            for finding in check(conn, definition)
            if finding.severity is Severity.HIGH
        ]
        installation.uninstall(conn, second)
        assert installation.is_installed(conn, first.definition)
    assert high == []


@pytest.mark.adversarial(32)
def test_the_name_of_a_target_in_another_database_is_not_taken_over(fresh):
    other = f"{fresh.database}_copy"
    url = create_database(fresh.cluster, other)

    with psycopg.connect(url, autocommit=True) as conn, pytest.raises(TargetRefused, match="exists although this database"):
        installation.install(conn, fresh.definition)


def test_a_definition_that_does_not_fit_is_refused_with_every_reason(fresh):
    definition = a_definition(
        fresh.definition.name,
        tables=[
            {"table": "public.nothing", "tenant_column": "tenant"},
            {"table": "public.orders", "tenant_column": "owner", "hide": ["nowhere"], "mask": {"amount": "first_letter"}},
            {"table": "public.refunds", "tenant_column": "tenant"},
        ],
    )
    with psycopg.connect(fresh.admin_url, autocommit=True) as conn:
        with pytest.raises(TargetRefused) as caught:
            installation.install(conn, definition)
        findings = [finding.what for finding in check(conn, definition) if finding.code == "misfit"]

    for reason in (
        "the table public.nothing does not exist",
        "the column owner of public.orders does not exist",
        "the column nowhere of public.orders does not exist",
        "the mask first_letter does not fit the column amount of public.orders, which is of type integer",
    ):
        assert reason in caught.value.detail
        assert reason in findings


@by_both
def test_check_finds_nothing_grave_right_after_an_installation(fresh):
    with psycopg.connect(fresh.admin_url, autocommit=True) as conn:
        findings = check(conn, fresh.definition)

    codes = {finding.code for finding in findings}
    assert {finding.severity for finding in findings} == {Severity.MEDIUM, Severity.LOW}
    assert {"temporary_objects", "other_databases", "advisory_locks", "large_objects", "prepared_transactions"} <= codes
    assert ("without_superuser" in codes) == (fresh.installed_by == "owner")
    assert all(finding.remedy for finding in findings)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("create function public.writer() returns void language sql security definer as 'select 1'", "public_definer"),
        ("grant select on public.orders to public", "public_table"),
        ("grant select (card_number) on public.orders to public", "public_table"),
        ("grant select on public.orders to {reader}", "foreign_right"),
        ("grant {owner} to shop_owner_or_me", "foreign_member"),
        ("grant {reader} to shop_owner_or_me", "foreign_member"),
        ("grant create on schema public to public", "public_schema"),
        ("create or replace function {views}.scope() returns text language sql as $$ select 'globex' $$", "altered"),
        ("drop function {api}.prove(text)", "altered"),
        ("alter table {state}.grants disable trigger all; grant select on {state}.grants to public", "altered"),
        ("alter role {service} superuser", "altered"),
        ("alter table public.orders enable row level security", "row_security"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_check_names_damage_and_the_statement_that_mends_it(fresh, damage, code):
    names = {kind: sql.Identifier(getattr(fresh.names, kind)) for kind in ("reader", "owner", "views", "api", "state", "service")}
    with psycopg.connect(fresh.superuser_url, autocommit=True) as conn:
        someone = f"someone_{fresh.database}"
        conn.execute(sql.SQL("create role {}").format(sql.Identifier(someone)))
        conn.execute(sql.SQL(damage.replace("shop_owner_or_me", someone)).format(**names))

        found = [finding for finding in check(conn, fresh.definition) if finding.code == code]

        assert len(found) == 1, check(conn, fresh.definition)
        if "trustpack target install" in found[0].remedy:
            if "superuser" not in damage and "public" not in damage:
                installation.install(conn, fresh.definition)
                assert code not in {finding.code for finding in check(conn, fresh.definition)}
        else:
            conn.execute(found[0].remedy)
            if code != "row_security":
                assert code not in {finding.code for finding in check(conn, fresh.definition)}


async def test_everything_still_works_on_a_hardened_server(server, new_name, order):
    version, cluster = server
    target = prepare(cluster, version=version, installed_by="superuser", name=new_name)
    with target.superuser() as conn:
        offered = exposures(conn, target.definition)
        for exposure in offered:
            if exposure.code not in SHARED_BY_THE_CLUSTER:
                installation.harden(conn, exposure.statement)
        installation.install(conn, target.definition)
        remaining = {exposure.code for exposure in exposures(conn, target.definition)}
    adapter = target.adapter()
    await granted(adapter, target.definition, order)
    await handed_out(adapter, target.definition, order.role_name)
    with target.grantee(order.role_name) as session:
        assert session.execute("select count(*) from orders").fetchone() == (100,)
        for attempt in (
            "select pg_advisory_lock(1)",
            "select lo_create(0)",
            "create temporary table t (i int)",
            "do $$ begin end $$",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(attempt)

        outcome = await reverted(adapter, target.definition, order.role_name)

    assert outcome.proven
    assert outcome.proof["steps"]["kill"]["signalled"] == 1
    assert remaining == SHARED_BY_THE_CLUSTER


SHARED_BY_THE_CLUSTER = {"other_databases"}
"""Would cut the other tests' databases off."""


def test_a_measure_without_the_authority_for_it_is_an_error(server, new_name):
    version, cluster = server
    target = prepare(cluster, version=version, installed_by="owner", name=new_name)
    with psycopg.connect(target.admin_url, autocommit=True) as conn:
        locks = next(exposure for exposure in exposures(conn, target.definition) if exposure.code == "advisory_locks")

        with pytest.raises(TargetRefused):
            installation.harden(conn, locks.statement)


def test_the_commands(server, new_name, tmp_path, monkeypatch):
    _, cluster = server
    database = new_name.replace("-", "_")
    url = create_database(cluster, database)
    definition = tmp_path / "target.yaml"
    definition.write_text(yaml.safe_dump(to_file(a_definition(new_name))))
    (tmp_path / "service.pw").write_text(f"{SERVICE_PASSWORD}\n")
    monkeypatch.setenv("ADMIN", url)
    run = CliRunner().invoke

    dry = run(target_app, ["install", str(definition), "--admin-dsn-env", "ADMIN", "--dry-run"])
    unprepared = run(target_app, ["check", str(definition), "--admin-dsn-env", "ADMIN"])
    installed = run(
        target_app,
        ["install", str(definition), "--admin-dsn-env", "ADMIN", "--service-password-file", str(tmp_path / "service.pw")],
    )
    psycopg.connect(cluster.url(user=f"trustpack_{database}_service", password=SERVICE_PASSWORD, database=database)).close()
    checked = run(target_app, ["check", str(definition), "--admin-dsn-env", "ADMIN"])
    offered = run(target_app, ["harden", str(definition), "--admin-dsn-env", "ADMIN", "--dry-run"])
    hardened = run(target_app, ["harden", str(definition), "--admin-dsn-env", "ADMIN", "--only", "temporary_objects"])
    removed = run(target_app, ["uninstall", str(definition), "--admin-dsn-env", "ADMIN"])
    again = run(target_app, ["uninstall", str(definition), "--admin-dsn-env", "ADMIN"])
    (tmp_path / "admin.dsn").write_text("host=127.0.0.1 port=1 user=nobody password=hush connect_timeout=2")
    unreachable = run(target_app, ["check", str(definition), "--admin-dsn-file", str(tmp_path / "admin.dsn")])
    definition.write_text("name: [")
    unusable = run(target_app, ["check", str(definition), "--admin-dsn-env", "ADMIN"])

    assert (dry.exit_code, "create view" in dry.output) == (0, True)
    assert unprepared.exit_code == 1
    assert installed.exit_code == 0, installed.output
    assert SERVICE_PASSWORD not in installed.output
    assert checked.exit_code == 0, checked.output
    assert "advisory_locks" in checked.output
    assert "revoke temporary on database" in offered.output
    assert (hardened.exit_code, "temporary_objects" in hardened.output) == (0, True)
    assert removed.exit_code == 0
    assert (again.exit_code, unreachable.exit_code, unusable.exit_code) == (2, 2, 2)
    assert "hush" not in unreachable.output
    assert run(target_app, ["check", str(definition)]).exit_code == 2


def to_file(definition) -> dict:
    return {key: value for key, value in definition_document(definition).items() if value is not None}


def test_the_url_of_another_database_keeps_the_rest():
    assert with_database("postgresql://a:b@h:1/x", "y") == "postgresql://a:b@h:1/y"
