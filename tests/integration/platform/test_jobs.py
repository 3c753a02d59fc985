"""Jobs on the real store: claimed by one, retried, taken up after a crash, and gone when they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from tests.support.store import as_owner, as_system, rows_as_owner
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform import jobs
from trustpack.platform.database import open_pool, store_logins
from trustpack.platform.jobs import LEASE_SECONDS, Job, JobRunner, RetryLater, Worker, backoff_seconds
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import UnitOfWork

KIND = "test.job"
pytestmark = pytest.mark.usefixtures("no_other_due_work")


class TargetAway(TrustpackError):
    kind = ErrorKind.UNAVAILABLE
    code = "test.target_away"


def worker_with(container: Container, handler: Callable[[Job], Awaitable[None]]) -> Worker:
    return worker_on(container, runner_with(container, handler))


def worker_on(container: Container, runner: JobRunner) -> Worker:
    return Worker(runner, system_pool=container.system_pool, unit_of_work=container.unit_of_work, poll_seconds=0.02)


def runner_with(container: Container, handler: Callable[[Job], Awaitable[None]]) -> JobRunner:
    return JobRunner(container.unit_of_work, {KIND: handler})


async def do_nothing(job: Job) -> None:
    """A handler that leaves its job where it is."""


async def schedule(
    world: World, *, subject_id: str = "s1", after: timedelta = timedelta(), kind: str = KIND, lane: str | None = None
) -> str:
    """Schedule a job and return its id."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await jobs.schedule(tx, kind=kind, subject_id=subject_id, due_at=tx.now + after, lane=lane)
        row = await tx.fetch_one(
            "SELECT id FROM trustpack.jobs WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND subject_id = %(subject)s",
            {"tenant": world.tenant_id, "kind": kind, "subject": subject_id},
        )
    assert row is not None
    return str(row["id"])


def finishing(container: Container, done: list[str]) -> Callable[[Job], Awaitable[None]]:
    """Return a handler that does its work and finishes its job."""

    async def handle(job: Job) -> None:
        async with container.unit_of_work.transaction(job.tenant_id) as tx:
            await jobs.finish(tx, job)
        done.append(job.subject_id)

    return handle


def stored(settings: Settings, job_id: str) -> dict[str, Any]:
    [row] = rows_as_owner(
        settings, "SELECT * , locked_until > clock_timestamp() AS is_leased FROM trustpack.jobs WHERE id = %s", job_id
    )
    return row


def lapse(settings: Settings, job_id: str) -> None:
    """Let the lease of a job run out, as it does after its process was killed."""
    with as_owner(settings) as connection:
        connection.execute(
            "UPDATE trustpack.jobs SET locked_until = clock_timestamp() - interval '1 second' WHERE id = %s", (job_id,)
        )


async def test_a_due_job_is_claimed_by_exactly_one_of_eight(container: Container, world: World):
    job_id = await schedule(world)
    runners = [runner_with(container, do_nothing) for _ in range(8)]

    claimed = await asyncio.gather(*(runner.claim(world.tenant_id, job_id) for runner in runners))

    assert len([job for job in claimed if job is not None]) == 1


async def test_eight_claimers_share_forty_jobs_without_doing_one_twice(container: Container, world: World):
    job_ids = [await schedule(world, subject_id=f"s{number}") for number in range(40)]
    runner = runner_with(container, do_nothing)

    async def claim_all() -> list[str]:
        return [job.id for job_id in job_ids if (job := await runner.claim(world.tenant_id, job_id)) is not None]

    shares = await asyncio.gather(*(claim_all() for _ in range(8)))

    assert sorted(job_id for share in shares for job_id in share) == sorted(job_ids)


async def test_a_claimed_job_says_what_is_to_be_done(container: Container, world: World):
    job_id = await schedule(world, subject_id="s7")

    job = await runner_with(container, do_nothing).claim(world.tenant_id, job_id)

    assert job is not None
    assert (job.tenant_id, job.id, job.kind, job.subject_id, job.attempts) == (world.tenant_id, job_id, KIND, "s7", 1)


