"""Tenants, people, teams and tokens, and what can go wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trustpack.kernel.actor import ActorKind, Role
from trustpack.kernel.errors import ErrorKind, TrustpackError


class PersonStatus(StrEnum):
    """Whether a person may act at all."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer organisation; its id is its slug."""

    id: str
    version: int
    status: str
    name: str
    is_demo: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts in a tenant, whichever of their accounts they sign in with."""

    id: str
    version: int
    status: PersonStatus
    handle: str
    display_name: str
    kind: ActorKind
    roles: frozenset[Role]
    team_ids: frozenset[str]

    @property
    def is_active(self) -> bool:
        return self.status == PersonStatus.ACTIVE


class Handle(str):
    """The handle of a person: everywhere the text that it is, and on pages with the name that people know them by."""

    __slots__ = ("display_name",)
    display_name: str

    @classmethod
    def of(cls, person: Person) -> Handle:
        """Return a person's handle."""
        handle = cls(person.handle)
        handle.display_name = person.display_name
        return handle


@dataclass(frozen=True, slots=True)
class Team:
    """People of one tenant who work together; members see each other's requests."""

    id: str
    version: int
    status: str
    name: str


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret, of which only a digest is kept."""

    id: str
    version: int
    status: str
    person_id: str
    account_id: str
    label: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token at the only moment at which its secret exists outside its owner's hands."""

    id: str
    secret: str
    expires_at: datetime


class NotSignedIn(TrustpackError):
    """There is no valid token; which of the many possible reasons applies is nobody's business."""

    kind = ErrorKind.UNAUTHENTICATED
    code = "auth.not_signed_in"
    title = "Sign-in needed"
    detail = "The request has no valid bearer token: it is missing, unknown, expired or revoked."
    next_step = "Send `Authorization: Bearer tp_<tenant>_<secret>`; make a token with `trustpack token create`."


class InvalidName(TrustpackError):
    """A slug, handle or name has characters that it may not have."""

    code = "directory.invalid_name"
    detail = "Names begin with a lower-case letter and hold lower-case letters, digits and hyphens, at most 40."


class AlreadyExists(TrustpackError):
    """Something of that name is there already."""

    kind = ErrorKind.CONFLICT
    code = "directory.already_exists"
    detail = "Something of that name exists already."
    next_step = "Use the existing one, or choose another name."


class UnknownName(TrustpackError):
    """There is no tenant, person, team or token of that name."""

    kind = ErrorKind.NOT_FOUND
    code = "directory.unknown_name"
    detail = "There is nothing of that name in this tenant."
    next_step = "Check the spelling; `trustpack user list` and its siblings show what there is."


class OwnApprovalRoleForbidden(TrustpackError):
    """Nobody gives an approval role to the own person (api.md, "Who is calling")."""

    kind = ErrorKind.FORBIDDEN
    code = "directory.own_approval_role_forbidden"
    detail = "You cannot give an approval role to yourself."
    next_step = "Ask another administrator to give you the role."


class AccountTaken(TrustpackError):
    """An account belongs to at most one person per tenant."""

    kind = ErrorKind.CONFLICT
    code = "directory.account_taken"
    detail = "This account belongs to another person of the tenant."
    next_step = "Link an account that nobody in this tenant uses."
