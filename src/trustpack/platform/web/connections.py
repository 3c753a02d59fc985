"""A guard on every connection: who sends or reads too slowly, or only waits while others need the place, is cut (ADR-0017).

uvicorn limits the time between two requests alone. Its protocol is extended here by a limit on the time for sending a request,
head and body, and for reading an answer, on the size of all that is no body, and on the number of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from trustpack.kernel.errors import ErrorKind, InvalidInput, TrustpackError
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics
from trustpack.platform.web.middleware import MAX_HEAD_BYTES, HeadTooLarge
from trustpack.platform.web.problems import respond

_MAX_PIPELINED = 16
"""Requests that may queue on one connection; no client in use sends a second one before its first answer."""
_MAX_BESIDE_BODY_BYTES = 16 * MAX_HEAD_BYTES
"""Head, sizes of chunks and trailers of one request; a body of the largest size in chunks of one byte stays below it."""
_log = structlog.get_logger(__name__)


class RequestTooSlow(TrustpackError):
    """The client did not send its request in time."""

    code = "request.too_slow"
    title = "The request came too slowly"
    detail = "The request was not complete in the time that this service waits for one."
    next_step = "Send the request again, whole; with the same Idempotency-Key nothing is done twice."


class TooManyConnections(TrustpackError):
    """Every connection that the process may have is at work."""

    kind = ErrorKind.UNAVAILABLE
    code = "platform.too_many_connections"
    title = "The service has no connection left"
    detail = "Every connection that this service may have is in use."
    next_step = "Try again in a few seconds, on a connection that you keep."


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long a client may take, and how many there may be."""

    request_receive_seconds: float
    response_send_seconds: float
    max_connections: int


def guarded_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Return the protocol that uvicorn is to speak, under these limits."""
    return type("_GuardedProtocol", (GuardedProtocol,), {"limits": limits})


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines. One timer runs while the client is to send, one while it is to read."""

    limits: ClassVar[ConnectionLimits]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._sending = _Deadline(self.loop, self.limits.request_receive_seconds, self._on_slow_request)
        self._reading = _Deadline(self.loop, self.limits.response_send_seconds, self._on_slow_reader)
        self._waiting_since = monotonic_seconds()
        self._running: RequestResponseCycle | None = None  # `cycle` is the last whose head has come, and may wait its turn
        self._is_in_head = False
        self._beside_body_bytes = 0

    @property
    def is_at_work(self) -> bool:
        """Say whether a whole request has come in that is not answered yet."""
        return self._running is not None and not self._running.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._sending.start()
        if len(self.connections) > self.limits.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._sending.end()
        self._reading.end()

    def data_received(self, data: bytes) -> None:
        if self._is_in_last_answer():
            return
        if not self._sending.is_running and not self.is_at_work:  # after a pause; a line break between requests counts too
            self._sending.start()
        self._beside_body_bytes += len(data)
        super().data_received(data)
        if self._beside_body_bytes > (MAX_HEAD_BYTES if self._is_in_head else _MAX_BESIDE_BODY_BYTES):
            self._cut("long_head", HeadTooLarge(), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._beside_body_bytes = True, 0
        self._sending.start()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # a trailer is no header: whoever checks the headers has done so before it comes
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._beside_body_bytes -= len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise ValueError("too many requests at once on one connection")  # the parser makes it `send_400_response`
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._sending.stop()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._running = None
        super().on_response_complete()
        self._waiting_since = monotonic_seconds()
        if self.transport.is_closing():
            self._reading.start()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._reading.stop()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidInput("The request is not HTTP that this service understands."), HTTPStatus.BAD_REQUEST)

    def _on_slow_request(self) -> None:
        if self.flow.read_paused:  # it is we who do not read: an earlier request of this connection is at work
            self._sending.start()
        else:
            self._cut("slow_request", RequestTooSlow(), HTTPStatus.REQUEST_TIMEOUT)

    def _on_slow_reader(self) -> None:
        _note_cut("slow_reader")
        self.transport.abort()

    def _make_room(self) -> None:
        guarded = [made for made in self.connections if isinstance(made, GuardedProtocol)]
        waiting = [made for made in guarded if not made.is_at_work and not made.transport.is_closing()]
        min(waiting, key=lambda made: made._waiting_since)._give_way()  # noqa: SLF001 - of its own class

    def _give_way(self) -> None:
        self._cut("crowded", TooManyConnections(), HTTPStatus.SERVICE_UNAVAILABLE)

    def _cut(self, reason: str, error: TrustpackError, status: int) -> None:
        if not self.transport.is_closing() and not self._is_in_last_answer():
            _note_cut(reason)
            self._refuse(error, status)

    def _refuse(self, error: TrustpackError, status: int) -> None:
        if self._running is not None and self.is_at_work:
            # The refusal would be read as the answer of the request at work; that one is answered, and then it is over.
            self._running.keep_alive = False
            return
        # A second answer in the middle of a first would be read as part of it.
        if self._running is None or not self._running.response_started:
            answer = respond(error, request_id="", status=status)
            headers = [*answer.raw_headers, (b"connection", b"close")]
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + bytes(answer.body))
        self._close()

    def _is_in_last_answer(self) -> bool:
        return self._running is not None and self.is_at_work and not self._running.keep_alive

    def _close(self) -> None:
        # Closing waits for the client to read what was written, so that wait has its end too.
        self.transport.close()
        self._reading.start()


class _Deadline:
    """A timer that is started anew by each `start` until its `end`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, passed: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._passed = passed
        self._has_ended = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        self.stop()
        if not self._has_ended:
            self._timer = self._loop.call_later(self._seconds, self._pass)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Stop for good."""
        self._has_ended = True
        self.stop()

    def _pass(self) -> None:
        self._timer = None
        self._passed()


def _note_cut(reason: str) -> None:
    metrics.CONNECTIONS_CUT.labels(reason=reason).inc()
    _log.warning("connection_cut", reason=reason)
