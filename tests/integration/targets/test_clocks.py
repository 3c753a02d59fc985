"""Whatever our clock says, and whichever time zone the target keeps: access is never there later than approved."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from tests.support.clock import MovableClock
from tests.support.served import becomes, first_start, return_of
from tests.support.server_process import wait_until
from tests.support.stored import run_due
from tests.support.targets import TargetDatabase, prepare
from trustpack.kernel.clock import parse_time

pytestmark = pytest.mark.parametrize("server", [18, 15], indirect=True, ids=["pg18", "pg15"])
APPROVED = timedelta(seconds=7)
FALLS_BACK_AFTER = timedelta(seconds=5)
"""In the middle of the access, however long it takes until the server lives by its new zone."""


def with_an_hour_twice(moment: datetime) -> str:
    """A POSIX time zone that is one hour ahead of UTC and falls back to it at a moment."""
    local = moment + timedelta(hours=1)
    return f"STD0SUM-1,J1/0,J{local.timetuple().tm_yday}/{local:%H:%M:%S}"


def move_to_other_zones(target: TargetDatabase) -> None:
    """Let the service, and everybody else in this database, live in time zones of their own."""
    with target.superuser() as conn:
        service, database = sql.Identifier(target.names.service), sql.Identifier(target.database)
        conn.execute(sql.SQL("alter role {} set timezone = 'America/St_Johns'").format(service))
        conn.execute(sql.SQL("alter database {} set timezone = 'Pacific/Kiritimati'").format(database))


@contextmanager
def falling_back(target: TargetDatabase) -> Iterator[None]:
    """Have the whole server fall back by an hour in a few seconds; it lives by that zone already."""
    zone = with_an_hour_twice(datetime.now(UTC) + FALLS_BACK_AFTER)
    with target.superuser() as conn:
        conn.execute(sql.SQL("alter system set timezone = {}").format(sql.Literal(zone)))
        conn.execute("select pg_reload_conf()")
    wait_until(lambda: offset_of(target) == 1, seconds=FALLS_BACK_AFTER.total_seconds(), what="the server to read its zone")
    try:
        yield
    finally:
        with target.superuser() as conn:
            conn.execute("alter system reset timezone")
            conn.execute("select pg_reload_conf()")


def offset_of(target: TargetDatabase) -> int:
    """How far the server's own zone is ahead of UTC now, in hours."""
    with target.superuser(database="postgres") as conn:
        return int(conn.execute("select extract(timezone from clock_timestamp()) / 3600").fetchone()[0])


def rows_until(conn: psycopg.Connection, end: datetime) -> datetime:
    """Read without a pause; return when the last statement began that saw a row."""
    last = None
    while True:
        started, seen = conn.execute("select statement_timestamp(), (select count(*) from orders)").fetchone()
        if not seen:
            assert last is not None, "there was no access at all"
            return last
        assert started < end
        last = started


@pytest.mark.slow
@pytest.mark.adversarial(23)
@pytest.mark.parametrize("minutes", [10, -10], ids=["our clock ahead", "our clock behind"])
async def test_with_clocks_ten_minutes_apart_and_odd_time_zones_access_ends_when_approved(settings, server, minutes):
    version, cluster = server
    name = f"clock-{'ahead' if minutes > 0 else 'behind'}"
    target = prepare(cluster, version=version, installed_by="owner", name=name)
    move_to_other_zones(target)
    clock = MovableClock()
    clock.advance(minutes=minutes)
    async with first_start(settings, clock, target) as world:
        approved = await world.approved(**world.wanted(seconds=int(APPROVED.total_seconds())))
        with falling_back(target):
            request = (await world.act("user-engineer", approved["id"], "execute")).json()
            assert request["status"] == "active", request
            credentials = await world.credentials(request["id"])
            grant = world.grant_on_target(request)
            end = grant["expires_at"]
            with psycopg.connect(credentials["uri"], autocommit=True) as conn:
                conn.execute("set timezone = 'Asia/Kathmandu'")
                assert await run_due(world) == 0, "nothing is due before the end"

                last = await asyncio.to_thread(rows_until, conn, end)

                after = offset_of(target)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(credentials["uri"]).close()
    async with return_of(world) as back:
        reverted = await becomes(back, request["id"], "reverted", seconds=30)

    assert after == 0, "the server's local time was to be there twice"
    assert end - grant["granted_at"] == APPROVED
    assert grant["rolvaliduntil"] == end
    assert last < end
    ours = reverted["grant"]
    assert parse_time(ours["expires_at"]) - parse_time(ours["granted_at"]) <= APPROVED
    assert parse_time(ours["expires_at"]) <= parse_time(ours["ended_at"])
    assert abs(parse_time(ours["granted_at"]) - timedelta(minutes=minutes) - grant["granted_at"]) < timedelta(minutes=1)
    assert end <= world.grant_on_target(request)["dropped_at"]
