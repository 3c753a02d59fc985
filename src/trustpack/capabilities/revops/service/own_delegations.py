"""A person's own delegations: what they see of those that they lent or were lent, and what they could lend to whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trustpack.capabilities import directory, ledger
from trustpack.capabilities.directory import Person
from trustpack.capabilities.revops.model import Colleague, DelegationStatus
from trustpack.capabilities.revops.rules.delegating import LENDABLE, may_borrow, may_end
from trustpack.capabilities.revops.service.delegations import (
    ENDED_ACTION,
    DelegationView,
    colleague_of,
    list_delegations,
    view_delegations,
)
from trustpack.capabilities.revops.store.delegations import DelegationFilter
from trustpack.kernel.actor import Actor, ActorKind, Role
from trustpack.platform.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class OwnDelegation:
    """A delegation as one of its two people sees it; `ended_by` names who withdrew it, `may_end` says whether they may."""

    view: DelegationView
    ended_by: str | None
    may_end: bool


async def own_delegations(tx: Transaction, actor: Actor, *, before_id: str | None, limit: int) -> list[OwnDelegation]:
    """Return what the actor lent and what was lent to them, newest first, whatever else they may read."""
    wanted = DelegationFilter(before_id=before_id, limit=limit, visible_to=actor.id)
    found = await list_delegations(tx, actor, wanted)
    ended_by = await _ended_by(tx, [one.id for one in found if one.status == DelegationStatus.ENDED])
    return [
        OwnDelegation(view, ended_by.get(view.delegation.id), may_end(view.delegation, actor))
        for view in await view_delegations(tx, found)
    ]


def roles_to_lend(actor: Actor) -> list[Role]:
    """Return which of the actor's own roles they may lend."""
    return sorted(actor.roles & LENDABLE)


async def possible_borrowers(tx: Transaction, actor: Actor) -> list[Person]:
    """Return the people, by handle, to whom the actor could lend at least one of their own roles."""
    delegator = Colleague(actor.id, actor.roles, may_act=actor.kind == ActorKind.PERSON)
    roles = roles_to_lend(actor)
    everybody = await directory.everybody(tx) if roles else ()
    return [
        person
        for person in everybody
        if any(may_borrow(role, delegator=delegator, delegate=colleague_of(person)) for role in roles)
    ]


async def _ended_by(tx: Transaction, delegation_ids: Sequence[str]) -> dict[str, str]:
    if not delegation_ids:
        return {}
    receipts = [one for one in await ledger.receipts_of(tx, *delegation_ids) if one.action == ENDED_ACTION]
    people = {one.subject_id: str(json.loads(one.body)["actor"]["id"]) for one in receipts}
    handles = await directory.handles_of(tx, list(people.values()))
    return {delegation_id: handles.get(person_id, person_id) for delegation_id, person_id in people.items()}
