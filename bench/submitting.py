"""Submitting a quote for approval: from the request to the answer, policy asked and the decision stored in between."""

from __future__ import annotations

from typing import Final

from http_load import Outcome, Plan, apply_load
from selling_tenant import SellingTenant, quotes_in
from server_process import ServerProcess, running_server
from store_counts import settle_store
from tables import Table

from trustpack.platform.settings import Settings

CLIENTS: Final = (1, 8)
_WARM_UP_QUOTES: Final = 8
_NOTES: Final = (
    "Each request submits another draft of the bulk set, once; after the answer the store held as many more quotes that wait.",
    "In it: the quotes that are linked by account are read, policy is asked, decision, receipt, usage and timer are stored.",
)


def measure_submissions(settings: Settings, tenant: SellingTenant, *, most: int) -> Table:
    """Submit up to so many drafts for each number of clients, and return how long the answers took."""
    settle_store(settings)
    drafts = quotes_in(settings, "draft")
    warm_up, drafts = drafts[:_WARM_UP_QUOTES], drafts[_WARM_UP_QUOTES:]
    share = min(len(drafts) // len(CLIENTS), most)
    rows = []
    with running_server(settings) as server:
        _submit(settings, tenant, server, warm_up, clients=1)
        for place, clients in enumerate(CLIENTS):
            chosen = drafts[place * share : (place + 1) * share]
            outcome = _submit(settings, tenant, server, chosen, clients=clients)
            rows.append((str(clients), str(outcome.answers), f"{outcome.per_second:.0f}", *outcome.durations.in_ms()))
    head = ("clients", "submitted", "per second", "p50 ms", "p95 ms", "p99 ms")
    return Table("Submitting a quote for approval", head, tuple(rows), _NOTES)


def _submit(
    settings: Settings, tenant: SellingTenant, server: ServerProcess, drafts: list[tuple[str, str]], *, clients: int
) -> Outcome:
    requests = [tenant.submitting(quote_id, owner_id=owner_id) for quote_id, owner_id in drafts]
    before = len(quotes_in(settings, "pending_approval"))
    connections = tuple(tuple(requests[client::clients]) for client in range(clients))
    outcome = apply_load(Plan(port=server.port, connections=connections))
    answers = outcome.require_only(200)
    stored = len(quotes_in(settings, "pending_approval")) - before
    if stored != answers:
        raise SystemExit(f"{answers} submissions were answered, but {stored} more quotes wait for approval")
    return outcome
