"""Compare a target with what was granted on it, say what differs, and set it right (ADR-0016).

A finding is told by a receipt, with what will be done about it, before anything is done: a crash in between leaves the next
comparison to do it, silently. It is told once, for as long as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog

from trustpack.capabilities.operations.model import (
    Command,
    GrantStatus,
    Status,
    Target,
)
from trustpack.capabilities.operations.model.drift import Drift, DriftCode, GrantBook, KnownGrant, Repair, TargetInventory
from trustpack.capabilities.operations.rules.drift import find_drift, find_lost_timers
from trustpack.capabilities.operations.service.context import (
    EXECUTE_JOB,
    MOST_BLOCKERS,
    RECONCILE_JOB,
    REVERT_JOB,
    Operations,
    reconcile_lane,
)
from trustpack.capabilities.operations.service.recording import advance
from trustpack.capabilities.operations.service.reverting import begin_revert
from trustpack.capabilities.operations.service.targets import record_drift
from trustpack.capabilities.operations.store import drift as store
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import requests as request_store
from trustpack.capabilities.operations.store import targets as target_store
from trustpack.kernel.actor import Actor, system_actor
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform import jobs
from trustpack.platform.jobs import Job
from trustpack.platform.telemetry import metrics
from trustpack.platform.unit_of_work import Transaction

RECONCILE_EVERY: Final = timedelta(seconds=60)
_ONGOING: Final = "ongoing"
"""Kept with what was told while its repair is under way: a comparison that a crash interrupts has not succeeded."""
_CRASHED: Final = "operations.repair_crashed"
_OF_ENDED_CASES: Final = frozenset({DriftCode.RESURRECTED_ROLE})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs on one target now. With `trouble` the target could not be asked, and `drift` is what the store alone shows."""

    target: Target
    book: GrantBook
    drift: tuple[Drift, ...]
    trouble: TrustpackError | None = None


@dataclass(slots=True)
class _Progress:
    """What has become of the findings of one comparison; `blocked` is by key."""

    standing: set[str] = field(default_factory=set)
    blocked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    has_crashed: bool = False

    @contextmanager
    def on_its_own(self, compared: Comparison) -> Iterator[None]:
        """Let a crash over one finding stop none of the others; the comparison has not succeeded then."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever the bug is, the other accesses on the target must end
            _log.error("drift_not_settled", target_id=compared.target.id, exc_info=True)
            self.has_crashed = True


async def compare(operations: Operations, tenant_id: str, target_id: str) -> Comparison:
    """Return what differs between the live target and the store. Guarantee: nothing is changed."""
    async with operations.unit_of_work.transaction(tenant_id) as tx:
        target = await target_store.target_by_id(tx, target_id)
        own = await store.live_grants(tx, target_id, execute_job=EXECUTE_JOB, revert_job=REVERT_JOB)
        book = GrantBook(operations.store_id, tenant_id, target.identity.system, target.identity.facts, tx.now, own, known={})
    lost = find_lost_timers(book)
    try:
        found = await operations.adapter_of(target).inventory(target.definition)
    except TrustpackError as error:
        return Comparison(target, book, lost, trouble=error)
    book = replace(book, known=await _known(operations, book, found))
    return Comparison(target, book, (*lost, *find_drift(found, book)))


async def reconcile(operations: Operations, job: Job) -> None:
    """Job: tell what is new on a target, set right what can be, and come back in a minute, to a target that is down as well."""
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        target = await target_store.target_by_id(tx, job.subject_id)
        own = await store.live_grants(tx, target.id, execute_job=EXECUTE_JOB, revert_job=REVERT_JOB)
        if target.status != "active" and not own:
            await store.keep(tx, target.id, target_name=target.definition.name, now=store.Told(), error="out_of_service")
            await jobs.finish(tx, job)
            return
    compared = await compare(operations, job.tenant_id, job.subject_id)
    progress = _Progress()
    for request_id in sorted({drift.request_id for drift in compared.drift if drift.request_id is not None}):
        with progress.on_its_own(compared):
            await _settle_case(operations, compared, request_id, progress)
    of_target = [drift for drift in compared.drift if drift.request_id is None]
    if of_target:
        with progress.on_its_own(compared):
            await _settle_target(operations, compared, of_target, progress)
    if compared.trouble is None:
        with progress.on_its_own(compared):
            await _prune(operations, compared)
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        await _keep(tx, compared, progress)
        await jobs.schedule(
            tx,
            kind=RECONCILE_JOB,
            subject_id=job.subject_id,
            due_at=tx.now + RECONCILE_EVERY,
            lane=reconcile_lane(job.subject_id),
        )


async def watch_targets(operations: Operations, *, all_of_them: bool) -> None:
    """Have each target compared that no job looks after, such as one whose job was deleted; or all of them now."""
    for tenant_id, target_id in await store.targets_to_watch(
        operations.system_pool, kind=RECONCILE_JOB, only_without_job=not all_of_them
    ):
        async with operations.unit_of_work.transaction(tenant_id) as tx:
            await jobs.schedule(tx, kind=RECONCILE_JOB, subject_id=target_id, due_at=tx.now, lane=reconcile_lane(target_id))


async def claim_reconcile(operations: Operations, tenant_id: str, target_id: str) -> Job | None:
    """Claim a target's comparison for the caller, who runs it at once; None when somebody else is at work on it."""
    async with operations.unit_of_work.transaction(tenant_id) as tx:
        return await jobs.schedule_claimed(tx, kind=RECONCILE_JOB, subject_id=target_id, lane=reconcile_lane(target_id))


