"""Job: carry a stored intent out on the target and record what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from trustpack.capabilities.operations.model import (
    ApprovalsVoid,
    Case,
    Command,
    ExecutionStatus,
    GrantStatus,
    HighRiskRequest,
    LiveGrant,
    RevertOutcome,
    Status,
    TargetUnavailable,
)
from trustpack.capabilities.operations.rules.effects import order_of, read_effect
from trustpack.capabilities.operations.rules.target_definition import definition_document
from trustpack.capabilities.operations.service.context import REVERT_JOB, Operations
from trustpack.capabilities.operations.service.reading import load_case
from trustpack.capabilities.operations.service.recording import advance
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import requests as store
from trustpack.kernel.actor import Actor, system_actor
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonValue
from trustpack.platform import jobs
from trustpack.platform.jobs import Job, RetryLater
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import canonical_bytes

GIVE_UP_AFTER = timedelta(seconds=60)
"""An execution that did not come about within this time is cleaned up instead: nobody expects access an hour later."""


async def carry_out(operations: Operations, job: Job) -> None:
    """Job: grant what was ordered and record it; or prove that nothing is left and record the failure.

    Idempotent by the role's name: after a crash the role is adopted, never doubled (adversarial case 26). Raises `RetryLater`
    while it is unknown what happened on the target.
    """
    case = await _ordered_case(operations, job)
    if case is None or case.grant is None or case.execution is None:
        return
    adapter = operations.adapter_of(case.target)
    order = order_of(
        case.target, scope=case.request.scope, duration_seconds=case.request.duration_seconds, role_name=case.grant.role_name
    )
    failure: TrustpackError = TargetUnavailable("The target did not carry the order out in time.")
    if operations.clock.now() < case.execution.started_at + GIVE_UP_AFTER:
        try:
            _require_as_approved(case)
            live = await adapter.grant(case.target.definition, order)
        except TrustpackError as error:
            failure = error
        else:
            await _record_success(operations, job, live, received_at=operations.clock.now())
            return
    try:
        cleaned = await adapter.revert(case.target.definition, role_name=case.grant.role_name)
    except TrustpackError as error:
        raise RetryLater(code=error.code) from failure
    if not cleaned.proven:
        raise RetryLater(code="operations.cleanup_unproven") from failure
    await _record_cleaned_failure(operations, job, failure, cleaned)


async def _ordered_case(operations: Operations, job: Job) -> Case | None:
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        request = await store.find_request(tx, job.subject_id)
        if request is None or request.status != Status.EXECUTING:
            await jobs.finish(tx, job)
            return None
        return await load_case(tx, request)


def _require_as_approved(case: Case) -> None:
    # An order may wait for its target for a while, and a target's definition may be replaced meanwhile.
    approved = read_effect(case.request.effect)["target"]["definition"]
    if canonical_bytes(approved) != canonical_bytes(definition_document(case.target.definition)):
        raise ApprovalsVoid("The target's definition changed while the order was under way, so it was not carried out.")


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
        await jobs.schedule(tx, kind=REVERT_JOB, subject_id=job.subject_id, due_at=expires_at)


async def _record_cleaned_failure(operations: Operations, job: Job, failure: TrustpackError, cleaned: RevertOutcome) -> None:
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        await jobs.finish(tx, job)
        case = await _locked_case(tx, job)
        if case is not None:
            await record_failure(tx, case, failure, actor=system_actor(tx.tenant_id, "executor"), proof=cleaned)


async def record_failure(
    tx: Transaction, case: Case, failure: TrustpackError, *, actor: Actor, proof: RevertOutcome | None
) -> HighRiskRequest:
    """Record that an executing request failed; `proof` says that nothing is left, None that nothing was ever asked."""
    assert case.execution is not None  # an executing case has both
    assert case.grant is not None
    payload: dict[str, JsonValue] = {
        "execution_id": case.execution.id,
        "code": failure.code,
        "nothing_left": dict(proof.proof) if proof is not None else "the target was not asked for anything",
    }
    failed = await advance(tx, case.request, Command.FAIL_EXECUTION, actor=actor, action="execution_failed", payload=payload)
    outcome = replace(
        case.execution,
        seq=failed.version,
        status=ExecutionStatus.FAILED,
        finished_at=tx.now,
        error_code=failure.code,
        error_detail=failure.detail,
    )
    await grant_store.update_execution(tx, outcome)
    void = replace(
        case.grant,
        seq=failed.version,
        status=GrantStatus.VOID,
        ended_at=tx.now,
        proof=canonical_bytes(proof.proof) if proof is not None else None,
    )
    await grant_store.update_grant(tx, void)
    return failed
