"""Fixtures of the platform's own tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.store import as_owner
from trustpack.platform.settings import Settings


@pytest.fixture
def no_other_due_work(settings: Settings) -> Iterator[None]:
    """Jobs that earlier tests left behind are taken away, so that a test meets only its own."""
    with as_owner(settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs")
    yield
    with as_owner(settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs")
