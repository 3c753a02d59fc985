"""What a target holds, what this store knows about it, and where the two differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from trustpack.capabilities.operations.model.requests import GrantStatus
from trustpack.capabilities.operations.model.targets import GrantMark
from trustpack.kernel.json_types import JsonValue


class DriftCode(StrEnum):
    """One way in which a target differs from what was granted on it."""

    ORPHAN_ROLE = "orphan_role"
    RESURRECTED_ROLE = "resurrected_role"
    STRAY_ROLE = "stray_role"
    MISSING_ROLE = "missing_role"
    ORPHAN_SESSION = "orphan_session"
    FOREIGN_MEMBER = "foreign_member"
    VALID_UNTIL_CHANGED = "valid_until_changed"
    EXPIRY_CHANGED = "expiry_changed"
    LOGIN_RESTORED = "login_restored"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of a finding
    LEFT_GROUP = "left_group"
    GRANT_WIDENED = "grant_widened"
    INSTALLATION_ALTERED = "installation_altered"
    INSTALLATION_CHANGED = "installation_changed"
    INSTALLATION_MISSING = "installation_missing"
    INSTALLATION_OUTDATED = "installation_outdated"
    OTHER_SYSTEM = "other_system"
    LOST_TIMER = "lost_timer"


class Repair(StrEnum):
    """What is done about drift; `none` is recorded only."""

    NONE = "none"
    REVERT_GRANT = "revert_grant"
    REMOVE_ROLE = "remove_role"
    RESTORE_EXPIRY = "restore_expiry"
    REVOKE_MEMBERSHIP = "revoke_membership"
    END_SESSIONS = "end_sessions"
    END_ACCESS = "end_access"
    SCHEDULE_AGAIN = "schedule_again"


@dataclass(frozen=True, slots=True)
class FoundRole:
    """One temporary role as the target has it.

    `is_covered`: the target's own record holds a grant that has not been dropped, for exactly this role; `issuer`, `expires_at`,
    `is_expired` (on the target's clock) and `scope` are that record's. `is_taken_over`: the target has begun to end it. `powers`
    are attributes such as `superuser`, `memberships` all but that in the group, `has_rights` rights on somebody else's objects.
    """

    name: str
    ref: str
    is_covered: bool
    issuer: str | None
    expires_at: datetime | None
    is_expired: bool
    valid_until: str
    keeps_valid_until: bool
    can_login: bool
    in_group: bool
    is_taken_over: bool
    scope: str | None = None
    connection_limit: int | None = None
    powers: tuple[str, ...] = ()
    memberships: tuple[str, ...] = ()
    has_rights: bool = False


@dataclass(frozen=True, slots=True)
class FoundMember:
    """Somebody who holds one of our roles and is neither of the installation nor a grantee."""

    role: str
    member: str

    @property
    def key(self) -> str:
        """Tells one membership from another without the member's name, which can be a person's."""
        return f"{self.role} {hashlib.sha256(self.member.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class TargetInventory:
    """What a target reports about itself. Without `is_current` it was prepared by another version and reports no more.

    `is_sealed`: its `seal`, a digest of everything installed, is the one that was kept at installation.

    With `is_missing` it does not know our functions. If they could not even say which `system` it is, that is None, and `seen`
    are those facts of its identity that the login can read by itself, each None where it may not.
    """

    system: str | None
    is_current: bool
    is_missing: bool = False
    seen: Mapping[str, JsonValue] = field(default_factory=dict)
    is_sealed: bool = True
    layout: int | None = None
    definition_digest: str | None = None
    seal: str | None = None
    roles: tuple[FoundRole, ...] = ()
    missing: tuple[str, ...] = ()
    """Roles of grants that have not expired, which somebody dropped, renamed or replaced."""
    orphan_sessions: int = 0
    foreign_members: tuple[FoundMember, ...] = ()
    password_changed: frozenset[str] | None = frozenset()
    """None where the target cannot see it."""


@dataclass(frozen=True, slots=True)
class KnownGrant:
    """A grant as a store of ours knows it; of another tenant's only whose it is and whether it has ended.

    `is_watched`: its own tenant's reconciler looks after it. `lost_timer`: nothing is scheduled that would end it.
    """

    role_name: str
    tenant_id: str
    request_id: str
    status: GrantStatus
    ended_at: datetime | None
    is_watched: bool = True
    target_system: str | None = None
    target_expires_at: datetime | None = None
    scope: str | None = None
    connection_limit: int | None = None
    lost_timer: bool = False


@dataclass(frozen=True, slots=True)
class GrantBook:
    """What is known when a target is compared.

    `own` are the tenant's live grants, read at `read_at`, before the target was asked; `known` are the grants of any tenant by
    the names that the target then reported. Whatever changed in between is no drift. `registered` are the facts of the identity
    under which the target is registered.
    """

    store_id: str
    tenant_id: str
    target_system: str
    registered: Mapping[str, JsonValue]
    read_at: datetime
    own: Mapping[str, KnownGrant]
    known: Mapping[str, KnownGrant]


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference and what is done about it. `request_id` names the case that it belongs to, if any.

    `remedy` is the statement by which an administrator mends what we have no right to.
    """

    code: DriftCode
    repair: Repair
    detail: str
    remedy: str = ""
    role_name: str | None = None
    role_ref: str | None = None
    request_id: str | None = None
    member: FoundMember | None = None
    expires_at: datetime | None = None

    @property
    def key(self) -> str:
        """The same text for as long as the same thing stands; begins with the code."""
        about = self.role_name or (self.member.key if self.member else "")
        return f"{self.code.value} {about}".rstrip()

    def mark(self, *, system: str) -> GrantMark:
        """Return the mark by which the role is taken back on the system where it was found."""
        assert self.role_name is not None  # only a finding about a role is taken back
        return GrantMark(role_name=self.role_name, role_ref=self.role_ref, system=system)
