"""What a grantee or an administrator leaves behind is dropped or named. Source: research/jit-provisioning section 4."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.targets import (
    BIN_PATHS,
    SUPERUSER_PASSWORD,
    TargetDatabase,
    granted,
    handed_out,
    marked,
    prepare,
    require_version,
    reverted,
    without_cleaner,
)
from trustpack.capabilities.operations.model import RevertOutcome, TargetUnavailable
from trustpack.platform.embedded_postgres import Cluster, free_port

# The oldest and the newest server; an installation by an owner has fewer rights to end and drop with.
on_both_ends = pytest.mark.parametrize(
    ("server", "target"),
    [(18, "owner"), (15, "owner"), (18, "superuser")],
    indirect=True,
    ids=["pg18-owner", "pg15-owner", "pg18"],
)


def run(target: TargetDatabase, *statements: str, role_name: str) -> None:
    """Run statements as superuser; `{role}` in them is the grantee."""
    with target.superuser() as conn:
        for statement in statements:
            conn.execute(sql.SQL(statement).format(role=sql.Identifier(role_name), database=sql.Identifier(target.database)))


def state_of(target: TargetDatabase, role_name: str) -> tuple[bool, str | None, int] | None:
    """Whether the role may log in, with which password, and in how many groups it is."""
    with target.superuser() as conn:
        return conn.execute(
            "select rolcanlogin, rolpassword, (select count(*) from pg_auth_members where member = role.oid)"
            " from pg_authid as role where rolname = %s",
            (role_name,),
        ).fetchone()


WITHOUT_ACCESS = (False, None, 0)


@on_both_ends
@pytest.mark.adversarial(39)
async def test_everything_that_a_grantee_can_make_in_a_schema_open_to_all_is_dropped(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    run(target, "create schema open_to_all", "grant create, usage on schema open_to_all to public", role_name=role_name)
    with target.grantee(role_name) as conn:
        conn.execute("create function pg_temp.mine() returns integer language sql as 'select 1'")
        conn.execute("create table open_to_all.mine (id integer generated always as identity primary key)")
        conn.execute("create type open_to_all.kind as enum ('a')")
        conn.execute("create domain open_to_all.positive as integer check (value > 0)")
        conn.execute("create function open_to_all.mine() returns integer language sql as 'select 1'")
        conn.execute("create view open_to_all.seen as select id from open_to_all.mine")
        conn.execute("alter default privileges in schema open_to_all grant select on tables to public")

        outcome = await reverted(adapter, target.definition, role_name)

    with target.superuser() as conn:
        left = conn.execute("select count(*) from pg_depend where refobjid = 'open_to_all'::regnamespace").fetchone()
        conn.execute("drop schema open_to_all")
    assert outcome.proven, outcome.blockers
    assert left == (0,)


@on_both_ends
@pytest.mark.adversarial(39)
async def test_thousands_of_large_objects_are_dropped_in_several_calls(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        conn.execute("select lo_create(0) from generate_series(1, 5000)")

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven, outcome.blockers
    with target.superuser() as conn:
        assert conn.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


GIVEN_BY_ANOTHER = {
    "a right on a column": (
        "grant select (amount) on public.refunds to {role}",
        "revoke select (amount) on public.refunds from {role}",
        "public.refunds",
    ),
    "the database": (
        "create database held_by_a_grantee owner {role}",
        "drop database held_by_a_grantee",
        "held_by_a_grantee",
    ),
    "a table": (
        "create table public.given (); alter table public.given owner to {role}; create view public.v as select from given",
        "drop view public.v; drop table public.given",
        "view public.v",
    ),
}


@on_both_ends
@pytest.mark.adversarial(39, 46)
@pytest.mark.parametrize("given", list(GIVEN_BY_ANOTHER))
async def test_what_only_its_giver_can_take_back_is_named_and_gives_no_access(target, adapter, order, grant_access, given):
    give, take, name = GIVEN_BY_ANOTHER[given]
    role_name = await grant_access(order)
    run(target, *give.split(";"), role_name=role_name)

    blocked = await reverted(adapter, target.definition, role_name)
    left = state_of(target, role_name)
    run(target, *take.split(";"), role_name=role_name)
    later = await reverted(adapter, target.definition, role_name)

    assert not blocked.proven
    assert any(name in blocker for blocker in blocked.blockers), blocked.blockers
    assert blocked.proof["steps"]["login_before_drop"]["refused_for_the_right_reason"] is True
    assert left == WITHOUT_ACCESS
    assert later.proven, later.blockers


@on_both_ends
@pytest.mark.adversarial(39)
async def test_a_default_right_that_somebody_else_gave_goes_with_the_grantee(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    rights = "alter default privileges for role postgres in schema public grant select on tables to {role}, pg_monitor"
    run(target, rights, role_name=role_name)

    outcome = await reverted(adapter, target.definition, role_name)

    with target.superuser() as conn:
        [[left]] = conn.execute("select defaclacl::text from pg_default_acl where defaclrole = 'postgres'::regrole").fetchall()
        conn.execute("alter default privileges for role postgres in schema public revoke select on tables from pg_monitor")
    assert outcome.proven, outcome.blockers
    assert left == "{pg_monitor=r/postgres}"


@on_both_ends
@pytest.mark.adversarial(39)
@pytest.mark.parametrize("others", ["", ", pg_monitor"], ids=["alone", "with another"])
async def test_a_policy_that_names_the_grantee_forgets_it(target, adapter, order, grant_access, others):
    role_name = await grant_access(order)
    run(target, f"create policy theirs on public.refunds to {{role}}{others} using (true)", role_name=role_name)

    outcome = await reverted(adapter, target.definition, role_name)

    with target.superuser() as conn:
        left = conn.execute("select polroles::regrole[]::text from pg_policy where polname = 'theirs'").fetchall()
        conn.execute("drop policy if exists theirs on public.refunds")
    assert outcome.proven, outcome.blockers
    assert left == ([("{pg_monitor}",)] if others else [])


@on_both_ends
@pytest.mark.adversarial(39)
async def test_an_object_that_was_not_committed_when_access_ended_never_comes_to_be(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with closing(target.grantee(role_name)) as conn:
        conn.execute("begin")
        conn.execute("select lo_create(0)")
        conn.execute("create temporary table mine (id integer)")

        outcome = await reverted(adapter, target.definition, role_name)

        with pytest.raises(psycopg.OperationalError):
            conn.execute("commit")
    assert outcome.proven, outcome.blockers
    with target.superuser() as conn:
        assert conn.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)
        assert conn.execute("select count(*) from pg_class where relname = 'mine'").fetchone() == (0,)


@on_both_ends
async def test_a_drop_that_waits_for_a_lock_gives_up_and_is_done_later(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    mark = await marked(adapter, target.definition, role_name)
    run(target, "create table public.given ()", "alter table public.given owner to {role}", role_name=role_name)
    with target.superuser() as conn, conn.transaction():
        conn.execute("lock table public.given in access share mode")

        blocked = await adapter.revert(target.definition, mark)

        assert state_of(target, role_name) == WITHOUT_ACCESS
    later = await reverted(adapter, target.definition, role_name)

    assert not blocked.proven
    assert any("public.given" in blocker for blocker in blocked.blockers), blocked.blockers
    assert blocked.proof["steps"]["drop"]["reason"].startswith(errors.LockNotAvailable.sqlstate)
    assert later.proven, later.blockers


@pytest.fixture(params=[18, 15], ids=lambda version: f"pg{version}")
def narrow(request, tmp_path) -> Iterator[TargetDatabase]:
    """A target on a server whose lock table holds a few hundred locks, and that looks for orphans every second."""
    require_version(request.param)
    cluster = Cluster(
        directory=tmp_path / "narrow",
        password=SUPERUSER_PASSWORD,
        port=free_port(),
        bin_path=BIN_PATHS[request.param],
        options=("fsync=off", "max_connections=20", "max_locks_per_transaction=10", "autovacuum_naptime=1s"),
    )
    cluster.ensure_running()
    try:
        yield prepare(cluster, version=request.param, installed_by="owner", name="narrow")
    finally:
        cluster.stop(mode="immediate")


async def tried_until_it_answers(adapter, definition, role_name) -> RevertOutcome:
    """Revert as the flow does: a try that found no lock left, because the ended session still drops its tables, is repeated."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await reverted(adapter, definition, role_name)
            except TargetUnavailable:
                await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.adversarial(39, 46)
async def test_more_temporary_tables_than_the_server_has_locks_delay_the_drop_but_give_no_access(narrow, order):
    adapter, role_name = narrow.adapter(), order.role_name
    await granted(adapter, narrow.definition, order)
    await handed_out(adapter, narrow.definition, role_name)
    with closing(narrow.grantee(role_name)) as conn:
        conn.execute(
            "do $$ begin for number in 1..3000 loop"
            " execute format('create temporary table t%s (id integer)', number); commit; end loop; end $$"
        )
        with without_cleaner(narrow):
            blocked = await tried_until_it_answers(adapter, narrow.definition, role_name)
            left = state_of(narrow, role_name)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    later = blocked
    async with asyncio.timeout(90):
        while not later.proven:  # the server's own cleaner heals it
            await asyncio.sleep(0.5)
            later = await tried_until_it_answers(adapter, narrow.definition, role_name)

    assert not blocked.proven
    assert left == WITHOUT_ACCESS
    assert blocked.proof["steps"]["drop"]["reason"].startswith(errors.OutOfMemory.sqlstate)
    assert state_of(narrow, role_name) is None
