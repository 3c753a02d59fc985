"""A session stays open for a moment after a call: then it is as good as a new one, or it is not used."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import psycopg
import pytest
from psycopg import sql

from tests.support.targets import SERVICE_PASSWORD, TargetDatabase, granted, marked, prepare, reverted
from trustpack.capabilities.operations.adapters.postgres.adapter import PostgresTargetAdapter
from trustpack.capabilities.operations.adapters.postgres.idle_sessions import IdleSessions, SessionKey
from trustpack.capabilities.operations.adapters.postgres.install import install
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession, new_session
from trustpack.capabilities.operations.model import TargetRefused, TargetUnavailable

LONG_SECONDS = 60.0
PATIENCE_SECONDS = 30
# What is kept is kept in this process; one target of the oldest and one of the newest version show it.
pytestmark = [
    pytest.mark.parametrize("server", [18, 15], indirect=True, ids=["pg18", "pg15"]),
    pytest.mark.parametrize("target", ["owner"], indirect=True),
]
Lend = Callable[[], AbstractAsyncContextManager[TargetSession]]

STATE = """
    select (select array_agg(name || '=' || setting order by name) from pg_settings
             where name not in ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')),
           (select array_agg(name) from pg_prepared_statements),
           (select array_agg(name) from pg_cursors where is_holdable),
           (select array_agg(channel) from pg_listening_channels() as channel),
           (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
           (select count(*) from pg_class where relnamespace = pg_my_temp_schema()),
           session_user::text, current_user::text
"""
USE_OF_EVERY_KIND = """
    set statement_timeout = '7s'; set search_path = pg_temp; set synchronous_commit = off;
    set default_transaction_read_only = on; set application_name = 'another';
    prepare left_behind as select 1; listen left_behind; select pg_advisory_lock(4711);
    declare left_behind cursor with hold for select 1
"""


def service_sessions(target: TargetDatabase) -> set[int]:
    with target.superuser() as conn:
        rows = conn.execute("select pid from pg_stat_activity where usename = %s", (target.names.service,)).fetchall()
    return {pid for (pid,) in rows}


async def no_session_left(target: TargetDatabase) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while service_sessions(target):  # noqa: ASYNC110 - what ends is a process of the target, which tells nobody
            await asyncio.sleep(0.05)


def end_session(target: TargetDatabase, pid: int) -> None:
    with target.superuser() as conn:
        assert conn.execute("select pg_terminate_backend(%s, 20000)", (pid,)).fetchone() == (True,)


@pytest.fixture
async def reusing(target) -> AsyncIterator[PostgresTargetAdapter]:
    """An adapter that keeps sessions for longer than any test takes; nobody else has one on the target."""
    await no_session_left(target)
    adapter = target.adapter(idle_session_seconds=LONG_SECONDS)
    yield adapter
    await adapter.aclose()
    await no_session_left(target)


@pytest.fixture
def idle() -> IdleSessions:
    return IdleSessions(idle_seconds=LONG_SECONDS)


@pytest.fixture
async def lend(target, idle) -> AsyncIterator[Lend]:
    """Lends sessions of the service login one by one."""
    await no_session_left(target)
    key = SessionKey.of(target.definition.name, dsn=target.service_url)
    yield lambda: idle.session(
        key, lambda: new_session(target.definition, dsn=target.service_url, connect_timeout_seconds=PATIENCE_SECONDS)
    )
    idle.close()
    await no_session_left(target)


async def pid_of_next(lend: Lend) -> int:
    async with lend() as session:
        return session.conn.info.backend_pid


async def held_at_once(lend: Lend, number: int) -> set[int]:
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(lend()) for _ in range(number)]
        return {session.conn.info.backend_pid for session in sessions}


async def test_calls_one_after_the_other_use_one_session(target, reusing):
    await reusing.identify(target.definition)
    first = service_sessions(target)

    await reusing.identify(target.definition)
    await reusing.inventory(target.definition)

    assert len(first) == 1
    assert service_sessions(target) == first


async def test_grants_and_reverts_one_after_the_other_use_two_sessions(target, reusing, order, another_order):
    await granted(reusing, target.definition, order)
    assert (await reverted(reusing, target.definition, order.role_name)).proven
    kept = service_sessions(target)

    await granted(reusing, target.definition, another_order)
    assert (await reverted(reusing, target.definition, another_order.role_name)).proven

    assert len(kept) == 2
    assert service_sessions(target) == kept


async def test_no_session_is_kept_where_none_is_to_be(target, adapter):
    await no_session_left(target)

    await adapter.identify(target.definition)

    await no_session_left(target)


async def test_a_session_that_nobody_uses_any_more_is_closed(target):
    adapter = target.adapter(idle_session_seconds=0.1)

    await adapter.identify(target.definition)

    await no_session_left(target)


async def test_a_session_that_is_always_in_use_is_replaced_when_it_is_old(lend, monkeypatch):
    monkeypatch.setattr("trustpack.capabilities.operations.adapters.postgres.idle_sessions._LIFE_SECONDS", 0.5)
    first = await pid_of_next(lend)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while await pid_of_next(lend) == first:
            pass


async def test_nothing_is_left_after_the_end_of_the_adapter(target, reusing):
    await reusing.identify(target.definition)

    await reusing.aclose()

    await no_session_left(target)


async def test_a_session_that_comes_back_after_the_end_is_closed(target, idle, lend):
    async with lend() as session:
        idle.close()
        assert await session.call("system")

    await no_session_left(target)


async def test_two_callers_at_once_never_share_a_session(lend):
    await pid_of_next(lend)

    assert len(await held_at_once(lend, 2)) == 2


async def test_no_more_than_eight_wait_and_they_are_used_before_new_ones_are_opened(target, lend):
    first = await held_at_once(lend, 12)
    second = await held_at_once(lend, 12)

    assert len(first & second) == 8


async def test_idle_sessions_take_no_place_from_those_in_use(target, reusing, order):
    with target.superuser() as conn:
        limit = sql.SQL("alter role {} connection limit {}")
        conn.execute(limit.format(sql.Identifier(target.names.service), sql.Literal(2)))
        try:
            await granted(reusing, target.definition, order)
            outcomes = [await reverted(reusing, target.definition, order.role_name) for _ in range(3)]
        finally:
            conn.execute(limit.format(sql.Identifier(target.names.service), sql.Literal(40)))

    assert [outcome.blockers for outcome in outcomes] == [()] * 3


async def test_a_used_session_is_lent_in_the_state_of_a_new_one(lend):
    async with lend() as session:
        fresh = await (await session.conn.execute(STATE)).fetchone()
        await session.conn.execute(USE_OF_EVERY_KIND)
        used = await (await session.conn.execute(STATE)).fetchone()

    async with lend() as again:
        renewed = await (await again.conn.execute(STATE)).fetchone()

    assert again.conn is session.conn
    assert all(after != before for before, after in zip(fresh[:5], used[:5], strict=True))
    assert renewed == fresh


async def test_temporary_objects_of_one_use_are_gone_at_the_next(target, lend):
    with target.superuser() as conn:
        statement = sql.SQL("{} temporary on database {} {} {}")
        names = (sql.Identifier(target.database), sql.Identifier(target.names.service))
        conn.execute(statement.format(sql.SQL("grant"), names[0], sql.SQL("to"), names[1]))
    async with lend() as session:
        await session.conn.execute("create temporary table left_behind (id integer)")

    async with lend() as again:
        found = await (await again.conn.execute("select to_regclass('pg_temp.left_behind')")).fetchone()

    with target.superuser() as conn:
        conn.execute(statement.format(sql.SQL("revoke"), names[0], sql.SQL("from"), names[1]))
    assert again.conn is session.conn
    assert found == (None,)


async def test_a_session_left_inside_a_transaction_is_not_lent_again(lend):
    async with lend() as session:
        await session.conn.execute("start transaction read only")

    assert session.conn.closed
    async with lend() as next_one:
        assert next_one.is_at_rest


async def test_a_session_whose_call_was_refused_is_closed(target, reusing, order):
    mark = await marked(reusing, target.definition, order.role_name)

    with pytest.raises(TargetRefused):
        await reusing.set_verifier(target.definition, mark, password="only-for-this-test", generation=1)

    await no_session_left(target)


async def test_a_session_whose_call_was_cancelled_is_closed(target, lend):
    pid = await pid_of_next(lend)

    async def sleep() -> None:
        async with lend() as session:
            await session.conn.execute("select pg_sleep(60)")

    def is_sleeping() -> bool:
        with target.superuser() as conn:
            row = conn.execute("select wait_event from pg_stat_activity where pid = %s", (pid,)).fetchone()
        return row == ("PgSleep",)

    task = asyncio.create_task(sleep())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_sleeping():  # noqa: ASYNC110 - the target tells nobody
            await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await no_session_left(target)


async def test_a_session_that_the_target_ended_meanwhile_is_not_used(target, reusing):
    before = await reusing.identify(target.definition)
    [ended] = service_sessions(target)
    end_session(target, ended)

    after = await reusing.identify(target.definition)

    assert after == before
    assert len(service_sessions(target) - {ended}) == 1


@pytest.mark.slow
async def test_a_session_that_does_not_answer_is_not_used_and_neither_are_those_beside_it(lend):
    pids = await held_at_once(lend, 3)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            after = await held_at_once(lend, 3)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    assert not after & pids


@pytest.mark.slow
async def test_a_restart_of_the_target_is_met_by_new_sessions(target, reusing, order):
    await granted(reusing, target.definition, order)
    target.cluster.stop()
    with pytest.raises(TargetUnavailable):
        await reusing.identify(target.definition)
    target.cluster.ensure_running()

    outcome = await reverted(reusing, target.definition, order.role_name)

    assert outcome.proven


async def test_another_connection_string_is_never_answered_by_a_session_of_the_first(target):
    urls = [target.service_url, target.service_url.replace(SERVICE_PASSWORD, "wrong")]
    adapter = target.adapter(resolve_secret=lambda _: urls.pop(0), idle_session_seconds=LONG_SECONDS)
    await adapter.identify(target.definition)

    with pytest.raises(TargetUnavailable):
        await adapter.identify(target.definition)

    await adapter.aclose()


async def test_a_login_that_may_no_longer_log_in_is_shut_out_at_once(target, reusing):
    await reusing.identify(target.definition)
    with target.superuser() as conn:
        service = sql.Identifier(target.names.service)
        conn.execute(sql.SQL("alter role {} nologin").format(service))
        try:
            with pytest.raises(TargetUnavailable):
                await reusing.identify(target.definition)
        finally:
            conn.execute(sql.SQL("alter role {} login").format(service))


async def test_a_login_that_was_dropped_and_made_again_is_met_by_new_sessions(target, new_name):
    target = prepare(target.cluster, version=target.version, installed_by="superuser", name=new_name)
    adapter = target.adapter(idle_session_seconds=LONG_SECONDS)
    before = await adapter.identify(target.definition)
    old = service_sessions(target)
    with target.superuser() as conn:
        service = sql.Identifier(target.names.service)
        conn.execute(sql.SQL("drop owned by {}").format(service))
        conn.execute(sql.SQL("drop role {}").format(service))
    with pytest.raises(TargetUnavailable):
        await adapter.identify(target.definition)
    with psycopg.connect(target.admin_url) as conn:
        install(conn, target.definition, service_password=SERVICE_PASSWORD)

    after = await adapter.identify(target.definition)

    assert after.system == before.system
    assert len(service_sessions(target) - old) == 1
    await adapter.aclose()
