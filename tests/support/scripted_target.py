"""An outside system that does what a test tells it: a target in memory, honest until it is scripted otherwise."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from trustpack.capabilities.operations.model import (
    AccessRecord,
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
from trustpack.capabilities.operations.model.drift import Drift, FoundRole, Repair, TargetInventory
from trustpack.kernel.clock import Clock
from trustpack.proof.canonical import digest_of_value

Honest: TypeAlias = Callable[[], Any]
Step: TypeAlias = Callable[[Honest], Awaitable[Any]]
"""One scripted answer; it is handed what the target would do and may do it, or not."""


@dataclass(slots=True)
class ScriptedRole:
    """One role on the target. It stays, with its end, after it was dropped, so that a test can count what ever existed."""

    order: GrantOrder
    granted_at: datetime
    expires_at: datetime
    password: str | None = None
    generation: int = 0
    is_dropped: bool = False
    issuer: str | None = None
    is_covered: bool = True
    valid_until: str | None = None
    """Where somebody changed it."""


class ScriptedTarget:
    """Implements `TargetAdapter`. `script("grant", unavailable, refused)` scripts the next two calls of `grant`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steps: defaultdict[str, deque[Step]] = defaultdict(deque)
        self.installation = "first"
        self.system = "cluster-a"
        self.accesses: AccessRecord | None = None
        self.is_sealed = True
        self.roles: dict[str, ScriptedRole] = {}
        self.calls: list[str] = []

    @property
    def live_roles(self) -> list[str]:
        """The names of the roles that can log in now, as far as nobody has dropped them."""
        return [name for name, role in self.roles.items() if not role.is_dropped]

    @property
    def passwords(self) -> list[str]:
        """Every password that a role has now."""
        return [role.password for role in self.roles.values() if role.password is not None]

    def script(self, method: str, *steps: Step) -> None:
        """Answer the next calls of a method as the steps say, and honestly after them."""
        self._steps[method].extend(steps)

    def forget_script(self) -> None:
        """Answer everything honestly from now on."""
        self._steps.clear()

    def statements(self, definition: TargetDefinition, order: GrantOrder) -> tuple[str, ...]:
        return (
            f"create role {order.role_name}",
            f"-- {definition.name}: rows of {order.scope!r} for {order.duration_seconds} seconds",
        )

    async def identify(self, definition: TargetDefinition) -> TargetIdentity:
        return await self._answer("identify", lambda: self._identity(definition))

    async def grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        return await self._answer("grant", lambda: self._grant(definition, order))

    async def set_verifier(
        self, definition: TargetDefinition, grant: GrantMark, *, password: str, generation: int
    ) -> ConnectionDetails:
        return await self._answer("set_verifier", lambda: self._set_verifier(grant, password, generation))

    async def revert(self, definition: TargetDefinition, grant: GrantMark) -> RevertOutcome:
        return await self._answer("revert", lambda: self._revert(grant))

    async def inventory(self, definition: TargetDefinition) -> TargetInventory:
        return await self._answer("inventory", self._inventory)

    async def prune(self, definition: TargetDefinition, *, system: str) -> None:
        await self._answer("prune", lambda: None)

    async def repair(self, definition: TargetDefinition, drift: Drift, *, system: str) -> tuple[str, ...]:
        return await self._answer("repair", lambda: self._repair(drift))

    async def _answer(self, method: str, honest: Honest) -> Any:
        self.calls.append(method)
        steps = self._steps[method]
        return await steps.popleft()(honest) if steps else honest()

    def _identity(self, definition: TargetDefinition) -> TargetIdentity:
        facts = {"installation": self.installation, "name": definition.name, "system": self.system}
        return TargetIdentity(digest=digest_of_value(facts), system=self.system, facts=facts)

    def _grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        if order.identity_digest != self._identity(definition).digest:
            raise TargetDrifted
        known = self.roles.get(order.role_name)
        if known is not None and known.is_dropped:
            raise TargetRefused("The role name was used before.")
        now = self._clock.now()
        role = known or ScriptedRole(order, now, now + timedelta(seconds=order.duration_seconds))
        self.roles[order.role_name] = role
        return LiveGrant(
            role_name=order.role_name,
            role_ref=f"scripted:{order.role_name}",
            granted_at=role.granted_at,
            expires_at=role.expires_at,
            remaining_seconds=(role.expires_at - now).total_seconds(),
            adopted=known is not None,
        )

    def _inventory(self) -> TargetInventory:
        now = self._clock.now()
        roles = [self._found(name, role, now) for name, role in self.roles.items() if not role.is_dropped]
        return TargetInventory(system=self.system, is_current=True, is_sealed=self.is_sealed, roles=tuple(roles))

    def _found(self, name: str, role: ScriptedRole, now: datetime) -> FoundRole:
        return FoundRole(
            name=name,
            ref=f"scripted:{name}",
            is_covered=role.is_covered,
            issuer=role.issuer,
            expires_at=role.expires_at,
            is_expired=role.expires_at <= now,
            valid_until=role.valid_until or str(role.expires_at),
            keeps_valid_until=role.valid_until is None,
            can_login=True,
            in_group=True,
            is_taken_over=False,
        )

    def _repair(self, drift: Drift) -> tuple[str, ...]:
        assert drift.role_name is not None
        role = self.roles[drift.role_name]
        match drift.repair:
            case Repair.RESTORE_EXPIRY:
                assert drift.expires_at is not None
                role.valid_until, role.expires_at = None, min(role.expires_at, drift.expires_at)
            case Repair.REMOVE_ROLE:
                role.is_dropped = True
        return ()

    def _set_verifier(self, grant: GrantMark, password: str, generation: int) -> ConnectionDetails:
        if grant.system != self.system:
            raise TargetDrifted
        if grant.role_name not in self.live_roles:
            raise TargetRefused("There is no such role.")
        role = self.roles[grant.role_name]
        if generation <= role.generation:
            raise TargetRefused("Later credentials were set already.")
        role.password, role.generation = password, generation
        return ConnectionDetails(host="127.0.0.1", port=5432, database="orders")

    def _revert(self, grant: GrantMark) -> RevertOutcome:
        if grant.system != self.system:
            return RevertOutcome(proven=False, proof={"system": self.system}, blockers=("another_system_answers",))
        if grant.role_ref is not None and grant.role_name not in self.roles:
            return RevertOutcome(proven=False, proof={"known": False}, blockers=("grant_unknown_to_the_target",))
        if grant.role_name in self.roles:
            self.roles[grant.role_name].is_dropped = True
        proof = {"sessions": 0, "role_name": grant.role_name, "login": "refused"}
        return RevertOutcome(proven=True, proof=proof, blockers=(), accesses=self.accesses)


async def unavailable(honest: Honest) -> Any:
    """Do nothing and do not answer."""
    raise TargetUnavailable("The target did not answer.")


async def answer_lost(honest: Honest) -> Any:
    """Do it, but let the answer get lost on its way."""
    honest()
    raise TargetUnavailable("The connection broke.")


async def refused(honest: Honest) -> Any:
    """Say no."""
    raise TargetRefused("The target is read-only.")


async def crash_afterwards(honest: Honest) -> Any:
    """Do it, then end the task that asked for it, as the death of the process would."""
    honest()
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def unproven(*blockers: str) -> Step:
    """Take the call, but prove nothing; the role stays."""

    async def step(honest: Honest) -> RevertOutcome:
        return RevertOutcome(proven=False, proof={"sessions": 1}, blockers=blockers)

    return step


def held_until(release: asyncio.Event, *, then: Step | None = None) -> Step:
    """Wait for the event before answering."""

    async def step(honest: Honest) -> Any:
        await release.wait()
        return await then(honest) if then is not None else honest()

    return step


def meanwhile(something: Callable[[], Awaitable[object]]) -> Step:
    """Let something happen while the target is at work, then answer honestly."""

    async def step(honest: Honest) -> Any:
        await something()
        return honest()

    return step
