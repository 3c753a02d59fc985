"""Clients that send slowly, read slowly or only wait: they are cut, and everybody else is served all the while."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx2
import pytest

from tests.support.server_process import ServerProcess, server_process, wait_until
from trustpack.app.bootstrap import prepare_store
from trustpack.platform.database import embedded_cluster
from trustpack.platform.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 60
CONNECTIONS = 40
SMALL = {"TRUSTPACK_DATABASE_POOL_SIZE": "2", "TRUSTPACK_MAX_CONNECTIONS": str(CONNECTIONS)}
TIMES = ("TRUSTPACK_REQUEST_RECEIVE_SECONDS", "TRUSTPACK_RESPONSE_SEND_SECONDS", "TRUSTPACK_KEEP_ALIVE_SECONDS")
POST = b"POST /high-risk-ops/requests HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The real server, impatient and with few connections."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("slow"), database_pool_size=2, _env_file=None)
    prepare_store(settings)
    with server_process(settings.data_dir, **SMALL, **dict.fromkeys(TIMES, "1")) as process:
        process.start()
        yield process
    embedded_cluster(settings).stop(mode="immediate")


@pytest.fixture(scope="module")
def patient_server(server: ServerProcess) -> Iterator[ServerProcess]:
    """Another one beside it that cuts nobody for being slow, as a test may be on a machine that has much else to do."""
    with server_process(server.data_dir, **SMALL, **dict.fromkeys(TIMES, str(PATIENCE_SECONDS))) as process:
        process.start()
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[socket.socket]:
    with connected(server) as opened:
        yield opened


def connected(server: ServerProcess) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def answer_of(client: socket.socket) -> bytes:
    """Return all that the server sends until it ends the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65_536):
            received += part
    return received


def drip(client: socket.socket, data: bytes) -> bytes:
    """Send `data` over and over, a byte at a time, until the server ends the connection; return what it said."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    client.settimeout(0.02)
    received = b""
    while time.monotonic() < give_up:
        for byte in data:
            try:
                client.send(bytes([byte]))
                part = client.recv(65_536)
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                return received
            if not part:
                return received
            received += part
    raise AssertionError("a client that drips was never cut")


def one_answer(client: socket.socket) -> bytes:
    """Read one answer of a connection that stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    while len(body) < int(length[1]):
        body += client.recv(65_536)
    return head


def others_are_served(server: ServerProcess) -> bool:
    return httpx2.get(f"{server.url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200


def cuts(server: ServerProcess, reason: str) -> float:
    shown = httpx2.get(f"{server.url}/metrics", timeout=PATIENCE_SECONDS).text
    found = re.search(rf'trustpack_connections_cut_total{{reason="{reason}"}} (\S+)', shown)
    return float(found[1]) if found else 0.0


def memory_bytes(server: ServerProcess) -> int:
    shown = httpx2.get(f"{server.url}/metrics", timeout=PATIENCE_SECONDS).text
    found = re.search(r"^process_resident_memory_bytes (\S+)", shown, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"a", id="a header that goes on"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"X-Slow: a\r\n", id="one header after another"),
        pytest.param(b"GET /", b"a", id="a path that goes on"),
        pytest.param(b"", b"\r\n", id="line breaks before a request"),
        pytest.param(POST + b"Content-Length: 60000\r\n\r\n", b" ", id="a body"),
        pytest.param(CHUNKED, b"1\r\na\r\n", id="a chunked body"),
        pytest.param(POST + b"Content-Length: 9999999\r\n\r\n", b" ", id="a body that was refused already"),
    ],
)
def test_a_request_that_comes_drop_by_drop_is_cut_and_told_so(
    server: ServerProcess, client: socket.socket, first: bytes, endless: bytes
):
    before = cuts(server, "slow_request")
    client.sendall(first)

    said = drip(client, endless)

    assert said.startswith(b"HTTP/1.1 413" if b"9999999" in first else b"HTTP/1.1 408")
    assert b'"code": "request.too_slow"' in said
    assert cuts(server, "slow_request") == before + 1
    assert others_are_served(server)


def test_a_connection_on_which_nothing_is_sent_is_cut(server: ServerProcess, client: socket.socket):
    assert answer_of(client).startswith(b"HTTP/1.1 408")
    assert others_are_served(server)


