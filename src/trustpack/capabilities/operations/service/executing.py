"""Carry an approved effect out: check everything again, commit the intent, call the target, record the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from trustpack.capabilities import approvals, metering, policy
from trustpack.capabilities.operations.model import (
    ApprovalsVoid,
    Case,
    Command,
    Effect,
    Execution,
    ExecutionStatus,
    Grant,
    GrantStatus,
    HighRiskRequest,
    Refused,
    RequesterOnly,
    Status,
    Target,
    TargetDrifted,
    TargetNotPrepared,
    TargetRefused,
    WindowClosed,
)
from trustpack.capabilities.operations.rules.effects import approved_target, build_effect, in_next_round, order_of, read_effect
from trustpack.capabilities.operations.rules.policy_input import POLICY_PACKAGE, policy_input
from trustpack.capabilities.operations.rules.transitions import next_status
from trustpack.capabilities.operations.service.carrying_out import record_failure
from trustpack.capabilities.operations.service.context import EXECUTE_JOB, EXPIRE_JOB, Operations
from trustpack.capabilities.operations.service.creating import decision_usage, denial_of
from trustpack.capabilities.operations.service.reading import find_readable
from trustpack.capabilities.operations.service.recording import advance, lock_readable, refuse
from trustpack.capabilities.operations.service.voting import ballot_of, voters_now
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import targets as target_store
from trustpack.capabilities.policy import Decision, DecisionMode
from trustpack.kernel.actor import Actor, Role, system_actor
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonValue
from trustpack.platform import jobs
from trustpack.platform.jobs import Job
from trustpack.platform.unit_of_work import Transaction

ROLE_PREFIX = "tpk_"
ROLE_RANDOM_BYTES = 16


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found out about an execution outside any transaction.

    `basis` is what it depended on; when that has changed by the time of the intent, everything is found out again. `effect` is
    what would be done as of now, None if the target could not be asked, which `trouble` then says.
    """

    basis: Basis
    decision: Decision | None
    effect: Effect | None
    target: Target
    trouble: TrustpackError | None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a prepared execution depends on: the effect, who fills which role, and what the requester may do, as of now."""

    effect_digest: str
    filled: Mapping[Role, str]
    requester_roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Started:
    """The intent is stored; once it is committed, the job may run."""

    job: Job


@dataclass(frozen=True, slots=True)
class Moved:
    """The request changed while the execution was prepared: prepare again."""


async def prepare_execution(operations: Operations, actor: Actor, request_id: str) -> Prepared:
    """Ask the target who it is and policy what it says, for the request as it is now. Raises `NotFound`.

    For anybody but the requester, or where it cannot be executed now, nothing is asked; `start_execution` then refuses.
    """
    async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
        request = await find_readable(tx, actor, request_id)
        target = await target_store.target_by_id(tx, request.target_id)
        basis = await _basis(tx, operations, request)
        decision_id, now = tx.new_id("dec"), tx.now
    is_ready = request.status == Status.APPROVED and request.requester_id == actor.id
    if not is_ready or (request.use_by is not None and now >= request.use_by):
        return Prepared(basis, None, None, target, None)
    trouble: TrustpackError | None = None
    effect: Effect | None = None
    try:
        effect = await _effect_now(operations, target, request)
    except TrustpackError as error:
        trouble = error
    decision = await operations.gate.evaluate(
        policy.DecisionRequest(
            id=decision_id,
            tenant_id=actor.tenant_id,
            package=POLICY_PACKAGE,
            subject_id=request.id,
            subject_version=request.version,
            mode=DecisionMode.ENFORCE,
            input=policy_input(
                action="execute",
                actor=replace(actor, roles=basis.requester_roles),
                now=now,
                operation_type=request.type,
                environment=request.environment,
                target=request.target_name,
                duration_seconds=request.duration_seconds,
                approvals=basis.filled,
            ),
            parameters=operations.gate.parameters_for(POLICY_PACKAGE),
        )
    )
    return Prepared(basis, decision, effect, target, trouble)


async def start_execution(
    tx: Transaction, operations: Operations, actor: Actor, request_id: str, prepared: Prepared
) -> Started | Moved | Refused | HighRiskRequest:
    """Check an approved request once more and store the intent to carry it out, with the decision that allows it.

    Returns `Refused` (receipt kept) for anybody but the requester, when policy denies, when an approval no longer stands or
    the effect changed; the failed request when the target cannot be reached. Raises `NotFound`, `WrongState`, `WindowClosed`.
    Source: stories 1.3 and 1.7; adversarial cases 9, 13, 22.
    """
    request = await lock_readable(tx, actor, request_id)
    if actor.id != request.requester_id:
        return await refuse(tx, request, RequesterOnly(), actor=actor, attempted="execute")
    next_status(request.status, Command.START_EXECUTION)
    if request.use_by is not None and tx.now >= request.use_by:
        raise WindowClosed
    if prepared.decision is None:
        return Moved()
    decision = prepared.decision
    await policy.record_decision(tx, decision)
    await metering.emit(tx, *decision_usage(tx, decision))
    if await _basis(tx, operations, request) != prepared.basis:
        return Moved()
    if set(prepared.basis.filled) != set(request.required_approvals):
        return await _reopen(tx, operations, request, effect=in_next_round(request.effect), why="approver_lost_role")
    if isinstance(prepared.trouble, TargetNotPrepared | TargetDrifted):
        return await _reopen(tx, operations, request, effect=in_next_round(request.effect), why="target_not_prepared")
    if prepared.effect is not None and prepared.effect.digest != request.effect_digest:
        return await _reopen(tx, operations, request, effect=in_next_round(prepared.effect.encoded), why="effect_changed")
    if not decision.allowed:
        return await refuse(tx, request, denial_of(decision, request), actor=actor, attempted="execute")
    return await _commit_intent(tx, request, actor=actor, prepared=prepared, decision=decision)


async def _basis(tx: Transaction, operations: Operations, request: HighRiskRequest) -> Basis:
    """Return what an execution depends on; the people's roles cannot change until the transaction ends."""
    ballot = ballot_of(request, operations)
    votes = await approvals.votes_of_one(tx, request.id)
    voters = await voters_now(tx, [request.requester_id, *(vote.person_id for vote in votes)])
    quorum = approvals.decide_quorum(ballot.required, approvals.standing_votes(votes, ballot, voters))
    requester = voters.get(request.requester_id)
    return Basis(
        effect_digest=request.effect_digest,
        filled=quorum.filled,
        requester_roles=requester.roles if requester is not None else frozenset(),
    )


