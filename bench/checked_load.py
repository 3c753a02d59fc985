"""Load on the server that is believed only if the store holds exactly what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from http_load import Outcome, Plan, apply_load
from server_process import ServerProcess, postgres_cpu_seconds
from store_counts import count_store

from trustpack.platform.settings import Settings

WARM_UP_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Spent:
    """An outcome over HTTP, and the processor time that each answer cost the server and PostgreSQL."""

    outcome: Outcome
    server_us: float
    postgres_us: float


def load_store(
    settings: Settings,
    server: ServerProcess,
    connections: Sequence[tuple[str, ...]],
    *,
    status: int,
    seconds: float | None = None,
) -> Spent:
    """Apply the load and end the program unless every answer has the status, is one transition, and lies in the store."""
    before = count_store(settings)
    cpu = (server.cpu_seconds(), postgres_cpu_seconds(settings))
    warm_up_seconds = WARM_UP_SECONDS if seconds else 0
    plan = Plan(port=server.port, connections=tuple(connections), warm_up_seconds=warm_up_seconds, seconds=seconds)
    outcome = apply_load(plan)
    cpu = (server.cpu_seconds() - cpu[0], postgres_cpu_seconds(settings) - cpu[1])
    answers = outcome.require_only(status)
    created = answers if status == 201 else 0  # noqa: PLR2004 - the status that says so
    count_store(settings).require_growth(before, requests=created, transitions=answers, what="HTTP")
    return Spent(outcome, cpu[0] / answers * 1e6, cpu[1] / answers * 1e6)
