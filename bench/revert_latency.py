"""How long it takes to take access back, from the request to the answer that it is proven gone, on every server at hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import psycopg
from bench_target import available_versions, running_target
from bench_tenant import BenchTenant
from granting import Flow
from latencies import quantiles_of
from progress import Progress
from server_process import running_server
from tables import Table

from trustpack.platform.settings import Settings

_DURATION_SECONDS: Final = 3600
_NOTES: Final = (
    "From POST /revert to its answer, one at a time: START_REVERT is committed, then on a real target the grant is ended,",
    "its sessions cut, the login tried, the role dropped and its absence proven, and `reverted` is committed.",
    "Every answer was `reverted`, and no temporary role was left on the server.",
    "With a session: the requester is logged in with the credentials handed out and has read rows; every session was cut.",
)


def measure_reverts(settings: Settings, tenant: BenchTenant, *, grants: int) -> Table:
    """Take so many grants back on each version, half of them with an open session, and return how long it took."""
    rows = []
    progress = Progress("revert")
    with running_server(settings) as server:
        for version in available_versions():
            with running_target(settings, version) as target:
                flow = Flow(settings, tenant, server, target)
                request_ids = flow.approve([_DURATION_SECONDS] * grants)
                flow.execute(request_ids)
                progress.tell(f"{grants} grants live on PostgreSQL {version}")
                alone = flow.revert_one_by_one(request_ids[: grants // 2])
                in_use = _revert_in_use(flow, request_ids[grants // 2 :])
                if target.live_roles():
                    raise SystemExit(f"{target.live_roles()} temporary roles are left on PostgreSQL {version}")
                for session, durations in (("none", alone), ("one open", in_use), ("either", alone + in_use)):
                    rows.append((f"PostgreSQL {version}", session, str(len(durations)), *quantiles_of(durations).in_ms()))
                progress.tell(f"{grants} grants taken back on PostgreSQL {version}")
    head = ("target", "session", "grants", "p50 ms", "p95 ms", "p99 ms")
    return Table("Taking one grant back", head, tuple(rows), _NOTES, text_columns=2)


def _revert_in_use(flow: Flow, request_ids: Sequence[str]) -> list[float]:
    with ExitStack() as stack:
        sessions = []
        for credentials in flow.credentials(request_ids):
            session = psycopg.connect(credentials["uri"], autocommit=True)
            stack.callback(session.close)
            session.execute("SELECT count(*) FROM orders")
            sessions.append(session)
        durations = flow.revert_one_by_one(request_ids)
        _require_cut(sessions)
    return durations


def _require_cut(sessions: Sequence[psycopg.Connection]) -> None:
    for session in sessions:
        try:
            session.execute("SELECT 1")
        except psycopg.OperationalError:
            continue
        raise SystemExit("a session outlived the revert of its grant")
