"""Kills at random moments while deals are made: every chain is whole, and every deal has one contract and is counted once."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import pytest

from tests.support.crash_client import Client
from tests.support.estate import Estate, Process, a_server
from tests.support.invariant import faults_of_chain
from tests.support.store import rows_as_owner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SEED = int(os.environ.get("TRUSTPACK_TEST_CRASH_SEED") or secrets.randbelow(1_000_000))
AGAIN = f"repeat it with TRUSTPACK_TEST_CRASH_SEED={SEED}"
KILLS: Final = 25
CLIENTS: Final = 3
TERMS: Final = {"currency": "USD", "amount": "100000.00", "discount_percent": "30"}
_MOST_ANSWERS: Final = 8
_LONGEST_WAIT_SECONDS: Final = 15.0
_MINE: Final = "(SELECT opportunity_id FROM trustpack.leads WHERE email LIKE 'jo@sales-%')"
_QUOTES: Final = (
    "SELECT q.id, q.version, q.status, ARRAY(SELECT c.id FROM trustpack.contracts c WHERE c.quote_id = q.id) AS contracts,"
    " (SELECT count(*) FROM trustpack.usage_events u WHERE u.type = 'workflow_run' AND u.metadata ->> 'subject_id' = q.id)"
    f" AS runs FROM trustpack.quotes q WHERE q.opportunity_id IN {_MINE}"
)
_LEADS: Final = (
    "SELECT (SELECT count(*) FROM trustpack.leads WHERE email LIKE 'jo@sales-%') AS leads,"
    f" (SELECT count(*) FROM trustpack.opportunities WHERE id IN {_MINE}) AS deals"
)
_RECEIPTS: Final = (
    "SELECT r.seq, r.action, r.state, r.body, (SELECT count(*) FROM trustpack.log_outbox o WHERE o.tenant_id = r.tenant_id"
    " AND o.receipt_id = r.id) AS in_outbox FROM trustpack.receipts r WHERE r.subject_id = %s ORDER BY r.seq"
)


@dataclass(slots=True)
class Sales:
    """Clients who take one deal after another from the lead to the contract; `contracts` are those that answers named."""

    answers: Counter[str] = field(default_factory=Counter)
    contracts: dict[str, str] = field(default_factory=dict)

    async def work(self, client: Client, stop: asyncio.Event) -> None:
        """Make deals until the event is set."""
        number = 0
        while not stop.is_set():
            number += 1
            lead = {"email": f"jo@{client.name}-{number}.example", "company": "Acme", "segment": "enterprise"}
            found = await self._post(client, "user-ae", "/revops/leads", lead)
            quote = await self._post(client, "user-ae", "/revops/quotes", TERMS | {"opportunity_id": found["opportunity"]["id"]})
            await self._sell(client, quote)

    async def _sell(self, client: Client, quote: Mapping[str, Any]) -> None:
        path = f"/revops/quotes/{quote['id']}"
        shown = {"terms_digest": quote["terms_digest"]}
        await self._post(client, "user-ae", f"{path}/submit-for-approval", None)
        await asyncio.gather(*(self._post(client, who, f"{path}/approve", shown) for who in ("user-manager", "user-finance")))
        answers = await asyncio.gather(*(client.send("user-ae", f"{path}/activate") for _ in range(2)))
        self.answers.update(f"activate {answer.status_code}" for answer in answers)
        [contract] = [answer.json()["id"] for answer in answers if answer.is_success]
        self.contracts[quote["id"]] = contract

    async def _post(self, client: Client, handle: str, path: str, body: object) -> dict[str, Any]:
        answer = await client.send(handle, path, body)
        assert answer.is_success, answer.text
        self.answers[f"{path.rpartition('/')[2]} {answer.status_code}"] += 1
        return dict(answer.json())


async def test_after_kills_at_random_moments_every_deal_is_whole(estate: Estate, http: httpx2.AsyncClient) -> None:
    server, sales, stop = a_server(estate), Sales(), asyncio.Event()
    await asyncio.to_thread(server.start)
    clients = [Client(estate, http, [server.url], f"sales-{number}") for number in range(CLIENTS)]
    try:
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(sales.work(client, stop))
            await _kill_now_and_then(server, sales)
            stop.set()
    finally:
        await asyncio.to_thread(server.kill)

    assert _faults(estate, clients, sales) == [], AGAIN
    assert sales.answers["activate 200"] == sales.answers["activate 409"] == len(sales.contracts) > CLIENTS, AGAIN
    assert sum(client.repeats for client in clients) > 0, AGAIN


async def _kill_now_and_then(server: Process, sales: Sales) -> None:
    chance = random.Random(SEED)
    for _ in range(KILLS):
        wanted = sales.answers.total() + chance.randint(0, _MOST_ANSWERS)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                while sales.answers.total() < wanted:  # noqa: ASYNC110 - several clients count, none of them tells
                    await asyncio.sleep(0.005)
        await asyncio.sleep(chance.uniform(0, 0.05))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


def _faults(estate: Estate, clients: list[Client], sales: Sales) -> list[str]:
    told = {subject: heard for client in clients for subject, heard in client.told.items()}
    quotes = {row["id"]: row for row in rows_as_owner(estate.settings, _QUOTES)}
    faults = [f"{quote_id} was acknowledged and is not there" for quote_id in told.keys() - quotes.keys()]
    faults += [f"{quote_id} is there, and nobody was told of it" for quote_id in quotes.keys() - told.keys()]
    for quote_id, quote in quotes.items():
        receipts = rows_as_owner(estate.settings, _RECEIPTS, quote_id)
        states = {receipt["seq"]: receipt["state"] for receipt in receipts}
        faults += faults_of_chain(quote, receipts)
        faults += [f"{heard} is not in {states}" for heard in told.get(quote_id, ()) if states.get(heard.version) != heard.status]
        if (quote["contracts"], quote["runs"]) != ([sales.contracts.get(quote_id)], 1):
            faults.append(f"{quote} is counted once, with one contract: {sales.contracts.get(quote_id)}")
    [found] = rows_as_owner(estate.settings, _LEADS)
    if not found["leads"] == found["deals"] == len(quotes):
        faults.append(f"leads and opportunities are not one to one with {len(quotes)} quotes: {found}")
    return faults
