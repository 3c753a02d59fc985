"""Streams of signals, read from a server as a browser reads them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from trustpack.platform.auth.cookies import SESSION_COOKIE

EVENTS = "/switchboard/events"
PATIENCE_SECONDS = 20
Event = tuple[str, Mapping[str, Any]]


@dataclass(slots=True)
class Stream:
    """The events of one stream as they come; `last_id` is what a browser would send to go on after it."""

    response: httpx2.Response
    events: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    last_id: str = ""
    placed: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self) -> Event | None:
        """Return the next event; None when the stream has ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.events.get()

    async def until(self, name: str, subject_id: str) -> list[Event]:
        """Return all events up to the one that names a subject."""
        found = []
        while True:
            event = await self.next()
            assert event is not None, f"the stream ended before {name} of {subject_id}: {found}"
            found.append(event)
            if event[0] == name and subject_id in event[1].get("ids", ()):
                return found

    async def settled(self) -> None:
        """Take all that a stream begins with: it told where it stands, so what comes now is new."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.placed.wait()
        while not self.events.empty():
            self.events.get_nowait()

    async def read(self) -> None:
        name, data = "", ""
        async for line in self.response.aiter_lines():
            label, _, value = line.partition(": ")
            if label == "event":
                name = value
            elif label == "data":
                data = value
            elif label == "id":
                self.last_id = value
                self.placed.set()
            elif not line and name:
                self.events.put_nowait((name, json.loads(data)))
                name, data = "", ""
        self.events.put_nowait(None)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the application brings about by itself."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - nothing in the application would set an event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on a free port, in this loop; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with serving_on(app, listener):
            yield f"http://localhost:{listener.getsockname()[1]}"


@asynccontextmanager
async def serving_on(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application in this loop, to which its connections belong; its streams end with it."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        app.state.signals.end()
        server.should_exit = True
        await task


@asynccontextmanager
async def listening(
    url: str, session_text: str, *, after: str = "", since: str = "", made_after: str = ""
) -> AsyncIterator[Stream]:
    """Open a stream as the browser of a session does; `since` and `made_after` are of the page, `after` of the stream before."""
    headers = {"Cookie": f"{SESSION_COOKIE}={session_text}", **({"Last-Event-ID": after} if after else {})}
    async with (
        httpx2.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as http,
        http.stream("GET", EVENTS, params={"since": since, "after": made_after}, headers=headers) as response,
    ):
        stream = Stream(response)
        reading = asyncio.create_task(stream.read())
        try:
            yield stream
        finally:
            reading.cancel()
            await asyncio.wait({reading})
