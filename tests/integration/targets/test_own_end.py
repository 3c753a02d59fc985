"""No server of ours runs: the database ends every access by itself, or within five seconds of our return, and which is which."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors, sql

from tests.support.clock import MovableClock
from tests.support.served import becomes, first_start, return_of
from tests.support.targets import TargetDatabase, prepare

GRANT_SECONDS = 9
RETURN_SECONDS = 5
"""How soon after our return nobody has access any more."""
ALL, NONE = 100, 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of session: how it is opened, how many rows it reads afterwards, and how many it still reads past the end."""

    begin: Callable[[Connection[Any]], None]
    read: Callable[[Connection[Any]], int]
    past_the_end: int = NONE


def count_rows(conn: Connection[Any]) -> int:
    return int(conn.execute("select count(*) from orders").fetchone()[0])


def take_another_role(conn: Connection[Any]) -> None:
    """Take the group's role, which reads the views by itself; from 16 on that is refused, and the own role remains."""
    [group] = conn.execute("select rolname from pg_roles where rolname ~ '_reader$' and pg_has_role(oid, 'member')").fetchone()
    try:
        conn.execute(sql.SQL("set role {}").format(sql.Identifier(group)))
    except errors.InsufficientPrivilege:
        conn.execute("select set_config('role', session_user, false)")


def prepare_statement(conn: Connection[Any]) -> None:
    conn.execute("prepare mine as select count(*) from orders")
    conn.execute("execute mine")


def open_cursor(conn: Connection[Any]) -> None:
    conn.execute("begin")
    conn.execute("declare mine cursor for select * from orders")
    conn.execute("fetch 10 from mine")


def read_in_snapshot(conn: Connection[Any]) -> None:
    conn.execute("begin isolation level repeatable read")
    count_rows(conn)


def read_in_transaction(conn: Connection[Any]) -> None:
    conn.execute("begin")
    count_rows(conn)


KINDS = {
    "an open session": Kind(lambda conn: None, count_rows),
    "a session after SET ROLE": Kind(take_another_role, count_rows),
    "a prepared statement": Kind(prepare_statement, lambda conn: int(conn.execute("execute mine").fetchone()[0])),
    "idle in a transaction": Kind(read_in_transaction, count_rows),
    "a repeatable-read transaction": Kind(read_in_snapshot, count_rows),
    # What began before the end goes on to be delivered: only the kill ends it.
    "a cursor": Kind(open_cursor, lambda conn: len(conn.execute("fetch 10 from mine").fetchall()), past_the_end=10),
}


@contextmanager
def psql(target: TargetDatabase, uri: str) -> Iterator[subprocess.Popen[str]]:
    """Run a real psql that reads statements from a pipe and prints bare values."""
    command = [str(target.cluster.bin_path / "psql"), "--no-psqlrc", "--tuples-only", "--no-align", uri]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], statement: str) -> str:
    process.stdin.write(f"{statement};\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def read_until(conn: Connection[Any], end: datetime) -> tuple[datetime, datetime]:
    """Read without a pause until no row comes any more; return when the last that saw rows began and the first without any ended.

    That first one may begin before the end: a view looks at the clock while it is read.
    """
    last = None
    while True:
        started, seen, done = conn.execute(
            "select statement_timestamp(), (select count(*) from orders), clock_timestamp()"
        ).fetchone()
        if not seen:
            assert last is not None, "there was no access at all"
            return last, done
        assert seen == ALL
        last = started
        assert started < end, "rows were read in a statement that began after the end"


def living(target: TargetDatabase, role_name: str) -> int:
    with target.superuser() as conn:
        found = conn.execute(
            "select count(*) from pg_stat_activity join pg_roles on oid = usesysid where rolname = %s", (role_name,)
        )
        return int(found.fetchone()[0])


@pytest.mark.slow
@pytest.mark.adversarial(37)
async def test_with_our_server_stopped_every_session_loses_access_at_the_end_or_on_our_return(settings, server, record_property):
    version, cluster = server
    target = prepare(cluster, version=version, installed_by="owner", name="unattended", connection_limit=10)
    async with first_start(settings, MovableClock(), target) as world:
        request = await world.active(**world.wanted(seconds=GRANT_SECONDS))
        credentials = await world.credentials(request["id"])
    uri, role_name = credentials["uri"], request["grant"]["role_name"]
    end = world.grant_on_target(request)["expires_at"]

    # From here on no server of ours runs.
    with ExitStack() as stack:
        terminal = stack.enter_context(psql(target, uri))
        sessions = {name: stack.enter_context(closing(psycopg.connect(uri, autocommit=True))) for name in KINDS}
        scan, watch = (stack.enter_context(closing(psycopg.connect(uri, autocommit=True))) for _ in range(2))
        assert ask(terminal, "select count(*) from orders") == str(ALL)
        for name, conn in sessions.items():
            KINDS[name].begin(conn)
            assert KINDS[name].read(conn) in {ALL, 10}, name
        scan.pgconn.send_query(b"select pg_sleep(1), * from orders")

        last, first = await asyncio.to_thread(read_until, watch, end)

        assert last < end <= first
        record_property("row scope, seconds from the end to the first statement without rows", (first - end).total_seconds())
        past_the_end = {name: KINDS[name].read(conn) for name, conn in sessions.items()}
        assert past_the_end == {name: kind.past_the_end for name, kind in KINDS.items()}
        assert ask(terminal, "select count(*) from orders") == str(NONE)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(uri).close()
        assert living(target, role_name) == len(sessions) + len(("psql", "scan", "watch"))

        returned = time.monotonic()
        async with return_of(world) as back:
            reverted = await becomes(back, request["id"], "reverted", seconds=RETURN_SECONDS)
        record_property("kill, seconds from our return to the proof", time.monotonic() - returned)

        assert living(target, role_name) == 0
        assert reverted["grant"]["revert_proof"]["steps"]["kill"]["signalled"] == len(sessions) + 3
        for name, conn in sessions.items():
            with pytest.raises(psycopg.OperationalError, match="terminating connection"):
                KINDS[name].read(conn)
        while scan.pgconn.is_busy():
            scan.pgconn.consume_input()
        assert "terminating connection" in scan.pgconn.get_result().get_error_message()
        assert "terminating connection" in ask(terminal, "select count(*) from orders")
