"""Each token has a budget of its own, each address may fail so often, and garbage takes nothing from anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY

from tests.support.world import World, request_body
from trustpack.app.http import build_app
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import set_person_status

BURST = 4
PATH = "/high-risk-ops/requests"
# So slow that nothing refills during a test.
TOKEN_LIMIT = {"token_requests_per_second": 0.01, "token_request_burst": BURST}
FAILURE_LIMIT = {"failed_sign_ins_per_minute": 0.6, "failed_sign_in_burst": BURST}


@asynccontextmanager
async def limited(world: World, *, address: str = "192.0.2.1", **limits: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """The application under these limits, as it is seen from an address."""
    settings = world.container.settings.model_copy(update=limits)
    app = build_app(replace(world.container, settings=settings), with_worker=False)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 4711))
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def garbage(world: World, number: int = 0) -> str:
    """A token of the right form that does not exist."""
    return f"tp_{world.tenant_id}_{number:043d}"


async def ask(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.get(PATH, headers=bearer(token))


async def statuses(client: httpx2.AsyncClient, token: str, number: int) -> list[int]:
    return [(await ask(client, token)).status_code for _ in range(number)]


def refused(limit: str) -> float:
    return REGISTRY.get_sample_value("trustpack_rate_limited_total", {"limit": limit}) or 0


async def statements(world: World) -> int:
    """Return how many connections the application has taken from its pool so far: none means that the store was not asked."""
    return int(world.container.app_pool.get_stats()["requests_num"])


async def test_a_token_that_asks_too_often_is_told_when_to_come_back(world: World) -> None:
    before = refused("token")
    async with limited(world, **TOKEN_LIMIT) as client:
        assert await statuses(client, world.tokens["user-engineer"], BURST) == [200] * BURST

        response = await ask(client, world.tokens["user-engineer"])

    problem = response.json()
    assert (response.status_code, problem["code"]) == (429, "request.too_many")
    assert response.headers["content-type"] == "application/problem+json"
    assert 90 <= problem["retry_after"] <= 100
    assert response.headers["retry-after"] == str(problem["retry_after"])
    assert problem["next_step"]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert refused("token") == before + 1


async def test_a_refused_request_does_nothing_and_asks_the_store_nothing(world: World) -> None:
    async with limited(world, **TOKEN_LIMIT) as client:
        await statuses(client, world.tokens["user-engineer"], BURST)
        before = await statements(world)

        response = await client.post(PATH, json=request_body(), headers=bearer(world.tokens["user-engineer"]))

        assert (response.status_code, await statements(world)) == (429, before)


async def test_a_token_comes_back_at_its_rate(world: World) -> None:
    async with limited(world, token_requests_per_second=1.0, token_request_burst=1) as client:
        token = world.tokens["user-engineer"]
        while (await ask(client, token)).status_code != 429:
            pass

        async with asyncio.timeout(30):
            while (await ask(client, token)).status_code != 200:
                pass


async def test_one_token_does_not_spend_the_budget_of_another_one_of_the_same_person(world: World) -> None:
    first = world.tokens["user-engineer"]
    second = await world.issue_token("user-engineer")
    async with limited(world, **TOKEN_LIMIT) as client:
        await statuses(client, first, BURST + 1)

        assert await statuses(client, second, BURST + 1) == [200] * BURST + [429]


@pytest.mark.parametrize(
    "disguise", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} ", "Bearer {}\xa0", "Bearer \x85{}\xa0\xa0"]
)
async def test_a_token_in_another_spelling_has_the_same_budget(world: World, disguise: str) -> None:
    token = world.tokens["user-engineer"]
    async with limited(world, **TOKEN_LIMIT) as client:
        await statuses(client, token, BURST)

        response = await client.get(PATH, headers={"Authorization": disguise.format(token).encode("latin-1")})

    assert response.status_code == 429


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
async def test_a_token_refused_under_another_scheme_gets_no_new_budget(world: World, scheme: str) -> None:
    token = world.tokens["user-engineer"]
    async with limited(world, **TOKEN_LIMIT) as client:
        await statuses(client, token, BURST - 1)
        refused_answer = await client.get(PATH, headers={"Authorization": f"{scheme} {token}"})

        assert refused_answer.status_code == 401
        assert await statuses(client, token, 2) == [200, 429]


async def test_a_token_sent_beside_another_one_is_refused(world: World) -> None:
    token = world.tokens["user-engineer"]
    both = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {garbage(world)}")]
    async with limited(world, **TOKEN_LIMIT) as client:
        answers = [(await client.get(PATH, headers=order)).status_code for order in (both, both[::-1])]

        assert answers == [400, 400]


async def test_garbage_takes_nothing_from_a_real_token(world: World) -> None:
    token = world.tokens["user-engineer"]
    async with limited(world, **TOKEN_LIMIT) as client:
        for number in range(3 * BURST):
            await ask(client, garbage(world, number))
        await ask(client, token[:-1] + ("a" if token[-1] != "a" else "b"))

        assert await statuses(client, token, BURST + 1) == [200] * BURST + [429]


async def test_an_address_that_fails_too_often_is_refused_before_the_store_is_asked(world: World) -> None:
    before = refused("failed_sign_ins")
    async with limited(world, **FAILURE_LIMIT) as client:
        assert [(await ask(client, garbage(world, number))).status_code for number in range(BURST)] == [401] * BURST
        asked = await statements(world)

        response = await ask(client, garbage(world, BURST))

        assert (response.status_code, response.json()["code"]) == (429, "auth.too_many_failures")
        assert response.headers["retry-after"] == str(response.json()["retry_after"])
        assert await statements(world) == asked
        assert refused("failed_sign_ins") == before + 1


async def test_an_address_without_budget_learns_nothing_about_a_token(world: World) -> None:
    real, dead = world.tokens["user-engineer"], world.tokens["user-engineer-2"]
    await deactivate(world, "user-engineer-2")
    async with limited(world, **FAILURE_LIMIT) as client:
        await statuses(client, garbage(world), BURST)

        answers = [(await ask(client, token)).json() for token in (garbage(world, 1), real, dead, "no token at all")]

    told = [{name: value for name, value in answer.items() if name not in {"request_id", "retry_after"}} for answer in answers]
    assert told[0]["code"] == "auth.too_many_failures"
    assert told == [told[0]] * 4


async def test_a_token_in_use_goes_on_while_others_fail_from_its_address(world: World) -> None:
    token = world.tokens["user-engineer"]
    async with limited(world, **FAILURE_LIMIT) as client:
        await ask(client, token)

        assert (await statuses(client, garbage(world), BURST + 1))[-1] == 429
        assert await statuses(client, token, 2) == [200, 200]


async def test_garbage_that_was_never_checked_is_no_token_in_use(world: World) -> None:
    tokens = [garbage(world, number) for number in range(2 * BURST)]
    async with limited(world, **FAILURE_LIMIT) as client:
        for token in tokens:
            for path in ("/healthz", "/nowhere"):
                await client.get(path, headers=bearer(token))

        assert [(await ask(client, token)).status_code for token in tokens] == [401] * BURST + [429] * BURST


async def test_a_token_in_use_that_becomes_invalid_is_one_that_fails(world: World) -> None:
    token = world.tokens["user-engineer"]
    async with limited(world, **FAILURE_LIMIT) as client:
        await ask(client, token)
        await deactivate(world, "user-engineer")

        assert await statuses(client, token, BURST + 1) == [401] * BURST + [429]


async def test_failures_of_one_address_are_not_those_of_another(world: World) -> None:
    settings = world.container.settings.model_copy(update=FAILURE_LIMIT)
    app = build_app(replace(world.container, settings=settings), with_worker=False)

    async def fail_from(address: str) -> list[int]:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 4711))
        async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as client:
            return await statuses(client, garbage(world), BURST)

    assert await fail_from("192.0.2.1") == [401] * BURST
    assert await fail_from("192.0.2.2") == [401] * BURST
    assert await fail_from("192.0.2.1") == [429] * BURST
    assert await fail_from("2001:db8::1") == [401] * BURST
    assert await fail_from("2001:db8::2") == [429] * BURST


async def test_requests_without_a_token_are_no_failed_sign_ins(world: World) -> None:
    async with limited(world, **FAILURE_LIMIT) as client:
        for _ in range(3 * BURST):
            assert (await client.get(PATH)).status_code == 401

        assert (await ask(client, world.tokens["user-engineer"])).status_code == 200


async def test_what_needs_no_token_is_never_refused(world: World) -> None:
    async with limited(world, **TOKEN_LIMIT, **FAILURE_LIMIT) as client:
        answers = [(await client.get("/healthz")).status_code for _ in range(3 * BURST)]

    assert set(answers) == {200}


async def test_limits_of_zero_are_none(world: World) -> None:
    async with limited(world, token_requests_per_second=0, failed_sign_ins_per_minute=0) as client:
        assert set(await statuses(client, world.tokens["user-engineer"], 300)) == {200}
        assert set(await statuses(client, garbage(world), 60)) == {401}


async def test_no_token_is_kept_in_memory(world: World) -> None:
    token = world.tokens["user-engineer"]
    settings = world.container.settings.model_copy(update=TOKEN_LIMIT)
    app = build_app(replace(world.container, settings=settings), with_worker=False)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as client:
        await ask(client, token)

    [limits] = [middleware for middleware in app.user_middleware if "tokens" in middleware.kwargs]
    kept = list(limits.kwargs["tokens"]._kept)
    assert len(kept) == 1
    assert token not in kept[0]
    assert token.rpartition("_")[2] not in kept[0]


def test_every_route_documents_its_429_with_the_time_to_wait(world: World) -> None:
    document = build_app(world.container, with_worker=False).openapi()
    undocumented = [
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "Retry-After" not in operation["responses"].get("429", {}).get("headers", {})
    ]

    assert undocumented == []


async def deactivate(world: World, handle: str) -> None:
    """Let nobody sign in as this person any more."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle=handle, status=PersonStatus.DEACTIVATED)
