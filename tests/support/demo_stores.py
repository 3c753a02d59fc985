"""A store of its own that holds demo tenants only, whatever other tests leave in theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx2
import psycopg
from psycopg import conninfo, sql
from pydantic import SecretStr

from tests.support.clock import MovableClock
from tests.support.world import World
from trustpack.app.bootstrap import Container, open_container, prepare_store
from trustpack.app.http import build_app
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.database import store_logins
from trustpack.platform.settings import Settings

CAST = {"user-engineer": Role.ENGINEER, "user-team-lead": Role.TEAM_LEAD, "user-auditor": Role.AUDITOR}
_numbers = count(1)


def empty_store(settings: Settings, **changes: Any) -> Settings:
    """Return the settings of a new, migrated store on the server of another one."""
    owner = store_logins(settings).owner
    assert owner is not None
    name = f"demo_{next(_numbers)}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    own = settings.model_copy(
        update={
            "database_url": SecretStr(conninfo.make_conninfo(owner, dbname=name)),
            "database_pool_size": 4,
            **changes,
        }
    )
    prepare_store(own)
    return own


async def add_tenant(container: Container, tenant_id: str, *, is_demo: bool) -> None:
    """Make a tenant."""
    async with container.unit_of_work.transaction(tenant_id) as tx:
        await directory.create_tenant(tx, system_actor(tenant_id, "operator"), name=tenant_id.title(), is_demo=is_demo)


@asynccontextmanager
async def world_of_demo(settings: Settings, clock: MovableClock) -> AsyncIterator[World]:
    """Open a demo tenant with a few people on a store of settings; the demo's sign-in is as the settings say."""
    async with open_container(settings, clock=clock) as container:
        transport = httpx2.ASGITransport(app=build_app(container, with_worker=False), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
            world = World(tenant_id=f"demo-{next(_numbers)}", container=container, clock=clock, http=http)
            await add_tenant(container, world.tenant_id, is_demo=True)
            for handle, role in CAST.items():
                await world.add_person(handle, role)
            yield world
