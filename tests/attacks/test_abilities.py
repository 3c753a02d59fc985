"""What every login of a server may do by default, what closes it, and what bounds it where nothing does.

Source: research/jit-provisioning section 5.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import psycopg
import pytest

from tests.attacks.conftest import OF_THE_WHOLE_CLUSTER, a_grantee
from tests.support.attacks import ALLOWED, DENIED, answer, statement
from tests.support.targets import GRANTEE_PASSWORD, granted, handed_out, reverted
from trustpack.capabilities.operations.adapters.postgres.exposures import exposures
from trustpack.capabilities.operations.adapters.postgres.install import harden
from trustpack.capabilities.operations.model import TargetRefused

CLOSED_BY_HARDENING = [
    ("create temporary table t (i integer) on commit drop", "temporary_objects"),
    ("select 1 as i into temporary t; drop table t", "temporary_objects"),
    ("create function pg_temp.f() returns integer language sql as 'select 1'; drop function pg_temp.f()", "languages"),
    ("do $$ begin perform 1; end $$", "languages"),
    ("select lo_create(0)", "large_objects"),
    ("select lo_creat(-1)", "large_objects"),
    ("select lo_from_bytea(0, 'x')", "large_objects"),
    ("select pg_advisory_lock(1); select pg_advisory_unlock_all()", "advisory_locks"),
    ("select pg_advisory_lock_shared(1); select pg_advisory_unlock_all()", "advisory_locks"),
    ("select pg_try_advisory_lock(1, 1); select pg_advisory_unlock_all()", "advisory_locks"),
    ("select pg_advisory_xact_lock(1)", "advisory_locks"),
    ("select pg_try_advisory_xact_lock_shared(1)", "advisory_locks"),
    ("select pg_sleep(0)", "signals"),
    ("select pg_sleep_for('0')", "signals"),
    ("select pg_notify('anybody', 'x')", "signals"),
    ("select pg_logical_emit_message(false, 'x', 'y')", "signals"),
    ("select pg_export_snapshot()", "signals"),
    ("select usename, application_name from pg_stat_activity", "activity"),
    ("select pg_stat_get_activity(null)", "activity"),
    ("select n_live_tup from pg_stat_user_tables", "activity"),
    ("select n_live_tup from pg_stat_all_tables", "activity"),
]

NEVER_CLOSED = [
    "listen anybody",
    "unlisten *",
    "notify anybody, 'x'",
    "set work_mem = '1GB'",
    "set statement_timeout = 0",
    "set lock_timeout = 0",
    "set idle_in_transaction_session_timeout = 0",
    "set application_name = 'payroll'",
    "set maintenance_work_mem = '1GB'",
    "alter role {grantee} set work_mem = '1GB'",
    "alter role {grantee} reset work_mem",
    "select count(*) from generate_series(1, 1000) as a, generate_series(1, 10) as b",
    "select rolname from pg_roles",
    "select datname from pg_database",
    "select prosrc from pg_proc",
    "select pg_get_viewdef('orders'::regclass)",
    "select reltuples from pg_class",
    "select pg_relation_size('public.orders')",
    "select pg_stat_get_backend_userid(1)",
    "explain analyze select * from orders",
]


async def test_a_grantee_has_what_every_login_has_by_default(target, grantee):
    more = {"grantee": grantee.info.user}

    answers = {text: answer(grantee, statement(target, text, **more)) for text, _ in CLOSED_BY_HARDENING} | {
        text: answer(grantee, statement(target, text, **more)) for text in NEVER_CLOSED
    }

    assert set(answers.values()) == {ALLOWED}, answers


async def test_hardening_closes_what_can_be_closed_and_nothing_else(hardened, confined):
    more = {"grantee": confined.info.user}
    expected = {text: DENIED for text, _ in CLOSED_BY_HARDENING} | dict.fromkeys(NEVER_CLOSED, ALLOWED)

    answers = {text: answer(confined, statement(hardened, text, **more)) for text in expected}

    assert answers == expected
    assert confined.execute("select distinct tenant from orders").fetchall() == [("acme",)]


def test_each_measure_is_named_by_check_with_its_statement(target):
    with target.superuser() as conn:
        offered = {exposure.code: exposure.statement for exposure in exposures(conn, target.definition)}

    assert {code for _, code in CLOSED_BY_HARDENING} | {OF_THE_WHOLE_CLUSTER} == set(offered)
    assert all("revoke" in text for text in offered.values())


def test_a_database_owner_without_superuser_can_take_one_measure_only(target):
    if target.installed_by == "superuser":
        pytest.skip("a superuser can take every measure")
    taken = []
    with psycopg.connect(target.admin_url, autocommit=True) as conn:
        for exposure in exposures(conn, target.definition):
            try:
                with conn.transaction(force_rollback=True):
                    harden(conn, exposure.statement)
                    taken.append(exposure.code)
            except TargetRefused:
                continue

    assert taken == ["temporary_objects"]


def test_other_databases_can_be_entered_and_show_nothing_of_ours(target, grantee):
    for database in ("postgres", "template1"):
        url = target.cluster.url(user=grantee.info.user, password=GRANTEE_PASSWORD, database=database)
        with psycopg.connect(url, autocommit=True) as conn:
            assert answer(conn, "select * from orders") == "42P01"
            assert answer(conn, "create table public.mine (i integer)") == DENIED
            assert conn.execute("select count(*) from pg_namespace where nspname ~ '^trustpack'").fetchone() == (0,)


def test_once_closed_other_databases_cannot_be_entered(hardened, confined):
    url = hardened.cluster.url(user=confined.info.user, password=GRANTEE_PASSWORD, database="postgres")
    with hardened.superuser() as conn:
        closing = next(found for found in exposures(conn, hardened.definition) if found.code == OF_THE_WHOLE_CLUSTER)
        opening = closing.statement.replace("revoke", "grant").replace("from public", "to public")
        harden(conn, closing.statement)
        try:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(url)
        finally:
            harden(conn, opening)

    psycopg.connect(url).close()


async def test_temporary_roles_can_be_confined_to_their_database_by_the_servers_rules(target, adapter, order, grant_access):
    if target.version < 16:
        pytest.skip("patterns in pg_hba.conf came with PostgreSQL 16")
    role_name = await grant_access(order)
    elsewhere = target.cluster.url(user=role_name, password=GRANTEE_PASSWORD, database="template1")
    rules = target.cluster.data_path / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text(f"host {target.database} /^tpk_ all scram-sha-256\nhost all /^tpk_ all reject\n{before}")
        await until_refused(target, elsewhere)
        target.grantee(role_name).close()
        outcome = await reverted(adapter, target.definition, role_name)
    finally:
        rules.write_text(before)
        with target.superuser() as conn:
            conn.execute("select pg_reload_conf()")

    assert outcome.proven, outcome.blockers


async def until_refused(target, url) -> None:
    """Let the server read its rules again, and wait until they refuse a login."""
    with target.superuser() as conn:
        conn.execute("select pg_reload_conf()")
    for _ in range(300):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if "pg_hba.conf" in str(error):
                return
        await asyncio.sleep(0.05)
    pytest.fail("the server did not read its rules again")


@pytest.mark.adversarial(39)
async def test_a_hardened_server_still_grants_ends_and_proves(hardened):
    role_name = await a_grantee(hardened)
    with hardened.grantee(role_name) as session:
        assert session.execute("select count(*) from orders").fetchone() == (100,)

        outcome = await reverted(hardened.adapter(), hardened.definition, role_name)

        assert outcome.proven, outcome.blockers
        assert answer(session, "select 1") != ALLOWED


async def test_advisory_locks_of_a_grantee_hold_up_no_grant_and_no_revert(target, adapter, grantee, order):
    grantee.execute("select pg_advisory_lock(i) from generate_series(1, 500) as i")
    grantee.execute("select pg_advisory_lock(oid::bigint) from pg_roles")
    try:
        await granted(adapter, target.definition, order)
        await handed_out(adapter, target.definition, order.role_name)
        outcome = await reverted(adapter, target.definition, order.role_name)
    finally:
        grantee.execute("select pg_advisory_unlock_all()")

    assert outcome.proven


async def test_a_lock_that_stops_a_migration_ends_with_the_grant(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    migration = "alter table public.orders add column later text; alter table public.orders drop column later"
    with target.grantee(role_name) as session, target.superuser() as conn:
        session.execute("begin; select from orders")
        conn.execute("set lock_timeout = '200ms'")
        before = answer(conn, migration)

        outcome = await reverted(adapter, target.definition, role_name)

        after = answer(conn, migration)
        assert answer(session, "select 1") != ALLOWED
    assert (before, after) == ("55P03", ALLOWED)
    assert outcome.proven


def test_a_listener_hears_what_others_say_aloud_and_nothing_else(target, grantee):
    grantee.execute("listen everybody")
    with target.superuser() as conn:
        conn.execute("select pg_notify('everybody', 'said aloud'), pg_notify('somebody', 'said to another channel')")

    heard = [notice.payload for notice in grantee.notifies(timeout=10, stop_after=1)]
    grantee.execute("unlisten *")

    assert heard == ["said aloud"]


def test_the_number_of_sessions_is_limited_and_the_limit_is_out_of_reach(target, grantee):
    with ExitStack() as opened:
        for _ in range(4):
            opened.enter_context(target.grantee(grantee.info.user))

        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            target.grantee(grantee.info.user)


def test_temporary_files_are_limited_for_good_where_a_superuser_installed(target, grantee):
    if target.installed_by == "owner":
        pytest.skip("only a superuser can pin the limit")
    assert grantee.execute("show temp_file_limit").fetchone() == ("256MB",)
    for attempt in (
        "set temp_file_limit = -1",
        "alter role current_user set temp_file_limit = -1",
        "reset temp_file_limit; reset all",
    ):
        answer(grantee, attempt)
        assert grantee.execute("show temp_file_limit").fetchone() == ("256MB",)
