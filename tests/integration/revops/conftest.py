"""A tenant that sells, behind one server or two."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from tests.support.clock import MovableClock
from tests.support.deals import Deals, selling
from tests.support.racing import Arena, arena_of
from tests.support.world import World
from tests.support.worlds import scripted_world
from trustpack.app.bootstrap import Container, open_container
from trustpack.platform.settings import Settings


@pytest.fixture
async def deals(world: World) -> Deals:
    """The calls that a test makes about deals of a fresh tenant."""
    return await selling(world)


@pytest.fixture(scope="package")
async def second_container(settings: Settings, clock: MovableClock) -> AsyncIterator[Container]:
    """The running parts of a second server on the same store."""
    async with open_container(settings, clock=clock) as opened:
        yield opened


@pytest.fixture
async def arena(
    request: pytest.FixtureRequest, container: Container, second_container: Container, clock: MovableClock
) -> AsyncIterator[Arena]:
    """Two servers for a fresh tenant; chance is the same in every run of a test and differs between tests."""
    async with (
        scripted_world(container, clock) as world,
        arena_of(world, second_container, random.Random(request.node.name)) as arena,
    ):
        yield arena
