"""A store, a target and two tenants that outlive every server process, and the real processes on them, to be killed at will."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import Connection

from tests.support.crash_points import Wire, keep_compiled_policies
from tests.support.server_process import PATIENT, STARTUP_SECONDS, wait_until
from tests.support.zygote import Zygote, has_ended
from trustpack.app.bootstrap import open_container
from trustpack.app.demo.seed import TENANTS, issue_tokens, seed_tenant
from trustpack.app.demo.target import DATABASE, DemoTarget
from trustpack.app.local_store import demo_store
from trustpack.platform.embedded_postgres import free_port
from trustpack.platform.settings import Settings

_ENVIRONMENT: Final = {
    **PATIENT,
    "TRUSTPACK_DATABASE_POOL_SIZE": "6",
    "TRUSTPACK_LOG_LEVEL": "warning",
    "TRUSTPACK_WORKER_POLL_SECONDS": "0.05",
}


@dataclass(slots=True)
class Estate:
    """What stays when a server dies. `tokens` are by tenant and handle."""

    settings: Settings
    wire: Wire
    zygote: Zygote
    tokens: Mapping[str, Mapping[str, str]]

    def as_target_superuser(self) -> Connection[Any]:
        """Open a session of the target's superuser; the caller closes it."""
        return psycopg.connect(DemoTarget(self.settings).cluster.url(database=DATABASE), autocommit=True)


@dataclass(slots=True)
class Process:
    """One process of the product, such as `serve --no-worker`. `start` may be called again after its death, on the same port."""

    estate: Estate
    command: tuple[str, ...]
    port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    _pid: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start; wait until it listens, if it is to."""
        data_dir = self.estate.settings.data_dir
        self._pid = self.estate.zygote.start(
            [*self.command, *(() if self.port is None else ("--port", str(self.port)))],
            environment={**_ENVIRONMENT, "TRUSTPACK_DATA_DIR": str(data_dir), **self.environment},
            directory=data_dir,
            log=data_dir / "server.log",
        )
        if self.port is not None:
            wait_until(self._listens, seconds=STARTUP_SECONDS, what=f"the server; see {data_dir / 'server.log'}")

    def kill(self) -> None:
        """End it at once, as the kernel does when memory runs out; without effect where it died by itself."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            code = self.estate.zygote.wait(self._pid)
            self._pid = None
            assert code == -signal.SIGKILL, f"the process ended by itself with {code}; see its log"

    def has_died(self, *, within_seconds: float = 0) -> bool:
        """Say whether it is dead, waiting a while for that."""
        return self._pid is None or has_ended(self._pid, within_seconds=within_seconds)

    def _listens(self) -> bool:
        assert self._pid is not None
        assert not has_ended(self._pid), f"the server ended by itself; see {self.estate.settings.data_dir / 'server.log'}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@contextmanager
def open_estate(directory: Path) -> Iterator[Estate]:
    """Have store and target running in a directory, made and seeded if they are not there; no process of ours runs at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        data_dir=directory,
        database_url=None,
        app_database_url=None,
        system_database_url=None,
        opa_url=None,
        database_pool_size=4,
        policy_deadline_ms=5000,
        _env_file=None,
    )
    wire = Wire(directory)
    wire.lay()
    keep_compiled_policies(wire)
    with demo_store(settings):
        tokens = asyncio.run(_seed(settings))
        zygote = Zygote(directory)
        try:
            yield Estate(settings, wire, zygote, tokens)
        finally:
            zygote.close()


@contextmanager
def unwatched(estate: Estate) -> Iterator[None]:
    """Have no worker look after the targets by itself for a while."""
    estate.wire.watch.unlink()
    try:
        yield
    finally:
        estate.wire.watch.touch()


def a_server(estate: Estate, **environment: str) -> Process:
    """Return the usual process, web and worker in one, not started yet."""
    return Process(estate, ("serve",), free_port(), environment)


async def _seed(settings: Settings) -> dict[str, dict[str, str]]:
    async with open_container(settings) as container:
        for tenant in TENANTS:
            await seed_tenant(container, tenant)
        return {tenant: await issue_tokens(container, tenant) for tenant in TENANTS}
