"""Make, end and show delegations. Each is a subject with receipts of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trustpack.capabilities import directory, ledger
from trustpack.capabilities.directory import Person
from trustpack.capabilities.revops.model import (
    DELEGATION_KIND,
    Colleague,
    Delegation,
    DelegationEnded,
    DelegationPhase,
    DelegationStatus,
    InvalidDelegation,
    NotYourDelegation,
    TooManyDelegations,
    WrittenDelegation,
)
from trustpack.capabilities.revops.rules.delegating import (
    MOST_AT_ONCE,
    may_end,
    phase_of,
    require_may_delegate,
    require_sound,
)
from trustpack.capabilities.revops.rules.visibility import reads_everything
from trustpack.capabilities.revops.service.recording import MOST_REFUSALS, REFUSED_ACTION
from trustpack.capabilities.revops.store import delegations as store
from trustpack.capabilities.revops.store.delegations import DelegationFilter
from trustpack.kernel.actor import Actor, ActorKind
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import NotFound, Refused
from trustpack.kernel.ids import is_id, require_id
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction

ENDED_ACTION: Final = "ended"


@dataclass(frozen=True, slots=True)
class DelegationView:
    """A delegation with what it comes to today; `handles` names its people by id, `reason` is None once it is erased."""

    delegation: Delegation
    phase: DelegationPhase
    reason: str | None
    handles: Mapping[str, str]


async def create_delegation(tx: Transaction, actor: Actor, wanted: WrittenDelegation) -> Delegation:
    """Lend a role for some days. Raises `DelegationForbidden`, `InvalidDelegation`, `TooManyDelegations`. Source: ADR-0020."""
    maker = Colleague(actor.id, actor.roles, may_act=actor.kind == ActorKind.PERSON)
    delegator = await _delegator(tx, actor, maker, wanted.delegator)
    require_may_delegate(maker, delegator, wanted.role)
    delegate = await _colleague(tx, wanted.delegate)
    require_sound(wanted, maker=maker, delegator=delegator, delegate=delegate, today=tx.now.date())
    assert delegate is not None  # else it were not sound
    if await store.count_active(tx, from_person=delegator.id, today=tx.now.date()) >= MOST_AT_ONCE:
        raise TooManyDelegations(f"One person has {MOST_AT_ONCE} delegations at most that are not over.")
    delegation = Delegation(
        id=tx.new_id("dlg"),
        version=1,
        status=DelegationStatus.ACTIVE,
        role=wanted.role,
        from_person=delegator.id,
        to_person=delegate.id,
        from_date=wanted.from_date,
        until_date=wanted.until_date,
        created_by=actor.id,
        created_at=tx.now,
        ended_at=None,
    )
    await store.insert_delegation(tx, delegation)
    await _record(tx, delegation, actor=actor, action="created", payload=_told(delegation), personal={"reason": wanted.reason})
    return delegation


async def end_delegation(tx: Transaction, actor: Actor, delegation_id: str) -> Delegation | Refused:
    """End a delegation at once; votes that were given by it stand.

    Returns `Refused` (receipt kept) to readers who may not end it. Raises `NotFound`, `DelegationEnded`.
    """
    delegation = _readable(await store.lock_delegation(tx, require_id(delegation_id, prefix="dlg")), actor)
    if not may_end(delegation, actor):
        return await _refuse(tx, delegation, NotYourDelegation(), actor=actor)
    if delegation.status == DelegationStatus.ENDED:
        raise DelegationEnded
    ended = replace(delegation, version=delegation.version + 1, status=DelegationStatus.ENDED, ended_at=tx.now)
    await store.update_delegation(tx, ended)
    await _record(tx, ended, actor=actor, action=ENDED_ACTION, payload={})
    return ended


async def read_delegation(tx: Transaction, actor: Actor, delegation_id: str) -> Delegation:
    """Return a delegation that the actor may read: its two people, approvers, auditors, administrators. Raises `NotFound`."""
    return _readable(await store.find_delegation(tx, require_id(delegation_id, prefix="dlg")), actor)


async def list_delegations(tx: Transaction, actor: Actor, wanted: DelegationFilter) -> tuple[Delegation, ...]:
    """Return one page of what the actor may read, newest first."""
    if not reads_everything(actor):
        wanted = replace(wanted, visible_to=actor.id)
    return await store.list_delegations(tx, wanted, today=tx.now.date())


async def read_receipts(tx: Transaction, actor: Actor, delegation_id: str) -> list[JsonObject]:
    """Return the receipts of a delegation that the actor may read. Raises `NotFound`."""
    delegation = await read_delegation(tx, actor, delegation_id)
    receipts = await ledger.receipts_of(tx, delegation.id)
    handles = await directory.handles_of(tx, [json.loads(receipt.body)["actor"]["id"] for receipt in receipts])
    return [ledger.present_receipt(receipt, handles=handles) for receipt in receipts]


async def view_delegations(tx: Transaction, delegations: Sequence[Delegation]) -> list[DelegationView]:
    """Return delegations as they stand today, with a fixed number of statements."""
    ids = [person for one in delegations for person in (one.from_person, one.to_person, one.created_by)]
    people = await directory.people_with_ids(tx, sorted(set(ids)))
    reasons = await ledger.disclosed_values(tx, [one.id for one in delegations], paths=("reason",))
    held = {person.id: person.roles for person in people if person.is_active}
    handles = {person.id: directory.Handle.of(person) for person in people}
    return [
        DelegationView(one, phase_of(one, day=tx.now.date(), roles_held=held), reasons.get((one.id, 1)), handles)
        for one in delegations
    ]


async def present_delegations(tx: Transaction, delegations: Sequence[Delegation]) -> list[JsonObject]:
    """Return the wire shape of delegations, with a fixed number of statements."""
    return [_present(view) for view in await view_delegations(tx, delegations)]


def colleague_of(person: Person) -> Colleague:
    """Return what a delegation depends on in a person."""
    may_act = person.is_active and person.kind == ActorKind.PERSON
    return Colleague(person.id, person.roles if may_act else frozenset(), may_act=may_act)


async def _delegator(tx: Transaction, actor: Actor, maker: Colleague, named: str | None) -> Colleague:
    if named is None or named in {actor.id, actor.handle}:
        return maker
    found = await _colleague(tx, named)
    if found is None:
        message = "there is nobody of this handle or id"
        raise InvalidDelegation(f"from: {message}", errors=[{"field": "from", "message": message}])
    return found


async def _colleague(tx: Transaction, named: str) -> Colleague | None:
    person = await _person(tx, named)
    return colleague_of(person) if person is not None else None


async def _person(tx: Transaction, named: str) -> Person | None:
    if is_id(named):
        return next(iter(await directory.people_with_ids(tx, [named])), None)
    try:
        return await directory.person_by_handle(tx, named)
    except directory.UnknownName:
        return None


def _readable(delegation: Delegation | None, actor: Actor) -> Delegation:
    if delegation is None or not (reads_everything(actor) or actor.id in {delegation.from_person, delegation.to_person}):
        raise NotFound
    return delegation


async def _refuse(tx: Transaction, delegation: Delegation, error: NotYourDelegation, *, actor: Actor) -> Refused:
    left = await ledger.count_receipts(tx, subject_id=delegation.id, actor_id=actor.id, action=REFUSED_ACTION)
    if left < MOST_REFUSALS:
        kept = replace(delegation, version=delegation.version + 1)
        await store.update_delegation(tx, kept)
        await _record(tx, kept, actor=actor, action=REFUSED_ACTION, payload={"attempted": "end", "code": error.code})
    return Refused(error)


async def _record(
    tx: Transaction,
    delegation: Delegation,
    *,
    actor: Actor,
    action: str,
    payload: JsonObject,
    personal: JsonObject | None = None,
) -> None:
    transition = ledger.Transition(
        subject_kind=DELEGATION_KIND,
        subject_id=delegation.id,
        version=delegation.version,
        action=action,
        state=delegation.status.value,
        actor=actor,
        payload=payload,
        personal=personal or {},
    )
    await ledger.record(tx, transition)


def _told(delegation: Delegation) -> JsonObject:
    return {
        "role": delegation.role.value,
        "from": delegation.from_person,
        "to": delegation.to_person,
        "from_date": delegation.from_date.isoformat(),
        "until_date": delegation.until_date.isoformat(),
    }


def _present(view: DelegationView) -> JsonObject:
    delegation = view.delegation
    return {
        "id": delegation.id,
        "version": delegation.version,
        "status": delegation.status.value,
        "in_force": view.phase == DelegationPhase.IN_FORCE,
        "role": delegation.role.value,
        "from": _named(delegation.from_person, view.handles),
        "to": _named(delegation.to_person, view.handles),
        "from_date": delegation.from_date.isoformat(),
        "until_date": delegation.until_date.isoformat(),
        "reason": view.reason,
        "created_by": _named(delegation.created_by, view.handles),
        "created_at": format_time(delegation.created_at),
        "ended_at": format_time(delegation.ended_at) if delegation.ended_at else None,
    }


def _named(person_id: str, handles: Mapping[str, str]) -> JsonObject:
    return {"id": person_id, "handle": handles.get(person_id)}
