"""A world on a target that the test scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.clock import MovableClock
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container


@pytest.fixture
async def scripted(container: Container, clock: MovableClock) -> AsyncIterator[ScriptedWorld]:
    """A fresh tenant on a scripted target; `execute` and `revert` wait for it for one second only."""
    async with scripted_world(container, clock, execute_wait_seconds=1) as world:
        yield world
