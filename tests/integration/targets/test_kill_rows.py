"""Sessions busy in every way that PostgreSQL knows end with the grant. Source: research/jit-provisioning section 3."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors, sql

from tests.support.server_process import wait_until
from tests.support.targets import CONNECT_SECONDS, TargetDatabase, marked, reverted
from trustpack.capabilities.operations.adapters.postgres import revert
from trustpack.capabilities.operations.adapters.postgres.session import open_session

# The oldest and the newest server; an installation by an owner has fewer rights to end and drop with.
pytestmark = pytest.mark.parametrize(
    ("server", "target"),
    [(18, "owner"), (15, "owner"), (18, "superuser")],
    indirect=True,
    ids=["pg18-owner", "pg15-owner", "pg18"],
)
UNINTERRUPTIBLE = "select jsonb_array_length(('[' || repeat('1,', 3000000) || '1]')::jsonb)"
"""The parser of a large document looks for no signal, for about a second."""


def send(conn: Connection[Any], statement: str) -> None:
    """Start a statement and let nobody wait for it or read what it returns."""
    conn.pgconn.send_query(statement.encode())


def activity(target: TargetDatabase, pid: int) -> tuple[str, str | None] | None:
    """What a session is doing and waiting for; None when it is gone."""
    with target.superuser() as conn:
        return conn.execute("select state, wait_event from pg_stat_activity where pid = %s", (pid,)).fetchone()


def joining(conn: Connection[Any]) -> None:
    send(conn, "select count(*) from generate_series(1, 1000000) as a, generate_series(1, 1000000) as b")


def sleeping(conn: Connection[Any]) -> None:
    send(conn, "select pg_sleep(600)")


def catching_everything(conn: Connection[Any]) -> None:
    send(conn, "do $$ begin loop begin perform pg_sleep(600); exception when others then null; end; end loop; end $$")


def not_being_read(conn: Connection[Any]) -> None:
    send(conn, "select repeat('x', 10000) from generate_series(1, 100000)")


def waiting_for_a_lock(conn: Connection[Any]) -> None:
    send(conn, "select count(*) from refunds")


def in_another_role(conn: Connection[Any]) -> None:
    group = conn.execute("select rolname from pg_roles where rolname ~ '_reader$' and pg_has_role(oid, 'member')").fetchone()
    try:
        conn.execute(sql.SQL("set role {}").format(sql.Identifier(group[0])))
    except errors.InsufficientPrivilege:  # from 16 on the group cannot be taken
        conn.execute("select set_config('role', session_user, false)")
    sleeping(conn)


WAYS: dict[str, tuple[Callable[[Connection[Any]], None], str | None]] = {
    "in a join": (joining, None),
    "asleep": (sleeping, "PgSleep"),
    "in a loop that catches every error": (catching_everything, "PgSleep"),
    "with a client that does not read": (not_being_read, "ClientWrite"),
    "waiting for a lock": (waiting_for_a_lock, "relation"),
    "after SET ROLE": (in_another_role, "PgSleep"),
}


@contextmanager
def locked(target: TargetDatabase, table: str) -> Iterator[None]:
    with target.superuser() as conn, conn.transaction():
        conn.execute(sql.SQL("lock table {} in access exclusive mode").format(sql.Identifier("public", table)))
        yield


@pytest.mark.adversarial(37)
async def test_sessions_busy_in_every_way_end(target, adapter, order, another_order, grant_access):
    names = [await grant_access(replace(each, connection_limit=5)) for each in (order, another_order)]
    marks = [await marked(adapter, target.definition, name) for name in names]
    with ExitStack() as stack:
        stack.enter_context(locked(target, "refunds"))
        busy = {}
        for number, (way, (begin, wait_event)) in enumerate(WAYS.items()):
            conn = stack.enter_context(closing(target.grantee(names[number % 2])))
            begin(conn)
            busy[way] = conn.info.backend_pid
            wait_until(
                lambda pid=conn.info.backend_pid, seen=("active", wait_event): activity(target, pid) == seen,
                seconds=20,
                what=f"a session {way}",
            )

        outcomes = [await adapter.revert(target.definition, mark) for mark in marks]

        left = {way for way, pid in busy.items() if activity(target, pid) is not None}

    assert [outcome.blockers for outcome in outcomes] == [(), ()]
    assert [outcome.proof["steps"]["kill"]["signalled"] for outcome in outcomes] == [3, 3]
    assert left == set()


@pytest.mark.adversarial(37, 46)
async def test_a_session_that_hears_no_signal_for_a_while_is_waited_for(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with closing(target.grantee(role_name)) as conn:
        pid = conn.info.backend_pid
        send(conn, UNINTERRUPTIBLE)
        wait_until(lambda: activity(target, pid) == ("active", None), seconds=20, what="the parser to begin")
        async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as session:
            await session.call("expire", role_name)
            hurried = await session.call("kill", role_name, 1)

        outcome = await reverted(adapter, target.definition, role_name)
        async with asyncio.timeout(90):
            while not outcome.proven:  # on a machine so busy that the kill gave up before the parser had ended
                assert outcome.blockers == ("sessions_did_not_end",)
                outcome = await reverted(adapter, target.definition, role_name)

        assert (hurried["left"], hurried["clean_scans"]) == (1, 0)
        assert outcome.proven, outcome.blockers
        assert activity(target, pid) is None


@pytest.mark.adversarial(37, 46)
async def test_a_stopped_process_keeps_a_revert_unproven_until_it_runs_again(target, adapter, order, grant_access, monkeypatch):
    monkeypatch.setattr(revert, "_KILL_MILLISECONDS", 100)
    role_name = await grant_access(order)
    with closing(target.grantee(role_name)) as conn:
        pid = conn.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            blocked = await reverted(adapter, target.definition, role_name)
            async with open_session(
                target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS
            ) as session:
                dropped = await session.call("drop_role", role_name, None)
            with target.superuser() as superuser:
                role = superuser.execute("select rolcanlogin, rolpassword from pg_authid where rolname = %s", (role_name,))
                stuck = role.fetchone()
        finally:
            os.kill(pid, signal.SIGCONT)

        assert blocked.blockers == ("sessions_did_not_end",)
        assert (dropped["dropped"], dropped["reason"]) == (False, "sessions")
        assert stuck == (False, None)
        wait_until(lambda: activity(target, pid) is None, seconds=20, what="the process to hear its signal")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert (await reverted(adapter, target.definition, role_name)).proven


@pytest.mark.adversarial(37)
async def test_a_session_whose_client_has_vanished_ends(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    conn = target.grantee(role_name)
    pid = conn.info.backend_pid
    sleeping(conn)
    wait_until(lambda: activity(target, pid) == ("active", "PgSleep"), seconds=20, what="the statement to begin")
    conn.close()

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    assert outcome.proof["steps"]["kill"]["signalled"] == 1
    assert activity(target, pid) is None


async def test_nothing_is_ended_before_the_end_of_the_grant_is_committed(target, order, grant_access):
    role_name = await grant_access(order)
    service = psycopg.connect(target.service_url)
    kill = sql.SQL("select {}.kill(%s, 1000)").format(sql.Identifier(target.names.api))
    expire = sql.SQL("select {}.expire(%s)").format(sql.Identifier(target.names.api))
    with closing(target.grantee(role_name)) as conn, closing(service):
        with pytest.raises(errors.DatabaseError, match="no expired grant"):
            service.execute(kill, (role_name,))
        service.rollback()
        service.execute(expire, (role_name,))
        service.rollback()

        assert conn.execute("select count(*) from orders").fetchone() == (100,)
        with pytest.raises(errors.DatabaseError, match="no expired grant"):
            service.execute(kill, (role_name,))
        service.rollback()
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        service.rollback()


async def test_a_frozen_view_of_the_sessions_does_not_hide_one(target, order, grant_access):
    role_name = await grant_access(order)
    api = sql.Identifier(target.names.api)
    with psycopg.connect(target.service_url) as service:
        service.execute(sql.SQL("select {}.expire(%s)").format(api), (role_name,))
        service.commit()
        with target.superuser() as superuser:
            superuser.execute(
                sql.SQL("alter role {} login password 'again' valid until 'infinity'").format(sql.Identifier(role_name))
            )
        assert service.execute("select count(*) from pg_stat_activity where usename = %s", (role_name,)).fetchone() == (0,)
        with closing(target.grantee(role_name, password="again")) as conn:
            killed = service.execute(sql.SQL("select {}.kill(%s, 5000)").format(api), (role_name,)).fetchone()[0]
            pid = conn.info.backend_pid

    assert (killed["signalled"], killed["left"], killed["clean_scans"]) == (1, 0, 2)
    assert activity(target, pid) is None
    assert (await reverted(target.adapter(), target.definition, role_name)).proven
