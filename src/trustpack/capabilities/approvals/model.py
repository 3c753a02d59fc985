"""Votes and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from trustpack.kernel.actor import ActorKind, Role
from trustpack.kernel.errors import ErrorKind, TrustpackError


class Verdict(StrEnum):
    """What a vote says."""

    APPROVE = "approve"
    REJECT = "reject"


class VoteRefusal(StrEnum):
    """Why a vote does not count; each flow turns it into its own named error."""

    NOT_A_PERSON = "not_a_person"
    SELF_APPROVAL = "self_approval"
    ROLE_NOT_REQUIRED = "role_not_required"
    ROLE_NOT_HELD = "role_not_held"
    OTHER_TEAM = "other_team"


@dataclass(frozen=True, slots=True)
class Loan:
    """By which delegation a role is lent, and whether it was made only after that on which is voted had been submitted."""

    delegation_id: str
    is_newer: bool


@dataclass(frozen=True, slots=True)
class Voter:
    """A person as they are now: what their vote may count for is decided by their roles and teams of this moment.

    `lent` are roles of other people that this one may fill as well; a flow that knows no delegations leaves it empty.
    """

    id: str
    kind: ActorKind
    roles: frozenset[Role]
    team_ids: frozenset[str]
    lent: Mapping[Role, Loan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What is voted on and by whose yes it is decided.

    `self_approvable` are the roles that the requester may fill, as a stored decision says; no high-risk operation has any.
    `barred` are others who had a part in it and fill nothing.
    With `same_team_leads` a team lead's vote counts only for people of a common team.
    """

    subject_id: str
    digest: str
    required: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    requester_id: str
    requester_team_ids: frozenset[str]
    same_team_leads: bool
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's vote on one digest; never changed after it was cast.

    `seq` is the receipt that records it, in whose disclosures lies what the person wrote. `roles` are the required roles that
    the person could fill then, kept where a vote stands with the roles of its time. `loan` is what it was given by where the
    role is somebody else's.
    """

    id: str
    subject_id: str
    seq: int
    digest: str
    digest_confirmed: bool
    person_id: str
    account_id: str
    claimed_role: Role | None
    verdict: Verdict
    created_at: datetime
    roles: tuple[Role, ...] | None = None
    loan: Loan | None = None


@dataclass(frozen=True, slots=True)
class Quorum:
    """Which person fills which required role, and which roles are still open."""

    filled: Mapping[Role, str]
    open: tuple[Role, ...]

    @property
    def is_complete(self) -> bool:
        return not self.open


class AlreadyVoted(TrustpackError):
    """One person has one vote per digest, whichever of their accounts they use."""

    kind = ErrorKind.CONFLICT
    code = "approvals.already_voted"
    title = "You have voted already"
    detail = "You have already voted on exactly this; a person has one vote."
    next_step = "Wait for the other approvals; if your vote was a mistake, ask whoever asked for it to take the case back."
