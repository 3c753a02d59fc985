"""What an engine may answer, read strictly, and how a decision is presented. Guarantee: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from trustpack.capabilities.policy.model import Answer, Decision, MalformedDecision, PolicyDenied, PolicyOutcome, Reason
from trustpack.capabilities.policy.rules.reasons import reason_text
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import format_time

_ANSWER_FIELDS: Final = frozenset({"allow", "reasons", "required_approvals", "self_approvable"})


def read_answer(raw: object) -> Answer:
    """Read the engine's raw result strictly; raise `MalformedDecision` for anything but the agreed object.

    `true`, `"true"`, `{}`, `{"allow": "yes"}`, an unknown field and an unknown role are all malformed, hence denies.
    """
    if not isinstance(raw, Mapping) or set(raw) != _ANSWER_FIELDS:
        raise MalformedDecision("the result is not an object with exactly the agreed fields")
    allowed, reasons = raw["allow"], raw["reasons"]
    if not isinstance(allowed, bool):
        raise MalformedDecision("allow is not a boolean")
    if not isinstance(reasons, list):
        raise MalformedDecision("reasons is not a list")
    return Answer(
        allowed=allowed,
        reasons=tuple(_read_reason(reason) for reason in reasons),
        required_approvals=_read_roles(raw["required_approvals"]),
        self_approvable=_read_roles(raw["self_approvable"]),
    )


def _read_reason(raw: object) -> Reason:
    if not isinstance(raw, Mapping) or "text" in raw:
        raise MalformedDecision("a reason is not an object of a code and data")
    code = raw.get("code")
    if not isinstance(code, str) or not code.isascii() or not code.replace("_", "").isalnum() or code != code.lower():
        raise MalformedDecision("a reason has no proper code")
    return Reason(code, {key: value for key, value in raw.items() if key != "code"})


def _read_roles(raw: object) -> tuple[Role, ...]:
    if not isinstance(raw, list) or not all(isinstance(role, str) for role in raw):
        raise MalformedDecision("roles are not a list of texts")
    try:
        roles = tuple(Role(role) for role in raw)
    except ValueError as error:
        raise MalformedDecision("a role is unknown") from error
    if len(set(roles)) != len(roles):
        raise MalformedDecision("a role is named twice")
    return roles


def failure_code(outcome: PolicyOutcome) -> str:
    """Return the reason code for a failure: its outcome without the `policy.` in front."""
    return outcome.value.removeprefix("policy.")


def present_reasons(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Return reasons as people and programs read them: code, sentence, data."""
    return [{"code": reason.code, "text": reason_text(reason), **reason.data} for reason in reasons]


def denial_of(decision: Decision) -> PolicyDenied:
    """Return the error that tells a user why: to be raised after the decision has been stored."""
    return PolicyDenied(decision_id=decision.id, reasons=present_reasons(decision.reasons))


def present_decision(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON for the API and for evidence; whoever re-encodes `input` by RFC 8785 meets its digest."""
    return {
        "id": decision.id,
        "tenant_id": decision.tenant_id,
        "subject_id": decision.subject_id,
        "subject_version": decision.subject_version,
        "package": decision.package,
        "mode": decision.mode.value,
        "allowed": decision.allowed,
        "outcome": decision.outcome.value,
        "reasons": present_reasons(decision.reasons),
        "required_approvals": [role.value for role in decision.required_approvals],
        "self_approvable": [role.value for role in decision.self_approvable],
        "input": json.loads(decision.input),
        "input_digest": decision.input_digest,
        "result": None if decision.result is None else json.loads(decision.result),
        "bundle_revision": decision.bundle_revision,
        "policy_digest": decision.policy_digest,
        "parameters_digest": decision.parameters_digest,
        "schema_digest": decision.schema_digest,
        "engine": {"name": decision.engine.name, "version": decision.engine.version},
        "duration_us": decision.duration_us,
        "decided_at": format_time(decision.decided_at),
    }
