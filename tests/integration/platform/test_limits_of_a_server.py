"""The limits on callers hold in the server as it is started, whatever way a token or an address is sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pytest

from tests.support.server_process import ServerProcess, server_process
from trustpack.app.bootstrap import open_container, prepare_store
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.database import embedded_cluster
from trustpack.platform.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 60
BURST = 4
TENANT = "limited"
PEOPLE = ("asks-often", "is-new", "is-behind-a-body", "has-two")
PROXY = "127.1.0.1"
"""Every address that begins with 127 is this machine."""
GET = b"GET /high-risk-ops/requests HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
CHUNKED = b"POST /high-risk-ops/requests HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class LimitedServer:
    """A server under limits that nothing refills during a test, and tokens that it knows."""

    process: ServerProcess
    tokens: dict[str, str]

    def status(self, head: bytes, *, address: str, then: bytes = b"") -> int:
        """Send a request from an address of this machine, its headers ended and followed by `then`; return the status."""
        with socket.create_connection(
            ("127.0.0.1", self.process.port), timeout=PATIENCE_SECONDS, source_address=(address, 0)
        ) as client:
            client.sendall(head + b"\r\n" + then)
            with client.makefile("rb") as answer:
                return int(answer.readline().split()[1])

    def ask(self, token: str, *, address: str, forwarded: str = "") -> int:
        """Ask with a token for a list; return the status."""
        sent = f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
        return self.status(GET + f"{sent}Authorization: Bearer {token}\r\n".encode(), address=address)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedServer]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("limits"), database_pool_size=2, _env_file=None)
    prepare_store(settings)
    limits = {
        "TRUSTPACK_DATABASE_POOL_SIZE": "2",
        "TRUSTPACK_TOKEN_REQUESTS_PER_SECOND": "0.001",
        "TRUSTPACK_TOKEN_REQUEST_BURST": str(BURST),
        "TRUSTPACK_FAILED_SIGN_INS_PER_MINUTE": "0.06",
        "TRUSTPACK_FAILED_SIGN_IN_BURST": str(BURST),
        "TRUSTPACK_FORWARDED_ALLOW_IPS": PROXY,
        "FORWARDED_ALLOW_IPS": "*",  # of uvicorn itself; it has no say
    }
    with server_process(settings.data_dir, **limits) as process:
        process.start()
        yield LimitedServer(process, asyncio.run(_tokens(settings)))
    embedded_cluster(settings).stop(mode="immediate")


@pytest.fixture
def address() -> str:
    """An address of this machine that no test before has used."""
    return f"127.2.0.{next(_numbers)}"


async def _tokens(settings: Settings) -> dict[str, str]:
    async with open_container(settings) as container, container.unit_of_work.transaction(TENANT) as tx:
        actor = system_actor(TENANT, "test")
        await directory.create_tenant(tx, actor, name="Limited", is_demo=False)
        for person in PEOPLE:
            await directory.add_person(tx, actor, handle=person, display_name=person, roles=frozenset({Role.ENGINEER}))
        lifetime = timedelta(hours=1)
        return {
            person: (await directory.issue_token(tx, actor, handle=person, label="test", lifetime=lifetime)).secret
            for person in PEOPLE
        }


def garbage() -> str:
    """Return a token of the right form that does not exist."""
    return f"tp_{TENANT}_{next(_numbers):043d}"


def test_a_token_that_asks_too_often_is_refused(server: LimitedServer, address: str):
    token = server.tokens["asks-often"]

    assert [server.ask(token, address=address) for _ in range(BURST + 1)] == [200] * BURST + [429]


def test_an_address_that_fails_too_often_is_refused_and_another_one_is_not(server: LimitedServer, address: str):
    assert [server.ask(garbage(), address=address) for _ in range(BURST + 1)] == [401] * BURST + [429]

    assert server.ask(server.tokens["is-new"], address=address) == 429
    assert server.ask(server.tokens["is-new"], address="127.3.0.1") == 200


@pytest.mark.parametrize("person", [None, "is-behind-a-body"], ids=["garbage", "a real token"])
def test_a_token_behind_the_body_is_no_token(server: LimitedServer, address: str, person: str | None):
    for _ in range(BURST + 1):
        exhausted = server.ask(garbage(), address=address)
    token = server.tokens[person] if person else garbage()

    answers = [
        server.status(CHUNKED, address=address, then=b"2\r\n{}\r\n0\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n")
        for _ in range(BURST)
    ]

    assert (exhausted, answers) == (429, [401] * BURST)


def test_a_second_token_behind_the_body_changes_nothing(server: LimitedServer, address: str):
    bearer = b"Authorization: Bearer " + server.tokens["has-two"].encode() + b"\r\n"
    trailer = b"Authorization: Bearer " + garbage().encode() + b"\r\n"

    answer = server.status(CHUNKED + bearer, address=address, then=b"2\r\n{}\r\n0\r\n" + trailer + b"\r\n")

    assert answer == 422


def test_an_address_that_a_caller_claims_is_not_believed(server: LimitedServer, address: str):
    answers = [server.ask(garbage(), address=address, forwarded=f"192.0.2.{number}") for number in range(BURST + 1)]

    assert answers == [401] * BURST + [429]


def test_an_address_that_a_trusted_proxy_reports_is_the_one_that_counts(server: LimitedServer):
    def through_proxy(client: str) -> int:
        return server.ask(garbage(), address=PROXY, forwarded=client)

    assert [through_proxy("192.0.2.1") for _ in range(BURST + 1)] == [401] * BURST + [429]
    assert through_proxy("192.0.2.2") == 401


def test_all_that_a_trusted_proxy_reports_and_is_no_address_counts_as_one(server: LimitedServer):
    answers = [server.ask(garbage(), address=PROXY, forwarded=f"unknown-{number}") for number in range(BURST + 1)]

    assert answers == [401] * BURST + [429]
