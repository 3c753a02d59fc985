"""Every error as an RFC 9457 problem document, mapped to HTTP in this one place (architecture section 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from psycopg import DataError, OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, SerializationFailure
from psycopg_pool import PoolTimeout
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from trustpack.kernel.errors import ErrorKind, InvalidInput, NotFound, TrustpackError

PROBLEM_TYPE = "application/problem+json"
STATUS_OF_KIND: Mapping[ErrorKind, int] = {
    ErrorKind.INVALID: 422,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.LIMITED: 429,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNAVAILABLE: 503,
}
OF_NO_OBJECT = frozenset(
    {ErrorKind.NOT_FOUND, ErrorKind.UNAUTHENTICATED, ErrorKind.UNAVAILABLE, ErrorKind.LIMITED, ErrorKind.TOO_LARGE}
)
"""Errors that say nothing of the object that a decision is about: they have the page that all others have."""
_UNFIT = (DataError,)
"""Text that got past every check of form and that PostgreSQL cannot take; the caller's fault, and no reason for a 500."""
TRANSIENT = (PoolTimeout, OperationalError, LockNotAvailable, DeadlockDetected, SerializationFailure, QueryCanceled)
"""What the store throws while it cannot be reached, or is too busy; the same may succeed a moment later."""

_log = structlog.get_logger(__name__)


class StoreUnavailable(TrustpackError):
    """The product's own database did not answer. Whether a commit under way succeeded is then unknown, so nothing is claimed."""

    kind = ErrorKind.UNAVAILABLE
    code = "platform.store_unavailable"
    title = "The service cannot reach its database"
    detail = "The service's database did not answer in time."
    next_step = "Try again in a few seconds; with the same Idempotency-Key nothing is done twice."


class Unexpected(TrustpackError):
    """A bug of ours. What it was stands in the log under the request id, never in the answer."""

    code = "platform.unexpected"
    title = "Something went wrong on our side"
    detail = "Something went wrong on our side."
    next_step = "Try again with the same Idempotency-Key, and report the request id if it stays."


class MethodNotAllowed(TrustpackError):
    """The path exists, but not for this method."""

    code = "request.method_not_allowed"
    title = "Method not allowed"
    detail = "This path does not support this method."
    next_step = "See /openapi.json for the methods of each path."


class Problem(BaseModel):
    """An RFC 9457 problem document with our stable code and the next step; typed data may follow."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    next_step: str
    request_id: str


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_TYPE: {"schema": Problem.model_json_schema()}}}
    for status in sorted(STATUS_OF_KIND.values())
}
PROBLEM_RESPONSES[STATUS_OF_KIND[ErrorKind.LIMITED]]["headers"] = {
    "Retry-After": {
        "description": "After how many seconds a request is taken again; absent where waiting does not help.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
"""What every route may answer instead of its own model, for the OpenAPI document."""


def problem_document(error: TrustpackError, *, status: int, request_id: str) -> dict[str, Any]:
    """Return the wire shape of an error: its fixed members, then its typed data."""
    return {
        "type": "about:blank",
        "title": error.title,
        "status": status,
        "code": error.code,
        "detail": error.detail,
        "next_step": error.next_step,
        "request_id": request_id,
        **error.data,
    }


def problem_body(error: TrustpackError, *, request_id: str, status: int | None = None) -> tuple[int, bytes]:
    """Return the status and the bytes of an error's answer."""
    mapped = status or STATUS_OF_KIND[error.kind]
    return mapped, json.dumps(problem_document(error, status=mapped, request_id=request_id), ensure_ascii=False).encode()


def respond(error: TrustpackError, *, request_id: str, status: int | None = None) -> Response:
    """Return the HTTP answer to an error."""
    mapped = status or STATUS_OF_KIND[error.kind]
    document = problem_document(error, status=mapped, request_id=request_id)
    headers = {"WWW-Authenticate": "Bearer"} if mapped == HTTPStatus.UNAUTHORIZED else {}
    if mapped == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "2"
    if "retry_after" in error.data:
        headers["Retry-After"] = str(error.data["retry_after"])
    return Response(json.dumps(document, ensure_ascii=False).encode(), mapped, headers, media_type=PROBLEM_TYPE)


def respond_to_bug(error: Exception, *, request_id: str) -> Response:
    """Log what nobody foresaw and return the HTTP answer to it."""
    _log.error("unexpected_error", reason=type(error).__name__, exc_info=error)
    return respond(Unexpected(), request_id=request_id, status=500)


def install(app: FastAPI) -> None:
    """Make the application answer every foreseen error with a problem document; `RequestFrame` answers the others."""
    app.add_exception_handler(TrustpackError, _on_trustpack_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for unfit in _UNFIT:
        app.add_exception_handler(unfit, _on_unfit)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, _on_transient)


def request_id_of(request: Request) -> str:
    """Return the id that ties the answer, the log line and a support question together."""
    return str(request.scope.get("trustpack.request_id", ""))


async def _on_trustpack_error(request: Request, error: Exception) -> Response:
    return respond(cast("TrustpackError", error), request_id=request_id_of(request))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    faults = [
        {
            "field": ".".join(str(part) for part in fault["loc"] if part != "body") or "body",
            "message": fault["msg"].removeprefix("Value error, "),
        }
        for fault in cast("Sequence[Mapping[str, Any]]", cast("RequestValidationError", error).errors())
    ]
    return respond(InvalidInput(errors=faults), request_id=request_id_of(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    # FastAPI wraps what goes wrong while the body is read; our own error is then the cause.
    if isinstance(error.__cause__, TrustpackError):
        return respond(error.__cause__, request_id=request_id_of(request))
    status = cast("HTTPException", error).status_code
    if status == HTTPStatus.NOT_FOUND:
        return respond(NotFound(), request_id=request_id_of(request))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        refused = respond(MethodNotAllowed(), request_id=request_id_of(request), status=405)
        refused.headers["Allow"] = ", ".join(sorted(_methods_at(request)))  # RFC 9110 section 15.5.6
        return refused
    return respond(InvalidInput("The request could not be read."), request_id=request_id_of(request), status=status)


def _methods_at(request: Request) -> set[str]:
    # Starlette names the methods of the first route of the path alone, though other methods may be other routes.
    routes = [route for route in iter_route_contexts(request.app.routes) if route.path == request.scope["route"].path]
    return {method for route in routes for method in route.methods or ()}


async def _on_unfit(request: Request, error: Exception) -> Response:
    _log.warning("unfit_input", reason=type(error).__name__)
    return respond(InvalidInput("Some text cannot be stored."), request_id=request_id_of(request))


async def _on_transient(request: Request, error: Exception) -> Response:
    _log.warning("store_unavailable", reason=type(error).__name__)
    return respond(StoreUnavailable(), request_id=request_id_of(request))
