"""Worlds beyond the usual one: on a scripted target, with other limits or another policy engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import httpx2

from tests.support.clock import MovableClock
from tests.support.scripted_target import ScriptedTarget
from tests.support.world import CAST, RECORD_TARGET, World
from trustpack.app.bootstrap import Container
from trustpack.app.http import build_app
from trustpack.capabilities import directory
from trustpack.capabilities.operations.jobs import job_handlers, most_of_kind
from trustpack.capabilities.operations.ports import TargetAdapter
from trustpack.capabilities.operations.service.context import Operations, adapters_by_kind
from trustpack.capabilities.policy import PolicyGate
from trustpack.capabilities.revops.jobs import job_handlers as revops_handlers
from trustpack.kernel.actor import system_actor
from trustpack.platform.jobs import JobRunner, Worker

_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class ScriptedWorld(World):
    """A fresh tenant whose target does what the test says."""

    target: ScriptedTarget


@asynccontextmanager
async def scripted_world(
    container: Container,
    clock: MovableClock,
    *,
    gate: PolicyGate | None = None,
    kind: type[ScriptedWorld] = ScriptedWorld,
    **limits: Any,
) -> AsyncIterator[ScriptedWorld]:
    """Open a fresh tenant on the same store, behind an application of its own with other limits or another gate."""
    target = ScriptedTarget(clock)
    operations = replace(
        container.operations,
        gate=gate or container.gate,
        adapters=adapters_by_kind(record=target, postgres=target),
        limits=replace(container.operations.limits, **limits),
    )
    own = container_with(container, operations)
    transport = httpx2.ASGITransport(app=build_app(own, with_worker=False), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as http:
        world = kind(tenant_id=f"scripted-{next(_numbers)}", container=own, clock=clock, http=http, target=target)
        await populate(world)
        yield world


@asynccontextmanager
async def world_on(
    container: Container, clock: MovableClock, adapter: TargetAdapter, document: Mapping[str, Any]
) -> AsyncIterator[World]:
    """Open a fresh tenant whose only target is the given one, behind an application that reaches it through the adapter."""
    operations = replace(container.operations, adapters=adapters_by_kind(record=adapter, postgres=adapter))
    own = container_with(container, operations)
    transport = httpx2.ASGITransport(app=build_app(own, with_worker=False), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as http:
        world = World(tenant_id=f"on-target-{next(_numbers)}", container=own, clock=clock, http=http)
        await populate(world, document)
        yield world


def container_with(container: Container, operations: Operations) -> Container:
    """Return a container like the given one whose flow works with other collaborators."""
    revops = replace(container.revops, gate=operations.gate)
    runner = JobRunner(container.unit_of_work, {**job_handlers(operations), **revops_handlers(revops)})
    worker = Worker(
        runner,
        system_pool=container.system_pool,
        unit_of_work=container.unit_of_work,
        poll_seconds=container.settings.worker_poll_seconds,
        most_of_kind=most_of_kind(),
    )
    return replace(container, gate=operations.gate, operations=operations, revops=revops, runner=runner, worker=worker)


async def populate(world: World, document: Mapping[str, Any] = RECORD_TARGET) -> None:
    """Make the tenant of a world, its usual people and its target."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.create_tenant(tx, system_actor(world.tenant_id, "operator"), name=world.tenant_id, is_demo=True)
    for handle, roles in CAST.items():
        await world.add_person(handle, *roles)
    await world.add_target(document)
