"""Names, tokens and role changes. Guarantee: pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from trustpack.capabilities.directory.model import InvalidName, NotSignedIn, OwnApprovalRoleForbidden, Person
from trustpack.capabilities.directory.model.sessions import (
    InvalidSignInName,
    RecentSignInNeeded,
    Session,
    SessionLimits,
)
from trustpack.kernel.actor import Actor, Role
from trustpack.proof.canonical import digest_of

APPROVAL_ROLES = frozenset({Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.MANAGER, Role.FINANCE})
DEFAULT_TOKEN_LIFETIME = timedelta(days=90)
LONGEST_TOKEN_LIFETIME = timedelta(days=365)
LAST_USE_GRAIN = timedelta(minutes=1)
"""Last use is kept to the minute: writing it on every request would cost more than the request."""

SESSION_GRAIN = timedelta(minutes=1)
"""As with tokens; a session that is left alone ends up to a minute early."""
INVITATION_LIFETIME = timedelta(hours=24)
CEREMONY_LIFETIME = timedelta(minutes=5)
LONGEST_CLIENT = 200
LONGEST_LABEL = 100

_NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
_SESSION = re.compile(r"(?P<tenant>[a-z][a-z0-9-]{1,39})_[A-Za-z0-9_-]{43}")
_SIGN_IN_NAME = re.compile(r"[a-z0-9][a-z0-9._+@-]{2,99}")
_TOKEN = re.compile(r"tp_(?P<tenant>[a-z][a-z0-9-]{1,39})_[A-Za-z0-9_-]{43}")


def require_name(text: str) -> str:
    """Return a slug or handle unchanged. Raises `InvalidName`."""
    if not _NAME.fullmatch(text):
        raise InvalidName
    return text


def token_text(tenant_id: str, secret: str) -> str:
    """Return the bearer token: the tenant is in it, so that it is known before any row is read."""
    return f"tp_{tenant_id}_{secret}"


def read_token(text: str) -> tuple[str, str]:
    """Return the tenant and the digest of a bearer token. Raises `NotSignedIn` if it has not the form of one."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise NotSignedIn
    return match["tenant"], digest_of(text.encode())


def session_text(tenant_id: str, secret: str) -> str:
    """Return what a browser holds for a session, and a link for an invitation: the tenant is in it, as in a token."""
    return f"{tenant_id}_{secret}"


def read_session_text(text: str) -> tuple[str, str] | None:
    """Return the tenant and the digest of a session's or invitation's text; None if it has not the form of one."""
    match = _SESSION.fullmatch(text)
    return (match["tenant"], digest_of(text.encode())) if match is not None else None


def sign_in_name(text: str) -> str:
    """Return a sign-in name as it is kept: in small letters, so that one name is not two. Raises `InvalidSignInName`."""
    name = text.strip().lower()
    if not _SIGN_IN_NAME.fullmatch(name):
        raise InvalidSignInName
    return name


def require_recent(session: Session, *, now: datetime, limits: SessionLimits) -> None:
    """Refuse a deed that needs a recent sign-in if the last one is too long ago. Raises `RecentSignInNeeded`."""
    if now - session.authenticated_at > limits.recent:
        raise RecentSignInNeeded


def readable_label(text: str, *, default: str) -> str:
    """Return a label that fits into one line of a list."""
    return " ".join(text.split())[:LONGEST_LABEL] or default


def require_may_change_role(actor: Actor, person: Person, role: Role, *, grant: bool) -> None:
    """Refuse a person who gives an approval role to themselves. Raises `OwnApprovalRoleForbidden`."""
    if grant and role in APPROVAL_ROLES and actor.id == person.id:
        raise OwnApprovalRoleForbidden


def token_end(now: datetime, lifetime: timedelta) -> datetime:
    """Return when a token made now ends; no token lives longer than a year."""
    return now + min(lifetime, LONGEST_TOKEN_LIFETIME)
