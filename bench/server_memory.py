"""What the server's process holds in memory, from its start to fifty thousand requests later."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression
from typing import Final

from bench_tenant import SECURITY, BenchTenant
from http_load import Plan, apply_load
from progress import Progress
from server_process import running_server
from tables import Table

from trustpack.platform.settings import Settings

_CLIENTS: Final = 8
_SAMPLES: Final = 10
_WARM_UP_SHARE: Final = 0.1
_ROUND: Final = 10
"""Every tenth request reads a page of five, the others create."""
_MEBIBYTE: Final = 2**20
_TEN_THOUSAND: Final = 10_000
_NOTES: Final = (
    "Resident memory of the one process that serves and works; 9 of 10 requests create, each tenth reads a page.",
    "The slope is the least-squares line through every sample after the warm-up.",
)


def measure_memory(settings: Settings, tenant: BenchTenant, *, requests: int) -> Table:
    """Send so many requests to a server with its worker and return how its memory went."""
    progress = Progress("memory")
    step = max(_ROUND, round(requests / _SAMPLES))
    warm_up = max(_ROUND, round(requests * _WARM_UP_SHARE))
    with running_server(settings, with_worker=True) as server:
        rows = [("at the start", "0", _in_mib(server.resident_bytes()))]
        _send(tenant, server.port, warm_up)
        samples = [(0, server.resident_bytes())]
        rows.append(("after the warm-up", f"{warm_up:,}", _in_mib(samples[0][1])))
        while samples[-1][0] < requests:
            samples.append((samples[-1][0] + _send(tenant, server.port, step), server.resident_bytes()))
            rows.append(("", f"{warm_up + samples[-1][0]:,}", _in_mib(samples[-1][1])))
            progress.tell(f"{samples[-1][0]:,} of {requests:,} requests, {rows[-1][-1]} MiB")
    rows.append((f"slope per {_TEN_THOUSAND:,} requests", "", f"{_slope(samples) * _TEN_THOUSAND / _MEBIBYTE:+.2f}"))
    return Table("Memory of the server", ("when", "requests", "MiB"), tuple(rows), _NOTES)


def _send(tenant: BenchTenant, port: int, number: int) -> int:
    a_round = (tenant.reading("?limit=5", by=SECURITY), *(tenant.asking() for _ in range(_ROUND - 1)))
    connections = (a_round * (number // (_ROUND * _CLIENTS) or 1),) * _CLIENTS
    return apply_load(Plan(port=port, connections=connections)).require_only(200, 201)


def _slope(samples: Sequence[tuple[int, int]]) -> float:
    requests, held = zip(*samples, strict=True)
    return linear_regression(requests, held).slope


def _in_mib(held: int) -> str:
    return f"{held / _MEBIBYTE:.1f}"