async def test_a_job_is_not_claimed_before_it_is_due(container: Container, world: World):
    job_id = await schedule(world, after=timedelta(hours=1))

    early = await runner_with(container, do_nothing).claim(world.tenant_id, job_id)
    world.clock.advance(hours=1, seconds=1)
    on_time = await runner_with(container, do_nothing).claim(world.tenant_id, job_id)

    assert early is None
    assert on_time is not None


async def test_a_job_of_another_tenant_cannot_be_claimed(container: Container, world: World, other_world: World):
    job_id = await schedule(world)

    assert await runner_with(container, do_nothing).claim(other_world.tenant_id, job_id) is None


async def test_a_job_whose_process_was_killed_is_taken_up_when_its_lease_has_run_out(
    container: Container, settings: Settings, world: World
):
    job_id = await schedule(world)
    runner = runner_with(container, do_nothing)
    await runner.claim(world.tenant_id, job_id)

    while_leased = await runner.claim(world.tenant_id, job_id)
    lapse(settings, job_id)
    taken_up = await runner.claim(world.tenant_id, job_id)

    assert while_leased is None
    assert taken_up is not None
    assert taken_up.attempts == 2


async def test_run_due_finishes_what_is_due_and_counts_it(container: Container, settings: Settings, world: World):
    for number in range(3):
        await schedule(world, subject_id=f"due{number}")
    await schedule(world, subject_id="later", after=timedelta(hours=1))
    done: list[str] = []

    count = await worker_with(container, finishing(container, done)).run_due()

    left = rows_as_owner(settings, "SELECT subject_id FROM trustpack.jobs WHERE kind = %s", KIND)
    assert count == 3
    assert sorted(done) == ["due0", "due1", "due2"]
    assert [row["subject_id"] for row in left] == ["later"]


async def test_run_due_does_jobs_of_every_tenant(container: Container, world: World, other_world: World):
    await schedule(world, subject_id="one")
    await schedule(other_world, subject_id="other")
    done: list[str] = []

    await worker_with(container, finishing(container, done)).run_due()

    assert sorted(done) == ["one", "other"]


async def test_run_due_without_work_does_nothing(container: Container):
    assert await worker_with(container, do_nothing).run_due() == 0


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ValueError("a bug"), "ValueError"),
        (TargetAway(), "test.target_away"),
        (RetryLater(code="target.unreachable"), "target.unreachable"),
    ],
    ids=["bug", "named error", "retry later"],
)
async def test_a_handler_that_raises_is_put_off_and_its_error_kept(
    container: Container, settings: Settings, world: World, error: Exception, kept: str
):
    job_id = await schedule(world)

    async def fail(job: Job) -> None:
        raise error

    before = world.clock.now()
    await worker_with(container, fail).run_due()
    pause = timedelta(seconds=backoff_seconds(1))

    job = stored(settings, job_id)
    assert (job["last_error"], job["attempts"], job["locked_until"]) == (kept, 1, None)
    assert before + pause <= job["due_at"] <= world.clock.now() + pause


async def test_a_job_that_was_put_off_is_tried_again_when_its_pause_is_over(container: Container, world: World):
    await schedule(world)
    attempts: list[int] = []

    async def fail_once(job: Job) -> None:
        attempts.append(job.attempts)
        if len(attempts) == 1:
            raise TargetAway
        await finishing(container, [])(job)

    worker = worker_with(container, fail_once)
    await worker.run_due()
    world.clock.advance(seconds=2)
    await worker.run_due()

    assert attempts == [1, 2]


async def test_a_job_without_a_handler_stays_and_says_so(container: Container, settings: Settings, world: World):
    job_id = await schedule(world, kind="test.unknown")

    await worker_with(container, do_nothing).run_due()

    assert stored(settings, job_id)["last_error"] == "KeyError"


