"""Servers that speak as OPA does, as far as a test wants them to, and the engine that asks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.unit.policy.builders import ALLOW, high_risk_bundle, whole_input
from trustpack.capabilities.policy import OpaServer
from trustpack.proof.canonical import canonical_bytes

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

REVISION = high_risk_bundle().ref.revision
INPUT = canonical_bytes(whole_input())
DEADLINE = 0.15
"""Of a question that nobody is to answer."""
PATIENCE_SECONDS = 10
"""The deadline of every other question, however busy the machine is."""


def envelope(**changes: Any) -> dict[str, Any]:
    provenance = {"version": "1.22.2", "bundles": {"high_risk": {"revision": REVISION}}}
    whole = {"result": ALLOW, "provenance": provenance} | changes
    return {key: value for key, value in whole.items() if value is not None}


def response(body: bytes | dict[str, Any], *, status: int = 200, headers: str = "") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{headers}\r\n".encode() + data


def replies(data: bytes) -> Handler:
    """Answer every question on a connection with the same bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            writer.write(data)
            await writer.drain()

    return handle


async def read_request(reader: asyncio.StreamReader) -> bytes:
    with suppress(asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return head + await reader.readexactly(length)
    return b""


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def asking(url: str, **options: Any) -> AsyncIterator[OpaServer]:
    engine = OpaServer([high_risk_bundle()], url=url, **({"deadline_seconds": PATIENCE_SECONDS} | options))
    try:
        yield engine
    finally:
        await engine.close()
