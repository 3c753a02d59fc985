"""A lease belongs to one claim: nobody takes a live one, and who lost theirs changes nothing any more."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.store import as_owner, rows_as_owner
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.kernel.errors import TrustpackError
from trustpack.platform import jobs
from trustpack.platform.jobs import Job, JobRunner, RetryLater
from trustpack.platform.settings import Settings

KIND = "test.lease"
SUBJECT = "s1"
pytestmark = pytest.mark.usefixtures("no_other_due_work")


async def schedule(world: World, *, after: timedelta = timedelta()) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await jobs.schedule(tx, kind=KIND, subject_id=SUBJECT, due_at=tx.now + after)


async def take(world: World) -> Job | None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return await jobs.schedule_claimed(tx, kind=KIND, subject_id=SUBJECT)


async def taken(world: World) -> Job:
    job = await take(world)
    assert job is not None
    return job


async def finish(world: World, job: Job) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await jobs.finish(tx, job)


def stored(settings: Settings, world: World) -> list[dict[str, Any]]:
    return rows_as_owner(settings, "SELECT * FROM trustpack.jobs WHERE tenant_id = %s AND kind = %s", world.tenant_id, KIND)


def lapse(settings: Settings, job: Job) -> None:
    with as_owner(settings) as connection:
        connection.execute(
            "UPDATE trustpack.jobs SET locked_until = clock_timestamp() - interval '1 second' WHERE id = %s", (job.id,)
        )


async def run_with(container: Container, job: Job, handler: Any) -> None:
    await JobRunner(container.unit_of_work, {KIND: handler}).run(job)


async def test_of_twenty_that_ask_at_once_exactly_one_gets_the_job(settings: Settings, world: World):
    claims = await asyncio.gather(*(take(world) for _ in range(20)))

    [row] = stored(settings, world)
    assert len([job for job in claims if job is not None]) == 1
    assert row["attempts"] == 1


async def test_asking_for_a_waiting_job_claims_it_now_and_counts_on(settings: Settings, world: World):
    await schedule(world, after=timedelta(hours=1))
    with as_owner(settings) as connection:
        connection.execute("UPDATE trustpack.jobs SET attempts = 4, last_error = 'x' WHERE kind = %s", (KIND,))

    job = await taken(world)

    assert job.attempts == 5
    assert job.due_at <= world.clock.now()
    assert stored(settings, world)[0]["last_error"] == "x"


async def test_asking_while_somebody_works_brings_the_time_forward_and_leaves_the_lease(settings: Settings, world: World):
    job = await taken(world)
    await schedule(world, after=timedelta(hours=1))

    again = await take(world)

    [row] = stored(settings, world)
    assert again is None
    assert (row["lease_id"], row["attempts"]) == (job.lease_id, 1)
    assert row["due_at"] <= world.clock.now()


async def test_a_lease_that_ran_out_is_taken_over_under_a_new_id(settings: Settings, world: World):
    first = await taken(world)
    lapse(settings, first)

    second = await taken(world)

    assert second.lease_id != first.lease_id
    assert second.attempts == 2


async def test_who_lost_the_lease_does_not_delete_the_next_holders_job(settings: Settings, world: World):
    first = await taken(world)
    lapse(settings, first)
    second = await taken(world)

    await finish(world, first)
    left = stored(settings, world)
    await finish(world, second)

    assert [row["lease_id"] for row in left] == [second.lease_id]
    assert stored(settings, world) == []


async def test_who_lost_the_lease_does_not_put_off_the_next_holders_job(container: Container, settings: Settings, world: World):
    first = await taken(world)
    lapse(settings, first)
    second = await taken(world)

    async def fail(job: Job) -> None:
        raise RetryLater

    await run_with(container, first, fail)

    [row] = stored(settings, world)
    assert (row["lease_id"], row["last_error"]) == (second.lease_id, None)


async def test_a_handler_that_schedules_its_own_job_gives_the_lease_back(container: Container, settings: Settings, world: World):
    job = await taken(world)

    async def again(_: Job) -> None:
        await schedule(world, after=timedelta(hours=1))

    await run_with(container, job, again)

    [row] = stored(settings, world)
    assert (row["lease_id"], row["locked_until"], row["attempts"]) == (None, None, 0)
    assert row["due_at"] > world.clock.now() + timedelta(minutes=59)


async def test_scheduling_from_outside_leaves_a_live_lease_with_its_holder(settings: Settings, world: World):
    job = await taken(world)

    await schedule(world, after=timedelta(hours=1))

    [row] = stored(settings, world)
    assert (row["lease_id"], row["attempts"]) == (job.lease_id, 1)


async def test_scheduling_from_outside_clears_a_lease_that_ran_out(settings: Settings, world: World):
    job = await taken(world)
    lapse(settings, job)

    await schedule(world)

    [row] = stored(settings, world)
    assert (row["lease_id"], row["locked_until"], row["attempts"]) == (None, None, 0)


async def test_a_later_time_that_was_asked_for_meanwhile_outlives_the_finish(settings: Settings, world: World):
    job = await taken(world)
    await schedule(world, after=timedelta(hours=1))

    await finish(world, job)

    [row] = stored(settings, world)
    assert row["due_at"] > world.clock.now() + timedelta(minutes=59)


async def test_a_later_time_that_was_asked_for_meanwhile_outlives_a_failure(
    container: Container, settings: Settings, world: World
):
    job = await taken(world)
    due: list[datetime] = []

    async def fail(_: Job) -> None:
        # Another task has another context, as another process would: it is not the holder.
        await asyncio.create_task(ask_as_somebody_else())
        raise TrustpackError

    async def ask_as_somebody_else() -> None:
        jobs.queue.held_lease.set("")
        await schedule(world, after=timedelta(hours=1))
        due.append(stored(settings, world)[0]["due_at"])

    await run_with(container, job, fail)

    [row] = stored(settings, world)
    assert [row["due_at"]] == due
    assert row["lease_id"] is None