async def test_a_failure_does_not_stop_the_other_jobs(container: Container, world: World):
    for subject in ("bad", "good"):
        await schedule(world, subject_id=subject)
    done: list[str] = []

    async def handle(job: Job) -> None:
        if job.subject_id == "bad":
            raise ValueError
        await finishing(container, done)(job)

    await worker_with(container, handle).run_due()

    assert done == ["good"]


async def test_a_failure_that_cannot_be_written_down_does_not_escape_the_runner(
    container: Container, settings: Settings, world: World
):
    job_id = await schedule(world)
    job = await runner_with(container, do_nothing).claim(world.tenant_id, job_id)
    assert job is not None
    closed_pool = await open_pool(store_logins(settings).app, size=2)
    await closed_pool.close()
    cut_off = UnitOfWork(closed_pool, clock=container.unit_of_work.clock, ids=container.unit_of_work.ids)

    async def fail(job: Job) -> None:
        raise TargetAway

    await JobRunner(cut_off, {KIND: fail}).run(job)

    assert stored(settings, job_id)["attempts"] == 1


@pytest.mark.slow
async def test_the_lease_of_a_long_handler_is_renewed_so_that_nobody_else_gets_the_job(
    container: Container, settings: Settings, world: World
):
    job_id = await schedule(world)
    may_end = asyncio.Event()

    async def long(job: Job) -> None:
        await may_end.wait()

    runner = runner_with(container, long)
    job = await runner.claim(world.tenant_id, job_id)
    assert job is not None
    running = asyncio.create_task(runner.run(job))
    first_lease = stored(settings, job_id)["locked_until"]
    deadline = asyncio.get_running_loop().time() + LEASE_SECONDS * 2

    stolen: list[Job] = []
    while (lease := stored(settings, job_id))["locked_until"] <= first_lease + timedelta(seconds=LEASE_SECONDS * 0.6):
        assert asyncio.get_running_loop().time() < deadline, f"the lease was not renewed: {lease}"
        if (other := await runner.claim(world.tenant_id, job_id)) is not None:
            stolen.append(other)
        await asyncio.sleep(0.1)
    may_end.set()
    await running

    assert stolen == []


async def test_a_worker_that_lost_its_lease_does_not_overwrite_the_next_ones(
    container: Container, settings: Settings, world: World
):
    job_id = await schedule(world)

    async def lose_and_fail(job: Job) -> None:
        lapse(settings, job_id)
        assert await runner_with(container, do_nothing).claim(world.tenant_id, job_id) is not None
        raise TargetAway

    await worker_with(container, lose_and_fail).run_due()

    job = stored(settings, job_id)
    assert (job["attempts"], job["last_error"], job["is_leased"]) == (2, None, True)


async def test_finishing_and_its_outcome_are_one_transaction(container: Container, settings: Settings, world: World):
    job_id = await schedule(world)
    job = await runner_with(container, do_nothing).claim(world.tenant_id, job_id)
    assert job is not None

    with pytest.raises(ValueError, match="outcome"):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await jobs.finish(tx, job)
            raise ValueError("outcome")

    assert stored(settings, job_id)["id"] == job_id


async def test_scheduling_again_moves_the_job_and_forgets_its_failures(container: Container, settings: Settings, world: World):
    job_id = await schedule(world)

    async def fail(job: Job) -> None:
        raise TargetAway

    await worker_with(container, fail).run_due()

    again = await schedule(world, after=timedelta(hours=2))

    job = stored(settings, again)
    assert again == job_id
    assert (job["attempts"], job["last_error"], job["locked_until"]) == (0, None, None)
    assert job["due_at"] > world.clock.now() + timedelta(hours=1)


async def test_a_job_scheduled_as_claimed_is_the_callers(container: Container, world: World):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        job = await jobs.schedule_claimed(tx, kind=KIND, subject_id="s1")

    assert job is not None
    assert job.attempts == 1
    assert await runner_with(container, do_nothing).claim(world.tenant_id, job.id) is None


