"""The one shape of every error, pinned; and an application that fails in every way answers with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import psycopg.errors
import pytest
import structlog
from fastapi import FastAPI, HTTPException
from psycopg_pool import PoolTimeout
from starlette.middleware import Middleware
from structlog.testing import capture_logs

from tests.support.clock import MovableClock
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.entropy import SystemIds
from trustpack.platform.web import problems
from trustpack.platform.web.middleware import RequestFrame
from trustpack.platform.web.problems import problem_body, problem_document
from trustpack.platform.web.routing import Body, StrictRoute

SECRET = "postgresql://postgres:hunter2@db/prod"
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class OutOfPaper(TrustpackError):
    kind = ErrorKind.CONFLICT
    code = "printer.out_of_paper"
    title = "Out of paper"
    detail = "There is no paper."
    next_step = "Add paper."


class Page(Body):
    text: str
    copies: int


TRANSIENT = {
    "pool": PoolTimeout(SECRET),
    "connection": psycopg.OperationalError(SECRET),
    "lock": psycopg.errors.LockNotAvailable(SECRET),
    "deadlock": psycopg.errors.DeadlockDetected(SECRET),
    "serialization": psycopg.errors.SerializationFailure(SECRET),
    "timeout": psycopg.errors.QueryCanceled(SECRET),
}


def failing_app() -> FastAPI:
    """An application with the product's frame and error handling whose routes fail."""
    app = FastAPI(middleware=[Middleware(RequestFrame, ids=SystemIds(MovableClock()), max_body_bytes=2_000)])
    app.router.route_class = StrictRoute
    problems.install(app)

    @app.get("/named")
    async def named() -> None:
        raise OutOfPaper(tray=2)

    @app.post("/named")
    async def make_named() -> None:
        raise OutOfPaper(tray=1)

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError(SECRET)

    @app.get("/transient/{name}")
    async def transient(name: str) -> None:
        raise TRANSIENT[name]

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, detail=SECRET)

    @app.post("/print")
    async def print_page(page: Page) -> dict[str, str]:
        return {"text": page.text}

    @app.get("/pages/{number}")
    async def page(number: int) -> dict[str, int]:
        return {"number": number}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=failing_app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as opened:
        yield opened


def test_a_problem_document_has_exactly_these_members():
    assert problem_document(OutOfPaper(tray=2), status=409, request_id="req_1") == {
        "type": "about:blank",
        "title": "Out of paper",
        "status": 409,
        "code": "printer.out_of_paper",
        "detail": "There is no paper.",
        "next_step": "Add paper.",
        "request_id": "req_1",
        "tray": 2,
    }


def test_a_stored_problem_has_the_bytes_of_one_that_is_answered():
    status, body = problem_body(OutOfPaper("Kein Papier: Fach „2“.", tray=2), request_id="req_1")

    answered = problems.respond(OutOfPaper("Kein Papier: Fach „2“.", tray=2), request_id="req_1")

    assert (status, body) == (answered.status_code, answered.body)


async def test_a_named_error_is_answered_as_a_problem(client: httpx2.AsyncClient):
    response = await client.get("/named", headers={"X-Request-Id": "my-request-1"})

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == problem_document(OutOfPaper(tray=2), status=409, request_id="my-request-1")


async def test_an_unknown_path_is_a_problem(client: httpx2.AsyncClient):
    response = await client.get("/nowhere")

    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_wrong_method_is_a_problem(client: httpx2.AsyncClient):
    response = await client.delete("/named")

    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["status"], response.json()["code"]) == (405, 405, "request.method_not_allowed")


async def test_a_wrong_method_names_the_right_ones_as_rfc_9110_asks(client: httpx2.AsyncClient):
    response = await client.delete("/named")

    assert response.headers["allow"] == "GET, POST"


async def test_a_bug_is_a_500_that_tells_nothing_about_it(client: httpx2.AsyncClient):
    with capture_logs() as lines:
        response = await client.get("/bug")

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in response.text
    assert "KeyError" not in response.text
    assert [line["reason"] for line in lines if line["event"] == "unexpected_error"] == ["KeyError"]


async def test_a_bug_has_a_code_that_does_not_blame_the_caller(client: httpx2.AsyncClient):
    assert (await client.get("/bug")).json()["code"] not in {"invalid", "request.invalid"}


async def test_a_bug_can_be_found_by_the_request_id_of_its_answer(client: httpx2.AsyncClient):
    with capture_logs(processors=[_merge_context]) as lines:
        response = await client.get("/bug")

    [logged] = [line for line in lines if line["event"] == "unexpected_error"]
    assert logged.get("request_id") == response.json()["request_id"]


@pytest.mark.parametrize("path", ["/named", "/bug", "/nowhere", "/transient/pool", "/pages/x", "/pages/1"])
async def test_every_answer_has_the_safe_headers_and_its_request_id(client: httpx2.AsyncClient, path: str):
    response = await client.get(path)

    assert {name: response.headers.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS
    assert response.headers.get("x-request-id", "").startswith("req_")


@pytest.mark.parametrize("name", TRANSIENT)
async def test_a_database_that_does_not_answer_is_503_and_says_when_to_come_back(client: httpx2.AsyncClient, name: str):
    response = await client.get(f"/transient/{name}")

    assert (response.status_code, response.json()["code"]) == (503, "platform.store_unavailable")
    assert response.headers["retry-after"] == "2"
    assert "hunter2" not in response.text


async def test_an_http_exception_of_the_framework_keeps_its_status_and_hides_its_text(client: httpx2.AsyncClient):
    response = await client.get("/teapot")

    assert (response.status_code, response.json()["status"]) == (418, 418)
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"text": "a"}, ["copies"]),
        ({"text": "a", "copies": 1, "colour": "red"}, ["colour"]),
        ({"text": 1, "copies": 1}, ["text"]),
        ({"text": "a", "copies": 1.0}, ["copies"]),
        ({"text": "a", "copies": "1"}, ["copies"]),
        ({"text": "a", "copies": True}, ["copies"]),
        ({"copies": None}, ["text", "copies"]),
        ([], ["body"]),
        (None, ["body"]),
    ],
)
async def test_a_body_of_the_wrong_form_names_every_field_at_fault(client: httpx2.AsyncClient, body: object, fields: list[str]):
    response = await client.post("/print", content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (422, "request.invalid")
    assert [fault["field"] for fault in response.json()["errors"]] == fields


async def test_an_empty_body_is_named(client: httpx2.AsyncClient):
    response = await client.post("/print", headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "body")


async def test_a_fault_in_the_path_is_named(client: httpx2.AsyncClient):
    response = await client.get("/pages/one")

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "path.number"


async def test_a_fault_does_not_repeat_what_was_sent(client: httpx2.AsyncClient):
    response = await client.post("/print", json={"text": ["hunter2"], "copies": "hunter2"})

    assert response.status_code == 422
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    "raw", [b'{"text":"a","text":"b","copies":1}', b'{"text":"\\ud800","copies":1}', b'{"copies":1e400}', b"[" * 1_500, b"\xff"]
)
async def test_a_body_that_is_not_strict_json_is_malformed(client: httpx2.AsyncClient, raw: bytes):
    response = await client.post("/print", content=raw, headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (422, "request.malformed_json")


def _merge_context(_: object, __: str, event: dict[str, object]) -> dict[str, object]:
    return dict(structlog.contextvars.merge_contextvars(None, "", event))  # type: ignore[arg-type]
