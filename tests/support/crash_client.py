"""A client as it should be: it repeats what got no answer, with the same key, and remembers what it was told."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from psycopg import Connection

from tests.support.estate import Estate
from tests.support.invariant import Acknowledgement
from tests.support.world import request_body

_PATIENCE_SECONDS: Final = 120
_PAUSE_SECONDS: Final = 0.02
_TIMEOUT_SECONDS: Final = 30.0


async def _wait_a_little() -> None:
    await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(slots=True)
class Client:
    """Speaks for the people of one tenant. `doors` are the base URLs of the web servers; the next one is tried after a failure.

    `told` keeps what every answer of success said; `on_failure` is awaited before a request is sent again; sessions in
    `left_open` are for the test to close.
    """

    estate: Estate
    http: httpx2.AsyncClient
    doors: list[str]
    name: str
    tenant: str = "summit-internal"
    on_failure: Callable[[], Awaitable[None]] = _wait_a_little
    told: defaultdict[str, list[Acknowledgement]] = field(default_factory=lambda: defaultdict(list))
    under_way: Counter[str] = field(default_factory=Counter)
    left_open: list[Connection[Any]] = field(default_factory=list)
    repeats: int = 0
    _sent: int = 0
    _door: int = 0

    async def send(self, handle: str, path: str, body: object = None, *, key: str | None = None) -> httpx2.Response:
        """Post until there is an answer; every try has the same key."""
        self._sent += 1
        headers = {
            "Authorization": f"Bearer {self.estate.tokens[self.tenant][handle]}",
            "Idempotency-Key": key or f"{self.name}-{self._sent}",
        }
        async with asyncio.timeout(_PATIENCE_SECONDS):
            with self._under_way("create" if path.endswith("/requests") else path.rpartition("/")[2]):
                while True:
                    try:
                        url = self.doors[self._door % len(self.doors)] + path
                        response = await self.http.post(url, json=body, headers=headers, timeout=_TIMEOUT_SECONDS)
                    except httpx2.TransportError:
                        response = None
                    if response is not None:
                        return self._remember(response)
                    self.repeats += 1
                    self._door += 1
                    await self.on_failure()

    async def ask(self, handle: str = "user-engineer", **changes: Any) -> httpx2.Response:
        """Ask for access, with a ticket that no other request has."""
        ticket = f"{self.name}-{self._sent + 1}"
        return await self.send(handle, "/high-risk-ops/requests", request_body(duration_minutes=None, ticket=ticket, **changes))

    async def act(self, handle: str, request_id: str, command: str, body: object = None) -> httpx2.Response:
        """Carry a command out on a request."""
        return await self.send(handle, f"/high-risk-ops/requests/{request_id}/{command}", body)

    async def get(self, path: str) -> httpx2.Response:
        """Read as the auditor until there is an answer."""
        headers = {"Authorization": f"Bearer {self.estate.tokens[self.tenant]['user-auditor']}"}
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                try:
                    url = self.doors[self._door % len(self.doors)] + path
                    return await self.http.get(url, headers=headers, timeout=_TIMEOUT_SECONDS)
                except httpx2.TransportError:
                    self._door += 1
                    await self.on_failure()

    def _remember(self, response: httpx2.Response) -> httpx2.Response:
        answer = response.json()
        if response.is_success and "version" in answer:
            self.told[answer["id"]].append(Acknowledgement(answer["id"], answer["version"], answer["status"]))
        return response

    @contextmanager
    def _under_way(self, command: str) -> Iterator[None]:
        self.under_way[command] += 1
        try:
            yield
        finally:
            self.under_way[command] -= 1
