"""What a store with a hundred thousand requests costs: governed transitions and reads, against the same with an empty store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bench_tenant import ENGINEER, NEWCOMER, SECURITY, TENANT, BenchTenant
from checked_load import Spent, load_store
from http_load import Plan, apply_load
from progress import Progress
from replay import build_replay, run_times
from sent_statements import capture_flows
from server_process import ServerProcess, running_server
from store_counts import as_superuser, count_store, pending_requests, settle_store
from tables import Table

from trustpack.platform.settings import Settings
from trustpack.platform.web.pagination import encode_cursor

_CLIENTS: Final = 8
_CASES_PER_SECOND: Final = 40
"""Cases that are approved for each second of a measurement."""
_CHUNKS: Final = 20
_APPROVED_CHUNKS: Final = 1
_READ_SHARE: Final = 0.25
_DEEP: Final = 0.9
"""A deep page begins after this share of all requests."""
_NOTES: Final = (
    "Filled with the statements that the product sends for a creation, each in its transaction, every constraint and trigger on;",
    f"{_APPROVED_CHUNKS} of {_CHUNKS} requests was approved by two people in the same way. Then VACUUM ANALYZE.",
    f"Transitions: {_CLIENTS} clients. Reads: one client, a page has 50 requests.",
)


@dataclass(slots=True)
class StoreSizeBench:
    """Measures one store twice. `rows` are filled by `measure`; in between the store is filled by whoever wants to."""

    settings: Settings
    tenant: BenchTenant
    seconds: float
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def measure(self) -> None:
        """Measure transitions and reads on the store as it is."""
        settle_store(self.settings)
        size = f"{count_store(self.settings).requests:,}"
        with running_server(self.settings) as server:
            self._transitions(server, size)
            self._reads(server, size)

    def fill(self, requests: int) -> None:
        """Bring the store to this number of requests."""
        progress = Progress("store size")
        replay = build_replay(*capture_flows(self.settings, self.tenant))
        missing = requests - count_store(self.settings).requests
        for chunk in range(_CHUNKS):
            times = -(-missing // (_CHUNKS * _CLIENTS))
            run_times(self.settings, replay, replay.creation_pipelined(), clients=_CLIENTS, times=times, anew=True)
            if chunk < _APPROVED_CHUNKS:
                run_times(self.settings, replay, replay.approvals, clients=_CLIENTS, times=times, anew=False)
            progress.tell(f"{count_store(self.settings).requests:,} of {requests:,} requests stored")

    def table(self) -> Table:
        """Return everything measured so far."""
        head = ("what", "requests stored", "per second", "p50 ms", "p95 ms", "p99 ms")
        return Table("The size of the store", head, tuple(sorted(self.rows, key=lambda row: row[0])), _NOTES)

    def _transitions(self, server: ServerProcess, size: str) -> None:
        already = {request_id for request_id, _ in pending_requests(self.settings)}
        self._note("POST /requests", size, self._load(server, [(self.tenant.asking(),)] * _CLIENTS, 201, seconds=self.seconds))
        pending = [found for found in pending_requests(self.settings) if found[0] not in already]
        cases = min(len(pending), round(self.seconds * _CASES_PER_SECOND))
        votes = [self.tenant.approving(request_id, effect_digest=digest) for request_id, digest in pending[:cases]]
        shares = [tuple(vote for pair in votes[client::_CLIENTS] for vote in pair) for client in range(_CLIENTS)]
        self._note("POST /approve", size, self._load(server, [share for share in shares if share], 200))

    def _reads(self, server: ServerProcess, size: str) -> None:
        newest, deep = self._ids()
        deep_page = f"?cursor={encode_cursor(deep)}"
        reads = {
            "GET /requests/{id}": (f"/{newest}", ENGINEER),
            "GET /requests, first page, own": ("", ENGINEER),
            "GET /requests, first page, of all": ("", SECURITY),
            "GET /requests, first page, of somebody without any": ("", NEWCOMER),
            "GET /requests, status that many have": ("?status=pending_approval", SECURITY),
            "GET /requests, status that none has": ("?status=revert_failed", SECURITY),
            "GET /requests, page from 90 % on": (deep_page, SECURITY),
        }
        for what, (path, handle) in reads.items():
            reading = ((self.tenant.reading(path, by=handle),),)
            plan = Plan(port=server.port, connections=reading, warm_up_seconds=0.5, seconds=self.seconds * _READ_SHARE)
            outcome = apply_load(plan)
            outcome.require_only(200)
            self.rows.append((what, size, f"{outcome.per_second:.0f}", *outcome.durations.in_ms()))

    def _ids(self) -> tuple[str, str]:
        with as_superuser(self.settings) as connection:
            row = connection.execute(
                "SELECT max(id), (percentile_disc(%(share)s) WITHIN GROUP (ORDER BY id DESC))"
                " FROM trustpack.high_risk_requests WHERE tenant_id = %(tenant)s",
                {"tenant": TENANT, "share": _DEEP},
            ).fetchone()
        assert row is not None  # a select without a group
        return row[0], row[1]

    def _load(
        self, server: ServerProcess, connections: list[tuple[str, ...]], status: int, *, seconds: float | None = None
    ) -> Spent:
        return load_store(self.settings, server, connections, status=status, seconds=seconds)

    def _note(self, what: str, size: str, spent: Spent) -> None:
        self.rows.append((what, size, f"{spent.outcome.per_second:.0f}", *spent.outcome.durations.in_ms()))
