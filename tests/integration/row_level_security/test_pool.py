"""A small pool, two tenants, and everything that goes wrong in between: no answer and no connection keeps the other's tenant."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import httpx2
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.support.clock import MovableClock
from tests.support.store import rows_as_owner
from tests.support.world import World, request_body
from trustpack.app.bootstrap import Container, open_container
from trustpack.app.http import build_app
from trustpack.platform.settings import Settings

POOL_SIZE = 3
REQUESTS = 1_000
AT_ONCE = 16
CANCELLED_SHARE = 0.15
LONGEST_LIFE_IN_STEPS = 60
"""How many turns of the event loop a request that will be cut off gets at most: enough to reach every place where it can wait."""
SEED = 20_261_122
URL = "/high-risk-ops/requests"
READERS = ("user-engineer", "user-team-lead", "user-security", "user-lead-and-security", "user-auditor", "user-admin")


@dataclass(slots=True)
class Side:
    """One tenant with a case, how to recognise what is its own, and what it may never be shown."""

    world: World
    case: str
    foreign_case: str = ""
    forbidden: frozenset[str] = frozenset()
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def marks(self) -> frozenset[str]:
        return frozenset({f"because of {self.world.tenant_id}.", *(person.id for person in self.world.people.values())})


@pytest.fixture
async def small(settings: Settings, clock: MovableClock) -> AsyncIterator[Container]:
    """The application on the same store with a pool of its own, much smaller than what is asked of it."""
    async with open_container(settings.model_copy(update={"database_pool_size": POOL_SIZE}), clock=clock) as container:
        yield container


@pytest.fixture
async def sides(small: Container, world: World, other_world: World) -> AsyncIterator[tuple[Side, Side]]:
    """Both tenants, in front of the small pool."""
    transport = httpx2.ASGITransport(app=build_app(small, with_worker=False), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as http:
        made = [replace(one, container=small, http=http) for one in (world, other_world)]
        here, there = [Side(one, (await one.ask(**reason(one)))["id"]) for one in made]
        here.foreign_case, here.forbidden = there.case, there.marks
        there.foreign_case, there.forbidden = here.case, here.marks
        yield here, there


def reason(world: World) -> dict[str, str]:
    return {"justification": f"because of {world.tenant_id}."}


async def list_all(side: Side, chance: random.Random) -> httpx2.Response:
    return await side.world.call(chance.choice(READERS), "GET", f"{URL}?limit=5")


async def read(side: Side, chance: random.Random) -> httpx2.Response:
    path = chance.choice([URL + "/{}", URL + "/{}/receipts", "/evidence/high-risk-ops/{}", "/policy/decisions?subject={}"])
    return await side.world.call(chance.choice(READERS), "GET", path.format(side.case))


async def read_foreign(side: Side, chance: random.Random) -> httpx2.Response:
    return await side.world.call(chance.choice(READERS), "GET", f"{URL}/{side.foreign_case}")


async def create(side: Side, chance: random.Random) -> httpx2.Response:
    key = f"{side.world.tenant_id}-{chance.getrandbits(64)}"
    return await side.world.call("user-engineer", "POST", URL, request_body(**reason(side.world)), key=key)


async def create_badly(side: Side, chance: random.Random) -> httpx2.Response:
    return await side.world.call("user-engineer", "POST", URL, request_body(duration_minutes=0))


async def act_wrongly(side: Side, chance: random.Random) -> httpx2.Response:
    return await side.world.act(chance.choice(READERS[1:]), side.case, "execute")


# What is asked, and how it may be answered; 429 is for who has left many refused attempts.
ASKED: Mapping[Callable[[Side, random.Random], Awaitable[httpx2.Response]], set[int]] = {
    list_all: {200},
    read: {200},
    read_foreign: {404},
    create: {201},
    create_badly: {422},
    act_wrongly: {403, 429},
}


async def fail_within(side: Side) -> None:
    """Run a transaction that fails while its statements are still under way."""
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with side.world.container.unit_of_work.transaction(side.world.tenant_id) as tx:
            await tx.write("SELECT 1 / 0", {})


async def fail_at_commit(side: Side) -> None:
    """Run a transaction whose commit is refused: a team without its receipt."""
    with pytest.raises(psycopg.errors.CheckViolation):
        async with side.world.container.unit_of_work.transaction(side.world.tenant_id) as tx:
            await tx.write(
                "INSERT INTO trustpack.teams (tenant_id, id, version, status, name, created_at)"
                " VALUES (%(tenant)s, %(id)s, 1, 'active', %(id)s, %(now)s)",
                {"tenant": tx.tenant_id, "id": tx.new_id("team"), "now": tx.now},
            )


async def lose_connection(side: Side) -> None:
    """Run a transaction whose connection is cut."""
    with pytest.raises(psycopg.OperationalError):  # noqa: PT012 - the transaction's end raises
        async with side.world.container.unit_of_work.transaction(side.world.tenant_id) as tx:
            row = await tx.fetch_one("SELECT pg_backend_pid() AS pid", {})
            assert row is not None
            rows_as_owner(side.world.container.settings, "SELECT pg_terminate_backend(%s)", row["pid"])
            await tx.flush()


async def look_without_tenant(side: Side) -> None:
    """Look through the pool for rows of anybody, as somebody who forgot to say for whom."""
    async with side.world.container.app_pool.connection() as connection:
        cursor = await connection.execute("SELECT count(*) AS seen FROM trustpack.people")
        assert await cursor.fetchone() == {"seen": 0}


Trouble: TypeAlias = Callable[[Side], Awaitable[None]]
TROUBLES: tuple[Trouble, ...] = (fail_within, fail_at_commit, lose_connection, look_without_tenant)


async def ask_once(side: Side, chance: random.Random) -> None:
    """Ask for something; look at the answer, or leave before it is there."""
    ask = chance.choice(list(ASKED))
    asked = asyncio.create_task(ask(side, chance))
    if chance.random() < CANCELLED_SHARE:
        for _ in range(chance.randrange(LONGEST_LIFE_IN_STEPS)):
            await asyncio.sleep(0)
        asked.cancel()
    await asyncio.wait({asked})
    if asked.cancelled():
        side.answers["cancelled", 0] += 1
        return
    answer = asked.result()
    side.answers[ask.__name__, int(answer.status_code)] += 1
    assert answer.status_code in ASKED[ask], answer.text
    assert [mark for mark in side.forbidden if mark in answer.text] == []
    if answer.status_code in {200, 201}:
        assert [mark for mark in side.marks if mark in answer.text] != []


async def left_on_connections(container: Container) -> list[tuple[str | None, TransactionStatus]]:
    """Return the tenant and the state that each connection of the pool is left with; all are taken at once to see each."""
    left = []
    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE):
            connection = await stack.enter_async_context(container.app_pool.connection())
            status = connection.info.transaction_status
            cursor = await connection.execute("SELECT nullif(current_setting('trustpack.tenant', true), '') AS tenant")
            row = await cursor.fetchone()
            assert row is not None
            left.append((row["tenant"], status))
    return left


@pytest.mark.slow
async def test_a_thousand_interleaved_requests_of_two_tenants_are_answered_with_the_own_tenants_data(
    small: Container, sides: tuple[Side, Side]
) -> None:
    chance = random.Random(SEED)
    gate = asyncio.Semaphore(AT_ONCE)

    async def pass_by(side: Side, seed: int, trouble: Trouble | None) -> None:
        async with gate:
            await (ask_once(side, random.Random(seed)) if trouble is None else trouble(side))

    asked: list[tuple[Side, Trouble | None]] = [(side, None) for side in sides for _ in range(REQUESTS // 2)]
    troubled = [(side, trouble) for side in sides for trouble in TROUBLES * 10]
    order = chance.sample([*asked, *troubled], k=len(asked) + len(troubled))
    await asyncio.gather(*(pass_by(side, number, trouble) for number, (side, trouble) in enumerate(order)))

    for side in sides:
        assert sum(side.answers.values()) == REQUESTS // 2
        assert {name for name, _ in side.answers} == {"cancelled", *(ask.__name__ for ask in ASKED)}
    assert await left_on_connections(small) == [(None, TransactionStatus.IDLE)] * POOL_SIZE
