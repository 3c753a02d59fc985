"""How late access ends that nobody takes back: a thousand grants that end within a minute, taken back by the server's worker."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from bench_target import running_target
from bench_tenant import BenchTenant
from granting import EndedGrant, Flow
from latencies import quantiles_of
from progress import Progress
from server_process import cluster_cpu_seconds, postgres_cpu_seconds, running_server
from tables import Table

from trustpack.platform.settings import Settings

_VERSION: Final = 18
_ENDING_SECONDS: Final = 60
_EXECUTING_SECONDS: Final = 80
"""Longer than what they end in, so that the executions leave the machine some air; durations make up for the difference."""
_MARGIN_SECONDS: Final = 20
"""Between the last execution and the first end."""
_WATCHED: Final = 20
_WATCH_BEFORE: Final = timedelta(seconds=0.3)
_LOOK_SECONDS: Final = 0.01
_PATIENCE_SECONDS: Final = 300
_NOTES: Final = (
    "Seconds after the end that the store has for each grant; negative: before it. The target's clock is the same machine's.",
    "Ends on the target first: its views test its own clock, whether or not anybody takes the grant back.",
    "Watched sessions are logged in with the credentials handed out and count rows every 10 ms from 300 ms before the end on.",
)


@dataclass(frozen=True, slots=True)
class Watched:
    """What an open session saw: its last answer with rows, on the target's clock, and when it was cut, on ours."""

    expires_at: datetime
    last_rows_at: datetime
    cut_at: datetime


def measure_lateness(settings: Settings, tenant: BenchTenant, *, grants: int) -> Table:
    """Let grants end by themselves at the pace of a thousand a minute and return how late each step of their ends was."""
    pace = _EXECUTING_SECONDS / 1000
    sooner = (_EXECUTING_SECONDS - _ENDING_SECONDS) / 1000
    longest = grants * pace + _MARGIN_SECONDS
    progress = Progress("lateness")
    with running_target(settings, _VERSION) as target, running_server(settings, with_worker=True) as server:
        flow = Flow(settings, tenant, server, target)
        request_ids = flow.approve([round(longest - number * sooner) for number in range(grants)])
        progress.tell(f"{grants} requests approved")
        flow.execute(request_ids, pace_seconds=pace)
        progress.tell("all executed")
        before = _cpu_seconds(flow)
        watched = asyncio.run(_watch(flow, request_ids[:: max(1, grants // _WATCHED)]))
        _await_ends(flow, grants, progress)
        spent = [(after - earlier) / grants for earlier, after in zip(before, _cpu_seconds(flow), strict=True)]
        return _table(flow.ended_grants(), watched, spent)


def _cpu_seconds(flow: Flow) -> tuple[float, float, float]:
    return flow.server.cpu_seconds(), postgres_cpu_seconds(flow.settings), cluster_cpu_seconds(flow.target.cluster)


def _await_ends(flow: Flow, grants: int, progress: Progress) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (ended := flow.count("reverted")) < grants:
        if time.monotonic() > deadline:
            raise SystemExit(f"of {grants} grants {ended} were taken back after {_PATIENCE_SECONDS} s")
        progress.tell(f"{ended} of {grants} taken back")
        time.sleep(5)


async def _watch(flow: Flow, request_ids: Sequence[str]) -> list[Watched]:
    return await asyncio.gather(*(_watch_one(credentials) for credentials in flow.credentials(request_ids)))


async def _watch_one(credentials: dict[str, Any]) -> Watched:
    expires_at = datetime.fromisoformat(credentials["expires_at"])
    session = await psycopg.AsyncConnection.connect(credentials["uri"], autocommit=True)
    last_rows_at = datetime.min.replace(tzinfo=UTC)
    await asyncio.sleep((expires_at - _WATCH_BEFORE - datetime.now(UTC)).total_seconds())
    with suppress(psycopg.OperationalError):  # the revert cuts the session
        while True:
            # Between the loss of its group and the cut a session finds no view any more.
            with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
                cursor = await session.execute("SELECT clock_timestamp(), count(*) FROM orders")
                seen_at, rows = await cursor.fetchone() or (last_rows_at, 0)
                last_rows_at = seen_at if rows else last_rows_at
            await asyncio.sleep(_LOOK_SECONDS)
    return Watched(expires_at, last_rows_at, datetime.now(UTC))


def _table(ended: Sequence[EndedGrant], watched: Sequence[Watched], spent: Sequence[float]) -> Table:
    ends = [grant.expires_at for grant in ended]
    span = (max(ends) - min(ends)).total_seconds()
    steps: tuple[tuple[str, Callable[[EndedGrant], datetime]], ...] = (
        ("the target's own end: no row any more", lambda grant: grant.target_expires_at),
        ("no login, no group", lambda grant: _at(grant, "expire", "at")),
        ("no session", lambda grant: _at(grant, "kill", "at")),
        ("role dropped", lambda grant: _at(grant, "drop", "dropped_at")),
        ("receipt `reverted`", lambda grant: grant.ended_at),
    )
    rows = [_row(step, [(moment(grant) - grant.expires_at).total_seconds() for grant in ended]) for step, moment in steps]
    seen = [(one.last_rows_at - one.expires_at).total_seconds() for one in watched]
    cut = [(one.cut_at - one.expires_at).total_seconds() for one in watched]
    rows += [_row("an open session saw its last row", seen), _row("an open session was cut", cut)]
    head = ("step", "grants", "p50 s", "p95 s", "p99 s", "latest s")
    summary = (
        f"{len(ended)} grants on PostgreSQL {_VERSION} ended within {span:.0f} s, evenly; one server process with its worker."
    )
    server, store, on_target = (f"{seconds * 1e3:.0f}" for seconds in spent)
    most = (os.cpu_count() or 1) / sum(spent)
    cost = (
        f"Processor time of one end: server {server} ms, store {store} ms, target {on_target} ms:"
        f" the processors, shared by all three, carry at most {most:.0f} a second; {1000 / _ENDING_SECONDS:.1f} were asked for."
    )
    return Table("Lateness of ends by themselves", head, tuple(rows), (summary, cost, *_NOTES))


def _at(grant: EndedGrant, step: str, key: str) -> datetime:
    return datetime.fromisoformat(grant.proof["steps"][step][key])


def _row(step: str, seconds: Sequence[float]) -> tuple[str, ...]:
    found = quantiles_of(seconds)
    return (step, str(len(seconds)), *(f"{value:.3f}" for value in (found.p50, found.p95, found.p99, max(seconds))))
