"""The question that is put to policy about a request. Guarantee: pure. No free text enters it (architecture section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.json_types import JsonObject

POLICY_PACKAGE = "high_risk.operations"


def policy_input(
    *,
    action: str,
    actor: Actor,
    now: datetime,
    operation_type: str,
    environment: str,
    target: str,
    duration_seconds: int,
    approvals: Mapping[Role, str],
) -> JsonObject:
    """Return the input of the high-risk policy.

    `action` is `request` or `execute`; `approvals` gives each filled role its person.
    """
    return {
        "action": action,
        "now": int(now.timestamp()),
        "subject": {"id": actor.id, "kind": actor.kind.value, "roles": sorted(role.value for role in actor.roles)},
        "resource": {
            "type": operation_type,
            "environment": environment,
            "target": target,
            "duration_seconds": duration_seconds,
        },
        "context": {"approvals": [{"role": role.value, "person": person} for role, person in sorted(approvals.items())]},
    }
