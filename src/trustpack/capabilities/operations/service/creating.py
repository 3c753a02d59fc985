"""Ask for an operation: compute its effect, put it to policy, store what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trustpack.capabilities import approvals, directory, metering, policy
from trustpack.capabilities.operations.model import (
    OPERATION_TYPE,
    Effect,
    HighRiskRequest,
    NewRequest,
    OutsideTarget,
    Refused,
    Status,
    Target,
    UnknownTarget,
)
from trustpack.capabilities.operations.rules.effects import build_effect, order_of, outside_of
from trustpack.capabilities.operations.rules.policy_input import POLICY_PACKAGE, policy_input
from trustpack.capabilities.operations.service.context import EXPIRE_JOB, Operations
from trustpack.capabilities.operations.service.recording import record
from trustpack.capabilities.operations.store import requests as store
from trustpack.capabilities.operations.store import targets as target_store
from trustpack.capabilities.policy import Decision, DecisionMode
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction

PACK = "trust-and-proof"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A request that has been thought through but not stored: its effect, and what policy says to it."""

    request_id: str
    new: NewRequest
    target: Target
    effect: Effect
    decision: Decision
    outside: OutsideTarget | None


async def propose(operations: Operations, actor: Actor, new: NewRequest, *, mode: DecisionMode) -> Proposal:
    """Compute a request's effect and ask policy, outside any transaction. Raises `UnknownTarget`.

    A target is asked for nothing here: its identity as registered goes into the effect and is compared at execution.
    """
    unit_of_work = operations.unit_of_work
    target = await target_store.active_target(unit_of_work, tenant_id=actor.tenant_id, name=new.target)
    if target is None:
        raise UnknownTarget
    order = order_of(target, scope=new.scope, duration_seconds=new.duration_seconds)
    effect = build_effect(target, order, statements=operations.adapter_of(target).statements(target.definition, order))
    request_id = unit_of_work.ids.new("hro")
    decision = await operations.gate.evaluate(
        policy.DecisionRequest(
            id=unit_of_work.ids.new("dec"),
            tenant_id=actor.tenant_id,
            package=POLICY_PACKAGE,
            subject_id=request_id,
            subject_version=0,
            mode=mode,
            input=policy_input(
                action="request",
                actor=actor,
                now=operations.clock.now(),
                operation_type=new.type,
                environment=new.environment,
                target=target.definition.name,
                duration_seconds=new.duration_seconds,
                approvals={},
            ),
            parameters=operations.gate.parameters_for(POLICY_PACKAGE),
        )
    )
    outside = outside_of(target, environment=new.environment, scope=new.scope, duration_seconds=new.duration_seconds)
    return Proposal(request_id, new, target, effect, decision, outside if decision.allowed else None)


async def create_request(tx: Transaction, operations: Operations, actor: Actor, proposal: Proposal) -> HighRiskRequest | Refused:
    """Store a proposed request with its decision, receipt and usage; a denied one is stored as `denied` and refused.

    What policy allows but the target does not offer is refused too, with its decision stored and no subject. Source: stories
    1.2, 1.4, 1.7, 4.1.
    """
    decision = proposal.decision
    await policy.record_decision(tx, decision)
    if proposal.outside is not None:
        await metering.emit(tx, *decision_usage(tx, decision))
        return Refused(proposal.outside)
    window = tx.now + timedelta(seconds=operations.limits.approval_window_seconds)
    request = _request(tx, actor, proposal, status=Status.PENDING_APPROVAL if decision.allowed else Status.DENIED, window=window)
    await store.insert_request(tx, request)
    await record(
        tx,
        request,
        actor=actor,
        action="requested" if decision.allowed else "denied",
        payload=_receipt_payload(request, decision),
        personal={"justification": request.justification},
    )
    await metering.emit(tx, *decision_usage(tx, decision), _run_usage(tx, request))
    if not decision.allowed:
        return Refused(denial_of(decision, request))
    await jobs.schedule(tx, kind=EXPIRE_JOB, subject_id=request.id, due_at=window)
    return request


