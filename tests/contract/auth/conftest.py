"""A store on which every way to sign in may be tried: the demo's is refused on any but a demo's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.clock import MovableClock
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.world import World
from trustpack.platform.settings import Settings


@pytest.fixture(scope="module")
def demo_settings(settings: Settings) -> Settings:
    return empty_store(settings, demo_sign_in=True)


@pytest.fixture(scope="module")
async def demo_world(demo_settings: Settings, clock: MovableClock) -> AsyncIterator[World]:
    async with world_of_demo(demo_settings, clock) as world:
        yield world
