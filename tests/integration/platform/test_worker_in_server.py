"""A server that lost its worker stops: it would leave access open past its end."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from trustpack.app.bootstrap import Container
from trustpack.app.server import WorkerEnded, running_server
from trustpack.platform.jobs import Worker

PATIENCE_SECONDS = 15


@pytest.fixture
def on_a_free_port(container: Container, monkeypatch: pytest.MonkeyPatch) -> Container:
    monkeypatch.setitem(container.settings.__dict__, "listen", "127.0.0.1:0")
    return container


async def test_a_worker_that_ends_by_itself_stops_the_server_with_an_error(
    on_a_free_port: Container, monkeypatch: pytest.MonkeyPatch
):
    may_fail = asyncio.Event()

    async def fail(self: Worker, stop: asyncio.Event) -> None:
        await may_fail.wait()
        raise RuntimeError("a bug")

    monkeypatch.setattr(Worker, "run", fail)

    with pytest.raises(WorkerEnded):  # noqa: PT012 - leaving the block raises
        async with running_server(on_a_free_port, with_worker=True) as (url, serving):
            async with httpx2.AsyncClient() as client:
                assert (await client.get(f"{url}/healthz")).status_code == 200
            may_fail.set()
            await asyncio.wait_for(serving, PATIENCE_SECONDS)


async def test_a_server_that_is_left_ends_without_an_error(on_a_free_port: Container):
    async with running_server(on_a_free_port, with_worker=True) as (url, serving), httpx2.AsyncClient() as client:
        checks = (await client.get(f"{url}/readyz")).json()["checks"]

    assert checks["worker"] == "ok"
    assert serving.done()
    assert serving.exception() is None