async def preview(operations: Operations, actor: Actor, new: NewRequest) -> JsonObject:
    """Say what policy would answer, which approvals it would need and who could give them; store nothing."""
    proposal = await propose(operations, actor, new, mode=DecisionMode.PREVIEW)
    decision = proposal.decision
    if proposal.outside is not None:
        raise proposal.outside
    ballot = approvals.Ballot(
        subject_id=proposal.request_id,
        digest=proposal.effect.digest,
        required=decision.required_approvals,
        self_approvable=decision.self_approvable,
        requester_id=actor.id,
        requester_team_ids=actor.team_ids,
        same_team_leads=operations.limits.team_lead_same_team,
    )
    async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
        people = await directory.people_with_any_role(tx, decision.required_approvals)
    voters = [approvals.Voter(id=person.id, kind=person.kind, roles=person.roles, team_ids=person.team_ids) for person in people]
    able = approvals.could_still_approve(voters, ballot, open_roles=decision.required_approvals, voted=frozenset())
    handles = {person.id: directory.Handle.of(person) for person in people}
    return {
        "allowed": decision.allowed,
        "reasons": policy.present_reasons(decision.reasons),
        "required_approvals": [role.value for role in decision.required_approvals],
        "could_approve": {
            role.value: [{"id": person, "handle": handles[person]} for person in ids] for role, ids in able.items()
        },
        "effect": {"summary": proposal.effect.document["summary"], "statements": proposal.effect.document["statements"]},
        "effect_digest": proposal.effect.digest,
    }


def decision_usage(tx: Transaction, decision: Decision) -> tuple[metering.UsageEvent, ...]:
    """Return the usage event of a decision, or nothing if it is not billable (api.md, "Metering and billing")."""
    if not decision.is_billable:
        return ()
    metadata: JsonObject = {"package": decision.package, "decision_id": decision.id}
    return (metering.count(tx, usage=metering.UsageType.POLICY_DECISION, pack=PACK, source_id=decision.id, metadata=metadata),)


def denial_of(decision: Decision, request: HighRiskRequest) -> policy.PolicyDenied:
    """Return the error that tells the caller which request policy refused, and why."""
    return policy.PolicyDenied(**policy.denial_of(decision).data, subject_id=request.id, request_status=request.status.value)


def _run_usage(tx: Transaction, request: HighRiskRequest) -> metering.UsageEvent:
    metadata: JsonObject = {"workflow": "high_risk_operation", "subject_id": request.id}
    return metering.count(tx, usage=metering.UsageType.WORKFLOW_RUN, pack=PACK, source_id=request.id, metadata=metadata)


def _request(tx: Transaction, actor: Actor, proposal: Proposal, *, status: Status, window: datetime) -> HighRiskRequest:
    new, decision = proposal.new, proposal.decision
    return HighRiskRequest(
        id=proposal.request_id,
        version=1,
        status=status,
        type=OPERATION_TYPE,
        environment=new.environment,
        target_id=proposal.target.id,
        target_name=proposal.target.definition.name,
        scope=new.scope,
        duration_seconds=new.duration_seconds,
        justification=new.justification,
        ticket=new.ticket,
        requester_id=actor.id,
        requester_team_ids=tuple(sorted(actor.team_ids)),
        effect=proposal.effect.encoded,
        effect_digest=proposal.effect.digest,
        required_approvals=decision.required_approvals,
        self_approvable=decision.self_approvable,
        decision_id=decision.id,
        created_at=tx.now,
        approval_expires_at=window,
        use_by=None,
    )


def _receipt_payload(request: HighRiskRequest, decision: Decision) -> dict[str, JsonValue]:
    return {
        "type": request.type,
        "environment": request.environment,
        "target": {"id": request.target_id, "name": request.target_name},
        "scope": {"tenant": request.scope},
        "duration_seconds": request.duration_seconds,
        "ticket": request.ticket,
        "effect_digest": request.effect_digest,
        "required_approvals": [role.value for role in request.required_approvals],
        "decision_id": decision.id,
        "policy": {"revision": decision.bundle_revision, "digest": decision.policy_digest, "outcome": decision.outcome.value},
    }
