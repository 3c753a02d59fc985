"""Two tenants with everybody of the matrix, on one application; made once, for no test changes who may what."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.clock import MovableClock
from tests.support.matrix import Matrix, populate_matrix
from tests.support.worlds import scripted_world
from trustpack.app.bootstrap import Container


@pytest.fixture(scope="package")
async def matrix(container: Container, clock: MovableClock) -> AsyncIterator[Matrix]:
    """The tenant that is asked, and another one."""
    async with scripted_world(container, clock) as here, scripted_world(container, clock) as there:
        yield await populate_matrix(here, there)
