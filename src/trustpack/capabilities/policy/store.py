"""Decisions in PostgreSQL: `trustpack.policy_decisions`, append-only. Every statement carries the tenant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from trustpack.capabilities.policy.model import Decision, DecisionMode, EngineIdentity, PolicyOutcome, Reason
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import canonical_bytes

_INSERT: Final = """
INSERT INTO trustpack.policy_decisions (
    tenant_id, id, subject_id, subject_version, package, mode, allowed, outcome, reasons, required_approvals, self_approvable,
    input, input_digest, result, bundle_revision, policy_digest, parameters_digest, schema_digest, engine_name, engine_version,
    duration_us, decided_at
) VALUES (
    %(tenant_id)s, %(id)s, %(subject_id)s, %(subject_version)s, %(package)s, %(mode)s, %(allowed)s, %(outcome)s, %(reasons)s,
    %(required_approvals)s, %(self_approvable)s, %(input)s, %(input_digest)s, %(result)s, %(bundle_revision)s,
    %(policy_digest)s, %(parameters_digest)s, %(schema_digest)s, %(engine_name)s, %(engine_version)s, %(duration_us)s,
    %(decided_at)s
)
"""

_SELECT_ONE: Final = """
SELECT tenant_id, id, subject_id, subject_version, package, mode, allowed, outcome, reasons, required_approvals,
    self_approvable, input, input_digest, result, bundle_revision, policy_digest, parameters_digest, schema_digest,
    engine_name, engine_version, duration_us, decided_at
FROM trustpack.policy_decisions
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

_SELECT_OF_SUBJECTS: Final = """
SELECT tenant_id, id, subject_id, subject_version, package, mode, allowed, outcome, reasons, required_approvals,
    self_approvable, input, input_digest, result, bundle_revision, policy_digest, parameters_digest, schema_digest,
    engine_name, engine_version, duration_us, decided_at
FROM trustpack.policy_decisions
WHERE tenant_id = %(tenant_id)s AND subject_id = ANY(%(subject_ids)s)
ORDER BY array_position(%(subject_ids)s::text[], subject_id), decided_at, id
"""


async def insert_decision(transaction: Transaction, decision: Decision) -> None:
    """Queue the insertion of one decision; a failure shows at the next read or at the commit."""
    await transaction.write(
        _INSERT,
        {
            "tenant_id": transaction.tenant_id,
            "id": decision.id,
            "subject_id": decision.subject_id,
            "subject_version": decision.subject_version,
            "package": decision.package,
            "mode": decision.mode.value,
            "allowed": decision.allowed,
            "outcome": decision.outcome.value,
            "reasons": canonical_bytes([{"code": reason.code, **reason.data} for reason in decision.reasons]),
            "required_approvals": [role.value for role in decision.required_approvals],
            "self_approvable": [role.value for role in decision.self_approvable],
            "input": decision.input,
            "input_digest": decision.input_digest,
            "result": decision.result,
            "bundle_revision": decision.bundle_revision,
            "policy_digest": decision.policy_digest,
            "parameters_digest": decision.parameters_digest,
            "schema_digest": decision.schema_digest,
            "engine_name": decision.engine.name,
            "engine_version": decision.engine.version,
            "duration_us": decision.duration_us,
            "decided_at": decision.decided_at,
        },
    )


async def select_decision(transaction: Transaction, decision_id: str) -> Decision | None:
    """Return one decision of the tenant, or None."""
    row = await transaction.fetch_one(_SELECT_ONE, {"tenant_id": transaction.tenant_id, "id": decision_id})
    return None if row is None else _to_decision(row)


async def select_decisions_of(transaction: Transaction, subject_ids: Sequence[str]) -> tuple[Decision, ...]:
    """Return the decisions about several subjects: subject after subject, each one's oldest first."""
    parameters = {"tenant_id": transaction.tenant_id, "subject_ids": list(subject_ids)}
    rows = await transaction.fetch_all(_SELECT_OF_SUBJECTS, parameters)
    return tuple(_to_decision(row) for row in rows)


def _to_decision(row: Mapping[str, Any]) -> Decision:
    return Decision(
        id=row["id"],
        tenant_id=row["tenant_id"],
        subject_id=row["subject_id"],
        subject_version=row["subject_version"],
        package=row["package"],
        mode=DecisionMode(row["mode"]),
        allowed=row["allowed"],
        outcome=PolicyOutcome(row["outcome"]),
        reasons=tuple(
            Reason(reason["code"], {key: value for key, value in reason.items() if key != "code"})
            for reason in json.loads(row["reasons"])
        ),
        required_approvals=_roles(row["required_approvals"]),
        self_approvable=_roles(row["self_approvable"]),
        input=row["input"],
        input_digest=row["input_digest"],
        result=row["result"],
        bundle_revision=row["bundle_revision"],
        policy_digest=row["policy_digest"],
        parameters_digest=row["parameters_digest"],
        schema_digest=row["schema_digest"],
        engine=EngineIdentity(row["engine_name"], row["engine_version"]),
        duration_us=row["duration_us"],
        decided_at=row["decided_at"],
    )


def _roles(names: Sequence[str]) -> tuple[Role, ...]:
    return tuple(Role(name) for name in names)


async def decision_ids_of(transaction: Transaction, subject_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the ids of the decisions about each subject, oldest first; subjects without any are left out."""
    rows = await transaction.fetch_all(
        "SELECT subject_id, array_agg(id ORDER BY decided_at, id) AS ids FROM trustpack.policy_decisions"
        " WHERE tenant_id = %(tenant_id)s AND subject_id = ANY(%(subjects)s) GROUP BY subject_id",
        {"tenant_id": transaction.tenant_id, "subjects": list(subject_ids)},
    )
    return {row["subject_id"]: tuple(row["ids"]) for row in rows}