async def read_drift(operations: Operations) -> Sequence[store.TargetDrift]:
    """Return what stood at the last comparison of each target, over all tenants."""
    return await store.drift_of_targets(operations.system_pool)


async def _known(operations: Operations, book: GrantBook, found: TargetInventory) -> Mapping[str, KnownGrant]:
    # After the target was asked: a role that it reports was ordered, and so stored, before that.
    strangers = {role.name for role in found.roles} - book.own.keys()
    return await store.grants_of_any_tenant(operations.system_pool, strangers, system=book.target_system)


async def _settle_case(operations: Operations, compared: Comparison, request_id: str, progress: _Progress) -> None:
    tenant_id = compared.book.tenant_id
    async with operations.unit_of_work.transaction(tenant_id) as tx:
        standing = await _still_true(tx, compared, request_id)
        told = await store.told(tx, compared.target.id)
        news = [drift for drift in standing if drift.key not in told.findings]
        if news:
            await _tell_case(tx, request_id, _told_of(news))
            await _keep_told(tx, compared, findings=news)
        for drift in standing:
            await _mend_store(tx, drift, request_id)
    await _repair_all(operations, compared, standing, progress)
    if blocked := [drift for drift in standing if drift.key in progress.blocked and drift.key not in told.blocked]:
        async with operations.unit_of_work.transaction(tenant_id) as tx:
            await _tell_case(tx, request_id, _told_of(blocked, progress.blocked))
            await _keep_told(tx, compared, blocked=blocked)


async def _settle_target(operations: Operations, compared: Comparison, standing: Sequence[Drift], progress: _Progress) -> None:
    tenant_id, target_id = compared.book.tenant_id, compared.target.id
    async with operations.unit_of_work.transaction(tenant_id) as tx:
        told = await store.told(tx, target_id)
        if news := [drift for drift in standing if drift.key not in told.findings]:
            await _tell_target(tx, target_id, news, {})
            await _keep_told(tx, compared, findings=news)
    for drift in standing:
        if drift.repair is Repair.END_ACCESS:
            await _end_every_access(operations, compared, drift, progress)
    await _repair_all(operations, compared, standing, progress)
    if blocked := [drift for drift in standing if drift.key in progress.blocked and drift.key not in told.blocked]:
        async with operations.unit_of_work.transaction(tenant_id) as tx:
            await _tell_target(tx, target_id, blocked, progress.blocked)
            await _keep_told(tx, compared, blocked=blocked)


async def _still_true(tx: Transaction, compared: Comparison, request_id: str) -> list[Drift]:
    """Return the findings about a case that nothing has overtaken since, holding its row: an end that began meanwhile has."""
    request = await request_store.lock_request(tx, request_id)
    grant = (await grant_store.grants_of(tx, (request_id,))).get(request_id)
    if request is None or grant is None:
        return []
    found = [drift for drift in compared.drift if drift.request_id == request_id]
    known = compared.book.own.get(grant.role_name)
    unchanged = known is not None and known.status is grant.status
    standing = [drift for drift in found if unchanged or drift.code in _OF_ENDED_CASES]
    if await store.has_timer(tx, request_id, kind=_timer_of(grant.status)):
        standing = [drift for drift in standing if drift.repair is not Repair.SCHEDULE_AGAIN]
    return standing


async def _mend_store(tx: Transaction, drift: Drift, request_id: str) -> None:
    """Do what the store itself can do about a case, in the transaction of its receipt."""
    if drift.repair not in {Repair.END_ACCESS, Repair.SCHEDULE_AGAIN}:
        return
    request = await request_store.lock_request(tx, request_id)
    grant = (await grant_store.grants_of(tx, (request_id,)))[request_id]
    assert request is not None  # it was locked before
    if drift.repair is Repair.END_ACCESS:
        if request.status is Status.ACTIVE:
            await begin_revert(tx, request, actor=_reconciler(tx), personal={}, cause={"drift": drift.code.value})
            await jobs.schedule(tx, kind=REVERT_JOB, subject_id=request_id, due_at=tx.now, lane=request.target_id)
        return
    due_at = grant.expires_at if grant.status is GrantStatus.ACTIVE and grant.expires_at is not None else tx.now
    lane = None if grant.status is GrantStatus.ORDERED else request.target_id
    await jobs.schedule(tx, kind=_timer_of(grant.status), subject_id=request_id, due_at=due_at, lane=lane)


async def _end_every_access(operations: Operations, compared: Comparison, drift: Drift, progress: _Progress) -> None:
    """End the live grants of a target whose installation can no longer be trusted: fail closed."""
    for grant in compared.book.own.values():
        if grant.status is GrantStatus.ACTIVE:
            with progress.on_its_own(compared):
                async with operations.unit_of_work.transaction(compared.book.tenant_id) as tx:
                    await _mend_store(tx, drift, grant.request_id)


