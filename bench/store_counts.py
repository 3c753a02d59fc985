"""What lies in the store: counted before and after a run, because a benchmark that loses work is worthless."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from bench_tenant import TENANT

from trustpack.platform.database import DATABASE, embedded_cluster
from trustpack.platform.settings import Settings

_COUNTS = """
SELECT (SELECT count(*) FROM trustpack.high_risk_requests WHERE tenant_id = %(tenant)s),
    (SELECT coalesce(sum(version), 0)::bigint FROM trustpack.high_risk_requests WHERE tenant_id = %(tenant)s),
    (SELECT count(*) FROM trustpack.receipts WHERE tenant_id = %(tenant)s AND subject_kind = 'high_risk_request'),
    (SELECT count(*) FROM trustpack.log_outbox o JOIN trustpack.receipts r ON r.tenant_id = o.tenant_id AND r.id = o.receipt_id
      WHERE r.tenant_id = %(tenant)s AND r.subject_kind = 'high_risk_request')
"""


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How many requests, versions of requests, receipts of requests, and places of those in the outbox there are."""

    requests: int
    versions: int
    receipts: int
    outbox: int

    def require_growth(self, before: StoreCounts, *, requests: int, transitions: int, what: str) -> None:
        """End the program unless exactly this much was added since `before`."""
        grown = StoreCounts(
            self.requests - before.requests,
            self.versions - before.versions,
            self.receipts - before.receipts,
            self.outbox - before.outbox,
        )
        if grown != StoreCounts(requests, transitions, transitions, transitions):
            raise SystemExit(f"{what}: answered were {requests} new requests and {transitions} transitions, but stored: {grown}")


def count_store(settings: Settings) -> StoreCounts:
    """Return the counts of the bench tenant."""
    with as_superuser(settings) as connection:
        row = connection.execute(_COUNTS, {"tenant": TENANT}).fetchone()
    assert row is not None  # a select of constants
    return StoreCounts(*row)


def settle_store(settings: Settings) -> None:
    """Bring the store to rest, so that every measurement begins alike: statistics, visibility, and no checkpoint due."""
    with as_superuser(settings) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def pending_requests(settings: Settings) -> list[tuple[str, str]]:
    """Return id and effect digest of every request that nobody has voted on."""
    with as_superuser(settings) as connection:
        return connection.execute(
            "SELECT id, effect_digest FROM trustpack.high_risk_requests"
            " WHERE tenant_id = %(tenant)s AND status = 'pending_approval' AND version = 1 ORDER BY id",
            {"tenant": TENANT},
        ).fetchall()


def as_superuser(settings: Settings) -> psycopg.Connection:
    """Connect to the embedded store as its superuser, whom row-level security does not bind."""
    return psycopg.connect(embedded_cluster(settings).url(database=DATABASE), autocommit=True)
