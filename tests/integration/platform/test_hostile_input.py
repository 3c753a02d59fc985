"""Whatever is sent, the answer is a clear refusal, nothing is stored, and neither memory nor time is spent on it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from psycopg import sql

from tests.support.clock import MovableClock
from tests.support.deals import LEAD, Deals, selling
from tests.support.hostile_bodies import Hostile, hostile_bodies
from tests.support.hostile_heads import (
    HOSTILE_IDS,
    HOSTILE_TEXT,
    ODD_QUERIES,
    WRONG_AUTHORIZATIONS,
    WRONG_KEYS,
    WRONG_QUERIES,
)
from tests.support.matrix import filled
from tests.support.store import as_owner
from tests.support.world import World, request_body
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container
from trustpack.app.http import build_app

REQUESTS = "/high-risk-ops/requests"
QUOTES = "/revops/quotes"
PROBLEM = "application/problem+json"
TERMS: Mapping[str, Any] = {
    "currency": "USD",
    "amount": "100000.00",
    "discount_percent": "30",
    "valid_until": "{last_day}",
    "term_months": 12,
    "payment_days": 30,
    "start_date": "{first_day}",
}
DELEGATION: Mapping[str, Any] = {
    "role": "manager",
    "to": "user-engineer",
    "from_date": "{first_day}",
    "until_date": "{last_day}",
    "reason": "Away.",
}
# Every route that reads a body, with one that it accepts, who sends it, and in which state the request or quote then is.
VALID: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    REQUESTS: (request_body(), "user-engineer", ""),
    f"{REQUESTS}/preview": (request_body(), "user-engineer", ""),
    f"{REQUESTS}/{{request_id}}/approve": ({"comment": "I have seen it."}, "user-team-lead", "pending"),
    f"{REQUESTS}/{{request_id}}/reject": ({"reason": "Not today."}, "user-team-lead", "pending"),
    f"{REQUESTS}/{{request_id}}/cancel": ({"reason": "Solved."}, "user-engineer", "pending"),
    f"{REQUESTS}/{{request_id}}/credentials": ({"rotate": False}, "user-engineer", "active"),
    f"{REQUESTS}/{{request_id}}/revert": ({"reason": "Done."}, "user-engineer", "active"),
    "/revops/leads": (LEAD | {"email": "hostile@acme.com", "source": "fair"}, "user-ae", ""),
    "/revops/delegations": (DELEGATION, "user-manager", ""),
    QUOTES: ({**TERMS, "opportunity_id": "{opportunity}", "title": "Renewal"}, "user-ae", ""),
    f"{QUOTES}/{{quote_id}}": ({"terms": TERMS, "title": "Renewal"}, "user-ae", "draft"),
    f"{QUOTES}/{{quote_id}}/approve": ({"comment": "I have seen it."}, "user-manager", "pending_approval"),
    f"{QUOTES}/{{quote_id}}/reject": ({"reason": "Not today."}, "user-manager", "pending_approval"),
    f"{QUOTES}/{{quote_id}}/recall": ({"reason": "Wrong amount."}, "user-ae", "approved"),
}
MAY_BE_ABSENT = {path for path in VALID if path.endswith(("/cancel", "/credentials", "/recall"))}
SLOWEST_SECONDS = 5
MOST_MEMORY = 96 * 2**20


@pytest.fixture(scope="module")
def document(container: Container) -> dict[str, Any]:
    """The OpenAPI document, which names every route."""
    return build_app(container, with_worker=False).openapi()


@pytest.fixture
async def scripted(container: Container, clock: MovableClock) -> AsyncIterator[ScriptedWorld]:
    """A tenant whose target gives credentials."""
    async with scripted_world(container, clock) as world:
        yield world


def routes(document: dict[str, Any], *, with_body: bool = False) -> Iterator[tuple[str, str]]:
    """Every route as method and path, or those with a body."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not with_body or "requestBody" in operation:
                yield method.upper(), path


