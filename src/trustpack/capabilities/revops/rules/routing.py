"""What the routing policy is asked, and how its answer is read. Guarantee: pure."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from trustpack.capabilities.policy import Decision
from trustpack.capabilities.revops.model import NewLead, Routing
from trustpack.kernel.json_types import JsonObject

ROUTING_PACKAGE = "revops.lead_routing"
_ROUTED = "routed"


def routing_input(new: NewLead, *, account_team: str | None, now: datetime) -> JsonObject:
    """Return the policy's question about a lead: neither the person nor the company is named in it."""
    return {
        "action": "route",
        "now": int(now.timestamp()),
        "resource": {
            "segment": new.segment,
            "region": new.region,
            "employees": new.employees,
            "account_team": account_team,
        },
    }


def read_routing(decision: Decision) -> Routing | None:
    """Return where an allowed decision sends the lead; None where the policy did not answer."""
    if not decision.allowed:
        return None
    data = next((reason.data for reason in decision.reasons if reason.code == _ROUTED), None)
    if data is None:
        return None
    return Routing(rule=cast(str, data["rule"]), team=cast(str, data["team"]), sla_seconds=cast(int, data["sla_seconds"]))
