"""Usage events (story 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trustpack.kernel.json_types import JsonObject


class UsageType(StrEnum):
    """What is metered: engine answers in enforce mode, and flows begun."""

    POLICY_DECISION = "policy_decision"
    WORKFLOW_RUN = "workflow_run"


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One unit of usage. The id follows from what is counted."""

    id: str
    tenant_id: str
    timestamp: datetime
    type: UsageType
    pack: str
    metadata: JsonObject
