"""One transaction per use case: all or nothing, one tenant, and no answer before the commit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import LiteralString

import httpx2
import psycopg
import pytest
from fastapi import FastAPI, Response
from psycopg import waiting
from psycopg.pq import PipelineStatus
from starlette.middleware import Middleware

from tests.support.matrix import recorded_statements
from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.platform import jobs
from trustpack.platform.database import open_pool, store_logins
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.platform.web import problems
from trustpack.platform.web.middleware import RequestFrame

KIND = "test.unit_of_work"


async def write(tx: Transaction, subject_id: str) -> None:
    """Write a row that needs no receipt and that no worker runs."""
    await jobs.schedule(tx, kind=KIND, subject_id=subject_id, due_at=tx.now.replace(year=9999))


def written(settings: Settings, tenant_id: str) -> list[str]:
    rows = rows_as_owner(settings, "SELECT subject_id FROM trustpack.jobs WHERE tenant_id = %s AND kind = %s", tenant_id, KIND)
    return sorted(row["subject_id"] for row in rows)


async def write_team_without_receipt(tx: Transaction) -> None:
    await tx.write(
        "INSERT INTO trustpack.teams (tenant_id, id, version, status, name, created_at)"
        " VALUES (%(tenant)s, %(id)s, 1, 'active', 'ghosts', %(now)s)",
        {"tenant": tx.tenant_id, "id": tx.new_id("team"), "now": tx.now},
    )


async def test_what_was_written_is_there_after_the_end(container: Container, settings: Settings, world: World):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        await write(tx, "kept")

    assert written(settings, world.tenant_id) == ["kept"]


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), KeyboardInterrupt(), asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
async def test_any_exception_rolls_everything_back(container: Container, settings: Settings, world: World, error: BaseException):
    with pytest.raises(type(error)):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write(tx, "lost")
            await tx.flush()
            raise error

    assert written(settings, world.tenant_id) == []


async def test_an_exception_before_anything_was_sent_rolls_back_too(container: Container, settings: Settings, world: World):
    with pytest.raises(ValueError, match="a bug"):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write(tx, "lost")
            raise ValueError("a bug")

    assert written(settings, world.tenant_id) == []


async def test_a_queued_statement_that_fails_shows_at_the_end_at_the_latest(
    container: Container, settings: Settings, world: World
):
    with pytest.raises(psycopg.errors.NotNullViolation):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write(tx, "lost")
            await tx.write("INSERT INTO trustpack.jobs (tenant_id, id) VALUES (%(tenant)s, 'x')", {"tenant": tx.tenant_id})

    assert written(settings, world.tenant_id) == []


async def test_a_queued_statement_that_fails_shows_at_flush(container: Container, world: World):
    with pytest.raises(psycopg.errors.NotNullViolation):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await tx.write("INSERT INTO trustpack.jobs (tenant_id, id) VALUES (%(tenant)s, 'x')", {"tenant": tx.tenant_id})
            await tx.flush()
            pytest.fail("flush did not wait for the failure")


async def test_a_commit_that_fails_raises(container: Container, world: World):
    with pytest.raises(psycopg.errors.CheckViolation):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write_team_without_receipt(tx)
            await tx.flush()


async def test_an_error_that_was_swallowed_does_not_pass_for_a_commit(container: Container, settings: Settings, world: World):
    async def swallow() -> None:
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write(tx, "lost")
            try:
                await tx.write("INSERT INTO trustpack.jobs (tenant_id, id) VALUES (%(tenant)s, 'x')", {"tenant": tx.tenant_id})
                await tx.flush()
            except psycopg.errors.NotNullViolation:
                pass

    # PostgreSQL answers COMMIT in a failed transaction with ROLLBACK and without an error.
    with pytest.raises(psycopg.Error):
        await swallow()

    assert written(settings, world.tenant_id) == []


async def test_nothing_is_answered_when_the_commit_fails(container: Container, world: World):
    app = FastAPI(middleware=[Middleware(RequestFrame, ids=container.unit_of_work.ids, max_body_bytes=1_000)])
    problems.install(app)

    @app.post("/teams")
    async def add() -> Response:
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write_team_without_receipt(tx)
            return Response(status_code=201)

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as client:
        response = await client.post("/teams")

    assert response.status_code == 500


@pytest.mark.parametrize("end", ["commit", "rollback", "failed commit"])
async def test_a_connection_is_clean_for_the_next_one(container: Container, settings: Settings, world: World, end: str):
    for number in range(settings.database_pool_size * 2):
        try:
            async with container.unit_of_work.transaction(world.tenant_id) as tx:
                await tx.flush()
                if end == "rollback":
                    raise ValueError  # noqa: TRY301 - it stands for any failure inside
                if end == "failed commit":
                    await write_team_without_receipt(tx)
        except (ValueError, psycopg.errors.CheckViolation):
            pass
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write(tx, str(number))

    assert len(written(settings, world.tenant_id)) == settings.database_pool_size * 2


async def test_a_connection_that_was_cut_is_replaced(container: Container, settings: Settings, world: World):
    with pytest.raises(psycopg.OperationalError):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            row = await tx.fetch_one("SELECT pg_backend_pid() AS pid", {})
            assert row is not None
            rows_as_owner(settings, "SELECT pg_terminate_backend(%s)", row["pid"])
            await write(tx, "lost")
            await tx.flush()

    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        await write(tx, "kept")
    assert written(settings, world.tenant_id) == ["kept"]


async def test_one_transaction_has_one_time(container: Container, world: World):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        first = tx.now
        world.clock.advance(seconds=1)

        assert tx.now == first


_JOBS: LiteralString = "SELECT subject_id, %(what)s::text AS what FROM trustpack.jobs WHERE tenant_id = %(tenant)s"


async def test_a_snapshot_sends_the_same_question_once_and_every_other(world: World, monkeypatch: pytest.MonkeyPatch):
    with recorded_statements(monkeypatch) as sent:
        async with world.container.unit_of_work.snapshot(world.tenant_id) as tx:
            answers = [
                await tx.fetch_one("SELECT pg_typeof(%(one)s)::text AS type, %(several)s::text[] AS several", parameters)
                for parameters in ({"one": 1, "several": ["a"]}, {"one": 1, "several": ["b"]}, {"one": True, "several": ["a"]})
                for _ in range(2)
            ]

    assert [tuple(answer.values()) for answer in answers if answer] == [
        *[("smallint", ["a"])] * 2, *[("smallint", ["b"])] * 2, *[("boolean", ["a"])] * 2,
    ]  # fmt: skip
    assert sum("pg_typeof" in statement for statement in sent) == 3


async def test_rows_that_one_reader_takes_apart_are_whole_for_the_next(world: World):
    async with world.container.unit_of_work.snapshot(world.tenant_id) as tx:
        first, second = [await tx.fetch_all("SELECT 1 AS a, 2 AS b", {}) for _ in range(2)]
        first[0].pop("a")
        third = await tx.fetch_one("SELECT 1 AS a, 2 AS b", {})

    assert (first, second, third) == ([{"b": 2}], [{"a": 1, "b": 2}], {"a": 1, "b": 2})


async def test_only_a_snapshot_keeps_its_answers_and_only_to_its_end(container: Container, world: World):
    asked = {"tenant": world.tenant_id, "what": "x"}
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        before = await tx.fetch_all(_JOBS, asked)
        await write(tx, "seen at once")
        after = await tx.fetch_all(_JOBS, asked)
    async with container.unit_of_work.snapshot(world.tenant_id) as tx:
        then = await tx.fetch_all(_JOBS, asked)
        async with container.unit_of_work.transaction(world.tenant_id) as writing:
            await write(writing, "seen by the next")
        still = await tx.fetch_all(_JOBS, asked)
    async with container.unit_of_work.snapshot(world.tenant_id) as tx:
        later = await tx.fetch_all(_JOBS, asked)

    assert [len(rows) - len(before) for rows in (after, then, still, later)] == [1, 1, 1, 2]


async def test_a_snapshot_shows_one_tenants_rows_to_that_tenant_alone(container: Container, world: World, other_world: World):
    seen = []
    for tenant_id in (world.tenant_id, other_world.tenant_id):
        async with container.unit_of_work.snapshot(tenant_id) as tx:
            seen.append(await tx.fetch_all("SELECT DISTINCT tenant_id FROM trustpack.people", {}))

    assert seen == [[{"tenant_id": world.tenant_id}], [{"tenant_id": other_world.tenant_id}]]


async def test_a_snapshot_changes_nothing(container: Container, world: World):
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.snapshot(world.tenant_id) as tx:
            await write(tx, "lost")
            await tx.flush()


async def test_a_tenants_name_is_data_and_not_sql(container: Container):
    async with container.unit_of_work.transaction("x'; SET LOCAL row_security = off; --\\") as tx:
        row = await tx.fetch_one("SELECT current_setting('trustpack.tenant') AS tenant", {})

    assert row == {"tenant": "x'; SET LOCAL row_security = off; --\\"}


async def test_after_a_transaction_its_connection_belongs_to_no_tenant(container: Container, settings: Settings, world: World):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        await write(tx, "kept")

    for _ in range(settings.database_pool_size):
        async with container.app_pool.connection() as connection:
            cursor = await connection.execute("SELECT nullif(current_setting('trustpack.tenant', true), '') AS tenant")
            assert await cursor.fetchone() == {"tenant": None}


async def test_a_thousand_interleaved_transactions_of_two_tenants_see_their_own_rows_only(
    container: Container, world: World, other_world: World
):
    seed = random.Random(7)
    seen: Counter[tuple[str, str]] = Counter()

    async def look(tenant_id: str, *, fails: bool) -> None:
        try:
            async with container.unit_of_work.transaction(tenant_id) as tx:
                rows = await tx.fetch_all("SELECT DISTINCT tenant_id FROM trustpack.people", {})
                await asyncio.sleep(0)
                rows = [*rows, *await tx.fetch_all("SELECT DISTINCT tenant_id FROM trustpack.receipts", {})]
                seen.update((tenant_id, row["tenant_id"]) for row in rows)
                if fails:
                    raise ValueError  # noqa: TRY301 - it stands for any failure inside
        except ValueError:
            pass

    tenants = [world.tenant_id, other_world.tenant_id] * 500
    seed.shuffle(tenants)
    await asyncio.gather(*(look(tenant_id, fails=seed.random() < 0.2) for tenant_id in tenants))

    assert seen == {(tenant_id, tenant_id): 1_000 for tenant_id in (world.tenant_id, other_world.tenant_id)}


async def test_a_consistent_transaction_sees_one_moment_and_writes_nothing(container: Container, world: World):
    async with container.unit_of_work.transaction(world.tenant_id, consistent=True) as reader:
        await reader.fetch_one("SELECT 1", {})
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await write(tx, "later")
        rows = await reader.fetch_all("SELECT id FROM trustpack.jobs WHERE kind = %(kind)s", {"kind": KIND})

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with container.unit_of_work.transaction(world.tenant_id, consistent=True) as reader:
            await write(reader, "never")
    assert rows == []


async def test_only_a_query_that_is_planned_anew_leaves_no_prepared_plan_behind(container: Container, world: World):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        await tx.fetch_all("SELECT 'planned once'", {})
        await tx.fetch_all("SELECT 'planned anew'", {}, plan_anew=True)
        prepared = await tx.fetch_all("SELECT statement FROM pg_prepared_statements", {})

    statements = {row["statement"] for row in prepared}
    assert "SELECT 'planned once'" in statements
    assert "SELECT 'planned anew'" not in statements


@pytest.mark.parametrize("steps", range(12))
async def test_a_transaction_that_is_cancelled_at_any_step_leaves_no_open_pipeline_behind(
    container: Container, settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch, steps: int
):
    # The driver lets others go first when the loop has been busy for a while, also between a pipeline's beginning and its use.
    monkeypatch.setattr(waiting, "MAX_BUSY_TIME", 0.0)
    pool = await open_pool(store_logins(settings).app, size=1)
    unit_of_work = UnitOfWork(pool, clock=container.unit_of_work.clock, ids=container.unit_of_work.ids)

    async def read() -> None:
        async with unit_of_work.transaction(world.tenant_id) as tx:
            await tx.fetch_all("SELECT id FROM trustpack.people WHERE tenant_id = %(tenant)s", {"tenant": world.tenant_id})

    try:
        reading = asyncio.create_task(read())
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        async with pool.connection() as connection:
            pipeline = connection.info.pipeline_status
    finally:
        await pool.close()

    assert pipeline == PipelineStatus.OFF
