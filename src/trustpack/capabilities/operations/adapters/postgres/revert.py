"""Taking one grant back: end it, end its sessions, show that it cannot log in, drop it, prove that nothing is left.

Every step is committed before the next and may be repeated, so that a crash anywhere is mended by running all of it again.
Source: research/jit-provisioning sections 3 and 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, cast

from psycopg.types.json import Jsonb

from trustpack.capabilities.operations.adapters.postgres.login_probe import (
    LoginAttempt,
    ProbeFailed,
    ServerAddress,
    attempt_login,
)
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession
from trustpack.capabilities.operations.model import (
    GrantMark,
    RevertOutcome,
    TargetNotPrepared,
    TargetRefused,
    TargetUnavailable,
)
from trustpack.kernel.json_types import JsonObject, JsonValue

_KILL_MILLISECONDS: Final = 5_000
_MOST_DROP_CALLS: Final = 200
"""Calls of 2,000 large objects each, after which a later run goes on."""
_LOGIN_SECONDS: Final = 10
_PASSWORD_BYTES: Final = 24
_MOST_ENTRIES: Final = 20
"""Entries of one list in a proof; how many there were stands beside it."""


class RevertRun:
    """One run over one grant. `carry_out` is called once.

    A blocker is a code, and after a colon what it is about: the same words for as long as the same thing stands in the way.
    """

    def __init__(
        self,
        *,
        session: TargetSession,
        grant: GrantMark,
        random_bytes: Callable[[int], bytes],
        open_database: Callable[[str], AbstractAsyncContextManager[TargetSession]],
    ) -> None:
        self._session = session
        self._grant = grant
        self._role_name = grant.role_name
        self._random_bytes = random_bytes
        self._open_database = open_database
        self._password = random_bytes(_PASSWORD_BYTES).hex()
        self._steps: dict[str, JsonValue] = {}
        self._blockers: list[str] = []

    async def carry_out(self) -> RevertOutcome:
        """Go as far as possible and say how far that was. Raises `TargetUnavailable`, `TargetNotPrepared`."""
        expired = await self._call("expire", self._role_name)
        self._steps["expire"] = expired
        if expired["role_is_there"]:
            await self._end_and_drop()
        elif expired["role_existed"]:
            await self._note_missing_role()
        absence = await self._look_for_remains()
        login = await self._log_in_without_role(absence)
        proof = self._proof(absence, login)
        proven = not self._blockers
        if not proven:
            self._blockers += [problem for problem in cast(Sequence[str], expired["problems"]) if problem not in self._blockers]
        return RevertOutcome(proven=proven, proof=proof, blockers=tuple(self._blockers))

    async def _end_and_drop(self) -> None:
        killed = await self._kill()
        if killed["left"]:
            self._blockers.append("sessions_did_not_end")
            return
        if await self._is_refused_with_right_password():
            await self._drop()

    async def _kill(self) -> JsonObject:
        killed = await self._call("kill", self._role_name, _KILL_MILLISECONDS)
        earlier = cast("JsonObject | None", self._steps.get("kill"))
        total = cast(int, killed["signalled"]) + (cast(int, earlier["signalled"]) if earlier else 0)
        self._steps["kill"] = {**killed, "signalled": total}
        return killed

    async def _is_refused_with_right_password(self) -> bool:
        """Log in with a password that is right. A role that stays without one again is left behind, whatever happens."""
        verifier = self._session.make_verifier(role_name=self._role_name, password=self._password)
        try:
            try:
                begun = await self._call("begin_login_probe", self._role_name, verifier)
            except TargetRefused as error:
                self._blockers.append(f"login_not_tried: {error.detail}")
                return False
            attempt, problem = await self._log_in()
        finally:
            await self._call("expire", self._role_name)
        refused = attempt is not None and attempt.shows_nologin
        self._steps["login_before_drop"] = {
            "at": begun["at"],
            "attempt": None if attempt is None else attempt.as_document(),
            "refused_for_the_right_reason": refused,
        }
        if problem is not None:
            self._blockers.append(problem)
        elif attempt is not None and not refused:
            self._blockers.append(_unexpected(attempt))
        return refused

    async def _drop(self) -> None:
        evidence = Jsonb(self._steps.copy())
        prepared: set[str] = set()
        for _ in range(_MOST_DROP_CALLS):
            dropped = await self._call("drop_role", self._role_name, evidence)
            self._steps["drop"] = dropped
            if dropped["dropped"]:
                return
            if dropped["again"]:
                if dropped["reason"] == "sessions":
                    await self._kill()
                continue
            elsewhere = [name for name in cast(Sequence[str], dropped["other_databases"]) if name not in prepared]
            if not elsewhere:
                break
            prepared.update(elsewhere)
            for database in elsewhere:
                await self._clean(database)
        dropped = cast(JsonObject, self._steps["drop"])
        self._blockers += _drop_blockers(dropped)

    async def _clean(self, database: str) -> None:
        """Drop what the role owns in another database of the cluster, where `target install --cleaning-only` was run."""
        try:
            async with self._open_database(database) as session:
                for _ in range(_MOST_DROP_CALLS):
                    if await session.call("drop_owned", self._role_name):
                        return
        except (TargetUnavailable, TargetNotPrepared, TargetRefused) as error:
            self._blockers.append(f"other_database_not_cleaned: {database}, see `trustpack target install --cleaning-only`")
            failed = cast(JsonObject, self._steps.get("cleaning", {}))
            self._steps["cleaning"] = {**failed, database: {"code": error.code, "detail": error.detail}}

    async def _note_missing_role(self) -> None:
        dropped = await self._call("drop_role", self._role_name, Jsonb(None))
        self._steps["drop"] = dropped
        if not dropped["dropped"]:
            self._blockers += _drop_blockers(dropped)

    async def _look_for_remains(self) -> JsonObject:
        absence = await self._call("prove", self._role_name)
        if cast(JsonObject, absence["checks"])["sessions"] and not cast(JsonObject, absence["checks"])["oid_exists"]:
            # Somebody else dropped the role under its sessions: only an installation by a superuser can still end them.
            try:
                self._steps["orphans_killed"] = await self._call("kill_orphans")
            except TargetNotPrepared:
                self._blockers.append("orphan_sessions_go_on: only a superuser or pg_signal_backend can end them")
            absence = await self._call("prove", self._role_name)
        if not self._blockers:
            self._blockers += _remains(cast(JsonObject, absence["checks"]))
        return absence

    async def _log_in_without_role(self, absence: JsonObject) -> LoginAttempt | None:
        if cast(JsonObject, absence["checks"])["name_exists"]:
            return None
        attempt, problem = await self._log_in()
        if problem is not None:
            self._blockers.append(problem)
        elif attempt is not None and not attempt.shows_absence:
            self._blockers.append(_unexpected(attempt))
        return attempt

    async def _log_in(self) -> tuple[LoginAttempt | None, str | None]:
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                return await attempt_login(
                    ServerAddress.of(self._session.conn),
                    user=self._role_name,
                    password=self._password,
                    random_bytes=self._random_bytes,
                ), None
        except ProbeFailed as error:
            return None, f"login_not_tried: {error}"
        except (OSError, EOFError):
            return None, "login_not_tried: the connection broke"

    def _proof(self, absence: JsonObject, login: LoginAttempt | None) -> JsonObject:
        """Put the steps of this run, or those that an earlier run left on the target, before what the catalogues say now."""
        earlier = cast("JsonObject | None", absence["evidence"])
        resumed = earlier is not None and "kill" not in self._steps
        steps: JsonObject = {**self._steps, **(earlier or {})} if resumed else self._steps
        facts = {key: value for key, value in absence.items() if key not in {"evidence", "at"}}
        proof: JsonObject = {
            "adapter": "postgres",
            "system": self._grant.system,
            **facts,
            "steps": steps,
            "resumed": resumed,
            "login_after_drop": None if login is None else login.as_document(),
            "checked_at": absence["at"],
        }
        return cast(JsonObject, _bounded(proof))

    async def _call(self, function: str, *arguments: object) -> JsonObject:
        return await self._session.call(function, *arguments)


def _remains(checks: JsonObject) -> list[str]:
    """Name every check that does not show absence. Guarantee: a check unknown here counts as failed unless its value is empty."""
    return [
        blocker
        for name, value in checks.items()
        if value
        for blocker in ([f"{name}: {item}" for item in value] if isinstance(value, list) else [name])
    ]


def _drop_blockers(dropped: JsonObject) -> Sequence[str]:
    if dropped.get("blockers"):
        return cast(Sequence[str], dropped["blockers"])
    match dropped["reason"]:
        case "sessions":
            return ["sessions_did_not_end"]
        case "more large objects":
            return ["drop_unfinished"]
        case reason:
            return [f"drop_failed: {reason}"]


def _bounded(value: JsonValue) -> JsonValue:
    """Return the value with its lists cut short, and in each object their full lengths as `..._total`."""
    if isinstance(value, list):
        return [_bounded(item) for item in value[:_MOST_ENTRIES]]
    if not isinstance(value, dict):
        return value
    lengths: dict[str, JsonValue] = {f"{key}_total": len(item) for key, item in value.items() if isinstance(item, list)}
    return {key: _bounded(item) for key, item in value.items()} | lengths


def _unexpected(attempt: LoginAttempt) -> str:
    if attempt.let_in:
        return "login_was_let_in"
    accepted = "accepted" if attempt.password_accepted else "not accepted"
    return f"login_refused_for_another_reason: SQLSTATE {attempt.sqlstate}, password {accepted}"
