"""Who may lend which role to whom, and what that gives on a day. Guarantee: pure. Source: research/revops case 28; ADR-0020."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from trustpack.capabilities.revops.model import (
    Colleague,
    Delegation,
    DelegationForbidden,
    DelegationPhase,
    DelegationStatus,
    InvalidDelegation,
    WrittenDelegation,
)
from trustpack.kernel.actor import Actor, Role

LENDABLE: Final = frozenset({Role.MANAGER, Role.FINANCE})
"""The roles that approve what is above the seller's own band. No other role stands in for its holder's judgement."""
LONGEST_DAYS: Final = 90
"""A longer absence is a change of roles, which an administrator makes."""
MOST_AT_ONCE: Final = 20
"""Delegations of one person that are not over; nobody lends their role to a whole department."""


def require_may_delegate(maker: Colleague, delegator: Colleague, role: Role) -> None:
    """Let the holder of a role lend it, and an administrator for them. Raises `DelegationForbidden`.

    A borrowed role is none of the borrower's own, so it is not lent on.
    """
    if not maker.may_act:
        raise DelegationForbidden("Only an active person may delegate; bots and the system may not.")
    if maker.id != delegator.id and Role.ADMIN not in maker.roles:
        raise DelegationForbidden("Only an administrator delegates a role of somebody else.")
    if role not in delegator.roles & LENDABLE:
        raise DelegationForbidden(f"Nobody lends a role that they do not hold themselves, here {role.value}.")


def require_sound(
    wanted: WrittenDelegation, *, maker: Colleague, delegator: Colleague, delegate: Colleague | None, today: date
) -> None:
    """Refuse days that cannot be and a delegate who could not use it. Raises `InvalidDelegation`, which names every fault."""
    faults = [*_faults_of_delegate(wanted.role, maker, delegator, delegate), *_faults_of_days(wanted, today)]
    if faults:
        errors = [{"field": field, "message": message} for field, message in faults]
        raise InvalidDelegation("; ".join(f"{field}: {message}" for field, message in faults), errors=errors)


def may_borrow(role: Role, *, delegator: Colleague, delegate: Colleague) -> bool:
    """Say whether a delegator who lends the own role could lend it to a delegate."""
    return not any(_faults_of_delegate(role, delegator, delegator, delegate))


def may_end(delegation: Delegation, actor: Actor) -> bool:
    """Say whether a delegation is the actor's to end: its delegator's, or any administrator's."""
    return actor.id == delegation.from_person or Role.ADMIN in actor.roles


def is_dated_for(delegation: Delegation, day: date) -> bool:
    """Say whether the delegation covers a day and was not ended."""
    return delegation.status == DelegationStatus.ACTIVE and delegation.from_date <= day <= delegation.until_date


def lends(delegation: Delegation, *, day: date, roles_held: Mapping[str, frozenset[Role]]) -> bool:
    """Say whether a delegation gives its role on a day: while the delegator holds it. `roles_held` has active people alone."""
    return is_dated_for(delegation, day) and delegation.role in roles_held.get(delegation.from_person, frozenset()) & LENDABLE


def phase_of(delegation: Delegation, *, day: date, roles_held: Mapping[str, frozenset[Role]]) -> DelegationPhase:
    """Say what a delegation comes to on a day; `roles_held` has active people alone."""
    if delegation.status == DelegationStatus.ENDED:
        return DelegationPhase.WITHDRAWN
    if day > delegation.until_date:
        return DelegationPhase.OVER
    if day < delegation.from_date:
        return DelegationPhase.UPCOMING
    return DelegationPhase.IN_FORCE if lends(delegation, day=day, roles_held=roles_held) else DelegationPhase.LENDS_NOTHING


def roles_lent(
    delegations: Iterable[Delegation], *, day: date, roles_held: Mapping[str, frozenset[Role]], barred: frozenset[str]
) -> dict[Role, Delegation]:
    """Return what one person is lent on a day, each role by the oldest delegation that gives it.

    Whoever is barred from what is voted on lends nothing for it: else a seller would approve through a friend.
    """
    lent: dict[Role, Delegation] = {}
    for delegation in sorted(delegations, key=lambda one: (one.created_at, one.id)):
        if delegation.from_person not in barred and lends(delegation, day=day, roles_held=roles_held):
            lent.setdefault(delegation.role, delegation)
    return lent


def _faults_of_delegate(
    role: Role, maker: Colleague, delegator: Colleague, delegate: Colleague | None
) -> Iterable[tuple[str, str]]:
    if delegate is None:
        yield "to", "there is nobody of this handle or id"
    elif not delegate.may_act:
        yield "to", "only an active person can fill a role"
    elif delegate.id == delegator.id:
        yield "to", "nobody delegates to themselves"
    elif delegate.id == maker.id:
        yield "to", "nobody gives themselves the role of somebody else; ask another administrator"
    elif role in delegate.roles:
        yield "to", f"holds the role {role.value} already"
    elif Role.AUDITOR in delegate.roles:
        yield "to", "an auditor reads everything and decides nothing"


def _faults_of_days(wanted: WrittenDelegation, today: date) -> Iterable[tuple[str, str]]:
    if wanted.from_date < today:
        yield "from_date", "expected today or a later day, in UTC"
    if wanted.until_date < wanted.from_date:
        yield "until_date", "expected the first day or a later one"
    elif (wanted.until_date - wanted.from_date).days >= LONGEST_DAYS:
        yield "until_date", f"a delegation lasts {LONGEST_DAYS} days at most"
