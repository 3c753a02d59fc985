"""What delegations give today: who borrows a role, and who may vote with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from trustpack.capabilities import approvals, directory
from trustpack.capabilities.approvals import Ballot, Voter
from trustpack.capabilities.directory import Person
from trustpack.capabilities.revops.model import Delegation
from trustpack.capabilities.revops.rules.delegating import LENDABLE, lends, roles_lent
from trustpack.capabilities.revops.store import delegations as store
from trustpack.kernel.actor import Actor, ActorKind, Role
from trustpack.platform.unit_of_work import Transaction


async def borrows(tx: Transaction, actor: Actor) -> bool:
    """Say whether the actor is lent an approver's role today: then they read quotes as approvers do, for as long as it lasts."""
    day = tx.now.date()
    mine = [one for one in await store.dated_for(tx, day=day) if one.to_person == actor.id]
    if not mine:
        return False
    held = _roles_held(await directory.people_with_ids(tx, [one.from_person for one in mine]))
    return any(lends(delegation, day=day, roles_held=held) for delegation in mine)


async def voter_now(tx: Transaction, actor: Actor, ballot: Ballot, *, submitted_at: datetime | None) -> Voter | None:
    """Return the actor as they may vote now, or None if they may not act.

    Neither their roles, nor those of people who lend them one, nor the delegations change until the transaction ends.
    """
    delegations = await store.dated_for_share(tx, to_person=actor.id, day=tx.now.date())
    people = await directory.people_for_share(tx, sorted({actor.id, *(one.from_person for one in delegations)}))
    person = next((person for person in people if person.id == actor.id and person.is_active), None)
    if person is None:
        return None
    return _voter(tx, person, ballot, delegations, people, submitted_at=submitted_at)


@dataclass(frozen=True, slots=True)
class Voting:
    """How one person might vote as of now, for looking only: nothing is kept from changing.

    `roles` are held or lent; who `borrows` one today reads quotes as approvers do. Who `approves_others` holds a role that
    approves beyond the own band, or may use one that is lent today.
    """

    roles: frozenset[Role]
    borrows: bool
    approves_others: bool
    voter_for: Callable[[Ballot, datetime | None], Voter]


async def voting_as(tx: Transaction, actor: Actor) -> Voting | None:
    """Return how the actor might vote on any ballot, given when that was submitted; None if they may not act."""
    delegations = [one for one in await store.dated_for(tx, day=tx.now.date()) if one.to_person == actor.id]
    people = await directory.people_with_ids(tx, sorted({actor.id, *(one.from_person for one in delegations)}))
    person = next((person for person in people if person.id == actor.id and person.is_active), None)
    if person is None:
        return None

    def voter_for(ballot: Ballot, submitted_at: datetime | None) -> Voter:
        return _voter(tx, person, ballot, delegations, people, submitted_at=submitted_at)

    day, held = tx.now.date(), _roles_held(people)
    borrows = any(lends(delegation, day=day, roles_held=held) for delegation in delegations)
    return Voting(
        roles=person.roles | {one.role for one in delegations},
        borrows=borrows,
        approves_others=not LENDABLE.isdisjoint(person.roles) or (borrows and Role.AUDITOR not in person.roles),
        voter_for=voter_for,
    )


async def voters_of(tx: Transaction, ballot: Ballot) -> list[Voter]:
    """Return everybody who holds one of the required roles, or is lent one today."""
    delegations = [one for one in await store.dated_for(tx, day=tx.now.date()) if one.role in ballot.required]
    holders = await directory.people_with_any_role(tx, ballot.required)
    delegates = await directory.people_with_ids(tx, sorted({one.to_person for one in delegations}))
    everybody = {person.id: person for person in (*holders, *delegates) if person.is_active}
    return [
        _voter(tx, person, ballot, [one for one in delegations if one.to_person == person.id], holders, submitted_at=None)
        for person in everybody.values()
    ]


def _voter(
    tx: Transaction,
    person: Person,
    ballot: Ballot,
    delegations: Iterable[Delegation],
    delegators: Iterable[Person],
    *,
    submitted_at: datetime | None,
) -> Voter:
    lent = roles_lent(
        delegations,
        day=tx.now.date(),
        roles_held=_roles_held(delegators),
        barred=frozenset({ballot.requester_id, *ballot.barred}),
    )
    loans = {
        role: approvals.Loan(one.id, is_newer=submitted_at is not None and one.created_at > submitted_at)
        for role, one in lent.items()
    }
    # Whoever became an auditor since decides nothing by somebody else's role.
    lent_now = {} if Role.AUDITOR in person.roles else loans
    return Voter(id=person.id, kind=person.kind, roles=person.roles, team_ids=person.team_ids, lent=lent_now)


def _roles_held(people: Iterable[Person]) -> dict[str, frozenset[Role]]:
    return {person.id: person.roles for person in people if person.is_active and person.kind == ActorKind.PERSON}
