"""Sessions, the ways in which an account signs in, and what can go wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from trustpack.capabilities.directory.model import Person
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import ErrorKind, TrustpackError


class SessionStatus(StrEnum):
    """Whether a session may be resumed; one that was left alone ends by time, without a change of state."""

    ACTIVE = "active"
    ENDED = "ended"


class SessionEnd(StrEnum):
    """Why a session was ended, as its receipt says."""

    SIGNED_OUT = "signed_out"
    ENDED_BY_OWNER = "ended_by_owner"
    ENDED_BY_OPERATOR = "ended_by_operator"
    CONFIRMED = "confirmed"
    TENANT_SWITCHED = "tenant_switched"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts when it is left alone and in all, and for how long a sign-in counts as recent."""

    idle: timedelta
    absolute: timedelta
    recent: timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """The session that a request belongs to. `text` is what its browser holds, and never leaves the process."""

    id: str
    actor: Actor
    display_name: str
    tenant_name: str
    is_demo: bool
    method: str
    authenticated_at: datetime
    absolute_end: datetime
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session as its owner finds it in a list."""

    id: str
    version: int
    status: SessionStatus
    account_id: str
    person_id: str
    method: str
    client: str
    authenticated_at: datetime
    created_at: datetime
    absolute_end: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session, at the only moment at which its secret is not in a browser."""

    id: str
    tenant_id: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TenantOfAccount:
    """A tenant in which an account is an active person."""

    tenant_id: str
    name: str
    is_demo: bool


@dataclass(frozen=True, slots=True)
class DemoDoor:
    """A tenant of the demo and everybody in it whom one click signs in as."""

    tenant: TenantOfAccount
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an account. The private half never leaves its authenticator."""

    id: str
    account_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    label: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class WaysIn:
    """How an account signs in."""

    passkeys: tuple[Passkey, ...]
    sign_in_name: str | None
    has_password: bool


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that lets the owner of an account set up, once, how they sign in."""

    id: str
    version: int
    status: str
    account_id: str
    person_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an open invitation is for."""

    tenant_id: str
    tenant_name: str
    handle: str
    display_name: str
    account_id: str
    sign_in_name: str | None
    expires_at: datetime


class SessionNeeded(TrustpackError):
    """There is no session, or no longer; which of the reasons applies is nobody's business."""

    kind = ErrorKind.UNAUTHENTICATED
    code = "auth.session_needed"
    title = "Please sign in"
    detail = "You are not signed in, or your session has ended."
    next_step = "Sign in; you will come back to this page."


class RecentSignInNeeded(TrustpackError):
    """The session is good, but this deed asks who is there now."""

    kind = ErrorKind.UNAUTHENTICATED
    code = "auth.recent_sign_in_needed"
    title = "Please confirm that it is you"
    detail = "You signed in some time ago, and this needs a recent sign-in."
    next_step = "Confirm that it is you; what you have entered is kept."


class NobodyInTenant(TrustpackError):
    """The account is proven, but no active person of the tenant signs in with it."""

    kind = ErrorKind.FORBIDDEN
    code = "auth.nobody_in_tenant"
    title = "This account opens nothing here"
    detail = "Nobody who is active in this tenant signs in with this account."
    next_step = "Ask an administrator of the tenant to add you, or choose another tenant."


class InvitationNotOpen(TrustpackError):
    """The link is unknown, used, too old or withdrawn; which of them is nobody's business."""

    kind = ErrorKind.NOT_FOUND
    code = "auth.invitation_not_open"
    title = "This invitation is not open"
    detail = "The link was used, has expired, or was never made."
    next_step = "Ask an administrator for a new one."


class NameTaken(TrustpackError):
    """Sign-in names are unique over all tenants."""

    kind = ErrorKind.CONFLICT
    code = "auth.name_taken"
    title = "This name is taken"
    detail = "Another account signs in with this name."
    next_step = "Choose another name."


class InvalidSignInName(TrustpackError):
    """The name has a form that could be mistaken for another one."""

    code = "auth.invalid_name"
    title = "This name cannot be used"
    detail = "A sign-in name has 3 to 100 letters, digits or any of `.-_+@`, and begins with a letter or digit."
    next_step = "Choose another name, such as your work address."


class PasskeyKnown(TrustpackError):
    """The authenticator's key is registered already."""

    kind = ErrorKind.CONFLICT
    code = "auth.passkey_known"
    title = "This passkey is known already"
    detail = "This passkey is registered already."
    next_step = "Sign in with it, or take another device."


class LastWayIn(TrustpackError):
    """Without it nobody could sign in to the account any more."""

    kind = ErrorKind.CONFLICT
    code = "auth.last_way_in"
    title = "This is the last way in"
    detail = "It is the only way in which this account can sign in."
    next_step = "Add another passkey first."


class MethodNotAllowed(TrustpackError):
    """The installation does not allow such a way to sign in."""

    kind = ErrorKind.NOT_FOUND
    code = "auth.method_not_allowed"
    title = "Not available here"
    detail = "This way to sign in is not allowed here."
    next_step = "Choose one that the sign-in page offers."


class DemoSignInRefused(TrustpackError):
    """One click for everybody, on a store that holds more than demo data."""

    kind = ErrorKind.FORBIDDEN
    code = "auth.demo_sign_in_refused"
    title = "The demo sign-in cannot be used here"
    detail = "The store holds a tenant that is not marked as demo, so nobody may sign in by one click."
    next_step = "Turn TRUSTPACK_DEMO_SIGN_IN off, or use another store."
