"""Store and target of the tests that kill servers; they outlive every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from tests.crash.killing import Killer
from tests.support.crash_client import Client
from tests.support.estate import Estate, a_server, open_estate


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with open_estate(tmp_path_factory.mktemp("estate")) as opened:
        yield opened


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


@pytest.fixture(scope="module")
async def killer(estate: Estate, http: httpx2.AsyncClient) -> AsyncIterator[Killer]:
    client = Client(estate, http, [], "client")
    killer = Killer(estate, client, a_server(estate))
    client.on_failure = killer.come_back
    yield killer
    killer.server.kill()
    for session in client.left_open:
        session.close()
