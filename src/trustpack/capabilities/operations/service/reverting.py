"""Take access back: at its end, or earlier when somebody asks; and prove that it is gone."""

from __future__ import annotations

from dataclasses import replace

import structlog

from trustpack.capabilities.operations.model import (
    Case,
    Command,
    Grant,
    GrantStatus,
    HighRiskRequest,
    Refused,
    RevertForbidden,
    RevertOutcome,
    Status,
)
from trustpack.capabilities.operations.rules.access_records import STATEMENTS_PATH, access_document
from trustpack.capabilities.operations.rules.transitions import next_status
from trustpack.capabilities.operations.rules.visibility import may_revert
from trustpack.capabilities.operations.service.context import MOST_BLOCKERS, REVERT_JOB, Operations
from trustpack.capabilities.operations.service.reading import load_case
from trustpack.capabilities.operations.service.recording import advance, lock_readable, refuse
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import requests as store
from trustpack.kernel.actor import Actor, system_actor
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform import jobs
from trustpack.platform.jobs import Job, RetryLater
from trustpack.platform.telemetry import metrics
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import canonical_bytes

_log = structlog.get_logger(__name__)
_STILL_TO_REVERT = frozenset({Status.ACTIVE, Status.REVERTING, Status.REVERT_FAILED})


async def start_revert(tx: Transaction, actor: Actor, request_id: str, *, reason: str) -> Job | HighRiskRequest | Refused:
    """Begin to end access early, by its requester, somebody who may approve it, or an administrator.

    A revert that failed is pushed: its next attempt is now. One that somebody is at work on goes on; the request is returned
    as it stands. Raises `NotFound`, `WrongState`.
    """
    request = await lock_readable(tx, actor, request_id)
    if request.status not in _STILL_TO_REVERT:
        next_status(request.status, Command.START_REVERT)
    if not may_revert(actor, request):
        return await refuse(tx, request, RevertForbidden(), actor=actor, attempted="revert")
    if request.status == Status.ACTIVE:
        await begin_revert(tx, request, actor=actor, personal={"reason": reason})
    job = await jobs.schedule_claimed(tx, kind=REVERT_JOB, subject_id=request.id, lane=request.target_id)
    return job if job is not None else request


async def take_back(operations: Operations, job: Job) -> None:
    """Job: end the access on the target and record the proof; what cannot be proven is recorded once and retried for ever.

    Raises `RetryLater` until the proof is there (adversarial cases 36, 46).
    """
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        request = await store.lock_request(tx, job.subject_id)
        if request is None or request.status not in _STILL_TO_REVERT:
            await jobs.finish(tx, job)
            return
        if request.status == Status.ACTIVE:
            request = await begin_revert(tx, request, actor=system_actor(tx.tenant_id, "auto-revert"), personal={})
        case = await load_case(tx, request)
    assert case.grant is not None  # a request that was active has one
    await _record_outcome(operations, job, await ask_to_revert(operations, case, case.grant))


async def ask_to_revert(operations: Operations, case: Case, grant: Grant) -> RevertOutcome:
    """Have the target that the grant was approved for take it back; whatever goes wrong is an outcome, unproven and loud."""
    try:
        return await operations.adapter_of(case.target).revert(case.target.definition, grant.mark)
    except TrustpackError as error:
        return RevertOutcome(proven=False, proof={"error": error.code}, blockers=(error.code,))
    except Exception as error:  # noqa: BLE001 - a bug in an adapter must be as loud as a target that does not answer
        _log.exception("revert_crashed", subject_id=case.request.id)
        return RevertOutcome(proven=False, proof={"error": type(error).__name__}, blockers=("operations.revert_crashed",))


async def begin_revert(
    tx: Transaction,
    request: HighRiskRequest,
    *,
    actor: Actor,
    personal: dict[str, JsonValue],
    cause: JsonObject | None = None,
) -> HighRiskRequest:
    """Move a locked, active request to `reverting`; `cause` says in the receipt what made it necessary."""
    case = await load_case(tx, request)
    assert case.grant is not None  # an active request has one
    payload: dict[str, JsonValue] = {"grant_id": case.grant.id, "role_name": case.grant.role_name, **(cause or {})}
    reverting = await advance(
        tx, request, Command.START_REVERT, actor=actor, action="revert_started", payload=payload, personal=personal
    )
    await grant_store.update_grant(tx, replace(case.grant, seq=reverting.version, status=GrantStatus.REVERTING))
    return reverting


async def _record_outcome(operations: Operations, job: Job, outcome: RevertOutcome) -> None:
    metrics.REVERTS.labels(outcome="proven" if outcome.proven else "unproven").inc()
    outcome = replace(outcome, blockers=outcome.blockers[:MOST_BLOCKERS])
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        request = await store.lock_request(tx, job.subject_id)
        if request is None or request.status not in {Status.REVERTING, Status.REVERT_FAILED}:
            return
        grant = (await grant_store.grants_of(tx, (request.id,)))[request.id]
        if outcome.proven:
            await jobs.finish(tx, job)
            await _record_proof(tx, request, grant, outcome)
        elif _is_news(request, grant, outcome):
            await _record_failure(tx, request, grant, outcome)
    if not outcome.proven:
        raise RetryLater(code=outcome.blockers[0] if outcome.blockers else "operations.revert_unproven")


async def _record_proof(tx: Transaction, request: HighRiskRequest, grant: Grant, outcome: RevertOutcome) -> None:
    accesses = access_document(outcome.accesses)
    payload: dict[str, JsonValue] = {"grant_id": grant.id, "proof": dict(outcome.proof), "access_record": accesses}
    # Query text can hold anything that the grantee wrote or looked for: it is as personal as a justification.
    statements = list(outcome.accesses.statements) if outcome.accesses is not None else []
    reverted = await advance(
        tx,
        request,
        Command.FINISH_REVERT,
        actor=system_actor(tx.tenant_id, "auto-revert"),
        action="reverted",
        payload=payload,
        personal={STATEMENTS_PATH: statements} if statements else {},
    )
    ended = replace(
        grant,
        seq=reverted.version,
        status=GrantStatus.REVERTED,
        ended_at=tx.now,
        proof=canonical_bytes(outcome.proof),
        blockers=(),
        access_record=None if accesses is None else canonical_bytes(accesses),
    )
    await grant_store.update_grant(tx, ended)
    if grant.expires_at is not None:
        metrics.REVERT_LATENESS.observe(max((tx.now - grant.expires_at).total_seconds(), 0))


async def _record_failure(tx: Transaction, request: HighRiskRequest, grant: Grant, outcome: RevertOutcome) -> None:
    payload: dict[str, JsonValue] = {"grant_id": grant.id, "blockers": list(outcome.blockers), "proof": dict(outcome.proof)}
    actor = system_actor(tx.tenant_id, "auto-revert")
    failed = await advance(tx, request, Command.FAIL_REVERT, actor=actor, action="revert_failed", payload=payload)
    await grant_store.update_grant(
        tx, replace(grant, seq=failed.version, status=GrantStatus.REVERT_FAILED, blockers=outcome.blockers)
    )


def _is_news(request: HighRiskRequest, grant: Grant, outcome: RevertOutcome) -> bool:
    # One receipt per reason, not one per attempt: a target that is down for a night would leave hundreds that say the same.
    return request.status == Status.REVERTING or _codes(grant.blockers) != _codes(outcome.blockers)


def _codes(blockers: tuple[str, ...]) -> frozenset[str]:
    return frozenset(blocker.partition(":")[0] for blocker in blockers)
