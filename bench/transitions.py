"""Governed transitions over HTTP, with 8 and 32 closed loops, beside pgbench running the same statements on the same cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench_tenant import BenchTenant
from checked_load import Spent, load_store
from replay import Ceiling, Replay, build_replay, rebuilding_us, run_for, run_times
from sent_statements import capture_flows
from server_process import ServerProcess, running_server
from store_counts import as_superuser, count_store, pending_requests, settle_store
from tables import Table

from trustpack.platform.settings import Settings

CLIENTS: Final = (8, 32)
_APPROVALS_OF_A_CASE: Final = 2
_APPROVED_SHARE: Final = 0.25
"""Cases that are approved, as a share of those that were created in the same time: the approvals of one take about as long as the
creation of four."""
_HOW_TRANSITIONS_WERE_MEASURED: Final = (
    "One server process without its worker; each client sends its next request when the last is answered.",
    "Every answer was a success and is one governed transition; the store holds exactly as many versions, receipts, outbox rows.",
    "The last two columns are processor time per answer; the load comes on top.",
    "One engineer, one team lead and one security officer send everything, so approvals meet at the same people's rows.",
)
_HOW_THE_CEILING_WAS_MEASURED: Final = (
    "The statements that PostgreSQL's log shows for one case, with their parameters, as the application's role, prepared.",
    "Transactions are those of the product, the reads before the transition included.",
    "p95 of approvals is that of a pair of them, one after the other.",
    "Salts repeat, as pgbench cannot hash; every key, constraint, trigger and deferred check runs.",
)


@dataclass(slots=True)
class TransitionBench:
    """Measures on one store. `rows` are filled as the measurements are made."""

    settings: Settings
    tenant: BenchTenant
    seconds: float
    rows: list[tuple[str, ...]] = field(default_factory=list)
    ratios: list[tuple[str, ...]] = field(default_factory=list)

    def measure(self) -> tuple[Table, ...]:
        """Measure everything and return the tables."""
        replay = build_replay(*capture_flows(self.settings, self.tenant))
        with as_superuser(self.settings) as connection:
            rebuilding = rebuilding_us(replay, connection)
        with running_server(self.settings) as server:
            for clients in CLIENTS:
                self._creations(server, replay, clients=clients)
                self._approvals(server, replay, clients=clients)
        return tuple(self._tables(rebuilding))

    def _creations(self, server: ServerProcess, replay: Replay, *, clients: int) -> None:
        settle_store(self.settings)
        spent = load_store(self.settings, server, [(self.tenant.asking(),)] * clients, status=201, seconds=self.seconds)
        before = count_store(self.settings)
        one_by_one = run_for(self.settings, replay, replay.creation, clients=clients, seconds=self.seconds)
        pipelined = run_for(self.settings, replay, replay.creation_pipelined(), clients=clients, seconds=self.seconds)
        made = one_by_one.transactions + pipelined.transactions
        count_store(self.settings).require_growth(before, requests=made, transitions=made, what="pgbench")
        self._note("POST /requests", clients, spent, one_by_one, transitions=1)
        pipelined_ratio = spent.outcome.per_second / pipelined.per_second
        self.ratios.append((f"the same in one pipeline, {clients} clients", *_ceiling(pipelined, 1), f"{pipelined_ratio:.2f}"))

    def _approvals(self, server: ServerProcess, replay: Replay, *, clients: int) -> None:
        creations = float(self.rows[-1][2])
        cases = max(4, round(creations * self.seconds * _APPROVED_SHARE / clients)) * clients
        each = [(self.tenant.asking(),) * (cases // clients)] * clients
        already = {request_id for request_id, _ in pending_requests(self.settings)}
        load_store(self.settings, server, each, status=201)
        pending = [found for found in pending_requests(self.settings) if found[0] not in already]
        votes = [self.tenant.approving(request_id, effect_digest=digest) for request_id, digest in pending]
        settle_store(self.settings)
        loops = [tuple(request for pair in votes[client::clients] for request in pair) for client in range(clients)]
        spent = load_store(self.settings, server, loops, status=200)
        run_times(self.settings, replay, replay.creation, clients=clients, times=cases // clients, anew=True)
        settle_store(self.settings)
        before = count_store(self.settings)
        ceiling = run_times(self.settings, replay, replay.approvals, clients=clients, times=cases // clients, anew=False)
        voted = ceiling.transactions * _APPROVALS_OF_A_CASE
        count_store(self.settings).require_growth(before, requests=0, transitions=voted, what="pgbench")
        self._note("POST /approve", clients, spent, ceiling, transitions=_APPROVALS_OF_A_CASE)

    def _note(self, route: str, clients: int, spent: Spent, ceiling: Ceiling, *, transitions: int) -> None:
        outcome = spent.outcome
        per_second = ceiling.per_second * transitions
        cpu = (f"{spent.server_us:.0f}", f"{spent.postgres_us:.0f}")
        self.rows.append((f"{route}", str(clients), f"{outcome.per_second:.0f}", *outcome.durations.in_ms(), *cpu))
        self.ratios.append(
            (f"{route}, {clients} clients", *_ceiling(ceiling, transitions), f"{outcome.per_second / per_second:.2f}")
        )

    def _tables(self, rebuilding: float) -> Iterator[Table]:
        yield Table(
            "Governed transitions over HTTP",
            ("route", "clients", "per second", "p50 ms", "p95 ms", "p99 ms", "server us", "PostgreSQL us"),
            tuple(self.rows),
            _HOW_TRANSITIONS_WERE_MEASURED,
        )
        rebuilt = f"PostgreSQL puts ids, times, bodies, digests together: {rebuilding:.0f} us for a creation and two approvals."
        yield Table(
            "The same statements by pgbench",
            ("statements of", "per second", "p95 ms", "PostgreSQL us", "HTTP / pgbench"),
            tuple(self.ratios),
            (*_HOW_THE_CEILING_WAS_MEASURED, rebuilt),
        )


def _ceiling(ceiling: Ceiling, transitions: int) -> tuple[str, str, str]:
    per_transition = ceiling.postgres_cpu_seconds / transitions * 1e6
    return (f"{ceiling.per_second * transitions:.0f}", f"{ceiling.durations.p95 * 1e3:.1f}", f"{per_transition:.0f}")
