"""What happens to every request: an id, a size limit, safe headers, one canonical log line, metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trustpack.kernel.errors import ErrorKind, InvalidInput, TrustpackError
from trustpack.kernel.ids import IdSource, is_id
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics
from trustpack.platform.web.problems import respond, respond_to_bug

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SINGLE_HEADERS = frozenset({b"authorization", b"content-encoding", b"content-length", b"content-type", b"idempotency-key"})
"""Two of these have two meanings, and whoever checks the one may not be whoever obeys the other."""
MAX_HEAD_BYTES = 32_768
"""Longest path and headers together; ten times what a client of this service sends."""
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
_log = structlog.get_logger("trustpack.request")


class BodyTooLarge(TrustpackError):
    """The body is larger than any request of this service needs."""

    kind = ErrorKind.TOO_LARGE
    code = "request.body_too_large"
    title = "The body is too large"
    detail = "The body is larger than this service accepts."
    next_step = "Send less; long explanations belong into the ticket."


class HeadTooLarge(TrustpackError):
    """The path and the headers are longer than any request of this service needs."""

    kind = ErrorKind.TOO_LARGE
    code = "request.head_too_large"
    title = "The head of the request is too large"
    detail = f"The path and the headers are longer than {MAX_HEAD_BYTES} bytes."
    next_step = "Send fewer and shorter headers."


class EncodingNotSupported(TrustpackError):
    """The body is compressed; what a small body unpacks to has no bound."""

    code = "request.encoding_not_supported"
    title = "The body is compressed"
    detail = "This service does not read compressed bodies."
    next_step = "Send the body as it is, without Content-Encoding."


class RequestFrame:
    """Pure ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, ids: IdSource, max_body_bytes: int) -> None:
        self._app = app
        self._ids = ids
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        offered = headers.get(b"x-request-id", b"")
        request_id = offered.decode() if _REQUEST_ID.fullmatch(offered) else self._ids.new("req")
        scope["trustpack.request_id"] = request_id
        started = monotonic_seconds()
        status: int | None = None

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_SAFE_HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            if (refusal := self._refusal_of(scope, headers, request_id)) is not None:
                await refusal(scope, receive, send_framed)
            else:
                await self._app(scope, self._limited(receive), send_framed)
        except Exception as error:  # answered here and not further out, so that this answer has its id and its headers too
            answer = respond_to_bug(error, request_id=request_id)
            if status is not None:
                raise
            await answer(scope, receive, send_framed)
        finally:
            self._note(scope, status=int(status or 500), seconds=monotonic_seconds() - started)
            structlog.contextvars.clear_contextvars()

    def _refusal_of(self, scope: Scope, headers: Mapping[bytes, bytes], request_id: str) -> Response | None:
        names = [name for name, _ in scope["headers"] if name in _SINGLE_HEADERS]
        content_length = headers.get(b"content-length", b"0")
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            return respond(HeadTooLarge(), request_id=request_id, status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if len(set(names)) != len(names):
            return respond(InvalidInput("A header that has one value was sent twice."), request_id=request_id, status=400)
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            return respond(EncodingNotSupported(), request_id=request_id, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if not _CONTENT_LENGTH.fullmatch(content_length):
            return respond(InvalidInput("The Content-Length is not a number of bytes."), request_id=request_id, status=400)
        if int(content_length) > self._max_body_bytes:
            return respond(BodyTooLarge(), request_id=request_id)
        return None

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise BodyTooLarge
            return message

        return receive_limited

    def _note(self, scope: Scope, *, status: int, seconds: float) -> None:
        # The route's template, never the path itself: paths hold ids, and an unknown path holds whatever its sender likes.
        route = getattr(scope.get("route"), "path", "(none)")
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        metrics.HTTP_REQUESTS.labels(method=method, route=route, status=str(status)).inc()
        metrics.HTTP_DURATION.labels(method=method, route=route).observe(seconds)
        actor = scope.get("trustpack.actor")
        # What stands in the path is the sender's text: only an id is worth a place in the log.
        named = str(scope.get("path_params", {}).get("request_id", ""))
        _log.info(
            "request",
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            tenant_id=actor.tenant_id if actor else None,
            actor_id=actor.id if actor else None,
            subject_id=named if is_id(named) else None,
        )


def _head_bytes(scope: Scope) -> int:
    target = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    return target + sum(len(name) + len(value) for name, value in scope["headers"])
