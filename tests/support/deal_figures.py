"""What a tenant's deals come to, counted in the store alone: the numbers that a dashboard would show."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.support.store import rows_as_owner
from trustpack.platform.settings import Settings

USD_PER_EUR = Decimal("1.10")
"""The stored rate of the demo's story (research/revops section 6)."""
_AMOUNTS = (
    "count(*) AS number, sum(list_minor * rate) / 100 AS list, sum(net_minor * rate) / 100 AS net FROM trustpack.quotes,"
    " LATERAL (SELECT CASE currency WHEN 'USD' THEN 1.00 WHEN 'EUR' THEN %s END AS rate) AS rates WHERE tenant_id = %s"
)
_SUBMISSIONS = (
    "SELECT subject_id, occurred_at, body #>> '{payload,terms_digest}' AS digest,"
    " ARRAY(SELECT jsonb_array_elements_text(body #> '{payload,required_approvals}')) AS required FROM"
    " (SELECT subject_id, occurred_at, convert_from(body, 'UTF8')::jsonb AS body FROM trustpack.receipts"
    " WHERE tenant_id = %s AND subject_kind = 'quote' AND action = 'submitted') AS told"
)
_HOURS = "(extract(epoch FROM {}) / 3600)::numeric"


@dataclass(frozen=True, slots=True)
class Figures:
    """The expected dashboard of research/revops section 6. Times are hours."""

    leads: int
    quotes: int
    versions: int
    needing_approval: tuple[int, int, int]
    """Current quotes, quotes ever, and versions ever."""
    cycles: tuple[int, Decimal, Decimal, Decimal, Decimal]
    """Number, sum, mean, median, longest; from submission to the last required approval, other people's only."""
    manager: tuple[int, Decimal]
    finance: tuple[int, Decimal]
    contracts: int
    activated: tuple[Decimal, Decimal]
    all_current: tuple[Decimal, Decimal]
    late_first_touches: int


def figures_of(settings: Settings, tenant_id: str) -> Figures:
    """Count a tenant's deals."""

    def one(query: str, *parameters: Any) -> dict[str, Any]:
        [row] = rows_as_owner(settings, query, *parameters)
        return row

    def count(table: str) -> int:
        return int(one(f"SELECT count(*) AS number FROM trustpack.{table} WHERE tenant_id = %s", tenant_id)["number"])

    current = one(
        "SELECT count(*) AS number FROM trustpack.quotes WHERE tenant_id = %s AND NOT required_approvals <@ self_approvable",
        tenant_id,
    )
    ever = one(
        f"SELECT count(DISTINCT subject_id) AS quotes, count(DISTINCT digest) AS versions FROM ({_SUBMISSIONS}) AS s"
        " WHERE required <> ARRAY['ae']",
        tenant_id,
    )
    activated = one(f"SELECT {_AMOUNTS} AND status = 'activated'", USD_PER_EUR, tenant_id)
    everything = one(f"SELECT {_AMOUNTS}", USD_PER_EUR, tenant_id)
    late = one(
        "SELECT count(*) AS number FROM trustpack.opportunities WHERE tenant_id = %s AND first_touched_at > first_touch_due_at",
        tenant_id,
    )
    return Figures(
        leads=count("leads"),
        quotes=count("quotes"),
        versions=count("quote_revisions"),
        needing_approval=(current["number"], ever["quotes"], ever["versions"]),
        cycles=_cycles(settings, tenant_id),
        manager=_votes(settings, tenant_id, "manager"),
        finance=_votes(settings, tenant_id, "finance"),
        contracts=count("contracts"),
        activated=(round(activated["list"], 2), round(activated["net"], 2)),
        all_current=(round(everything["list"], 2), round(everything["net"], 2)),
        late_first_touches=late["number"],
    )


def _cycles(settings: Settings, tenant_id: str) -> tuple[int, Decimal, Decimal, Decimal, Decimal]:
    hours = _HOURS.format("r.occurred_at - s.occurred_at")
    [row] = rows_as_owner(
        settings,
        f"SELECT count(*) AS number, sum({hours}) AS sum, avg({hours}) AS mean, max({hours}) AS longest,"
        f" (percentile_cont(0.5) WITHIN GROUP (ORDER BY {hours}))::numeric AS median FROM ({_SUBMISSIONS}) AS s"
        " JOIN trustpack.receipts AS r ON r.tenant_id = %s AND r.subject_id = s.subject_id AND r.action = 'approved'"
        " AND r.state = 'approved' AND convert_from(r.body, 'UTF8')::jsonb #>> '{payload,terms_digest}' = s.digest"
        " WHERE s.required <> ARRAY['ae']",
        tenant_id,
        tenant_id,
    )
    return (row["number"], *(round(row[name], 2) for name in ("sum", "mean", "median", "longest")))


def _votes(settings: Settings, tenant_id: str, role: str) -> tuple[int, Decimal]:
    """Return how often people of a role have decided, yes or no, and after how many hours on average."""
    hours = _HOURS.format("a.created_at - s.occurred_at")
    [row] = rows_as_owner(
        settings,
        f"SELECT count(*) AS number, avg({hours}) AS mean FROM ({_SUBMISSIONS}) AS s JOIN trustpack.approvals AS a"
        " ON a.tenant_id = %s AND a.subject_id = s.subject_id AND a.digest = s.digest JOIN trustpack.people AS p"
        " ON p.tenant_id = a.tenant_id AND p.id = a.person_id WHERE %s = ANY(s.required)"
        " AND %s = ANY(CASE a.verdict WHEN 'approve' THEN a.roles ELSE p.roles END)",
        tenant_id,
        tenant_id,
        role,
        role,
    )
    return row["number"], round(row["mean"], 2)
