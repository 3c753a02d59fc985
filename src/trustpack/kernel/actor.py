"""Who acts: a person of a tenant signed in by one of their accounts, a bot, or the system itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a person may do in a tenant. Source: architecture section 2."""

    ENGINEER = "engineer"
    TEAM_LEAD = "team_lead"
    SECURITY_OFFICER = "security_officer"
    AE = "ae"
    MANAGER = "manager"
    FINANCE = "finance"
    AUDITOR = "auditor"
    ADMIN = "admin"


class ActorKind(StrEnum):
    """What stands behind an action; only a person's vote counts."""

    PERSON = "person"
    BOT = "bot"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """One acting party within one tenant.

    `id` is the person (`usr_...`), not the account: every separation-of-duty rule compares persons (stories 1.2, 2.3).
    """

    tenant_id: str
    id: str
    kind: ActorKind
    handle: str
    account_id: str | None = None
    roles: frozenset[Role] = field(default_factory=frozenset)
    team_ids: frozenset[str] = field(default_factory=frozenset)


def system_actor(tenant_id: str, name: str) -> Actor:
    """Name the part of the system that acts without a person, such as `auto-revert` or `operator-cli`."""
    return Actor(tenant_id=tenant_id, id=f"system:{name}", kind=ActorKind.SYSTEM, handle=name)
