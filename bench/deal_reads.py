"""Reading deals in a store full of them: each list and page, for each kind of reader."""

from __future__ import annotations

from typing import Final

from http_load import Plan, apply_load
from selling_tenant import LONE_SELLER, MANAGER, NEWCOMER, TEAM_SELLER, TENANT, SellingTenant
from server_process import running_server
from store_counts import as_superuser, settle_store
from tables import Table

from trustpack.platform.settings import Settings
from trustpack.platform.web.pagination import encode_cursor

_READ_SHARE: Final = 0.25
_DEEP: Final = 0.9
"""A deep page begins after this share of all quotes."""
_NOTES: Final = ("One client; a page has 50 quotes or leads. Filled by `trustpack seed --bulk`, then VACUUM ANALYZE.",)


def measure_deal_reads(settings: Settings, tenant: SellingTenant, *, seconds: float) -> Table:
    """Read everything for a while each, and return how long the answers took."""
    settle_store(settings)
    quotes, newest, opportunity, deep = _landmarks(settings)
    deep_page = f"/quotes?cursor={encode_cursor(deep)}"
    reads = {
        "GET /quotes/{id}": (f"/quotes/{newest}", MANAGER),
        "GET /opportunities/{id}": (f"/opportunities/{opportunity}", MANAGER),
        "GET /quotes, first page, of all": ("/quotes", MANAGER),
        "GET /quotes, page from 90 % on": (deep_page, MANAGER),
        "GET /quotes, status that many have": ("/quotes?status=activated", MANAGER),
        "GET /quotes, status that few have": ("/quotes?status=pending_approval", MANAGER),
        "GET /quotes, status that none has": ("/quotes?status=expired", MANAGER),
        "GET /quotes, of one owner": (f"/quotes?owner_id={tenant.ids[LONE_SELLER]}", MANAGER),
        "GET /quotes, of one opportunity": (f"/quotes?opportunity_id={opportunity}", MANAGER),
        "GET /quotes, first page, a team's": ("/quotes", TEAM_SELLER),
        "GET /quotes, page from 90 % on, a team's": (deep_page, TEAM_SELLER),
        "GET /quotes, first page, own": ("/quotes", LONE_SELLER),
        "GET /quotes, page from 90 % on, own": (deep_page, LONE_SELLER),
        "GET /quotes, status that none has, own": ("/quotes?status=expired", LONE_SELLER),
        "GET /quotes, first page, of somebody without any": ("/quotes", NEWCOMER),
        "GET /leads, first page, of all": ("/leads", MANAGER),
        "GET /leads, first page, a team's": ("/leads", TEAM_SELLER),
        "GET /leads, first page, own": ("/leads", LONE_SELLER),
        "GET /leads, first page, of somebody without any": ("/leads", NEWCOMER),
    }
    rows = []
    with running_server(settings) as server:
        for what, (path, handle) in reads.items():
            reading = ((tenant.reading(path, by=handle),),)
            outcome = apply_load(Plan(port=server.port, connections=reading, warm_up_seconds=0.5, seconds=seconds * _READ_SHARE))
            outcome.require_only(200)
            rows.append((what, f"{quotes:,}", f"{outcome.per_second:.0f}", *outcome.durations.in_ms()))
    head = ("what", "quotes stored", "per second", "p50 ms", "p95 ms", "p99 ms")
    return Table("Reading deals", head, tuple(rows), _NOTES)


def _landmarks(settings: Settings) -> tuple[int, str, str, str]:
    """Return how many quotes there are, the newest of them with its opportunity, and where a deep page begins."""
    with as_superuser(settings) as connection:
        row = connection.execute(
            "SELECT count(*), max(id), (array_agg(opportunity_id ORDER BY id DESC))[1],"
            " percentile_disc(%(share)s) WITHIN GROUP (ORDER BY id DESC) FROM trustpack.quotes WHERE tenant_id = %(tenant)s",
            {"tenant": TENANT, "share": _DEEP},
        ).fetchone()
    assert row is not None  # a select without a group
    return row
