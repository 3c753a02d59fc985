"""What cannot be decided or cannot be recorded does not happen, and a process that cannot decide is not ready."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from psycopg import sql

from tests.support.clock import MovableClock
from tests.support.engines import gate_without_engine
from tests.support.store import as_owner
from tests.support.stored import counts
from tests.support.world import World, request_body
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container, policy_directory
from trustpack.capabilities.policy import OpaServer, PolicyGate, load_bundles

REQUESTS = "/high-risk-ops/requests"
WRONG_BUNDLE = {"result": {"allow": True}, "provenance": {"version": "1.22.2", "bundles": {"high_risk": {"revision": "0.0.9+0"}}}}


@pytest.fixture
async def scripted(container: Container, clock: MovableClock) -> AsyncIterator[ScriptedWorld]:
    """A fresh tenant on a scripted target."""
    async with scripted_world(container, clock) as world:
        yield world


@contextmanager
def no_place_for_decisions(world: World) -> Iterator[None]:
    """The store takes no decision of this tenant, as when its disk is full."""
    with as_owner(world.container.settings) as connection:
        connection.execute(
            "CREATE FUNCTION trustpack.no_place() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            sql.SQL(
                "CREATE TRIGGER no_place BEFORE INSERT ON trustpack.policy_decisions FOR EACH ROW"
                " WHEN (NEW.tenant_id = {}) EXECUTE FUNCTION trustpack.no_place()"
            ).format(sql.Literal(world.tenant_id))
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER no_place ON trustpack.policy_decisions")
            connection.execute("DROP FUNCTION trustpack.no_place()")


@asynccontextmanager
async def gate_to(container: Container, answer: Mapping[str, Any]) -> AsyncIterator[PolicyGate]:
    """A gate to a server that gives the same answer to everything."""
    body = json.dumps(answer).encode()

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    bundles = load_bundles(policy_directory(container.settings))
    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    engine = OpaServer(bundles, url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", deadline_seconds=5)
    try:
        yield PolicyGate(engine, bundles=bundles, clock=container.unit_of_work.clock)
    finally:
        await engine.close()
        server.close()


@pytest.mark.policy_case(12)
async def test_a_request_whose_decision_cannot_be_stored_is_not_created(world: World) -> None:
    before = await counts(world)

    with no_place_for_decisions(world):
        response = await world.call("user-engineer", "POST", REQUESTS, request_body(), key="k-1")

    assert (response.status_code, response.json()["code"]) == (503, "platform.store_unavailable")
    assert await counts(world) == before
    again = await world.call("user-engineer", "POST", REQUESTS, request_body(), key="k-1")
    assert again.status_code == 201


@pytest.mark.policy_case(12)
async def test_an_execution_whose_decision_cannot_be_stored_never_reaches_the_target(scripted: ScriptedWorld) -> None:
    approved = await scripted.approved()
    before = await counts(scripted)

    with no_place_for_decisions(scripted):
        response = await scripted.act("user-engineer", approved["id"], "execute")

    assert (response.status_code, response.json()["code"]) == (503, "platform.store_unavailable")
    assert "grant" not in scripted.target.calls
    assert await counts(scripted) == before
    assert (await scripted.act("user-engineer", approved["id"], "execute")).json()["status"] == "active"


@pytest.mark.policy_case(3, 5)
@pytest.mark.parametrize(
    ("answer", "checks", "reason"),
    [
        ({}, {"policy": "policy.undefined", "bundle": "unknown"}, "undefined"),
        (WRONG_BUNDLE, {"policy": "ok", "bundle": "policy.bundle_mismatch"}, "bundle_mismatch"),
    ],
    ids=["no result", "another bundle"],
)
async def test_an_engine_that_cannot_be_believed_denies_and_makes_the_process_not_ready(
    container: Container, clock: MovableClock, answer: Mapping[str, Any], checks: Mapping[str, str], reason: str
) -> None:
    async with gate_to(container, answer) as gate, scripted_world(container, clock, gate=gate) as world:
        ready = await world.http.get("/readyz")
        asked = await world.call("user-engineer", "POST", REQUESTS, request_body())

    assert (ready.status_code, {name: ready.json()["checks"][name] for name in checks}) == (503, checks)
    assert (asked.status_code, asked.json()["reasons"][0]["code"]) == (403, reason)


@pytest.mark.policy_case(1)
async def test_a_process_without_its_engine_is_not_ready(container: Container, clock: MovableClock) -> None:
    async with gate_without_engine(container) as gate, scripted_world(container, clock, gate=gate) as world:
        ready = await world.http.get("/readyz")

    assert (ready.status_code, ready.json()["checks"]["policy"]) == (503, "policy.engine_unavailable")
