"""A login attempt is over when the server has ended it, whatever the server does then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from trustpack.capabilities.operations.adapters.postgres import login_probe
from trustpack.capabilities.operations.adapters.postgres.login_probe import LoginAttempt, ServerAddress, attempt_login

FIELDS = b"SFATAL\0C28000\0RInitializeSessionUserId\0Mno\0\0"
REFUSAL = b"E" + (len(FIELDS) + 4).to_bytes(4, "big") + FIELDS
Then = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def refusing(then: Then) -> AsyncIterator[ServerAddress]:
    """Serve as a server that refuses every login, does something else, and then closes the connection."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            writer.write(REFUSAL)
            await writer.drain()
            await then(reader, writer)
        except OSError:
            return  # the other side has left
        finally:
            writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield ServerAddress("127.0.0.1", server.sockets[0].getsockname()[1], "shop", tls=None)


async def attempt(address: ServerAddress) -> LoginAttempt:
    return await attempt_login(address, user="tpk_1", password="x", random_bytes=os.urandom)


async def test_an_attempt_is_over_when_the_server_has_ended_it():
    has_refused, may_end = asyncio.Event(), asyncio.Event()

    async def linger(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        has_refused.set()
        await may_end.wait()

    async with refusing(linger) as address:
        trying = asyncio.create_task(attempt(address))
        await has_refused.wait()
        over, _ = await asyncio.wait({trying}, timeout=0.2)
        may_end.set()
        refused = await trying

    assert over == set()
    assert (refused.sqlstate, refused.routine, refused.let_in) == ("28000", "InitializeSessionUserId", False)


async def stay(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(100_000))
        await writer.drain()


@pytest.mark.parametrize("then", [stay, flood])
async def test_a_server_that_does_not_end_an_attempt_cannot_hold_it_up(then: Then, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(login_probe, "_ENDING_SECONDS", 0.05)

    async with asyncio.timeout(20), refusing(then) as address:
        refused = await attempt(address)

    assert refused.sqlstate == "28000"
