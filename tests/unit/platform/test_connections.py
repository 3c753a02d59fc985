"""The guard on connections spares whoever waits for us, and never answers twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from prometheus_client import REGISTRY
from uvicorn.server import ServerState

from trustpack.platform.web.connections import ConnectionLimits, guarded_protocol

LIMIT_SECONDS = 0.2
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


SILENT_REQUEST = REQUEST.replace(b"/ ", b"/silent ")


async def takes_three_times_the_limit(scope, receive, send) -> None:
    """Answer with two parts, one at once and one after three times the limit of the guard; `/silent` with both at the end."""
    length = (b"content-length", b"8")
    if scope["path"] == "/silent":
        await asyncio.sleep(3 * LIMIT_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"now ", "more_body": True})
    if scope["path"] != "/silent":
        await asyncio.sleep(3 * LIMIT_SECONDS)
    await send({"type": "http.response.body", "body": b"then", "more_body": False})


@asynccontextmanager
async def served(*, max_connections: int = 10) -> AsyncIterator[int]:
    """Serve the slow application on a free port."""
    limits = ConnectionLimits(
        request_receive_seconds=LIMIT_SECONDS, response_send_seconds=LIMIT_SECONDS, max_connections=max_connections
    )
    config = uvicorn.Config(takes_three_times_the_limit, lifespan="off", log_config=None)
    config.load()
    protocol, state = guarded_protocol(limits), ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


def slow_readers() -> float:
    return REGISTRY.get_sample_value("trustpack_connections_cut_total", {"reason": "slow_reader"}) or 0


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_a_client_that_waits_for_a_slow_answer_is_not_cut():
    async with served() as port, connected(port) as (reader, writer):
        writer.write(REQUEST)

        assert (await reader.readuntil(b"now then")).startswith(b"HTTP/1.1 200")


async def test_a_second_request_that_we_do_not_read_yet_does_not_end_the_first():
    async with served() as port, connected(port) as (reader, writer):
        writer.write(REQUEST + REQUEST.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"))

        assert (await reader.readuntil(b"now then")).startswith(b"HTTP/1.1 200")


async def test_a_client_that_is_cut_in_the_middle_of_its_answer_gets_no_second_one():
    async with served() as port, connected(port) as (reader, writer):
        writer.write(REQUEST)
        first = await reader.readuntil(b"now ")
        writer.write(b"no request at all\r\n\r\n")

        assert (first + await reader.read()).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("request_at_work", [REQUEST, SILENT_REQUEST], ids=["streaming", "silent"])
@pytest.mark.parametrize(
    "more", [b"GET / HTTP/1.1\r\nHo", REQUEST * 17, b"no request at all\r\n\r\n"], ids=["half a head", "17 more", "garbage"]
)
async def test_a_request_at_work_is_answered_and_nothing_else_whatever_comes_behind_it(request_at_work: bytes, more: bytes):
    async with served() as port, connected(port) as (reader, writer):
        writer.write(request_at_work + more)

        said = await reader.read()

    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"HTTP/1.1") == 1
    assert said.endswith(b"now then")


async def test_a_line_break_behind_a_request_at_work_is_nothing():
    async with served() as port, connected(port) as (reader, writer):
        writer.write(SILENT_REQUEST + b"\r\n")

        assert (await reader.readuntil(b"now then")).startswith(b"HTTP/1.1 200")


async def test_what_comes_behind_the_last_request_is_not_read():
    async with served() as port, connected(port) as (reader, writer):
        writer.write(SILENT_REQUEST + b"no request at all\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(LIMIT_SECONDS / 10)
            writer.write(b"a" * 100_000)

        assert (await reader.read()).endswith(b"now then")


async def test_a_request_at_work_is_not_told_to_come_back_when_another_one_stands_behind_it():
    async with served(max_connections=1) as port, connected(port) as (first, writer):
        writer.write(REQUEST)
        await first.readuntil(b"now ")
        writer.write(REQUEST[:-2] + b"Content-Length: 9\r\n\r\n")

        async with connected(port) as (newcomer, _):
            said = await newcomer.read()

        assert said.startswith(b"HTTP/1.1 503")
        assert await first.readexactly(4) == b"then"


async def test_a_client_that_left_before_its_answer_was_not_slow_to_read_it():
    before = slow_readers()
    async with served() as port:
        async with connected(port) as (reader, writer):
            writer.write(REQUEST)
            await reader.readuntil(b"now ")
        await asyncio.sleep(6 * LIMIT_SECONDS)

    assert slow_readers() == before


async def test_where_every_connection_is_at_work_the_newcomer_is_told_to_come_back():
    async with served(max_connections=1) as port, connected(port) as (first, writer):
        writer.write(REQUEST)
        await first.readuntil(b"now ")

        async with connected(port) as (newcomer, _):
            said = await newcomer.read()

        assert said.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 2" in said
        assert await first.readexactly(4) == b"then"


async def test_a_connection_that_waits_gives_way_to_a_newcomer():
    async with served(max_connections=1) as port, connected(port) as (idle, _), connected(port) as (reader, writer):
        writer.write(REQUEST)

        assert (await reader.readuntil(b"now then")).startswith(b"HTTP/1.1 200")
        assert (await idle.read()).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize("name", ["request_receive_seconds", "response_send_seconds", "max_connections"])
def test_each_protocol_has_the_limits_that_it_was_made_with(name: str):
    first, second = ConnectionLimits(1, 2, 3), ConnectionLimits(4, 5, 6)

    made = guarded_protocol(first), guarded_protocol(second)

    assert [getattr(protocol.limits, name) for protocol in made] == [getattr(first, name), getattr(second, name)]
