"""A grantee who holds on to as much as it can: what that delays, that it never lengthens the access, and how it ends.

The server allows few connections, so that its lock table is full at some 8,000 locks. Source: research/jit-provisioning 4 and 5.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import psycopg
import pytest
from psycopg import errors, sql

from tests.attacks.conftest import a_grantee
from tests.support.attacks import ALLOWED, DENIED, FULL, answer, let_end, statement
from tests.support.targets import CONNECT_SECONDS, granted, reverted, without_cleaner
from trustpack.capabilities.operations.adapters.postgres.session import open_session
from trustpack.capabilities.operations.model import TargetUnavailable

FILL = "select pg_advisory_lock(i) from generate_series(1, 200000) as i"
LARGE_OBJECTS = 20_000
"""More than the lock table holds, as 60,000 are on a server of 100 connections; a revert takes 2,000 at a time."""
TEMPORARY_TABLES = 9_000
"""The same of 30,000."""


async def ended(conn) -> None:
    """Wait until the server has closed a session."""
    for _ in range(600):
        if answer(conn, "select 1") != ALLOWED:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the session goes on")


def rows_or_error(conn, query) -> tuple[int] | str | None:
    """Return the row that a count delivers, or the SQLSTATE of its failure."""
    try:
        return conn.execute(query).fetchone()
    except psycopg.Error as error:
        return error.sqlstate


async def test_a_full_lock_table_delays_everybody_and_ends_with_a_signal_from_the_host(target, adapter, order, grant_access):
    flooder, neighbour = await grant_access(order), await a_grantee(target)
    with target.grantee(flooder) as flood:
        process = flood.info.backend_pid
        assert answer(flood, FILL) == FULL

        for call in (
            granted(adapter, target.definition, order),
            *(reverted(adapter, target.definition, name) for name in (flooder, neighbour)),
        ):
            with pytest.raises(TargetUnavailable) as unavailable:
                await call
            assert "out of shared memory" in str(unavailable.value.data)
        # A session that an administrator has open may still end it, where it finds all that it needs in its own caches.
        with pytest.raises(psycopg.OperationalError, match="out of shared memory"):
            target.superuser()

        os.kill(process, signal.SIGTERM)
        await ended(flood)
    for name in (flooder, neighbour):
        outcome = await reverted(adapter, target.definition, name)
        assert outcome.proven, outcome.blockers


async def test_a_full_lock_table_shows_no_row_after_the_end(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    read = statement(target, "select count(*) from {views}.orders")
    with target.grantee(role_name) as flood:
        assert flood.execute(read).fetchone() == (100,)
        let_end(target, role_name)
        assert answer(flood, FILL) == FULL
        while_full = rows_or_error(flood, read)
        flood.execute("select pg_advisory_unlock(i) from generate_series(1, 200) as i")
        with_room = flood.execute(read).fetchone()

        flood.execute("select pg_advisory_unlock_all()")
        outcome = await reverted(adapter, target.definition, role_name)

        assert while_full in ((0,), FULL)
        assert with_room == (0,)
        assert outcome.proven, outcome.blockers
        await ended(flood)


async def test_on_a_hardened_server_the_lock_table_cannot_be_filled_with_one_statement(hardened, confined, order):
    assert answer(confined, FILL) == DENIED
    assert answer(confined, "do $$ begin for i in 1..200000 loop perform pg_advisory_lock(i); end loop; end $$") == DENIED

    await granted(hardened.adapter(), hardened.definition, order)
    assert (await reverted(hardened.adapter(), hardened.definition, order.role_name)).proven


@pytest.mark.adversarial(39)
async def test_more_large_objects_than_locks_are_dropped_piece_by_piece(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        for _ in range(LARGE_OBJECTS // 4_000):
            conn.execute("select count(lo_create(0)) from generate_series(1, 4000)")
    with target.superuser() as conn, conn.transaction(force_rollback=True):
        in_one_piece = answer(conn, sql.SQL("drop owned by {}").format(sql.Identifier(role_name)))

    outcome = await reverted(adapter, target.definition, role_name)

    assert in_one_piece == FULL
    assert outcome.proven, outcome.blockers
    with target.superuser() as conn:
        ownerless = "select count(*) from pg_largeobject_metadata where lomowner not in (select oid from pg_roles)"
        assert conn.execute(ownerless).fetchone() == (0,)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.adversarial(39)
async def test_more_temporary_tables_than_locks_block_the_drop_until_the_server_has_swept_them(
    target, adapter, order, grant_access
):
    if target.installed_by == "owner":
        pytest.skip("the installer changes nothing here, and the wait for autovacuum is long")
    role_name = await grant_access(order)
    with target.grantee(role_name) as session:
        for first in range(0, TEMPORARY_TABLES, 1_000):
            session.execute(
                f"do $$ begin for i in {first + 1}..{first + 1000} loop"
                " execute 'create temporary table t' || i || ' ()'; end loop; end $$"
            )

        with without_cleaner(target):
            blocked = await reverted(adapter, target.definition, role_name)
            await ended(session)
            with target.superuser() as conn:
                role = conn.execute("select rolcanlogin, rolpassword from pg_authid where rolname = %s", (role_name,)).fetchone()
                groups = conn.execute("select count(*) from pg_auth_members where member = %s::regrole", (role_name,)).fetchone()
    later = await reverted(adapter, target.definition, role_name)
    for _ in range(300):
        if later.proven:
            break
        await asyncio.sleep(1)
        later = await reverted(adapter, target.definition, role_name)

    assert not blocked.proven
    assert all(blocker.startswith("owned_or_granted: owner of table pg_temp") for blocker in blocked.blockers)
    assert (role, groups) == ((False, None), (0,))
    assert later.proven, later.blockers


async def test_on_a_hardened_server_there_is_not_one_temporary_table(confined):
    assert answer(confined, "create temporary table t ()") == DENIED


@pytest.mark.adversarial(37)
async def test_an_old_snapshot_and_an_open_cursor_end_with_their_session(target, order, grant_access):
    role_name = await grant_access(replace(order, connection_limit=5))
    with target.grantee(role_name) as snapshot, target.grantee(role_name) as cursor:
        snapshot.execute("begin isolation level repeatable read")
        snapshot.execute("select count(*) from orders")
        cursor.execute("begin isolation level repeatable read")
        cursor.execute("declare held cursor for select tenant from orders")
        cursor.execute("fetch 10 from held")
        async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as service:
            await service.call("expire", role_name)
            with pytest.raises(errors.InsufficientPrivilege):
                snapshot.execute(statement(target, "select count(*) from {views}.orders"))
            delivered = cursor.execute("fetch all from held").fetchall()
            killed = await service.call("kill", role_name, 5000)

        assert delivered == [("acme",)] * 90
        assert (killed["signalled"], killed["left"]) == (2, 0)
        for session in (snapshot, cursor):
            await ended(session)
    outcome = await reverted(target.adapter(), target.definition, role_name)
    assert outcome.proven, outcome.blockers
