"""One stage for all tests of pages; none of them changes who may what."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.page_stage import Stage, open_stage
from trustpack.platform.settings import Settings


@pytest.fixture(scope="package")
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    """The tenant that is looked at, and another one."""
    async with open_stage(settings) as opened:
        yield opened
