"""A world on a target that the test scripts, behind one server or two."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from tests.support.clock import MovableClock
from tests.support.racing import Arena, arena_of
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container, open_container
from trustpack.platform.settings import Settings


@pytest.fixture
async def scripted(container: Container, clock: MovableClock) -> AsyncIterator[ScriptedWorld]:
    """A fresh tenant on a scripted target; `execute` and `revert` wait for it for one second only."""
    async with scripted_world(container, clock, execute_wait_seconds=1) as world:
        yield world


@pytest.fixture(scope="session")
async def second_container(settings: Settings, clock: MovableClock) -> AsyncIterator[Container]:
    """The running parts of a second server on the same store."""
    async with open_container(settings, clock=clock) as opened:
        yield opened


@pytest.fixture
async def arena(
    request: pytest.FixtureRequest, container: Container, second_container: Container, clock: MovableClock
) -> AsyncIterator[Arena]:
    """Two servers for a fresh tenant whose requests wait a minute for their approvals and for their use.

    Chance is the same in every run of a test and differs between tests.
    """
    limits = {"execute_wait_seconds": 5, "approval_window_seconds": 60, "approval_use_by_seconds": 60}
    async with (
        scripted_world(container, clock, **limits) as world,
        arena_of(world, second_container, random.Random(request.node.name)) as arena,
    ):
        yield arena
