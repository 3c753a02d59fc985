"""Run the web server and the worker until they are told to stop, then let what is under way finish."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from trustpack.app.bootstrap import Container, open_container
from trustpack.app.http import build_app
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.settings import Settings

_STARTUP_POLL_SECONDS = 0.02


class ServerDidNotStart(TrustpackError):
    """The web server ended before it began to serve; most often somebody else has the port."""

    kind = ErrorKind.UNAVAILABLE
    code = "app.server_did_not_start"
    title = "The server did not start"
    next_step = "Choose another port with --port, or stop what listens there."


@asynccontextmanager
async def running_server(container: Container, *, with_worker: bool) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve on the settings' address; yield the base URL and the task that ends when the server does.

    Raises `ServerDidNotStart`.
    """
    settings = container.settings
    config = uvicorn.Config(
        build_app(container, with_worker=with_worker),
        host=settings.listen_host,
        port=settings.listen_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_grace_seconds),
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(_serve(server))
    while not server.started:
        if serving.done():
            raise ServerDidNotStart(f"The server could not listen on {settings.listen_host}:{settings.listen_port}.")
        await asyncio.sleep(_STARTUP_POLL_SECONDS)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{settings.listen_host}:{port}", serving
    finally:
        server.should_exit = True
        await serving


async def serve(settings: Settings, *, with_worker: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    async with open_container(settings) as container, running_server(container, with_worker=with_worker) as (_, serving):
        await serving


async def work(settings: Settings) -> None:
    """Do due work, without serving, until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    async with open_container(settings) as container:
        await container.worker.run(stop)
        await container.runner.drain(grace_seconds=settings.shutdown_grace_seconds)


async def _serve(server: uvicorn.Server) -> None:
    try:
        await server.serve()
    except SystemExit:  # uvicorn exits the process when it cannot bind; the caller decides what that means
        return
