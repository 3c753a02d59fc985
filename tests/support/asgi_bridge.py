"""The application of a test, called from another thread: what asks has a loop of its own, the store's connections have theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class OnLoop:
    """An ASGI application that runs on the loop that made it, whichever loop calls it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._home = asyncio.get_running_loop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError("the application is running already")
        away = asyncio.get_running_loop()
        answered = self._app(scope, _carried_to(away, receive), _carried_to(away, send))
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(answered), self._home))


def _carried_to(loop: asyncio.AbstractEventLoop, call: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def carried(*arguments: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(call(*arguments)), loop))

    return carried


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