def valid_body(path: str, world: World, *, opportunity: str = "opp_" + "0" * 32) -> dict[str, Any]:
    """A body that the route accepts, as of the world's day."""
    days = {"first_day": world.clock.now(), "last_day": world.clock.now() + timedelta(days=20)}
    return dict(filled(VALID[path][0], {"opportunity": opportunity} | {name: str(day.date()) for name, day in days.items()}))


def row_counts(world: World) -> dict[str, int]:
    """The number of rows in every table of the product but the one that says when a token was last used."""
    with as_owner(world.container.settings) as connection:
        connection.execute(sql.SQL("SET trustpack.tenant = {}").format(sql.Literal(world.tenant_id)))
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'trustpack' AND tablename <> 'token_uses'"
        ).fetchall()
        parts = [
            sql.SQL("SELECT {}, count(*) FROM {}").format(
                sql.Literal(row["tablename"]), sql.Identifier("trustpack", row["tablename"])
            )
            for row in tables
        ]
        counted = connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()
    return {str(next(iter(row.values()))): row["count"] for row in counted}


def memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def path_of(deals: Deals, path: str, state: str) -> str:
    """Fill the id of a request or quote that is in the state which the route asks for."""
    if "{quote_id}" in path:
        return path.replace("{quote_id}", (await deals.in_state(state))["id"])
    made = {"pending": deals.world.ask, "active": deals.world.active}.get(state)
    return path.replace("{request_id}", (await made())["id"]) if made else path


def without_ids(path: str) -> str:
    """Fill ids of the right form that are of nothing."""
    return path.replace("{request_id}", "hro_" + "0" * 32).replace("{quote_id}", "quo_" + "0" * 32)


def method_of(document: dict[str, Any], path: str) -> str:
    """The method of a path that reads a body."""
    return next(method for method, other in routes(document, with_body=True) if other == path)


def fault_of(response: httpx2.Response) -> str | None:
    """Say what is wrong with a refusal, if anything."""
    if not 400 <= response.status_code < 500:
        return f"answered {response.status_code}: {response.text[:200]}"
    if response.headers["content-type"] != PROBLEM:
        return f"not a problem: {response.headers['content-type']}"
    problem = response.json()
    if problem["status"] != response.status_code or not problem["code"] or not problem["next_step"]:
        return f"not a clear problem: {response.text[:200]}"
    return None


def test_every_route_with_a_body_has_one_to_be_made_hostile(document: dict[str, Any]) -> None:
    assert {path for _, path in routes(document, with_body=True)} == VALID.keys()


@pytest.mark.adversarial(19)
@pytest.mark.parametrize("path", VALID)
async def test_a_hostile_body_is_refused_and_leaves_nothing(scripted: ScriptedWorld, document: dict[str, Any], path: str) -> None:
    world, deals, method = scripted, await selling(scripted), method_of(document, path)
    _, handle, state = VALID[path]
    valid = valid_body(path, world, opportunity=deals.opportunity_id)
    real_path = await path_of(deals, path, state)
    before, memory, faults = row_counts(world), memory_bytes(), {}

    async def send(body: Hostile) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {world.tokens[handle]}", **body.headers}
        return await world.http.request(method, real_path, content=body.sent(), headers=headers)

    for body in hostile_bodies(valid, may_be_absent=path in MAY_BE_ABSENT):
        started = time.perf_counter()
        response = await send(body)
        fault = fault_of(response)
        if fault is None and response.json()["code"] != body.code:
            fault = f"not {body.code}: {response.text[:200]}"
        if fault is None and time.perf_counter() - started > SLOWEST_SECONDS:
            fault = "took too long"
        if fault is not None:
            faults[body.name] = fault

    assert faults == {}
    assert row_counts(world) == before
    assert memory_bytes() - memory < MOST_MEMORY
    accepted = await send(Hostile("valid", "", json.dumps(valid).encode()))
    assert accepted.status_code in {200, 201}, "the valid body was not valid, so its hostile forms showed nothing"


