"""The real store, migrated once per run, and fresh tenants on it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx2
import hypothesis
import psycopg
import pytest
from pydantic import SecretStr

from tests.support.clock import MovableClock
from tests.support.store import as_owner
from tests.support.targets import BIN_PATHS, require_version, running_cluster
from tests.support.world import CAST, World
from trustpack.app.bootstrap import Container, open_container, prepare_store
from trustpack.app.http import build_app
from trustpack.capabilities import directory
from trustpack.kernel.actor import system_actor
from trustpack.platform.database import embedded_cluster
from trustpack.platform.settings import Settings

_tenants = count(1)
# How long one example takes says how busy the machine is, not whether the property holds.
hypothesis.settings.register_profile(
    "busy", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run name the server of its store."""
    versions = [str(version) for version in BIN_PATHS]
    parser.addoption("--store", choices=versions, help="major version of PostgreSQL to keep the store on (default: the embedded)")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a process on a store of its own: on TRUSTPACK_TEST_DATABASE_URL, on the version of --store, or embedded."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    with _store_url(data_dir, version=request.config.getoption("--store")) as url:
        made = Settings(
            data_dir=data_dir,
            database_url=SecretStr(url) if url else None,
            database_pool_size=12,
            worker_poll_seconds=0.05,
            policy_deadline_ms=5000,  # the machine may be busy
            token_requests_per_second=0,
            failed_sign_ins_per_minute=0,
            _env_file=None,
        )
        prepare_store(made)
        if url is None:
            with as_owner(made) as connection:
                # The machine outlives the run: what a commit wrote need not reach a disk.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
        yield made
        if url is None:
            embedded_cluster(made).stop(mode="immediate")


@contextmanager
def _store_url(data_dir: Path, *, version: str | None) -> Iterator[str | None]:
    if version is None:
        yield os.environ.get("TRUSTPACK_TEST_DATABASE_URL")
        return
    require_version(int(version))
    with running_cluster(data_dir / "server", int(version)) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE trustpack")
            assert connection.info.server_version // 10000 == int(version)
        yield cluster.url(database="trustpack")


@pytest.fixture(scope="session")
def clock() -> MovableClock:
    """The clock of the application under test."""
    return MovableClock()


@pytest.fixture(scope="session")
async def container(settings: Settings, clock: MovableClock) -> AsyncIterator[Container]:
    """The running parts of the application."""
    async with open_container(settings, clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
async def http(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that speaks to the whole application in this process, without the worker's loop."""
    app = build_app(container, with_worker=False)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as client:
        yield client


@pytest.fixture
async def world(container: Container, clock: MovableClock, http: httpx2.AsyncClient) -> World:
    """A fresh tenant with the usual people and a record target."""
    return await _new_world(container, clock, http)


@pytest.fixture
async def other_world(container: Container, clock: MovableClock, http: httpx2.AsyncClient) -> World:
    """A second tenant, just like the first."""
    return await _new_world(container, clock, http)


async def _new_world(container: Container, clock: MovableClock, http: httpx2.AsyncClient) -> World:
    made = World(tenant_id=f"tenant-{next(_tenants)}", container=container, clock=clock, http=http)
    async with container.unit_of_work.transaction(made.tenant_id) as tx:
        await directory.create_tenant(tx, system_actor(made.tenant_id, "operator"), name=made.tenant_id, is_demo=True)
    for handle, roles in CAST.items():
        await made.add_person(handle, *roles)
    await made.add_target()
    return made
