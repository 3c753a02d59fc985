"""Reading what a target holds, and setting right there what somebody changed (ADR-0016)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

from trustpack.capabilities.operations.adapters.postgres.identity import read_place, require_system, system_of
from trustpack.capabilities.operations.adapters.postgres.script import LAYOUT
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession
from trustpack.capabilities.operations.model import TargetNotPrepared
from trustpack.capabilities.operations.model.drift import Drift, FoundMember, FoundRole, Repair, TargetInventory
from trustpack.kernel.json_types import JsonObject

_MOST_DROP_CALLS: Final = 200
"""Calls of 2,000 large objects each, or 10 ms of waiting for sessions, after which the next comparison goes on."""


async def read_inventory(session: TargetSession) -> TargetInventory:
    """Return what the target holds, or how far our installation is missing there. Raises as `TargetSession.call` does."""
    try:
        system = system_of(await session.call("system"))
        return inventory_of(await session.call("inventory"), system=system)
    except TargetNotPrepared:
        return await _without_inventory(session)


async def _without_inventory(session: TargetSession) -> TargetInventory:
    """Tell another version, which may not have the function yet, from an installation that was dropped, here or elsewhere."""
    try:
        facts = await session.call("identify")
    except TargetNotPrepared:
        return TargetInventory(system=None, is_current=False, is_missing=True, seen=await read_place(session))
    return TargetInventory(system=system_of(facts), is_current=False, is_missing=facts["layout"] == LAYOUT)


def inventory_of(report: JsonObject, *, system: str) -> TargetInventory:
    """Return the inventory that the installed function answered with. Guarantee: pure."""
    if report.get("layout") != LAYOUT:
        return TargetInventory(system=system, is_current=False)
    facts = cast("dict[str, Any]", report)
    changed = facts["password_changed"]
    return TargetInventory(
        system=system,
        is_current=True,
        is_sealed=facts["is_sealed"],
        layout=facts["layout"],
        definition_digest=facts["definition_digest"],
        seal=facts["seal"],
        roles=tuple(_role(entry) for entry in facts["roles"]),
        missing=tuple(facts["missing"]),
        orphan_sessions=facts["orphan_sessions"],
        foreign_members=tuple(FoundMember(**entry) for entry in facts["foreign_members"]),
        password_changed=None if changed is None else frozenset(changed),
    )


async def repair(session: TargetSession, drift: Drift, *, system: str) -> tuple[str, ...]:
    """Carry a repair out where the target can do it by itself; return what stands in the way, nothing if it is done.

    Raises `TargetDrifted` when the session leads to another system than the drift was found on.
    """
    await require_system(session, system)
    match drift.repair:
        case Repair.RESTORE_EXPIRY:
            return _problems(await session.call("restore_expiry", drift.role_name, drift.expires_at))
        case Repair.REMOVE_ROLE:
            return await _remove(session, drift.role_name)
        case Repair.REVOKE_MEMBERSHIP:
            assert drift.member is not None  # the finding is about one
            return _problems(await session.call("revoke_membership", drift.member.role, drift.member.member))
        case Repair.END_SESSIONS:
            return await _end_sessions(session)
        case Repair.NONE | Repair.REVERT_GRANT | Repair.END_ACCESS | Repair.SCHEDULE_AGAIN:
            return ()


async def _remove(session: TargetSession, role_name: str | None) -> tuple[str, ...]:
    problems = _problems(await session.call("lock_out_stray", role_name))
    if problems and (problems := await _lock_out_without_its_sessions(session, role_name)):
        return problems
    dropped: JsonObject = {}
    for _ in range(_MOST_DROP_CALLS):
        dropped = await session.call("drop_stray", role_name)
        if not dropped["again"]:
            break
    return _problems(dropped)


async def _lock_out_without_its_sessions(session: TargetSession, role_name: str | None) -> tuple[str, ...]:
    """Lock a stray role out that holds a lock on itself in an open transaction."""
    await session.call("kill_stray", role_name)
    return _problems(await session.call("lock_out_stray", role_name))


async def _end_sessions(session: TargetSession) -> tuple[str, ...]:
    try:
        await session.call("kill_orphans")
    except TargetNotPrepared:
        return ("orphan_sessions_go_on: only a superuser or pg_signal_backend can end them",)
    left = (await session.call("inventory"))["orphan_sessions"]
    return ("orphan_sessions_go_on",) if left else ()


def _problems(report: JsonObject) -> tuple[str, ...]:
    return tuple(cast("list[str]", report["problems"]))


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:  # `infinity`, or a year of five digits: later than any receipt says
        return datetime.max.replace(tzinfo=UTC)


def _role(entry: dict[str, Any]) -> FoundRole:
    return FoundRole(
        name=entry["name"],
        ref=str(entry["oid"]),
        is_covered=entry["is_covered"],
        issuer=entry["issuer"],
        expires_at=_moment(entry["expires_at"]),
        is_expired=entry["is_expired"],
        valid_until=entry["valid_until"],
        keeps_valid_until=entry["keeps_valid_until"],
        can_login=entry["can_login"],
        in_group=entry["in_group"],
        is_taken_over=entry["is_taken_over"],
        scope=entry["scope"],
        connection_limit=entry["connection_limit"],
        powers=tuple(entry["powers"]),
        memberships=tuple(entry["memberships"]),
        has_rights=entry["has_rights"],
    )