def test_line_breaks_between_requests_do_not_keep_a_connection_open(client: socket.socket):
    client.sendall(HEALTH)
    one_answer(client)

    assert drip(client, b"\r\n").startswith(b"HTTP/1.1 408")


def test_a_connection_is_closed_without_a_word_when_no_second_request_comes(client: socket.socket):
    client.sendall(HEALTH)
    one_answer(client)

    assert answer_of(client) == b""


def test_a_client_that_never_reads_its_answers_is_cut_and_takes_no_more_memory(server: ServerProcess):
    before, memory = cuts(server, "slow_reader"), memory_bytes(server)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", server.port))

        def is_cut_at_last() -> bool:
            with suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
            return cuts(server, "slow_reader") == before + 1

        wait_until(is_cut_at_last, seconds=PATIENCE_SECONDS, what="the client that does not read to be cut")

    assert memory_bytes(server) < memory + 32 * 2**20
    assert others_are_served(server)


def test_a_flood_of_requests_on_one_connection_is_refused(server: ServerProcess, client: socket.socket):
    with suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(HEALTH * 20_000)

    assert answer_of(client).count(b"HTTP/1.1 200") < 20_000
    assert others_are_served(server)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", POST + b"Content-Length: 60000\r\n\r\n{"])
def test_a_connection_that_the_client_closed_on_its_side_is_ended(server: ServerProcess, client: socket.socket, sent: bytes):
    client.sendall(sent)

    client.shutdown(socket.SHUT_WR)

    assert answer_of(client) == b""
    assert others_are_served(server)


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        pytest.param(HEALTH[:-2] + b"X-Long: ", b"a", id="a header"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\nX-Long: ", b"a", id="a trailer"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Long: " + b"a" * 1_000 + b"\r\n", id="one trailer after another"),
        pytest.param(CHUNKED + b"2;x=", b"a", id="a comment on a chunk"),
    ],
)
def test_what_is_no_body_and_has_no_end_is_cut_at_its_limit(patient_server: ServerProcess, first: bytes, endless: bytes):
    memory, before, sent = memory_bytes(patient_server), cuts(patient_server, "long_head"), 0
    part = endless * (65_536 // len(endless))
    with connected(patient_server) as client, suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(first)
        while sent < 200 * 2**20:
            client.sendall(part)
            sent += len(part)

    assert sent < 200 * 2**20
    assert cuts(patient_server, "long_head") == before + 1
    assert memory_bytes(patient_server) < memory + 32 * 2**20
    assert others_are_served(patient_server)


def test_a_body_in_the_smallest_chunks_is_no_long_head(patient_server: ServerProcess):
    with connected(patient_server) as client:
        client.sendall(CHUNKED + b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n")

        assert one_answer(client).startswith(b"HTTP/1.1 422")
        client.sendall(HEALTH)
        assert one_answer(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("waiting", [b"", HEALTH[:20], POST + b"Content-Length: 100\r\n\r\n{"])
def test_hundreds_of_connections_that_only_wait_give_way_to_those_that_ask(patient_server: ServerProcess, waiting: bytes):
    before = cuts(patient_server, "crowded")
    with ExitStack() as crowd:
        for _ in range(6):
            for _ in range(50):
                crowd.enter_context(connected(patient_server)).sendall(waiting)
            assert others_are_served(patient_server)

        wait_until(
            lambda: cuts(patient_server, "crowded") >= before + 200, seconds=PATIENCE_SECONDS, what="those who wait to give way"
        )


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"GET " + b"/" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_as_a_problem(server: ServerProcess, client: socket.socket, garbage: bytes):
    client.sendall(garbage)

    said = answer_of(client)

    assert re.match(rb"HTTP/1\.1 4\d\d ", said), said
    assert b"application/problem+json" in said
    assert others_are_served(server)


def test_a_large_head_is_refused_as_a_problem(server: ServerProcess):
    answer = httpx2.get(f"{server.url}/healthz", headers={"X-Long": "a" * 40_000}, timeout=PATIENCE_SECONDS)

    assert (answer.status_code, answer.json()["code"]) == (431, "request.head_too_large")
