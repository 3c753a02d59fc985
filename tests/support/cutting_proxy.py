"""A TCP proxy in front of a server that cuts a connection in the middle of the statement that a test names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from trustpack.platform.embedded_postgres import free_port

CHUNK = 65_536
Moment = Literal["before", "after"]
"""Before: the server never hears the statement. After: it carries it out, and its answer is lost."""


@dataclass(slots=True)
class CuttingProxy:
    """Forwards to `server_port`. `cut_at` arms it for one statement; what it cut stands in `cuts`."""

    server_port: int
    port: int = field(default_factory=free_port)
    cuts: list[tuple[str, Moment]] = field(default_factory=list)
    _armed: tuple[str, Moment] | None = None

    def url(self, url: str) -> str:
        """Return the URL of the server with the proxy's port."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{self.port}"))

    def cut_at(self, text: str, moment: Moment) -> None:
        """Cut the next connection on which a statement with this text is sent."""
        self._armed = (text, moment)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it, or it is cut."""
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        answers = asyncio.create_task(self._forward(from_server, writer))
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if self._armed is not None and self._armed[0].encode() in data:
                    cut, self._armed = self._armed, None
                    self.cuts.append(cut)
                    answers.cancel()
                    await asyncio.wait({answers})
                    if cut[1] == "after":
                        to_server.write(data)
                        await from_server.read(CHUNK)
                    break
                to_server.write(data)
                await to_server.drain()
        for end in (to_server, writer):
            end.close()
        answers.cancel()
        await asyncio.wait({answers})

    @staticmethod
    async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def cutting_proxy(server_port: int) -> AsyncIterator[CuttingProxy]:
    """Run a proxy in front of a server on this machine."""
    proxy = CuttingProxy(server_port)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", proxy.port)
    try:
        yield proxy
    finally:
        listener.close()
        await listener.wait_closed()
