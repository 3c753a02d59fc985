"""Job: carry a stored intent out on the target and record what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from trustpack.capabilities.operations.model import (
    Case,
    Command,
    Execution,
    ExecutionStatus,
    GrantStatus,
    HighRiskRequest,
    LiveGrant,
    RevertOutcome,
    Status,
    TargetDrifted,
    TargetNotPrepared,
    TargetRefused,
    TargetUnavailable,
)
from trustpack.capabilities.operations.rules.effects import order_of
from trustpack.capabilities.operations.service.context import MOST_BLOCKERS, REVERT_JOB, Operations
from trustpack.capabilities.operations.service.reading import load_case
from trustpack.capabilities.operations.service.recording import advance
from trustpack.capabilities.operations.service.reverting import ask_to_revert
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import requests as store
from trustpack.kernel.actor import Actor, system_actor
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonValue
from trustpack.platform import jobs
from trustpack.platform.jobs import Job
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import canonical_bytes

GIVE_UP_AFTER = timedelta(seconds=60)
"""An execution that did not come about within this time is cleaned up instead: nobody expects access an hour later."""


async def carry_out(operations: Operations, job: Job) -> None:
    """Job: grant what was ordered and record it; or prove that nothing is left and record the failure.

    Idempotent by the role's name: after a crash the role is adopted, never doubled (adversarial case 26). Where it cannot be
    proven that a failed order left nothing, the request becomes `revert_failed`, and the revert takes over.
    """
    case = await _ordered_case(operations, job)
    if case is None or case.grant is None or case.execution is None:
        return
    failure = await _grant(operations, job, case, case.grant.role_name, started_at=case.execution.started_at)
    if failure is None:
        return
    if job.attempts == 1 and isinstance(failure, TargetRefused | TargetDrifted | TargetNotPrepared):
        await _end(operations, job, failure, cleaned=None)
        return
    await _end(operations, job, failure, cleaned=await ask_to_revert(operations, case, case.grant))


async def _grant(operations: Operations, job: Job, case: Case, role_name: str, *, started_at: datetime) -> TrustpackError | None:
    """Order the grant and record its success; return why it failed."""
    if operations.clock.now() >= started_at + GIVE_UP_AFTER:
        return TargetUnavailable("The target did not carry the order out in time.")
    order = order_of(case.target, scope=case.request.scope, duration_seconds=case.request.duration_seconds, role_name=role_name)
    try:
        live = await operations.adapter_of(case.target).grant(case.target.definition, order)
    except TrustpackError as error:
        return error
    await _record_success(operations, job, live, received_at=operations.clock.now())
    return None


async def _ordered_case(operations: Operations, job: Job) -> Case | None:
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        request = await store.find_request(tx, job.subject_id)
        if request is None or request.status != Status.EXECUTING:
            await jobs.finish(tx, job)
            return None
        return await load_case(tx, request)


async def _locked_case(tx: Transaction, job: Job) -> Case | None:
    request = await store.lock_request(tx, job.subject_id)
    if request is None or request.status != Status.EXECUTING:
        return None
    return await load_case(tx, request)


async def _record_success(operations: Operations, job: Job, live: LiveGrant, *, received_at: datetime) -> None:
    # The end on our clock is counted from the answer: the target's clock may be wrong by minutes, its remaining time is not.
    expires_at = received_at + timedelta(seconds=live.remaining_seconds)
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        await jobs.finish(tx, job)
        case = await _locked_case(tx, job)
        if case is None or case.execution is None or case.grant is None:
            return
        payload: dict[str, JsonValue] = {
            "execution_id": case.execution.id,
            "grant_id": case.grant.id,
            "role_name": live.role_name,
            "role_ref": live.role_ref,
            "adopted": live.adopted,
            "target_granted_at": format_time(live.granted_at),
            "target_expires_at": format_time(live.expires_at),
        }
        active = await advance(
            tx,
            case.request,
            Command.SUCCEED_EXECUTION,
            actor=system_actor(tx.tenant_id, "executor"),
            action="executed",
            payload=payload,
        )
        await grant_store.update_execution(
            tx, replace(case.execution, seq=active.version, status=ExecutionStatus.SUCCEEDED, finished_at=tx.now)
        )
        await grant_store.update_grant(
            tx,
            replace(
                case.grant,
                seq=active.version,
                status=GrantStatus.ACTIVE,
                role_ref=live.role_ref,
                granted_at=tx.now,
                expires_at=expires_at,
                target_expires_at=live.expires_at,
            ),
        )
        await jobs.schedule(tx, kind=REVERT_JOB, subject_id=active.id, due_at=expires_at, lane=active.target_id)


async def _end(operations: Operations, job: Job, failure: TrustpackError, *, cleaned: RevertOutcome | None) -> None:
    """Record a failed order; `cleaned` is None where the target refused the first call and so certainly did nothing."""
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        await jobs.finish(tx, job)
        case = await _locked_case(tx, job)
        if case is None:
            return
        actor = system_actor(tx.tenant_id, "executor")
        if cleaned is None or cleaned.proven:
            await record_failure(tx, case, failure, actor=actor, proof=cleaned)
        else:
            await _abandon(tx, case, failure, actor=actor, left=cleaned)


async def _abandon(tx: Transaction, case: Case, failure: TrustpackError, *, actor: Actor, left: RevertOutcome) -> None:
    """Hand an order that may have left something behind to the revert, loudly."""
    assert case.execution is not None  # an executing case has both
    assert case.grant is not None
    blockers = left.blockers[:MOST_BLOCKERS]
    payload: dict[str, JsonValue] = {
        "execution_id": case.execution.id,
        "code": failure.code,
        "may_be_left": case.grant.role_name,
        "blockers": list(blockers),
    }
    abandoned = await advance(
        tx, case.request, Command.ABANDON_EXECUTION, actor=actor, action="execution_failed", payload=payload
    )
    await grant_store.update_execution(tx, _failed(case.execution, failure, seq=abandoned.version, moment=tx.now))
    stuck = replace(case.grant, seq=abandoned.version, status=GrantStatus.REVERT_FAILED, blockers=blockers)
    await grant_store.update_grant(tx, stuck)
    await jobs.schedule(tx, kind=REVERT_JOB, subject_id=abandoned.id, due_at=tx.now, lane=abandoned.target_id)


def _failed(execution: Execution, failure: TrustpackError, *, seq: int, moment: datetime) -> Execution:
    return replace(
        execution,
        seq=seq,
        status=ExecutionStatus.FAILED,
        finished_at=moment,
        error_code=failure.code,
        error_detail=failure.detail,
    )


async def record_failure(
    tx: Transaction, case: Case, failure: TrustpackError, *, actor: Actor, proof: RevertOutcome | None
) -> HighRiskRequest:
    """Record that an executing request failed; `proof` says that nothing is left, None that nothing was ever asked."""
    assert case.execution is not None  # an executing case has both
    assert case.grant is not None
    payload: dict[str, JsonValue] = {
        "execution_id": case.execution.id,
        "code": failure.code,
        "nothing_left": dict(proof.proof) if proof is not None else "the target did nothing",
    }
    failed = await advance(tx, case.request, Command.FAIL_EXECUTION, actor=actor, action="execution_failed", payload=payload)
    await grant_store.update_execution(tx, _failed(case.execution, failure, seq=failed.version, moment=tx.now))
    void = replace(
        case.grant,
        seq=failed.version,
        status=GrantStatus.VOID,
        ended_at=tx.now,
        proof=canonical_bytes(proof.proof) if proof is not None else None,
    )
    await grant_store.update_grant(tx, void)
    return failed
