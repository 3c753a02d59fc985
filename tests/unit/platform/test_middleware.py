"""What happens to every request before and after its route: size limit, request id, log line, metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from prometheus_client import REGISTRY
from starlette.middleware import Middleware
from structlog.testing import capture_logs

from tests.support.clock import MovableClock
from trustpack.platform.entropy import SystemIds
from trustpack.platform.web import problems
from trustpack.platform.web.middleware import MAX_HEAD_BYTES, RequestFrame
from trustpack.platform.web.routing import Body, StrictRoute

LIMIT = 2_000


class Note(Body):
    text: str


def small_app() -> FastAPI:
    app = FastAPI(middleware=[Middleware(RequestFrame, ids=SystemIds(MovableClock()), max_body_bytes=LIMIT)])
    app.router.route_class = StrictRoute
    problems.install(app)

    @app.post("/notes/{request_id}")
    async def note(request_id: str, body: Note) -> dict[str, int]:
        return {"length": len(body.text)}

    @app.get("/gone")
    async def gone() -> Response:
        return Response(status_code=HTTPStatus.GONE)

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=small_app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as opened:
        yield opened


async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def body_of(length: int) -> bytes:
    """Return a JSON document of exactly this many bytes."""
    return b'{"text":"' + b"a" * (length - 11) + b'"}'


async def test_a_body_at_the_limit_is_accepted(client: httpx2.AsyncClient):
    response = await client.post("/notes/1", content=body_of(LIMIT), headers={"Content-Type": "application/json"})

    assert response.status_code == 200


async def test_a_body_announced_as_too_large_is_refused(client: httpx2.AsyncClient):
    response = await client.post("/notes/1", content=body_of(LIMIT + 1), headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (413, "request.body_too_large")


@pytest.mark.parametrize("path", ["/notes/1", "/raw"])
async def test_a_body_that_grows_too_large_without_announcing_it_is_refused(client: httpx2.AsyncClient, path: str):
    parts = [body_of(LIMIT + 1)[at : at + 100] for at in range(0, LIMIT + 1, 100)]

    response = await client.post(path, content=chunks(parts), headers={"Content-Type": "application/json"})

    assert "content-length" not in response.request.headers
    assert (response.status_code, response.json()["code"]) == (413, "request.body_too_large")


async def test_no_more_is_read_than_the_limit_and_one_part(client: httpx2.AsyncClient):
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100 * LIMIT:
            read += 500
            yield b"a" * 500

    # The in-process transport reads all first; so the frame is called as a server calls it.
    app, sent = small_app(), []
    source = endless()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": await anext(source), "more_body": True}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/raw", "headers": [], "query_string": b"", "http_version": "1.1"}
    await app(scope, receive, send)

    assert sent[0]["status"] == 413
    assert read <= LIMIT + 500


async def test_a_lying_content_length_does_not_lift_the_limit(client: httpx2.AsyncClient):
    headers = {"Content-Type": "application/json", "Content-Length": "10"}

    response = await client.post("/notes/1", content=body_of(LIMIT + 1), headers=headers)

    assert response.status_code == 413


@pytest.mark.parametrize("length", ["many", "-1", "1e9", "0x10", "+5", "1_0", "9" * 5_000])
async def test_a_content_length_that_is_no_number_is_the_senders_fault(client: httpx2.AsyncClient, length: str):
    response = await client.post("/raw", content=b"hello", headers={"Content-Length": length})

    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_well_formed_request_id_is_echoed(client: httpx2.AsyncClient):
    response = await client.post("/raw", headers={"X-Request-Id": "Ticket-4711_a"})

    assert response.headers["x-request-id"] == "Ticket-4711_a"


@pytest.mark.parametrize(
    "offered", ["", "short", "a" * 65, "with space", "new\tline", "quote\"'<script>", "päivää-päivää".encode()]
)
async def test_any_other_request_id_is_replaced(client: httpx2.AsyncClient, offered: str | bytes):
    response = await client.post("/raw", headers=[(b"X-Request-Id", offered if isinstance(offered, bytes) else offered.encode())])

    assert response.headers["x-request-id"].startswith("req_")


async def test_two_requests_have_different_ids(client: httpx2.AsyncClient):
    first, second = [(await client.post("/raw")).headers["x-request-id"] for _ in range(2)]

    assert first != second


async def test_each_request_leaves_one_line_with_the_template_of_its_route_and_nothing_that_was_sent(client: httpx2.AsyncClient):
    headers = {"Authorization": "Bearer tp_acme_hunter2", "Cookie": "session=hunter2", "X-Request-Id": "request-1"}

    with capture_logs() as lines:
        await client.post("/notes/hro_1?token=hunter2", json={"text": "hunter2"}, headers=headers)

    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/notes/{request_id}", 200)
    assert line["duration_ms"] >= 0
    assert "hunter2" not in repr(lines)


async def test_an_unknown_path_does_not_reach_the_log(client: httpx2.AsyncClient):
    with capture_logs() as lines:
        await client.get("/hunter2/../../etc/passwd?x=hunter2")

    assert [line["route"] for line in lines] == ["(none)"]
    assert "hunter2" not in repr(lines)


async def test_a_status_is_logged_as_its_number(client: httpx2.AsyncClient):
    with capture_logs() as lines:
        await client.get("/gone")

    assert [repr(line["status"]) for line in lines] == ["410"]


async def test_a_refused_body_leaves_its_line_too(client: httpx2.AsyncClient):
    with capture_logs() as lines:
        await client.post("/raw", content=b"a" * (LIMIT + 1))

    assert [line["status"] for line in lines if line["event"] == "request"] == [413]


async def test_a_request_is_counted_under_the_template_of_its_route(client: httpx2.AsyncClient):
    labels = {"method": "POST", "route": "/notes/{request_id}", "status": "200"}
    before = REGISTRY.get_sample_value("trustpack_http_requests_total", labels) or 0

    await client.post("/notes/1", json={"text": "a"})

    assert REGISTRY.get_sample_value("trustpack_http_requests_total", labels) == before + 1


async def test_a_made_up_method_does_not_become_a_label(client: httpx2.AsyncClient):
    await client.request("HUNTER2", "/raw")

    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    assert not [sample for sample in samples if sample.labels.get("method") == "HUNTER2"]


@pytest.mark.parametrize("name", ["Authorization", "Content-Length", "Content-Type", "Content-Encoding", "Idempotency-Key"])
async def test_a_header_with_one_meaning_is_refused_when_it_comes_twice(client: httpx2.AsyncClient, name: str):
    response = await client.post("/raw", content=b"", headers=[(name, "1"), (name.lower(), "1")])

    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")


async def test_other_headers_may_come_twice(client: httpx2.AsyncClient):
    response = await client.post("/raw", headers=[("Accept", "a/b"), ("Accept", "c/d")])

    assert response.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", ""])
async def test_a_compressed_body_is_refused_unread(client: httpx2.AsyncClient, encoding: str):
    response = await client.post("/raw", content=b"hello", headers={"Content-Encoding": encoding})

    assert (response.status_code, response.json()["code"]) == (415, "request.encoding_not_supported")


async def test_a_body_that_says_that_it_is_not_compressed_is_read(client: httpx2.AsyncClient):
    response = await client.post("/raw", content=b"hello", headers={"Content-Encoding": "Identity"})

    assert response.json() == {"length": 5}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/raw", {"X-Long": "a" * MAX_HEAD_BYTES}),
        ("/raw", {"A" * MAX_HEAD_BYTES: "a"}),
        ("/raw", {f"X-{number}": "a" * 1_000 for number in range(40)}),
        ("/raw?" + "a" * MAX_HEAD_BYTES, {}),
        ("/" + "a" * MAX_HEAD_BYTES, {}),
    ],
)
async def test_a_head_beyond_its_limit_is_refused(client: httpx2.AsyncClient, path: str, headers: dict[str, str]):
    response = await client.post(path, headers=headers)

    assert (response.status_code, response.json()["code"]) == (431, "request.head_too_large")


async def test_a_head_below_its_limit_is_read(client: httpx2.AsyncClient):
    response = await client.post("/raw", headers={"X-Long": "a" * (MAX_HEAD_BYTES - 1_000)})

    assert response.status_code == 200
