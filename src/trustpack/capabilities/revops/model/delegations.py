"""Delegations: an approver's role that its holder lends to somebody else for some days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from trustpack.kernel.actor import Role
from trustpack.kernel.errors import ErrorKind, TrustpackError

DELEGATION_KIND = "delegation"


class DelegationStatus(StrEnum):
    """Whether a delegation was ended before its last day; whether it lends its role today follows from its days and people."""

    ACTIVE = "active"
    ENDED = "ended"


class DelegationPhase(StrEnum):
    """What a delegation comes to on a day. One that `LENDS_NOTHING` has begun, but its delegator does not hold the role."""

    UPCOMING = "upcoming"
    IN_FORCE = "in_force"
    LENDS_NOTHING = "lends_nothing"
    OVER = "over"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class WrittenDelegation:
    """A delegation as it is asked for. People are named by handle or id; without `delegator` it is the caller's own role."""

    role: Role
    delegator: str | None
    delegate: str
    from_date: date
    until_date: date
    reason: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """A role of `from_person` that `to_person` may fill too, from the first through the last day, in UTC."""

    id: str
    version: int
    status: DelegationStatus
    role: Role
    from_person: str
    to_person: str
    from_date: date
    until_date: date
    created_by: str
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Colleague:
    """What a delegation depends on in a person, as of now: one who may not act holds no roles."""

    id: str
    roles: frozenset[Role]
    may_act: bool


class DelegationForbidden(TrustpackError):
    """The caller lends a role that is not theirs to lend."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.delegation_forbidden"
    title = "You cannot make this delegation"
    next_step = "Ask the person who holds the role, or an administrator, to delegate it."


class InvalidDelegation(TrustpackError):
    """The delegate or the days of a delegation cannot be; `errors` lists `{"field", "message"}`."""

    kind = ErrorKind.INVALID
    code = "revops.invalid_delegation"
    title = "The delegation is not valid"
    next_step = "Correct the named fields and send the delegation again."


class TooManyDelegations(TrustpackError):
    """One person has as many delegations as may be at once."""

    kind = ErrorKind.CONFLICT
    code = "revops.too_many_delegations"
    title = "Too many delegations"
    next_step = "End a delegation that is no longer needed, then make this one."


class DelegationEnded(TrustpackError):
    """What is to be ended has ended already."""

    kind = ErrorKind.CONFLICT
    code = "revops.delegation_ended"
    title = "The delegation has ended already"
    detail = "The delegation was ended before; votes that were given by it stand."
    next_step = "Nothing is left to do."


class NotYourDelegation(TrustpackError):
    """A delegation is ended by its delegator or an administrator."""

    kind = ErrorKind.FORBIDDEN
    code = "revops.not_your_delegation"
    title = "You cannot end this delegation"
    detail = "Only the person who lends the role, or an administrator, ends a delegation."
    next_step = "Ask the delegator or an administrator to end it."
