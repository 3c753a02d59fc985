"""Run a step while the server dies at one point of it, and bring it back as an operator would."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tests.crash.steps import GOVERNED, Step
from tests.support.audit import drift_told, faults_of
from tests.support.crash_client import Client
from tests.support.crash_points import Crossing
from tests.support.estate import Estate, Process, a_server
from tests.support.store import as_owner, rows_as_owner
from trustpack.capabilities.operations.service.context import RECONCILE_JOB
from trustpack.platform.web.idempotency import SWEEP_JOB

_SETTLE_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.02
_AT_ONCE: Final = 4
_DEATH_SECONDS: Final = 60


@dataclass(slots=True)
class Killer:
    """One server, and one client that finds it dead and starts it again."""

    estate: Estate
    client: Client
    server: Process
    leases_are_over: bool = True
    """Whether it comes back so late that no lease of the dead is left; otherwise they run out after that, by themselves."""
    deaths: int = 0

    async def come_back(self) -> None:
        """Start the server again if it is dead, as an operator does."""
        if not self.server.has_died(within_seconds=0.05):
            return
        self.estate.wire.release()
        self.server.kill()
        self.deaths += 1
        if self.leases_are_over:
            with as_owner(self.estate.settings) as store:
                store.execute("UPDATE trustpack.jobs SET locked_until = clock_timestamp() - interval '1 second'")
        self.server.start()

    async def use(self, step: Step) -> None:
        """Have the server running with the settings of the step, and with no round that begins as it starts."""
        if self.server.environment != step.environment or self.server.has_died():
            self.server.kill()
            await self.put_off_rounds()
            self.server = a_server(self.estate, **step.environment)
            self.server.start()
            self.client.doors[:] = [self.server.url]

    async def put_off_rounds(self) -> None:
        """Have no target compared and no old key swept until a step asks for it.

        A comparison would find what a test has changed on a target, and neither round is part of a step beside which it comes.
        Of a running server the end of a round that was under way may still be noted.
        """
        rounds = [RECONCILE_JOB, SWEEP_JOB]
        async with asyncio.timeout(_SETTLE_SECONDS):
            while True:
                with as_owner(self.estate.settings) as store:
                    store.execute(
                        "UPDATE trustpack.jobs SET due_at = now() + interval '1 day' WHERE kind = ANY (%s)"
                        " AND (locked_until IS NULL OR locked_until < clock_timestamp())",
                        (rounds,),
                    )
                    left = store.execute("SELECT 1 FROM trustpack.jobs WHERE kind = ANY (%s) AND due_at <= now()", (rounds,))
                    if left.fetchone() is None:
                        return
                await asyncio.sleep(_PAUSE_SECONDS)

    async def trace(self, step: Step) -> list[Crossing]:
        """Run a step undisturbed and return the points of its own that it comes by, in order."""
        await self.use(step)
        await self.put_off_rounds()
        subject = await step.given(self.client)
        self.estate.wire.take_notes()
        self.estate.wire.note_points()
        with step.circumstances(self.estate):
            request_id = await step.when(self.client, subject)
            await self.settle(step, request_id, until=step.until)
        await self.settle(step, request_id)
        self.estate.wire.release()
        return [crossing for crossing in self.estate.wire.take_notes() if step.is_its_own(crossing)]

    async def prepare(self, step: Step, count: int) -> list[str]:
        """Return so many cases on which the step may be taken."""
        await self.use(step)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one() -> str:
            async with turns:
                return await step.given(self.client)

        return list(await asyncio.gather(*(one() for _ in range(count))))

    async def kill_at(self, step: Step, subject: str, *, point: str, occurrence: int) -> list[str]:
        """Take a step, die at one point of it, come back, and return what is wrong afterwards."""
        deaths, told = self.deaths, drift_told(self.estate)
        self.estate.wire.take_notes()
        await self.put_off_rounds()
        with step.circumstances(self.estate):
            self.estate.wire.kill_at(point, occurrence=occurrence)
            request_id = await step.when(self.client, subject)
            await self._die(deaths)
            await self.settle(step, request_id, until=step.until)
        if self.deaths == deaths:
            self.estate.wire.release()
            return [f"{step.name}: the server never came by {point} for the {occurrence}. time"]
        await self.settle(step, request_id)
        faults = faults_of(self.estate, [request_id], acknowledged=self.client.told.get(request_id, ()))
        news = drift_told(self.estate) - told
        if Counter(step.tells) - news or news - Counter((*step.tells, *step.may_tell)):
            faults.append(f"{sorted(news.elements())} was told, not {sorted(step.tells)}")
        return [f"{step.name}, killed at {point} ({occurrence}.): {fault}" for fault in faults]

    async def settle(self, step: Step, request_id: str, *, until: str | None = None) -> None:
        """Wait until the step has come to the given state, by default to its end."""
        wanted = until or step.ends
        if wanted is None:
            return
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while (status := self.status_of(request_id)) != wanted:
                    if self.server.has_died():
                        await self.come_back()
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{step.name}: {request_id} is {status}, and never became {wanted}") from None

    def status_of(self, request_id: str) -> str:
        [row] = rows_as_owner(self.estate.settings, "SELECT status FROM trustpack.high_risk_requests WHERE id = %s", request_id)
        return str(row["status"])

    async def close_everything(self) -> None:
        """Have every case that waits for people end: cancelled, or taken back."""
        await self.use(GOVERNED[0])
        waiting = rows_as_owner(
            self.estate.settings,
            "SELECT id, status FROM trustpack.high_risk_requests WHERE status IN ('pending_approval', 'approved', 'active')",
        )
        turns = asyncio.Semaphore(_AT_ONCE)

        async def close(request_id: str, status: str) -> None:
            async with turns:
                name = "revert" if status == "active" else "cancel"
                await self.client.act("user-engineer", request_id, name, {"reason": "the test is over"})

        await asyncio.gather(*(close(row["id"], row["status"]) for row in waiting))

    async def _die(self, deaths: int) -> None:
        # After the answer the client has noticed nothing yet.
        with suppress(TimeoutError):
            async with asyncio.timeout(_DEATH_SECONDS):
                while self.deaths == deaths:
                    await self.come_back()
                    await asyncio.sleep(0)


def occurrences(points: Sequence[Crossing]) -> list[tuple[str, int]]:
    """Return each point with how often it has come by then, itself included."""
    seen: Counter[str] = Counter()
    found = []
    for crossing in points:
        seen[crossing.point] += 1
        found.append((crossing.point, seen[crossing.point]))
    return found
