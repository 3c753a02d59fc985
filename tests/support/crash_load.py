"""Several clients at once who do every step of the flow in random order, while servers are killed under them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import psycopg
from psycopg import Connection

from tests.support.audit import read_target
from tests.support.crash_client import Client
from tests.support.estate import Estate
from tests.support.invariant import Acknowledgement
from trustpack.app.demo.seed import TENANTS

SHORT_WINDOWS: Final = {"TRUSTPACK_APPROVAL_WINDOW_SECONDS": "8", "TRUSTPACK_APPROVAL_USE_BY_SECONDS": "8"}
"""What clients leave lying expires soon, so that every case comes to its end by itself."""
_SCOPES: Final = ("acme", "globex", "initech")
_LONGEST_ACCESS_SECONDS: Final = 3
_MOST_SESSIONS: Final = 60
"""Sessions that are kept open at once: enough that only those are closed whose access is long over."""
_APPROVERS: Final = ("user-team-lead", "user-security", "user-lead-and-security")
_STRANGERS: Final = ("user-engineer-2", "user-ae", "user-auditor")


@dataclass(slots=True)
class Load:
    """Clients of all tenants, each with a sequence of its own that the seed decides; `doors` are the web servers."""

    estate: Estate
    http: httpx2.AsyncClient
    doors: list[str]
    seed: int
    name: str
    clients: list[Client] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    """How often rows were read with the access of each request."""
    faults: list[str] = field(default_factory=list)
    _sessions: list[Connection[Any]] = field(default_factory=list)

    @property
    def told(self) -> Mapping[str, list[Acknowledgement]]:
        """What every client was told, by request."""
        told: defaultdict[str, list[Acknowledgement]] = defaultdict(list)
        for client in self.clients:
            for request_id, heard in client.told.items():
                told[request_id] += heard
        return told

    @property
    def under_way(self) -> Counter[str]:
        """How many requests of each command have no answer at this moment."""
        return sum((client.under_way for client in self.clients), Counter())

    async def run(self, stop: asyncio.Event, *, clients: int) -> None:
        """Work until the event is set. Raises what any client raises."""
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                tenant = list(TENANTS)[number % len(TENANTS)]
                first = number // len(TENANTS) % len(self.doors)
                doors = [*self.doors[first:], *self.doors[:first]]
                client = Client(self.estate, self.http, doors, f"{self.name}-{number}", tenant)
                self.clients.append(client)
                group.create_task(self._work(client, random.Random(f"{self.seed}-{number}"), stop))

    def close(self) -> None:
        """Close what is left of the grantees' sessions."""
        while self._sessions:
            self._sessions.pop().close()

    async def _work(self, client: Client, chance: random.Random, stop: asyncio.Event) -> None:
        while not stop.is_set():
            answer = await client.ask(
                duration_seconds=chance.randint(1, _LONGEST_ACCESS_SECONDS),
                target={"database": "orders-prod", "scope": {"tenant": chance.choice(_SCOPES)}},
                environment=chance.choices(("prod", "staging"), (20, 1))[0],
            )
            self.answers[f"create {answer.status_code}"] += 1
            if answer.status_code == 201:
                await self._live(client, answer.json()["id"], chance)

    async def _live(self, client: Client, request_id: str, chance: random.Random) -> None:
        """Take a case a few steps further: mostly the way it is meant to go, sometimes out of order or by the wrong person."""
        approvers = chance.sample(_APPROVERS, 2)
        path: list[tuple[str, str, object]] = [
            *((approver, "approve", {}) for approver in approvers),
            ("user-engineer", "execute", None),
            ("user-engineer", "credentials", None),
            ("user-engineer", "revert", {"reason": "done"}),
        ]
        detours: list[tuple[str, str, object]] = [
            (chance.choice(_STRANGERS), "approve", {}),
            ("user-engineer", "approve", {}),
            ("user-security", "reject", {"reason": "no"}),
            ("user-engineer", "cancel", {}),
            ("user-engineer", "credentials", {"rotate": True}),
            ("user-engineer", "execute", None),
        ]
        for step in path[: chance.choices((1, 2, 3, 4, 5), (1, 1, 4, 4, 5))[0]]:
            if chance.random() < 0.15:
                await self._act(client, request_id, chance.choice(detours), chance)
            await self._act(client, request_id, step, chance)

    async def _act(self, client: Client, request_id: str, step: tuple[str, str, object], chance: random.Random) -> None:
        handle, command, body = step
        answer = await client.act(handle, request_id, command, body)
        self.answers[f"{command} {answer.status_code}"] += 1
        if command == "credentials" and answer.status_code == 200:
            await asyncio.to_thread(self._read, request_id, answer.json(), in_transaction=chance.random() < 0.5)

    def _read(self, request_id: str, credentials: dict[str, Any], *, in_transaction: bool) -> None:
        """Log in and read, and leave the session open for the revert to end; nothing but the end may stand in the way."""
        try:
            session = psycopg.connect(credentials["uri"], autocommit=not in_transaction)
            self._sessions.append(session)
            tenants = session.execute("select distinct tenant from orders").fetchall()
        except psycopg.Error as error:
            tenants, trouble = [], str(error)
        else:
            trouble = f"{len(tenants)} tenants were seen"
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.pop(0).close()
        if tenants:
            self.reads[request_id] += 1
        self.answers["read rows" if tenants else "read nothing"] += 1
        if len(tenants) > 1 or (not tenants and self._is_live(credentials["user"])):
            self.faults.append(f"{request_id}: credentials that were shown did not do what they should: {trouble}")

    def _is_live(self, role_name: str) -> bool:
        return any(row["role_name"] == role_name and row["expires_at"] > row["now"] for row in read_target(self.estate).ordered)
