"""A target on which nothing happens: what would be done is written down, and remembered across restarts (story 1.3)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

import structlog

from trustpack.capabilities.operations.adapters.postgres.statements import grant_statements
from trustpack.capabilities.operations.model import (
    ConnectionDetails,
    GrantMark,
    GrantOrder,
    LiveGrant,
    RevertOutcome,
    TargetDefinition,
    TargetDrifted,
    TargetIdentity,
    TargetRefused,
    TargetUnavailable,
)
from trustpack.capabilities.operations.model.drift import Drift, FoundRole, TargetInventory
from trustpack.capabilities.operations.rules.target_definition import definition_document
from trustpack.kernel.clock import Clock, format_time, parse_time
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform.entropy import new_secret
from trustpack.proof.canonical import digest_of_value

_IDENTITY_FILE = "directory.id"

_log = structlog.get_logger(__name__)


class RecordTargetAdapter:
    """Implements `TargetAdapter` with one file of JSON lines per target in `directory`.

    The file is the whole state: it is locked, read and appended to within each call, so that several processes may share it.
    A random id, kept in the directory, tells it from another directory of records.
    """

    def __init__(self, directory: Path, *, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def statements(self, definition: TargetDefinition, order: GrantOrder) -> tuple[str, ...]:
        return ("-- recorded only, nothing is carried out", *grant_statements(definition, order))

    async def identify(self, definition: TargetDefinition) -> TargetIdentity:
        return await asyncio.to_thread(self._identify, definition)

    async def grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        return await asyncio.to_thread(self._grant, definition, order)

    async def set_verifier(
        self, definition: TargetDefinition, grant: GrantMark, *, password: str, generation: int
    ) -> ConnectionDetails:
        """Refuses always: there is no system behind this target to log in to."""
        del grant, password, generation
        raise TargetRefused(
            f"The target {definition.name} records only; there is no database behind it to log in to.",
            next_step="Use a target with the adapter `postgres` for access that is real.",
        )

    async def revert(self, definition: TargetDefinition, grant: GrantMark) -> RevertOutcome:
        return await asyncio.to_thread(self._revert, definition, grant)

    async def inventory(self, definition: TargetDefinition) -> TargetInventory:
        return await asyncio.to_thread(self._inventory, definition)

    async def repair(self, definition: TargetDefinition, drift: Drift, *, system: str) -> tuple[str, ...]:
        """Nothing: no role stands behind a line of the record that somebody could change."""
        del definition, drift, system
        return ()

    async def prune(self, definition: TargetDefinition, *, system: str) -> None:
        """Nothing: nobody reads through this target."""
        del definition, system

    def _inventory(self, definition: TargetDefinition) -> TargetInventory:
        system = self._identify(definition).system
        with self._journal(definition) as journal:
            ended = {entry["role_name"] for entry in journal.entries if entry["event"] == "reverted"}
            granted = [entry for entry in journal.entries if entry["event"] == "granted" and entry["role_name"] not in ended]
        now = self._clock.now()
        return TargetInventory(system=system, is_current=True, roles=tuple(_found_role(entry, now=now) for entry in granted))

    def _identify(self, definition: TargetDefinition) -> TargetIdentity:
        with self._opened(_IDENTITY_FILE) as file:
            file.seek(0)
            directory_id = file.read().decode()
            if not directory_id:
                directory_id = new_secret()
                file.write(directory_id.encode())
                file.flush()
                os.fsync(file.fileno())
        system: JsonObject = {"adapter": "record", "name": definition.name, "directory_id": directory_id}
        facts: JsonObject = {**system, "definition": definition_document(definition)}
        return TargetIdentity(digest=digest_of_value(facts), system=digest_of_value(system), facts=facts)

    def _require_order(self, definition: TargetDefinition, order: GrantOrder) -> None:
        if self._identify(definition).digest != order.identity_digest:
            raise TargetDrifted
        if not 1 <= order.duration_seconds <= definition.max_duration_seconds:
            raise TargetRefused(f"The duration is not within 1 and {definition.max_duration_seconds} seconds.")
        if not 1 <= order.connection_limit <= definition.connection_limit:
            raise TargetRefused(f"The connection limit is not within 1 and {definition.connection_limit}.")
        if definition.scopes and order.scope not in definition.scopes:
            raise TargetRefused("The scope is not one that this target grants.")

    def _grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        with self._journal(definition) as journal:
            now = self._clock.now()
            granted, reverted = journal.find("granted", order.role_name), journal.find("reverted", order.role_name)
            if granted is None and reverted is None:
                self._require_order(definition, order)
                granted = {
                    "event": "granted",
                    "at": format_time(now),
                    "expires_at": format_time(now + timedelta(seconds=order.duration_seconds)),
                    **_order_document(order),
                    "statements": list(self.statements(definition, order)),
                }
                journal.append(granted)
                _log.info("target.grant_recorded", target=definition.name, role_name=order.role_name, scope=order.scope)
                return _live_grant(granted, now=now, adopted=False)
            if (
                granted is None
                or reverted is not None
                or any(granted[key] != value for key, value in _order_document(order).items())
            ):
                raise TargetRefused("The role name was used before, for another grant or one that has ended.")
            live = _live_grant(granted, now=now, adopted=True)
            if live.remaining_seconds <= 0:
                raise TargetRefused("The role name was used before, for a grant that has ended.")
            return live

    def _revert(self, definition: TargetDefinition, grant: GrantMark) -> RevertOutcome:
        found_system = self._identify(definition).system
        proof: dict[str, JsonValue] = {"adapter": "record", "role_name": grant.role_name}
        if found_system != grant.system:
            proof |= {"ordered_on_system": grant.system, "found_system": found_system}
            return RevertOutcome(proven=False, proof=proof, blockers=("another_system_answers",))
        with self._journal(definition) as journal:
            existed = journal.find("granted", grant.role_name) is not None
            if grant.role_ref is not None and not (existed and grant.role_ref == _role_ref(grant.role_name)):
                proof |= {"system": found_system, "role_ref": grant.role_ref}
                return RevertOutcome(proven=False, proof=proof, blockers=("grant_unknown_to_the_target",))
            reverted = journal.find("reverted", grant.role_name)
            if reverted is None:
                reverted = {
                    "event": "reverted",
                    "at": format_time(self._clock.now()),
                    "role_name": grant.role_name,
                    "role_existed": existed,
                }
                journal.append(reverted)
                _log.info("target.revert_recorded", target=definition.name, role_name=grant.role_name, role_existed=existed)
        proof |= {
            "system": found_system,
            "role_existed": reverted["role_existed"],
            "checked_at": reverted["at"],
            "note": "recorded only: no system behind this target",
        }
        return RevertOutcome(proven=True, proof=proof, blockers=())

    @contextmanager
    def _journal(self, definition: TargetDefinition) -> Iterator[_Journal]:
        with self._opened(f"{definition.name}.jsonl") as file:
            yield _Journal.read(file)

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with (self._directory / name).open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
        except OSError as error:
            raise TargetUnavailable("The record of the target cannot be written.", reason=type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class _Journal:
    file: BinaryIO
    entries: list[JsonObject]

    @classmethod
    def read(cls, file: BinaryIO) -> _Journal:
        file.seek(0)
        whole, _, torn = file.read().rpartition(b"\n")
        if torn:
            # A crash in the middle of a write: that call never answered, so its line never counted.
            file.truncate(len(whole) + 1 if whole else 0)
        return cls(file=file, entries=[json.loads(line) for line in whole.splitlines()])

    def find(self, event: str, role_name: str) -> JsonObject | None:
        found = (entry for entry in self.entries if entry["event"] == event and entry["role_name"] == role_name)
        return next(found, None)

    def append(self, entry: JsonObject) -> None:
        self.file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def _order_document(order: GrantOrder) -> JsonObject:
    return {
        "role_name": order.role_name,
        "scope": order.scope,
        "duration_seconds": order.duration_seconds,
        "connection_limit": order.connection_limit,
    }


def _role_ref(role_name: str) -> str:
    return f"record:{role_name}"


def _found_role(entry: JsonObject, *, now: datetime) -> FoundRole:
    role_name, expires_at = cast(str, entry["role_name"]), cast(str, entry["expires_at"])
    return FoundRole(
        name=role_name,
        ref=_role_ref(role_name),
        is_covered=True,
        issuer=None,
        expires_at=parse_time(expires_at),
        is_expired=parse_time(expires_at) <= now,
        valid_until=expires_at,
        keeps_valid_until=True,
        can_login=True,
        in_group=True,
        is_taken_over=False,
    )


def _live_grant(entry: JsonObject, *, now: datetime, adopted: bool) -> LiveGrant:
    role_name, expires_at = cast(str, entry["role_name"]), parse_time(cast(str, entry["expires_at"]))
    return LiveGrant(
        role_name=role_name,
        role_ref=_role_ref(role_name),
        granted_at=parse_time(cast(str, entry["at"])),
        expires_at=expires_at,
        remaining_seconds=max(0.0, (expires_at - now).total_seconds()),
        adopted=adopted,
    )
