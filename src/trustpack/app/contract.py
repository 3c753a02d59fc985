"""The application with its OpenAPI document: what the routes declare, and what holds for every answer of any route."""

from __future__ import annotations

from copy import deepcopy
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from trustpack.platform.web.problems import PROBLEM_RESPONSES, PROBLEM_TYPE, Problem

FROM_ANY_ROUTE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
"""Answered before any route is reached, or instead of what it would have answered."""
HEADERS_OF_EVERY_ANSWER = {"X-Request-Id": "Ties the answer to the log; a sent X-Request-Id of 8 to 64 characters is kept."}
HEADERS_BY_STATUS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "The scheme to sign in with: `Bearer`."},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds to wait before the next attempt."},
}
_PROBLEM = {PROBLEM_TYPE: {"schema": Problem.model_json_schema()}}


class Application(FastAPI):
    """FastAPI whose document also says what the frame around all routes does."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            for methods in super().openapi()["paths"].values():
                for operation in methods.values():
                    _complete(operation["responses"])
        return super().openapi()


def operation_id(route: APIRoute) -> str:
    """Return the name of an operation in the document: that of the function that serves it, so that links can name it."""
    return route.name


def _complete(responses: dict[str, Any]) -> None:
    for status in FROM_ANY_ROUTE:
        known = PROBLEM_RESPONSES.get(int(status), {"description": status.phrase, "content": _PROBLEM})
        responses.setdefault(str(int(status)), deepcopy(known))
    for code, response in responses.items():
        of_problem = HEADERS_BY_STATUS.get(HTTPStatus(int(code)), {}) if PROBLEM_TYPE in response.get("content", {}) else {}
        for name, description in {**HEADERS_OF_EVERY_ANSWER, **of_problem}.items():
            header = {"description": description, "required": True, "schema": {"type": "string", "minLength": 1}}
            response.setdefault("headers", {})[name] = header