async def _repair_all(operations: Operations, compared: Comparison, standing: Iterable[Drift], progress: _Progress) -> None:
    for drift in standing:
        blockers = await _repair(operations, compared, drift)
        if blockers:
            progress.blocked[drift.key] = blockers[:MOST_BLOCKERS]
        if blockers or drift.repair is Repair.NONE or (drift.repair is Repair.END_ACCESS and drift.request_id is None):
            progress.standing.add(drift.key)
        if drift.repair is not Repair.NONE:
            metrics.DRIFT_REPAIRS.labels(code=drift.code.value, outcome="blocked" if blockers else "done").inc()


async def _repair(operations: Operations, compared: Comparison, drift: Drift) -> tuple[str, ...]:
    """Have the target do its part; return what stands in the way."""
    target, system = compared.target, compared.book.target_system
    try:
        if drift.repair is Repair.REVERT_GRANT:
            outcome = await operations.adapter_of(target).revert(target.definition, drift.mark(system=system))
            return () if outcome.proven else outcome.blockers or ("operations.revert_unproven",)
        if drift.repair in {Repair.NONE, Repair.END_ACCESS, Repair.SCHEDULE_AGAIN}:
            return ()
        return await operations.adapter_of(target).repair(target.definition, drift, system=system)
    except TrustpackError as error:
        return (error.code,)
    except Exception:  # noqa: BLE001 - a bug in one repair must not stop the others; the receipt says that it crashed
        _log.error("drift_repair_crashed", target_id=target.id, drift=drift.code.value, exc_info=True)
        return (_CRASHED,)


async def _prune(operations: Operations, compared: Comparison) -> None:
    """Have the target delete what it has kept of accesses for long enough; what keeps it from that is no drift."""
    target = compared.target
    try:
        await operations.adapter_of(target).prune(target.definition, system=compared.book.target_system)
    except TrustpackError as error:
        _log.warning("accesses_not_pruned", target_id=target.id, code=error.code, detail=error.detail)


async def _tell_case(tx: Transaction, request_id: str, payload: JsonObject) -> None:
    request = await request_store.lock_request(tx, request_id)
    assert request is not None  # a stored grant names it
    await advance(tx, request, Command.DETECT_DRIFT, actor=_reconciler(tx), action="drift_detected", payload=payload)


async def _tell_target(tx: Transaction, target_id: str, drift: Sequence[Drift], blocked: Mapping[str, tuple[str, ...]]) -> None:
    # The name of a login can be a person's.
    members: list[JsonValue] = [entry.member.member for entry in drift if entry.member is not None]
    personal: JsonObject = {"members": members} if members else {}
    await record_drift(tx, _reconciler(tx), target_id, payload=_told_of(drift, blocked), personal=personal)


async def _keep_told(
    tx: Transaction, compared: Comparison, *, findings: Iterable[Drift] = (), blocked: Iterable[Drift] = ()
) -> None:
    """Remember in the transaction of the receipt what it tells, so that whatever comes after it repeats nothing."""
    told = await store.told(tx, compared.target.id)
    now = store.Told(told.findings | {drift.key for drift in findings}, told.blocked | {drift.key for drift in blocked})
    await store.keep(tx, compared.target.id, target_name=_name(compared), now=now, error=_ONGOING)


async def _keep(tx: Transaction, compared: Comparison, progress: _Progress) -> None:
    error = compared.trouble.code if compared.trouble is not None else _CRASHED if progress.has_crashed else None
    told = await store.told(tx, compared.target.id)
    standing, blocked = frozenset(progress.standing), frozenset(progress.blocked)
    # After trouble nothing is known to have gone away.
    now = store.Told(standing, blocked) if error is None else store.Told(told.findings | standing, told.blocked | blocked)
    await store.keep(tx, compared.target.id, target_name=_name(compared), now=now, error=error)
    outcome = "crashed" if error == _CRASHED else "unavailable" if error is not None else "drift" if compared.drift else "clean"
    metrics.RECONCILIATIONS.labels(outcome=outcome).inc()


def _told_of(drift: Iterable[Drift], blocked: Mapping[str, tuple[str, ...]] | None = None) -> JsonObject:
    found: list[JsonValue] = []
    for entry in drift:
        line: dict[str, JsonValue] = {"code": entry.code.value, "detail": entry.detail, "repair": entry.repair.value}
        if entry.role_name is not None:
            line["role_name"] = entry.role_name
        if blocked and entry.key in blocked:
            line["blockers"] = list(blocked[entry.key])
        found.append(line)
    return {"drift": found}


def _timer_of(status: GrantStatus) -> str:
    return EXECUTE_JOB if status is GrantStatus.ORDERED else REVERT_JOB


def _name(compared: Comparison) -> str:
    return compared.target.definition.name


def _reconciler(tx: Transaction) -> Actor:
    return system_actor(tx.tenant_id, "reconciler")
