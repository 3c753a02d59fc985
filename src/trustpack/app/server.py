"""Run the web server and the worker until they are told to stop, then let what is under way finish."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from trustpack.app.bootstrap import Container, open_container
from trustpack.app.http import build_app
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.settings import Settings, join_address, split_address
from trustpack.platform.web.connections import ConnectionLimits, guarded_protocol

_STARTUP_POLL_SECONDS = 0.02


class ServerDidNotStart(TrustpackError):
    """The web server ended before it began to serve; most often somebody else has the port."""

    kind = ErrorKind.UNAVAILABLE
    code = "app.server_did_not_start"
    title = "The server did not start"
    next_step = "Choose another port with --port, or stop what listens there."


class WorkerEnded(TrustpackError):
    """The worker's task ended although nobody had told it to; serving without it would leave access open past its end."""

    kind = ErrorKind.UNAVAILABLE
    code = "app.worker_ended"
    title = "The worker ended"
    detail = "The worker ended by itself, so the server was stopped."
    next_step = "Read the log for the reason and start the server again."


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: it raises the signal again after serving, and the process dies before our cleanup.

    A stream would last for ever, so streams are ended before the requests that are under way are waited for.
    """

    def __init__(self, config: uvicorn.Config, *, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running_server(container: Container, *, with_worker: bool) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve on the settings' address; yield the base URL and the task that ends when the server does, as SIGINT and SIGTERM ask.

    Raises `ServerDidNotStart`, `UnsafeDatabaseLogin`; the task raises `WorkerEnded`.
    """
    settings = container.settings
    host, port = split_address(settings.listen)
    worker_ended = asyncio.Event()

    def stop_without_worker() -> None:
        worker_ended.set()
        server.should_exit = True

    app = build_app(container, with_worker=with_worker, on_worker_end=stop_without_worker)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.forwarded_allow_ips),
        forwarded_allow_ips=settings.forwarded_allow_ips,  # never None: uvicorn would ask the environment
        http=guarded_protocol(
            ConnectionLimits(
                request_receive_seconds=settings.request_receive_seconds,
                response_send_seconds=settings.response_send_seconds,
                max_connections=settings.max_connections,
            )
        ),
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_grace_seconds)),
    )
    server = _Server(config, end_streams=app.state.signals.end)

    stop_asked = asyncio.Event()

    def stop() -> None:
        stop_asked.set()
        if server.started:  # before that uvicorn would leave without ending the lifespan, and so the worker
            server.force_exit = server.should_exit  # asked twice: waits for no request any more
            server.should_exit = True

    _on_stop_signal(stop)
    serving = asyncio.create_task(_serve(server, worker_ended))
    while not server.started:
        if serving.done():
            raise ServerDidNotStart(f"The server could not listen on {settings.listen}.")
        await asyncio.sleep(_STARTUP_POLL_SECONDS)
    if stop_asked.is_set():
        server.should_exit = True
    bound = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{join_address(host, bound)}", serving
    finally:
        server.should_exit = True
        await serving


async def serve(settings: Settings, *, with_worker: bool) -> None:
    """Serve until SIGINT or SIGTERM. Raises what `running_server` raises, and `WorkerEnded`."""
    async with open_container(settings) as container, running_server(container, with_worker=with_worker) as (_, serving):
        await serving


async def work(settings: Settings) -> None:
    """Do due work, without serving, until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    _on_stop_signal(stop.set)
    async with open_container(settings) as container:
        await container.worker.run(stop)
        await container.runner.drain(grace_seconds=settings.shutdown_grace_seconds)


def _on_stop_signal(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop)


async def _serve(server: uvicorn.Server, worker_ended: asyncio.Event) -> None:
    try:
        await server.serve()
    except SystemExit:  # uvicorn exits the process when it cannot bind; the caller decides what that means
        return
    if worker_ended.is_set():
        raise WorkerEnded
