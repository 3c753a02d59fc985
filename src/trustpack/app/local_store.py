"""Use the store from a command: have the embedded servers running for its length, and stop those that nobody uses any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from trustpack.app.bootstrap import prepare_store
from trustpack.app.demo.target import DemoTarget
from trustpack.platform.database import embedded_cluster, open_pool, require_powerless, store_logins
from trustpack.platform.entropy import SystemIds
from trustpack.platform.settings import Settings
from trustpack.platform.system_clock import SystemClock
from trustpack.platform.unit_of_work import Transaction, UnitOfWork

Result = TypeVar("Result")


@contextmanager
def store_in_use(settings: Settings) -> Iterator[bool]:
    """Have the embedded server running if it is the store, and say whether it is; nothing is migrated."""
    if settings.database_url is not None or settings.app_database_url is not None:
        yield False
        return
    with embedded_cluster(settings).in_use():
        yield True


@contextmanager
def running_store(settings: Settings, *, with_target: bool = True) -> Iterator[None]:
    """Have the store running and migrated if it is the embedded one, and with `with_target` the demo's target if it was made.

    The last process to leave a server stops it.
    """
    target = DemoTarget(settings)
    with ExitStack() as stack:
        if stack.enter_context(store_in_use(settings)):
            prepare_store(settings)
        if with_target and target.exists:
            stack.enter_context(target.cluster.in_use())
        yield


@contextmanager
def demo_store(settings: Settings) -> Iterator[None]:
    """Have the store migrated, wherever it is, and the demo's target made and running."""
    target = DemoTarget(settings)
    with store_in_use(settings):
        prepare_store(settings)
        with target.cluster.in_use():
            target.ensure()
            yield


def run_in_transaction(settings: Settings, tenant: str, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
    """Run one use case in one transaction of a tenant and return its result; no target is started for it."""

    async def run() -> Result:
        pool = await open_pool(store_logins(settings).app, size=1)
        try:
            await require_powerless(pool)
            clock = SystemClock()
            async with UnitOfWork(pool, clock=clock, ids=SystemIds(clock)).transaction(tenant) as tx:
                return await work(tx)
        finally:
            await pool.close()

    with running_store(settings, with_target=False):
        return asyncio.run(run())
