"""Three thousand grants live at once on one target: made, listed, and taken back through the adapter, none of them failing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from bench_target import BenchTarget, running_target
from bench_tenant import SCOPE
from latencies import quantiles_of
from progress import Progress
from tables import Table

from trustpack.capabilities.operations.adapters.postgres.adapter import PostgresTargetAdapter
from trustpack.capabilities.operations.model import GrantMark, GrantOrder
from trustpack.platform.entropy import SystemIds
from trustpack.platform.settings import Settings
from trustpack.platform.system_clock import SystemClock

Item = TypeVar("Item")

_VERSION: Final = 18
_AT_ONCE: Final = 8
_SAMPLE: Final = 200
_TOLD_EVERY: Final = 500
_INVENTORIES: Final = 20
_ORDER: Final = {"scope": SCOPE, "duration_seconds": 7200, "connection_limit": 2}
_NOTES: Final = (
    "Every grant was made, was live together with all the others as the inventory says, and was proven gone at the end;",
    "no temporary role was left on the server. Sessions are used again as the product's are.",
)


@dataclass(slots=True)
class _Measurement:
    """Calls of the adapter on one target, and how long they took, as rows of the table."""

    target: BenchTarget
    adapter: PostgresTargetAdapter
    progress: Progress
    rows: list[tuple[str, ...]] = field(default_factory=list)

    async def run(self, number: int) -> None:
        identity = await self.adapter.identify(self.target.definition)
        ids = SystemIds(SystemClock())
        names = [f"tpk_{ids.random_bytes(16).hex()}" for _ in range(number)]

        async def grant(name: str) -> None:
            order = GrantOrder(role_name=name, identity_digest=identity.digest, **_ORDER)  # type: ignore[arg-type]
            await self.adapter.grant(self.target.definition, order)

        async def revert(name: str) -> None:
            mark = GrantMark(role_name=name, role_ref=None, system=identity.system)
            outcome = await self.adapter.revert(self.target.definition, mark)
            if not outcome.proven:
                raise SystemExit(f"a grant could not be proven gone: {outcome.blockers}")

        await self._from_first_to_last("grant", names, grant)
        await self._time(f"inventory of {number}", range(_INVENTORIES), lambda _: self._require_live(number), at_once=1)
        await self._from_first_to_last("revert", names, revert)
        await self._require_live(0)
        await self.adapter.aclose()

    async def _from_first_to_last(self, what: str, names: Sequence[str], call: Callable[[str], Awaitable[None]]) -> None:
        sample = min(_SAMPLE, len(names) // 3)
        await self._time(f"{what}, the first", names[:sample], call, at_once=1)
        await self._time(f"{what}, between", names[sample:-sample], call, at_once=_AT_ONCE)
        await self._time(f"{what}, the last", names[-sample:], call, at_once=1)

    async def _time(self, what: str, items: Sequence[Item], call: Callable[[Item], Awaitable[None]], *, at_once: int) -> None:
        waiting, durations = iter(items), list[float]()

        async def work() -> None:
            for item in waiting:
                started = time.perf_counter()
                await call(item)
                durations.append(time.perf_counter() - started)
                if len(durations) % _TOLD_EVERY == 0:
                    self.progress.tell(f"{what}: {len(durations)} of {len(items)}")

        await asyncio.gather(*(work() for _ in range(at_once)))
        self.progress.tell(f"{what}: done")
        self.rows.append((what, str(len(items)), str(at_once), *quantiles_of(durations).in_ms()))

    async def _require_live(self, number: int) -> None:
        inventory = await self.adapter.inventory(self.target.definition)
        live = [role for role in inventory.roles if role.is_covered and role.can_login and role.in_group]
        if (len(inventory.roles), len(live), self.target.live_roles()) != (number, number, number):
            raise SystemExit(f"{number} grants should be live on the target, but {len(live)} are")


def measure_live_grants(settings: Settings, *, grants: int) -> Table:
    """Have so many grants live at once on one target and return how long each call took on the way there and back."""
    with running_target(settings, _VERSION) as target:
        adapter = PostgresTargetAdapter(
            resolve_secret=lambda _: target.service_url,
            ids=SystemIds(SystemClock()),
            issuer="bench",
            idle_session_seconds=settings.target_idle_session_seconds,
        )
        measurement = _Measurement(target, adapter, Progress("live grants"))
        asyncio.run(measurement.run(grants))
    head = ("call", "calls", "at once", "p50 ms", "p95 ms", "p99 ms")
    return Table(f"{grants} grants live at once on PostgreSQL {_VERSION}", head, tuple(measurement.rows), _NOTES)
