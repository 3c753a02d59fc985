"""The gauges of waiting work are asked of the store, so they are true in a process without a worker."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import psycopg
import pytest

from tests.support.store import as_owner
from tests.support.world import World
from trustpack.app import http as http_module
from trustpack.app import readiness as readiness_module
from trustpack.app.bootstrap import Container
from trustpack.capabilities.policy import PolicyError
from trustpack.capabilities.policy.model import BundleMismatch, PolicyOutcome
from trustpack.platform import jobs
from trustpack.platform.settings import Settings

REVERT = "operations.revert"
pytestmark = pytest.mark.usefixtures("no_other_due_work")


async def schedule(world: World, *, kind: str, subject_id: str, late: timedelta) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await jobs.schedule(tx, kind=kind, subject_id=subject_id, due_at=tx.now - late)


async def gauge(http: httpx2.AsyncClient, name: str) -> float:
    text = (await http.get("/metrics")).text
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).rpartition(" ")[2])


async def test_due_work_is_counted_without_a_worker(http: httpx2.AsyncClient, world: World):
    await schedule(world, kind=REVERT, subject_id="s1", late=timedelta(seconds=90))
    await schedule(world, kind="test.other", subject_id="s2", late=timedelta(seconds=5))
    await schedule(world, kind="test.other", subject_id="later", late=timedelta(hours=-1))

    assert await gauge(http, "trustpack_jobs_due") == 2
    assert 90 <= await gauge(http, "trustpack_jobs_oldest_due_seconds") < 120


async def test_a_revert_that_failed_is_unproven_until_it_is_done(http: httpx2.AsyncClient, settings: Settings, world: World):
    await schedule(world, kind=REVERT, subject_id="s1", late=timedelta())
    before = await gauge(http, "trustpack_reverts_unproven")
    with as_owner(settings) as connection:
        connection.execute("UPDATE trustpack.jobs SET last_error = 'target.unreachable'")
    failed = await gauge(http, "trustpack_reverts_unproven")
    labelled = await gauge(http, f'trustpack_jobs_retrying{{kind="{REVERT}"}}')
    with as_owner(settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs")

    assert (before, failed, labelled) == (0, 1, 1)
    assert await gauge(http, "trustpack_reverts_unproven") == 0


async def test_a_second_attempt_is_no_failure(http: httpx2.AsyncClient, settings: Settings, world: World):
    await schedule(world, kind=REVERT, subject_id="s1", late=timedelta())
    with as_owner(settings) as connection:
        connection.execute("UPDATE trustpack.jobs SET attempts = 2")

    assert await gauge(http, "trustpack_reverts_unproven") == 0


async def test_with_the_store_away_the_gauges_are_unknown_and_not_zero(http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch):
    async def fail(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(http_module, "read_backlog", fail)

    assert str(await gauge(http, "trustpack_reverts_unproven")) == "nan"


@pytest.mark.parametrize(
    ("error", "checks"),
    [
        (BundleMismatch("other"), {"policy": "ok", "bundle": PolicyOutcome.BUNDLE_MISMATCH.value}),
        (PolicyError("gone"), {"policy": PolicyOutcome.ENGINE_CRASHED.value, "bundle": "unknown"}),
    ],
    ids=["another bundle", "no engine"],
)
async def test_readiness_tells_a_wrong_bundle_from_a_dead_engine(
    http: httpx2.AsyncClient,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
    error: PolicyError,
    checks: dict[str, str],
):
    async def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(type(container.gate.engine), "health", fail)

    response = await http.get("/readyz")

    assert response.status_code == 503
    assert checks.items() <= response.json()["checks"].items()


async def test_readiness_names_the_worker_only_where_it_runs(
    http: httpx2.AsyncClient, container: Container, monkeypatch: pytest.MonkeyPatch
):
    without = (await http.get("/readyz")).json()["checks"]
    monkeypatch.setattr(container.worker, "_polled_at", 0.0)
    monkeypatch.setattr("trustpack.platform.jobs.worker.monotonic_seconds", lambda: readiness_module._OLDEST_POLL_SECONDS + 1)

    response = await http.get("/readyz")

    assert "worker" not in without
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert "6 s ago" in response.json()["checks"]["worker"]
