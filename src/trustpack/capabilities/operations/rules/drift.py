"""Compare what a target holds with what was granted on it. Guarantee: pure. Source: ADR-0016; adversarial cases 41, 42, 44.

Fail closed: what nobody granted is taken back, what was changed is set back and never later, and where a grant can no longer be
trusted the access ends. What belongs to another store, or to a tenant that looks after it, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trustpack.capabilities.operations.model import GrantStatus
from trustpack.capabilities.operations.model.drift import (
    Drift,
    DriftCode,
    FoundMember,
    FoundRole,
    GrantBook,
    KnownGrant,
    Repair,
    TargetInventory,
)
from trustpack.capabilities.operations.rules.widening import quoted, widening


def find_drift(found: TargetInventory, book: GrantBook) -> tuple[Drift, ...]:
    """Return every difference between a target and the store. On another system than the registered one nothing is compared."""
    is_registered = _is_registered(found, book)
    if is_registered is False:
        return (Drift(DriftCode.OTHER_SYSTEM, Repair.NONE, "Another system answers than the one that is registered."),)
    if found.is_missing:
        return (_missing_installation(is_registered=is_registered is True),)
    if not found.is_current:
        return (_outdated(),)
    return (*_of_seal(found, book), *_of_installation(found), *_of_roles(found, book), *_of_missing_roles(found, book))


def find_drift_without_store(found: TargetInventory) -> tuple[Drift, ...]:
    """Return what a target shows by itself, for an administrator without a store; grants that ended elsewhere are not seen."""
    if not found.is_current:
        return (_outdated(),)
    by_role = (drift for role in found.roles for drift in (*widening(role), *_of_role_alone(role, found)))
    missing = (_missing(name, request_id=None) for name in found.missing)
    altered = () if found.is_sealed else (_altered("An object, right, role or setting was changed since it was installed."),)
    return (*altered, *_of_installation(found), *by_role, *missing)


def find_lost_timers(book: GrantBook) -> tuple[Drift, ...]:
    """Return the live grants that nothing would end: their timers were deleted from the store."""
    return tuple(
        Drift(
            DriftCode.LOST_TIMER,
            Repair.SCHEDULE_AGAIN,
            f"Nothing was scheduled for a grant that is {grant.status.value}.",
            role_name=grant.role_name,
            request_id=grant.request_id,
        )
        for grant in book.own.values()
        if grant.lost_timer
    )


def _is_registered(found: TargetInventory, book: GrantBook) -> bool | None:
    """Say whether the registered system answered; None where that cannot be told."""
    if found.system is not None:
        return found.system == book.target_system
    both = [(book.registered.get(name), value) for name, value in found.seen.items()]
    comparable = [(known, value) for known, value in both if known is not None and value is not None]
    if any(known != value for known, value in comparable):
        return False
    return True if both and comparable == both else None


def _missing_installation(*, is_registered: bool) -> Drift:
    if is_registered:
        detail = "The functions of the installation are missing or may not be called."
        return Drift(DriftCode.INSTALLATION_MISSING, Repair.END_ACCESS, detail, "trustpack target install FILE")
    detail = "The functions of the installation are missing, and whether this is the registered system cannot be told."
    return Drift(
        DriftCode.INSTALLATION_MISSING, Repair.NONE, detail, "Look where the secret points, then trustpack target install FILE"
    )


def _outdated() -> Drift:
    detail = "The target was prepared by another version of trustpack; nothing is compared until it is prepared again."
    return Drift(DriftCode.INSTALLATION_OUTDATED, Repair.NONE, detail, "trustpack target install FILE")


def _of_seal(found: TargetInventory, book: GrantBook) -> Iterator[Drift]:
    """Whoever can alter an installation can seal it anew, so an intact seal must be the registered one as well."""
    registered = book.registered.get("seal")
    if not found.is_sealed:
        yield _altered("An object, right, role or setting of the installation was changed since it was installed.")
    elif registered is None or found.seal == registered:
        return
    elif (found.layout, found.definition_digest) == (book.registered.get("layout"), book.registered.get("definition_digest")):
        yield _altered("The installation was sealed anew for the registered definition, and is not the registered one.")
    else:
        yield Drift(
            DriftCode.INSTALLATION_CHANGED,
            Repair.NONE,
            "The target was installed again, for another definition or by another version than when it was registered.",
            "trustpack target add FILE",
        )


def _altered(detail: str) -> Drift:
    return Drift(DriftCode.INSTALLATION_ALTERED, Repair.END_ACCESS, detail, "trustpack target install FILE")


def _of_installation(found: TargetInventory) -> Iterator[Drift]:
    if found.orphan_sessions:
        yield Drift(
            DriftCode.ORPHAN_SESSION,
            Repair.END_SESSIONS,
            "Sessions go on whose temporary role was dropped under them.",
            "select pg_terminate_backend(pid) from pg_stat_activity as a where usesysid is not null"
            " and not exists (select from pg_roles where oid = a.usesysid);",
        )
    for entry in found.foreign_members:
        yield _foreign(entry)


def _foreign(entry: FoundMember) -> Drift:
    return Drift(
        DriftCode.FOREIGN_MEMBER,
        Repair.REVOKE_MEMBERSHIP,
        f"Somebody who is no grantee is a member of {entry.role}.",
        f"revoke {quoted(entry.role)} from {quoted(entry.member)};",
        member=entry,
    )


def _of_roles(found: TargetInventory, book: GrantBook) -> Iterator[Drift]:
    for role in found.roles:
        grant = book.own.get(role.name) or book.known.get(role.name)
        if grant is None:
            yield from _of_unknown_role(role, book)
        elif grant.tenant_id != book.tenant_id and grant.is_watched:
            continue
        elif grant.ended_at is not None:
            if grant.ended_at < book.read_at:
                yield _resurrected(role, grant if grant.tenant_id == book.tenant_id else None)
        elif role.name in book.own:
            yield from _of_live_role(role, grant, found) if role.is_covered else (_stray(role, grant.request_id),)


def _of_unknown_role(role: FoundRole, book: GrantBook) -> Iterator[Drift]:
    if not role.is_covered:
        yield _stray(role, None)
    elif role.issuer == book.store_id:
        yield Drift(
            DriftCode.ORPHAN_ROLE,
            Repair.REVERT_GRANT,
            "A role that this store issued is granted on the target, and no case here knows it.",
            role_name=role.name,
            role_ref=role.ref,
        )


def _resurrected(role: FoundRole, grant: KnownGrant | None) -> Drift:
    return Drift(
        DriftCode.RESURRECTED_ROLE,
        Repair.REVERT_GRANT if role.is_covered else Repair.REMOVE_ROLE,
        "A role is there again whose grant was taken back, as after a restored backup.",
        _removal(role),
        role_name=role.name,
        role_ref=role.ref,
        request_id=None if grant is None else grant.request_id,
    )


def _stray(role: FoundRole, request_id: str | None) -> Drift:
    return Drift(
        DriftCode.STRAY_ROLE,
        Repair.REMOVE_ROLE,
        "A role has the name of a temporary role, and no grant of the target covers it.",
        _removal(role),
        role_name=role.name,
        role_ref=role.ref,
        request_id=request_id,
    )


def _of_live_role(role: FoundRole, grant: KnownGrant, found: TargetInventory) -> Iterator[Drift]:
    approved = grant.target_expires_at
    is_later = approved is not None and role.expires_at is not None and role.expires_at > approved
    if is_later:
        detail = "The target's record ends the grant later than its receipt says."
        yield replace(_set_back(DriftCode.EXPIRY_CHANGED, role, detail), request_id=grant.request_id, expires_at=approved)
    yield from widening(role, grant)
    for drift in _of_role_alone(role, found, expiry_is_set_back=is_later):
        sets_back = is_later and drift.repair is Repair.RESTORE_EXPIRY
        yield replace(drift, request_id=grant.request_id, expires_at=approved if sets_back else drift.expires_at)


def _of_role_alone(role: FoundRole, found: TargetInventory, *, expiry_is_set_back: bool = False) -> Iterator[Drift]:
    if not role.is_covered:
        yield _stray(role, None)
        return
    if role.is_taken_over and (role.can_login or role.in_group):
        yield _set_back(
            DriftCode.LOGIN_RESTORED,
            role,
            "A role that was being taken back may log in, or is in the group, again.",
            f"alter role {role.name} nologin;",
        )
    elif not role.is_taken_over and not role.keeps_valid_until and not expiry_is_set_back:
        yield _set_back(
            DriftCode.VALID_UNTIL_CHANGED,
            role,
            f"The role is valid until {role.valid_until}, which is not the end of its grant.",
            f"alter role {role.name} valid until '{role.expires_at}';",
        )
    if role.is_expired or role.is_taken_over:
        return
    if not role.in_group:
        yield _harmless(DriftCode.LEFT_GROUP, role, "The role was taken out of the group and sees nothing.")
    if found.password_changed and role.name in found.password_changed:
        yield _harmless(
            DriftCode.PASSWORD_CHANGED,
            role,
            "The password is not the one that was handed out; the end of the access is the same.",
        )


def _set_back(code: DriftCode, role: FoundRole, detail: str, remedy: str = "") -> Drift:
    return Drift(code, Repair.RESTORE_EXPIRY, detail, remedy, role_name=role.name, role_ref=role.ref, expires_at=role.expires_at)


def _harmless(code: DriftCode, role: FoundRole, detail: str) -> Drift:
    return Drift(code, Repair.NONE, detail, role_name=role.name, role_ref=role.ref)


def _of_missing_roles(found: TargetInventory, book: GrantBook) -> Iterator[Drift]:
    there = {role.name for role in found.roles if role.is_covered}
    for grant in book.own.values():
        if grant.status is GrantStatus.ACTIVE and grant.target_system == found.system and grant.role_name not in there:
            yield _missing(grant.role_name, request_id=grant.request_id)


def _missing(role_name: str, *, request_id: str | None) -> Drift:
    return Drift(
        DriftCode.MISSING_ROLE,
        Repair.END_ACCESS,
        "The role of a live grant was dropped, renamed or replaced.",
        role_name=role_name,
        request_id=request_id,
    )


def _removal(role: FoundRole) -> str:
    return f"alter role {role.name} nologin; drop owned by {role.name}; drop role {role.name};"
