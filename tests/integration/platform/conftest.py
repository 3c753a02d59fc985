"""Fixtures of the platform's own tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.store import as_owner
from tests.support.world import World
from trustpack.platform.settings import Settings


@pytest.fixture
def no_other_due_work(settings: Settings, world: World) -> Iterator[None]:
    """Jobs that earlier tests and the making of the world left are taken away, so that a test meets only its own."""
    with as_owner(settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs")
    yield
    with as_owner(settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs")
