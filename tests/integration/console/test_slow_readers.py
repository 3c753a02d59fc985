"""Whoever takes a list as a file and reads it slowly keeps nobody else from the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from starlette.types import Message

from tests.support.browsers import browsing_as, code_of, console_of, signed_in
from tests.support.world import World
from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.web.pages import exports

EXPORT = "/switchboard/security/requests/export/json"
PATIENCE_SECONDS = 20


@asynccontextmanager
async def reading_nothing(app: FastAPI, session: str) -> AsyncIterator[asyncio.Task[None]]:
    """Ask for the file and take none of it; the task is what the server does about that."""
    began = asyncio.Event()
    headers = [(b"host", b"localhost:8000"), (b"cookie", f"{SESSION_COOKIE}={session}".encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": EXPORT, "raw_path": EXPORT.encode(), "query_string": b"", "root_path": "",
        "headers": headers, "client": ("192.0.2.7", 4711), "server": ("localhost", 8000),
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            began.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(app(scope, receive, send))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await began.wait()
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_somebody_who_reads_two_files_slowly_gets_no_third(world: World):
    await world.ask()
    app = console_of(world)
    session = (await signed_in(world, "user-auditor")).text
    async with browsing_as(world, "user-auditor") as browser, browsing_as(world, "user-admin") as other:
        async with reading_nothing(app, session), reading_nothing(app, session):
            third, of_another = await browser.get(EXPORT), await other.get(EXPORT)
        after = await browser.get(EXPORT)

    assert (third.status_code, code_of(third)) == (429, "export.too_many")
    assert (of_another.status_code, after.status_code) == (200, 200)


async def test_all_together_read_no_more_files_at_once_than_leave_the_store_to_others(world: World):
    await world.ask()
    app = console_of(world)
    [one, two] = [(await signed_in(world, handle)).text for handle in ("user-auditor", "user-admin")]
    async with browsing_as(world, "user-engineer") as browser:
        async with (
            reading_nothing(app, one), reading_nothing(app, one), reading_nothing(app, two), reading_nothing(app, two),
        ):  # fmt: skip
            refused = await browser.get(EXPORT)
        after = await browser.get(EXPORT)

    assert (refused.status_code, code_of(refused), after.status_code) == (429, "export.too_many", 200)


async def test_a_file_that_nobody_reads_gives_its_connection_back(world: World, monkeypatch: pytest.MonkeyPatch):
    await world.ask()
    monkeypatch.setattr(exports, "LONGEST_SECONDS", 1.0)
    session = (await signed_in(world, "user-auditor")).text
    async with reading_nothing(console_of(world), session) as task:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await task

    async with browsing_as(world, "user-auditor") as browser:
        assert [(await browser.get(EXPORT)).status_code for _ in range(exports.MOST_OF_PERSON + 1)] == [200] * 3
