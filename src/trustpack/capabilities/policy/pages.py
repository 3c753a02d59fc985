"""What pages show of a decision: in words, with the rules that it was made by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trustpack.capabilities.policy.model import Decision, DecisionMode
from trustpack.capabilities.policy.rules.reasons import reason_text


@dataclass(frozen=True, slots=True)
class DecisionShown:
    """One decision as the component `decision` shows it."""

    id: str
    asked: str
    allowed: bool
    said: str
    reasons: tuple[str, ...]
    revision: str
    policy_digest: str
    input_digest: str
    engine: str
    at: datetime


def shown_decision(decision: Decision, *, asked: str = "Policy") -> DecisionShown:
    """Return a decision in words; `asked` says what it was asked about."""
    return DecisionShown(
        id=decision.id,
        asked="Preview" if decision.mode is DecisionMode.PREVIEW else asked,
        allowed=decision.allowed,
        said=_said(decision),
        reasons=tuple(reason_text(reason) for reason in decision.reasons),
        revision=decision.bundle_revision or "unknown",
        policy_digest=decision.policy_digest,
        input_digest=decision.input_digest,
        engine=f"{decision.engine.name} {decision.engine.version}",
        at=decision.decided_at,
    )


def _said(decision: Decision) -> str:
    if not decision.allowed:
        return "Policy refused this."
    if not decision.required_approvals:
        return "Policy allowed this without anybody's approval."
    needed = f"Policy allowed this with the approval of {listed([role.value for role in decision.required_approvals])}"
    if not decision.self_approvable:
        return f"{needed}; nobody may approve their own."
    return f"{needed}; the owner may give that of {listed([role.value for role in decision.self_approvable])}."


def listed(names: Sequence[str]) -> str:
    """Return names as people say them: `manager and finance`."""
    words = [name.replace("_", " ") for name in names]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
