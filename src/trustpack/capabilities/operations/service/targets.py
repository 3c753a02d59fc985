"""Register targets. Every change is a governed subject with a receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trustpack.capabilities import ledger
from trustpack.capabilities.operations.model import Target, TargetDefinition, TargetIdentity, UnknownTarget
from trustpack.capabilities.operations.rules.target_definition import definition_document
from trustpack.capabilities.operations.service.context import RECONCILE_JOB, Operations, reconcile_lane
from trustpack.capabilities.operations.store import targets as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import digest_of_value

SUBJECT_KIND = "target"
list_targets = store.targets


async def identify_target(operations: Operations, definition: TargetDefinition) -> TargetIdentity:
    """Ask the live system who it is, outside any transaction. Raises `TargetUnavailable`, `TargetNotPrepared`."""
    return await operations.adapters[definition.adapter].identify(definition)


async def find_target(operations: Operations, tenant_id: str, name: str) -> str:
    """Return the id of a target by name, also of one that was taken out of service. Raises `UnknownTarget`."""
    async with operations.unit_of_work.transaction(tenant_id) as tx:
        known = await store.lock_target(tx, name)
    if known is None:
        raise UnknownTarget
    return known.id


async def put_target(tx: Transaction, actor: Actor, *, definition: TargetDefinition, identity: TargetIdentity) -> Target:
    """Register a target, or replace its definition and identity. Guarantee: no change, no receipt."""
    known = await store.lock_target(tx, definition.name)
    if known is None:
        target = Target(id=tx.new_id("tgt"), version=1, status="active", definition=definition, identity=identity)
        await store.insert_target(tx, target)
        await _record(tx, actor, target, "added")
        await _reconcile_now(tx, target)
        return target
    if (known.definition, known.identity.digest, known.status) == (definition, identity.digest, "active"):
        return known
    target = replace(known, version=known.version + 1, status="active", definition=definition, identity=identity)
    await store.update_target(tx, target)
    await _record(tx, actor, target, "changed")
    await _reconcile_now(tx, target)
    return target


async def remove_target(tx: Transaction, actor: Actor, *, name: str) -> Target:
    """Take a target out of service; access that is live on it still ends by itself. Raises `UnknownTarget`."""
    known = await store.lock_target(tx, name)
    if known is None or known.status == "removed":
        raise UnknownTarget
    target = replace(known, version=known.version + 1, status="removed")
    await store.update_target(tx, target)
    await _record(tx, actor, target, "removed")
    return target


async def record_drift(
    tx: Transaction, actor: Actor, target_id: str, *, payload: Mapping[str, JsonValue], personal: JsonObject
) -> None:
    """Write a receipt about what was found on a target and belongs to no case."""
    known = await store.lock_target_by_id(tx, target_id)
    target = replace(known, version=known.version + 1)
    await store.update_target(tx, target)
    await _record(tx, actor, target, "drift_detected", more=payload, personal=personal)


async def _reconcile_now(tx: Transaction, target: Target) -> None:
    await jobs.schedule(tx, kind=RECONCILE_JOB, subject_id=target.id, due_at=tx.now, lane=reconcile_lane(target.id))


async def _record(
    tx: Transaction,
    actor: Actor,
    target: Target,
    action: str,
    *,
    more: Mapping[str, JsonValue] | None = None,
    personal: JsonObject | None = None,
) -> None:
    transition = ledger.Transition(
        subject_kind=SUBJECT_KIND,
        subject_id=target.id,
        version=target.version,
        action=action,
        state=target.status,
        actor=actor,
        payload={
            "name": target.definition.name,
            "definition_digest": digest_of_value(definition_document(target.definition)),
            "identity_digest": target.identity.digest,
            **(more or {}),
        },
        personal=personal or {},
    )
    await ledger.record(tx, transition)