@pytest.mark.slow
async def test_a_hostile_id_is_refused_on_every_route_and_leaves_nothing(world: World, document: dict[str, Any]) -> None:
    before, faults = row_counts(world), {}
    for method, path in routes(document):
        for hostile in HOSTILE_IDS if "{" in path else ():
            target = re.sub(r"\{[a-z_]+\}", lambda _, text=hostile: text, path)
            request = world.http.build_request(
                method,
                "/",
                json=valid_body(path, world) if path in VALID else None,
                headers={"Authorization": f"Bearer {world.tokens['user-admin']}"},
            )
            request.url = request.url.copy_with(raw_path=target.encode())
            if (fault := fault_of(await world.http.send(request))) is not None:
                faults[f"{method} {target[:80]}"] = fault

    assert faults == {}
    assert row_counts(world) == before


async def test_a_filter_without_a_meaning_is_refused(world: World) -> None:
    answers = {query: await world.call("user-auditor", "GET", f"{REQUESTS}?{query}") for query in WRONG_QUERIES}

    refused = {
        query for query, answer in answers.items() if (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    }
    assert {*WRONG_QUERIES} - refused == set()


@pytest.mark.slow
async def test_no_query_is_an_error_of_ours(world: World, document: dict[str, Any]) -> None:
    await world.ask()
    faults = {}
    for path in (path for method, path in routes(document) if method == "GET" and path not in {"/healthz", "/readyz"}):
        for query in (*WRONG_QUERIES, *ODD_QUERIES):
            response = await world.call("user-auditor", "GET", f"{re.sub(r'{[a-z_]+}', 'hro_1', path)}?{query}")
            if response.status_code != 200 and (fault := fault_of(response)) is not None:
                faults[f"{path}?{query[:80]}"] = fault

    assert faults == {}


async def test_an_idempotency_key_that_is_no_plain_text_is_refused_on_every_route_that_takes_one(
    world: World, document: dict[str, Any]
) -> None:
    before, faults = row_counts(world), {}
    for path in (path for method, path in routes(document) if method == "POST"):
        for name, key in WRONG_KEYS.items():
            response = await world.http.post(
                without_ids(path),
                content=json.dumps(valid_body(path, world)).encode() if path in VALID else b"",
                headers=[
                    (b"Authorization", f"Bearer {world.tokens['user-engineer']}".encode()),
                    (b"Content-Type", b"application/json"),
                    (b"Idempotency-Key", key),
                ],
            )
            if (response.status_code, response.json()["code"]) != (422, "request.invalid"):
                faults[f"{path} {name}"] = response.text

    assert faults == {}
    assert row_counts(world) == before


async def test_a_hostile_authorization_signs_nobody_in(world: World) -> None:
    answers = {}
    for value in WRONG_AUTHORIZATIONS:
        sent = value.replace(b"%(tenant)s", world.tenant_id.encode())
        response = await world.http.get(REQUESTS, headers=[(b"Authorization", sent)])
        answers[value] = (response.status_code, response.json()["code"])

    assert {value: answer for value, answer in answers.items() if answer != (401, "auth.not_signed_in")} == {}


@pytest.mark.adversarial(19)
async def test_hostile_text_within_the_limit_is_kept_and_shown_as_text(world: World) -> None:
    for text in HOSTILE_TEXT.values():
        request = await world.ask(justification=text)

        response = await world.call("user-auditor", "GET", f"{REQUESTS}/{request['id']}")

        assert response.json()["justification"] == request["justification"] == text
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.adversarial(24)
async def test_nobody_can_name_a_start_or_an_end_of_their_own(world: World, document: dict[str, Any]) -> None:
    before, faults = row_counts(world), {}
    for method, path in routes(document, with_body=True):
        for field in ("starts_at", "start_time", "not_before", "valid_from", "expires_at", "valid_until", "created_at"):
            for moment in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
                # The last day of an offer is its seller's to name, as a day; a moment is refused there too.
                body = valid_body(path, world) | {field: moment}
                response = await world.call("user-engineer", method, without_ids(path), body)
                if (response.status_code, response.json()["errors"][0]["field"]) != (422, field):
                    faults[f"{path} {field} {moment}"] = response.text

    assert faults == {}
    assert row_counts(world) == before
