"""Say whether a live role can do more than its grant gives. Guarantee: pure. Source: ADR-0016."""

from __future__ import annotations

from collections.abc import Iterator

from trustpack.capabilities.operations.model import GrantStatus
from trustpack.capabilities.operations.model.drift import Drift, DriftCode, FoundRole, KnownGrant, Repair


def widening(role: FoundRole, grant: KnownGrant | None = None) -> Iterator[Drift]:
    """Find what makes a role more than its grant, one finding for all of it; without a grant, what the target shows alone.

    The case ends, and with the role goes whatever it holds. Where the revert failed, as it does on a superuser, it is told for
    as long as it stands. Roles that were never granted, or are being taken back, have findings of their own.
    """
    status = GrantStatus.ACTIVE if grant is None else grant.status
    ends = status is GrantStatus.ACTIVE and not (role.is_taken_over or role.is_expired)
    is_out_of_reach = status is GrantStatus.REVERT_FAILED and bool(role.powers)
    wider = dict(_what_is_wider(role, grant))
    if not role.is_covered or not wider or not (ends or is_out_of_reach):
        return
    yield Drift(
        DriftCode.GRANT_WIDENED,
        Repair.END_ACCESS if ends else Repair.NONE,
        f"The role is more than its grant: {', '.join(wider)}.",
        " ".join(remedy for remedy in wider.values() if remedy),
        role_name=role.name,
        role_ref=role.ref,
        request_id=None if grant is None else grant.request_id,
    )


def _what_is_wider(role: FoundRole, grant: KnownGrant | None) -> Iterator[tuple[str, str]]:
    """Yield what, and the statement against it. The names of other roles can be a person's: they stand in the statement only."""
    if grant is not None and role.scope is not None and role.scope != grant.scope:
        yield "another scope", ""
    if grant is not None and grant.connection_limit is not None and _exceeds(role.connection_limit, grant.connection_limit):
        yield "more connections", f"alter role {role.name} connection limit {grant.connection_limit};"
    for power in role.powers:
        yield power, f"alter role {role.name} no{power};"
    if role.memberships:
        names = ", ".join(quoted(name) for name in role.memberships)
        yield "a member of other roles", f"revoke {names} from {role.name};"
    if role.has_rights:
        yield "rights of its own", f"drop owned by {role.name};"


def _exceeds(limit: int | None, approved: int) -> bool:
    return limit is not None and (limit < 0 or limit > approved)


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
