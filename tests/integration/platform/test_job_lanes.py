"""What hangs or fails holds up its own lane and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.platform import jobs
from trustpack.platform.jobs import JOBS_PER_LANE, Job, JobRunner, Worker
from trustpack.platform.system_clock import monotonic_seconds

KIND = "test.lane"
WATCH = "test.watch"
POLL_SECONDS = 0.3
PATIENCE_SECONDS = 30
pytestmark = pytest.mark.usefixtures("no_other_due_work")


async def schedule(world: World, subject_id: str, *, lane: str | None, kind: str = KIND) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await jobs.schedule(tx, kind=kind, subject_id=subject_id, due_at=tx.now, lane=lane)


def worker_with(
    container: Container,
    handler: Callable[[Job], Awaitable[None]],
    *,
    poll_seconds: float = POLL_SECONDS,
    most_of_kind: Mapping[str, int] | None = None,
) -> Worker:
    return Worker(
        JobRunner(container.unit_of_work, {KIND: handler, WATCH: handler}),
        system_pool=container.system_pool,
        unit_of_work=container.unit_of_work,
        poll_seconds=poll_seconds,
        most_of_kind=most_of_kind,
    )


@asynccontextmanager
async def looping(worker: Worker) -> AsyncIterator[None]:
    stop = asyncio.Event()
    loop = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(loop, PATIENCE_SECONDS)


class Hanging:
    """A handler that hangs on every job of a subject named `hang…` until `may_end`, and finishes the others."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.begun: list[str] = []
        self.beginnings = asyncio.Semaphore(0)
        self.may_end = asyncio.Event()
        self.lane_full = asyncio.Event()
        self.healthy_done = asyncio.Event()

    async def __call__(self, job: Job) -> None:
        self.begun.append(job.subject_id)
        self.beginnings.release()
        if len(self.begun) == JOBS_PER_LANE:
            self.lane_full.set()
        if job.subject_id.startswith("hang"):
            await self.may_end.wait()
        async with self.container.unit_of_work.transaction(job.tenant_id) as tx:
            await jobs.finish(tx, job)
        if not job.subject_id.startswith("hang"):
            self.healthy_done.set()

    async def begins(self, count: int) -> None:
        """Wait until so many more jobs have begun."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(count):
                await self.beginnings.acquire()


@pytest.mark.parametrize("same_tenant", [True, False], ids=["another lane", "another tenant's lane of the same name"])
async def test_ten_hanging_jobs_of_a_lane_do_not_delay_a_healthy_one(
    container: Container, world: World, other_world: World, same_tenant: bool
):
    for number in range(10):
        await schedule(world, f"hang{number}", lane="dead-target")
    handler = Hanging(container)
    worker = worker_with(container, handler)

    async with looping(worker):
        await asyncio.wait_for(handler.lane_full.wait(), PATIENCE_SECONDS)
        if same_tenant:
            await schedule(world, "healthy", lane="live-target")
        else:
            await schedule(other_world, "healthy", lane="dead-target")
        await asyncio.wait_for(handler.healthy_done.wait(), PATIENCE_SECONDS)
        begun = list(handler.begun)
        handler.may_end.set()

    assert len([subject for subject in begun if subject.startswith("hang")]) == JOBS_PER_LANE


async def test_more_due_jobs_than_a_scan_holds_do_not_hide_another_lane(
    container: Container, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trustpack.platform.jobs.worker.SCAN_LIMIT", 3)
    for number in range(10):
        await schedule(world, f"hang{number}", lane="dead-target")
    await schedule(world, "healthy", lane="live-target")
    handler = Hanging(container)

    async with looping(worker_with(container, handler)):
        await asyncio.wait_for(handler.healthy_done.wait(), PATIENCE_SECONDS)
        handler.may_end.set()


async def test_seventy_hanging_lanes_of_a_limited_kind_leave_places_to_others(container: Container, world: World):
    for number in range(70):
        await schedule(world, f"hang{number}", lane=f"dead-target-{number}", kind=WATCH)
    handler = Hanging(container)
    worker = worker_with(container, handler, most_of_kind={WATCH: 8})

    async with looping(worker):
        await handler.begins(8)
        await schedule(world, "healthy", lane="live-target")
        await asyncio.wait_for(handler.healthy_done.wait(), PATIENCE_SECONDS)
        begun = list(handler.begun)
        handler.may_end.set()
        await handler.begins(71 - 8)

    assert len([subject for subject in begun if subject.startswith("hang")]) == 8


async def test_more_due_jobs_of_a_limited_kind_than_a_scan_holds_hide_no_other_kind(
    container: Container, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trustpack.platform.jobs.worker.SCAN_LIMIT", 3)
    for number in range(10):
        await schedule(world, f"hang{number}", lane=f"dead-target-{number}", kind=WATCH)
    await schedule(world, "healthy", lane="live-target")
    handler = Hanging(container)

    async with looping(worker_with(container, handler, most_of_kind={WATCH: 8})):
        await asyncio.wait_for(handler.healthy_done.wait(), PATIENCE_SECONDS)
        first = handler.begun[0]
        handler.may_end.set()

    assert first == "healthy"


async def test_a_full_lane_goes_on_as_soon_as_a_job_ends_and_not_at_the_next_poll(container: Container, world: World):
    for number in range(6):
        await schedule(world, f"s{number}", lane=None)
    done = asyncio.Event()
    finished: list[str] = []

    async def handle(job: Job) -> None:
        async with container.unit_of_work.transaction(job.tenant_id) as tx:
            await jobs.finish(tx, job)
        finished.append(job.subject_id)
        if len(finished) == 6:
            done.set()

    async with looping(worker_with(container, handle, poll_seconds=60)):
        await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)

    assert sorted(finished) == [f"s{number}" for number in range(6)]


async def test_the_loop_survives_a_poll_that_raises_and_does_the_work_later(
    container: Container, world: World, monkeypatch: pytest.MonkeyPatch
):
    await schedule(world, "healthy", lane=None)
    handler = Hanging(container)
    worker = worker_with(container, handler, poll_seconds=0.02)
    claim, raised = JobRunner.claim, []

    async def break_once(self: JobRunner, tenant_id: str, job_id: str) -> Job | None:
        if not raised:
            raised.append(True)
            raise RuntimeError("a bug")
        return await claim(self, tenant_id, job_id)

    monkeypatch.setattr(JobRunner, "claim", break_once)

    async with looping(worker):
        await asyncio.wait_for(handler.healthy_done.wait(), PATIENCE_SECONDS)

    assert raised == [True]


async def test_the_age_of_the_last_poll_is_known_only_while_the_loop_runs(container: Container):
    worker = worker_with(container, Hanging(container), poll_seconds=0.02)

    before = worker.poll_age_seconds
    async with looping(worker):
        await asyncio.sleep(0.2)
        during = worker.poll_age_seconds

    assert (before, worker.poll_age_seconds) == (None, None)
    assert during is not None
    assert during < PATIENCE_SECONDS


async def test_a_poll_that_fails_lets_the_age_grow(container: Container, monkeypatch: pytest.MonkeyPatch):
    worker = worker_with(container, Hanging(container), poll_seconds=0.02)

    failed_at: list[float] = []
    has_failed_often = asyncio.Event()

    async def fail() -> None:
        failed_at.append(monotonic_seconds())
        if len(failed_at) == 5:
            has_failed_often.set()
        raise RuntimeError

    monkeypatch.setattr(worker, "_start_due_jobs", fail)

    async with looping(worker):
        await asyncio.wait_for(has_failed_often.wait(), PATIENCE_SECONDS)
        since_the_first, age = monotonic_seconds() - failed_at[0], worker.poll_age_seconds

    assert age is not None
    assert age >= since_the_first


async def test_draining_waits_until_the_cancelled_jobs_have_ended(container: Container, world: World):
    ended: list[str] = []
    has_begun = asyncio.Event()

    async def hang(job: Job) -> None:
        has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended.append(job.subject_id)

    runner = JobRunner(container.unit_of_work, {KIND: hang})
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        job = await jobs.schedule_claimed(tx, kind=KIND, subject_id="s1")
    assert job is not None
    task = runner.start(job)
    await asyncio.wait_for(has_begun.wait(), PATIENCE_SECONDS)

    await runner.drain(grace_seconds=0.01)

    assert ended == ["s1"]
    with suppress(asyncio.CancelledError):
        await task