async def test_a_job_of_a_caller_that_died_is_done_by_a_worker(container: Container, settings: Settings, world: World):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        job = await jobs.schedule_claimed(tx, kind=KIND, subject_id="s1")
    assert job is not None
    lapse(settings, job.id)
    done: list[str] = []

    await worker_with(container, finishing(container, done)).run_due()

    assert done == ["s1"]


async def test_a_cancelled_job_is_not_done(container: Container, world: World):
    await schedule(world)
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        await jobs.cancel(tx, kind=KIND, subject_id="s1")
    done: list[str] = []

    await worker_with(container, finishing(container, done)).run_due()

    assert done == []


async def test_a_job_of_a_rolled_back_transaction_does_not_exist(container: Container, world: World):
    with pytest.raises(ValueError):  # noqa: PT012 - the transaction's end raises
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await jobs.schedule(tx, kind=KIND, subject_id="s1", due_at=tx.now)
            raise ValueError
    done: list[str] = []

    await worker_with(container, finishing(container, done)).run_due()

    assert done == []


async def test_the_loop_does_what_falls_due_and_lets_it_end_after_it_was_stopped(container: Container, world: World):
    begun, may_end, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def handle(job: Job) -> None:
        begun.set()
        await may_end.wait()
        await finishing(container, done)(job)

    runner = runner_with(container, handle)
    loop = asyncio.create_task(worker_on(container, runner).run(stop))
    await schedule(world)
    await asyncio.wait_for(begun.wait(), timeout=30)
    stop.set()
    await asyncio.wait_for(loop, timeout=30)
    may_end.set()
    await runner.drain(grace_seconds=30)

    assert done == ["s1"]


async def test_a_job_that_does_not_end_in_the_grace_is_left_to_the_next_worker(
    container: Container, settings: Settings, world: World
):
    job_id = await schedule(world)
    begun = asyncio.Event()

    async def never_end(job: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    runner = runner_with(container, never_end)
    job = await runner.claim(world.tenant_id, job_id)
    assert job is not None
    task = runner.start(job)
    await asyncio.wait_for(begun.wait(), timeout=30)

    await runner.drain(grace_seconds=0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    lapse(settings, job_id)
    done: list[str] = []
    await worker_with(container, finishing(container, done)).run_due()

    assert done == ["s1"]


async def test_the_loop_runs_no_more_jobs_at_a_time_than_it_may(
    container: Container, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trustpack.platform.jobs.worker.CONCURRENT_JOBS", 3)
    for number in range(6):
        await schedule(world, subject_id=f"s{number}", lane=f"lane{number}")
    done: list[str] = []
    begun: list[str] = []
    stop, may_end = asyncio.Event(), asyncio.Event()
    polls_when_full = 0
    start_due_jobs = Worker._start_due_jobs

    async def handle(job: Job) -> None:
        begun.append(job.id)
        await may_end.wait()
        await finishing(container, done)(job)
        if len(done) == 6:
            stop.set()

    async def poll(worker: Worker) -> None:
        nonlocal polls_when_full
        await start_due_jobs(worker)
        polls_when_full += len(begun) >= 3
        if polls_when_full == 3 and not may_end.is_set():
            at_once.append(len(begun))
            may_end.set()

    at_once: list[int] = []
    monkeypatch.setattr(Worker, "_start_due_jobs", poll)

    await asyncio.wait_for(worker_with(container, handle).run(stop), timeout=30)

    assert at_once == [3]
    assert len(done) == 6


async def test_each_job_leaves_one_line_without_its_payload(container: Container, world: World):
    await schedule(world)

    with capture_logs() as lines:
        await worker_with(container, finishing(container, [])).run_due()

    [line] = [line for line in lines if line["event"] == "job"]
    assert (line["job_kind"], line["subject_id"], line["outcome"], line["tenant_id"]) == (KIND, "s1", "done", world.tenant_id)


async def test_the_finder_of_due_work_cannot_see_which_subject_it_is_about(settings: Settings, world: World):
    await schedule(world)

    with as_system(settings) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT subject_id FROM trustpack.jobs")
