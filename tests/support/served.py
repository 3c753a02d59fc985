"""A tenant whose target is a real PostgreSQL server, and servers of ours that come and go around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from tests.support.clock import MovableClock
from tests.support.store import as_owner
from tests.support.targets import TargetDatabase
from tests.support.world import CAST, World
from trustpack.app.bootstrap import Container, open_container
from trustpack.app.http import build_app
from trustpack.capabilities import directory
from trustpack.capabilities.operations.model import SecretReference
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.platform.settings import Settings

_numbers = count(1)
POOL_SIZE = 4


@dataclass(slots=True, kw_only=True)
class ServedWorld(World):
    """A fresh tenant behind a server of ours that runs; `secret` is the file whose text leads to the target."""

    target: TargetDatabase
    secret: Path

    def wanted(self, *, seconds: int) -> dict[str, Any]:
        """The fields of a request for some seconds of access to the target."""
        return {
            "target": {"database": self.target.definition.name, "scope": {"tenant": "acme"}},
            "duration_minutes": None,
            "duration_seconds": seconds,
        }

    async def credentials(self, request_id: str) -> dict[str, Any]:
        """Get the credentials of an active request."""
        response = await self.act("user-engineer", request_id, "credentials")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def grant_on_target(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the target keeps about the grant of a request, with its role's own end."""
        query = psycopg.sql.SQL(
            "select granted_at, expires_at, dropped_at, rolvaliduntil, rolcanlogin, clock_timestamp() as now"
            " from {}.grants left join pg_roles on rolname = role_name where role_name = %s"
        ).format(psycopg.sql.Identifier(self.target.names.state))
        with self.target.superuser() as conn:
            cursor = conn.cursor(row_factory=psycopg.rows.dict_row)
            return dict(cursor.execute(query, (request["grant"]["role_name"],)).fetchone() or {})


@asynccontextmanager
async def first_start(settings: Settings, clock: MovableClock, target: TargetDatabase) -> AsyncIterator[ServedWorld]:
    """Run a server for a new tenant with the usual people and the target. Nobody does due work; that of others is forgotten."""
    with as_owner(settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs")
    number = next(_numbers)
    secret = settings.data_dir / f"target-{number}.dsn"
    secret.write_text(target.service_url)
    async with _running(settings, clock) as (container, http):
        world = ServedWorld(
            tenant_id=f"served-{number}", container=container, clock=clock, http=http, target=target, secret=secret
        )
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await directory.create_tenant(tx, world.operator, name=world.tenant_id, is_demo=True)
        for handle, roles in CAST.items():
            await world.add_person(handle, *roles)
        definition = replace(target.definition, dsn=SecretReference(source="file", name=secret.name))
        identity = await identify_target(container.operations, definition)
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await put_target(tx, world.operator, definition=definition, identity=identity)
        yield world


@asynccontextmanager
async def return_of(world: ServedWorld, *, with_worker: bool = True) -> AsyncIterator[ServedWorld]:
    """Run a new server for the tenant of a world whose server has ended; its worker does the due work."""
    async with _running(world.container.settings, world.clock) as (container, http):
        stop = asyncio.Event()
        worker = asyncio.create_task(container.worker.run(stop)) if with_worker else None
        try:
            yield replace(world, container=container, http=http)
        finally:
            stop.set()
            if worker is not None:
                await worker
            await container.runner.drain(grace_seconds=20)


@asynccontextmanager
async def _running(settings: Settings, clock: MovableClock) -> AsyncIterator[tuple[Container, httpx2.AsyncClient]]:
    own = settings.model_copy(update={"database_pool_size": POOL_SIZE, "worker_poll_seconds": 0.1})
    async with open_container(own, clock=clock) as container:
        app = build_app(container, with_worker=False)
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://served.test") as http:
            yield container, http


async def becomes(world: World, request_id: str, status: str, *, seconds: float) -> dict[str, Any]:
    """Wait until a request is in a state and return it; fail when that takes longer."""
    request: dict[str, Any] = {}
    try:
        async with asyncio.timeout(seconds):
            # A worker brings it about, and tells only the store.
            while (request := await world.read(request_id))["status"] != status:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"after {seconds} s the request is {request.get('status')}, not {status}: {request}") from None
    return request
