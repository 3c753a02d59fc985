"""Use the store from a command: start the embedded servers if they do not run, and leave them as they were found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from trustpack.app.bootstrap import prepare_store, start_embedded_store
from trustpack.app.demo.target import DemoTarget
from trustpack.platform.database import embedded_cluster, open_pool, require_powerless, store_logins
from trustpack.platform.entropy import SystemIds
from trustpack.platform.settings import Settings
from trustpack.platform.system_clock import SystemClock
from trustpack.platform.unit_of_work import Transaction, UnitOfWork

Result = TypeVar("Result")


@contextmanager
def running_store(settings: Settings) -> Iterator[None]:
    """Have the store running and migrated if it is the embedded one, the demo's target too; the last to leave stops them."""
    embedded = start_embedded_store(settings)
    target = DemoTarget(settings)
    if target.exists:
        target.cluster.ensure_running()
    if embedded:
        prepare_store(settings)
    try:
        yield
    finally:
        if target.exists:
            target.cluster.stop_unless_used()
        if embedded:
            embedded_cluster(settings).stop_unless_used()


def run_in_transaction(settings: Settings, tenant: str, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
    """Run one use case in one transaction of a tenant and return its result."""

    async def run() -> Result:
        pool = await open_pool(store_logins(settings).app, size=1)
        try:
            await require_powerless(pool)
            clock = SystemClock()
            async with UnitOfWork(pool, clock=clock, ids=SystemIds(clock)).transaction(tenant) as tx:
                return await work(tx)
        finally:
            await pool.close()

    with running_store(settings):
        return asyncio.run(run())