async def _effect_now(operations: Operations, target: Target, request: HighRiskRequest) -> Effect:
    if target.status != "active":
        raise TargetRefused("The target was taken out of service; nothing was changed.")
    adapter = operations.adapter_of(target)
    live = replace(target, identity=await adapter.identify(target.definition))
    order = order_of(live, scope=request.scope, duration_seconds=request.duration_seconds)
    return build_effect(
        live,
        order,
        statements=adapter.statements(live.definition, order),
        approval_round=read_effect(request.effect)["approval_round"],
    )


_WHY: Mapping[str, str] = {
    "effect_changed": "The target, or what would be done on it, is no longer what was approved.",
    "target_not_prepared": "The system that answers for the target is not prepared as the approved one was.",
    "approver_lost_role": "Somebody who approved this no longer holds the role.",
}


async def _reopen(tx: Transaction, operations: Operations, request: HighRiskRequest, *, effect: Effect, why: str) -> Refused:
    """Send an approved request back to be approved anew in a next round: no vote of the last one counts any more."""
    window = tx.now + timedelta(seconds=operations.limits.approval_window_seconds)
    await jobs.schedule(tx, kind=EXPIRE_JOB, subject_id=request.id, due_at=window)
    payload: dict[str, JsonValue] = {
        "why": why,
        "approved_digest": request.effect_digest,
        "approved_effect": read_effect(request.effect),
        "effect_digest": effect.digest,
    }
    await advance(
        tx,
        request,
        Command.REOPEN,
        actor=system_actor(tx.tenant_id, "execution-check"),
        action="drift_detected",
        payload=payload,
        effect=effect.encoded,
        effect_digest=effect.digest,
        approval_expires_at=window,
        use_by=None,
    )
    return Refused(ApprovalsVoid(_WHY[why], effect_digest=effect.digest, approved_digest=request.effect_digest))


async def _commit_intent(
    tx: Transaction, request: HighRiskRequest, *, actor: Actor, prepared: Prepared, decision: Decision
) -> Started | HighRiskRequest:
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=request.id)
    role_name = ROLE_PREFIX + tx.ids.random_bytes(ROLE_RANDOM_BYTES).hex()
    payload: dict[str, JsonValue] = {"decision_id": decision.id, "effect_digest": request.effect_digest, "role_name": role_name}
    executing = await advance(tx, request, Command.START_EXECUTION, actor=actor, action="execution_started", payload=payload)
    execution = Execution(
        id=tx.new_id("exe"),
        request_id=request.id,
        seq=executing.version,
        status=ExecutionStatus.STARTED,
        decision_id=decision.id,
        started_at=tx.now,
        finished_at=None,
        error_code=None,
        error_detail=None,
    )
    await grant_store.insert_execution(tx, execution)
    grant = _ordered_grant(executing, role_name)
    await grant_store.insert_grant(tx, grant)
    if prepared.trouble is not None:
        case = Case(executing, approved_target(request.effect), execution, grant)
        return await record_failure(tx, case, prepared.trouble, actor=actor, proof=None)
    job = await jobs.schedule_claimed(tx, kind=EXECUTE_JOB, subject_id=request.id, lane=request.target_id)
    assert job is not None  # a request is executed once, so nobody else can hold its job
    return Started(job)


def _ordered_grant(request: HighRiskRequest, role_name: str) -> Grant:
    return Grant(
        id=f"grt_{request.id.removeprefix('hro_')}",
        request_id=request.id,
        seq=request.version,
        status=GrantStatus.ORDERED,
        role_name=role_name,
        target_system=approved_target(request.effect).identity.system,
        role_ref=None,
        granted_at=None,
        expires_at=None,
        target_expires_at=None,
        credentials_issued=0,
        ended_at=None,
        proof=None,
    )
