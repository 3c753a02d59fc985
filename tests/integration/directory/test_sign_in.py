"""Bearer tokens: who is signed in, and that every reason not to be looks the same from outside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.directory import authenticate
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import revoke_token, set_person_status, tokens_of
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings

PATH = "/high-risk-ops/requests"


async def send(world: World, authorization: str | None) -> httpx2.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return await world.http.get(PATH, headers=headers)


def shape_of(response: httpx2.Response) -> dict[str, Any]:
    """Return all that an outsider can tell two refusals apart by."""
    headers = {name: value for name, value in response.headers.items() if name not in {"x-request-id", "content-length"}}
    return {"status": response.status_code, "headers": headers, "body": {**response.json(), "request_id": "..."}}


async def token_ids(world: World, handle: str) -> list[str]:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return [token.id for token in await tokens_of(tx, (await directory.person_by_handle(tx, handle)).id)]


async def expired(world: World, other_world: World) -> str:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        issued = await directory.issue_token(
            tx, world.operator, handle="user-engineer", label="short", lifetime=timedelta(seconds=1)
        )
    world.clock.advance(seconds=1.5)
    return f"Bearer {issued.secret}"


async def revoked(world: World, other_world: World) -> str:
    [token_id] = await token_ids(world, "user-engineer")
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await revoke_token(tx, world.operator, token_id=token_id)
    return f"Bearer {world.tokens['user-engineer']}"


async def of_a_deactivated_person(world: World, other_world: World) -> str:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle="user-engineer", status=PersonStatus.DEACTIVATED)
    return f"Bearer {world.tokens['user-engineer']}"


async def moved_to_another_tenant(world: World, other_world: World) -> str:
    return f"Bearer {world.tokens['user-engineer'].replace(f'tp_{world.tenant_id}_', f'tp_{other_world.tenant_id}_')}"


async def of_a_tenant_that_does_not_exist(world: World, other_world: World) -> str:
    return f"Bearer {world.tokens['user-engineer'].replace(f'tp_{world.tenant_id}_', 'tp_nobody-knows_')}"


async def with_another_secret(world: World, other_world: World) -> str:
    return f"Bearer tp_{world.tenant_id}_{'a' * 43}"


async def malformed(world: World, other_world: World) -> str:
    return "Bearer hello"


async def that_is_sql(world: World, other_world: World) -> str:
    return f"Bearer tp_{world.tenant_id}_' OR '1'='1"


async def empty(world: World, other_world: World) -> str:
    return "Bearer "


async def of_another_scheme(world: World, other_world: World) -> str:
    return f"Basic {world.tokens['user-engineer']}"


async def without_scheme(world: World, other_world: World) -> str:
    return world.tokens["user-engineer"]


REFUSED = [
    expired,
    revoked,
    of_a_deactivated_person,
    moved_to_another_tenant,
    of_a_tenant_that_does_not_exist,
    with_another_secret,
    malformed,
    that_is_sql,
    empty,
    of_another_scheme,
    without_scheme,
]


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
async def test_a_token_that_is_not_valid_is_refused_like_a_missing_one(world: World, other_world: World, make: Any):
    authorization = await make(world, other_world)

    response = await send(world, authorization)

    assert response.status_code == 401
    assert shape_of(response) == shape_of(await send(world, None))


async def test_a_valid_token_signs_in(world: World):
    response = await send(world, f"Bearer {world.tokens['user-engineer']}")

    assert response.status_code == 200


async def test_a_refusal_names_the_scheme_that_is_asked_for(world: World):
    assert (await send(world, None)).headers["www-authenticate"] == "Bearer"


async def test_every_route_of_the_application_but_the_services_own_asks_for_a_token(world: World):
    paths = (await world.http.get("/openapi.json")).json()["paths"]

    open_to_all = {
        (method, path)
        for path, methods in paths.items()
        for method in methods
        if (await world.http.request(method, path.replace("{", "").replace("}", ""))).status_code not in {401, 422}
    }

    assert open_to_all == {("get", "/healthz"), ("get", "/readyz")}


async def test_a_reactivated_person_is_signed_in_by_the_same_token_again(world: World, other_world: World):
    authorization = await of_a_deactivated_person(world, other_world)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle="user-engineer", status=PersonStatus.ACTIVE)

    assert (await send(world, authorization)).status_code == 200


async def test_a_role_counts_from_the_next_request_on(world: World):
    await world.change_role("user-engineer", Role.ADMIN, grant=True)

    actor = await authenticate(world.container.unit_of_work, world.tokens["user-engineer"])

    assert actor.roles == {Role.ENGINEER, Role.ADMIN}


async def test_a_token_lives_a_year_at_most(world: World):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        issued = await directory.issue_token(
            tx, world.operator, handle="user-engineer", label="long", lifetime=timedelta(days=9_999)
        )
        end = tx.now + timedelta(days=365)

    assert issued.expires_at == end


async def last_used(world: World, handle: str) -> Any:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        [token] = await tokens_of(tx, (await directory.person_by_handle(tx, handle)).id)
    return token.last_used_at


async def test_a_token_that_was_never_used_says_so(world: World):
    assert await last_used(world, "user-ae") is None


async def test_last_use_is_kept_to_the_minute(world: World):
    token = world.tokens["user-ae"]
    before = world.clock.now()
    await authenticate(world.container.unit_of_work, token)
    first = await last_used(world, "user-ae")
    world.clock.advance(seconds=30)
    await authenticate(world.container.unit_of_work, token)
    within_the_minute = await last_used(world, "user-ae")
    world.clock.advance(seconds=31)

    await authenticate(world.container.unit_of_work, token)

    assert before <= first <= before + timedelta(seconds=20)
    assert within_the_minute == first
    assert await last_used(world, "user-ae") > first + timedelta(seconds=60)


async def test_a_refused_token_leaves_no_use(world: World, other_world: World):
    authorization = await of_a_deactivated_person(world, other_world)

    await send(world, authorization)

    assert await last_used(world, "user-engineer") is None


@pytest.mark.adversarial(2)
async def test_several_accounts_are_one_person(world: World):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        account = await directory.link_account(tx, world.operator, handle="user-team-lead")
        second = await directory.issue_token(
            tx, world.operator, handle="user-team-lead", label="second", lifetime=timedelta(days=1), account_id=account
        )

    actors = [
        await authenticate(world.container.unit_of_work, token) for token in (world.tokens["user-team-lead"], second.secret)
    ]

    assert actors[0].id == actors[1].id
    assert actors[0].account_id != actors[1].account_id == account


async def test_a_second_account_has_no_second_vote(world: World):
    request = await world.ask()
    body = {"effect_digest": request["effect_digest"]}
    await world.act("user-lead-and-security", request["id"], "approve", body)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        account = await directory.link_account(tx, world.operator, handle="user-lead-and-security")
    await world.issue_token("user-lead-and-security", account_id=account)

    response = await world.act("user-lead-and-security", request["id"], "approve", body)

    assert (response.status_code, response.json()["code"]) == (409, "approvals.already_voted")


async def test_one_account_is_a_different_person_in_each_tenant(world: World, other_world: World):
    actor = await authenticate(world.container.unit_of_work, world.tokens["user-engineer"])
    async with other_world.container.unit_of_work.transaction(other_world.tenant_id) as tx:
        await directory.link_account(tx, other_world.operator, handle="user-engineer", account_id=actor.account_id)
    token = await other_world.issue_token("user-engineer", account_id=actor.account_id)

    elsewhere = await authenticate(world.container.unit_of_work, token)

    assert elsewhere.account_id == actor.account_id
    assert elsewhere.id != actor.id


@pytest.mark.adversarial(33)
async def test_the_secret_of_a_token_is_stored_nowhere(world: World, settings: Settings):
    await world.active()
    secrets = [token.rpartition(f"tp_{world.tenant_id}_")[2] for token in world.tokens.values()]
    tables = rows_as_owner(
        settings, "SELECT relname FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relkind IN ('r', 'p')"
    )

    found = []
    for table in tables:
        rows = rows_as_owner(settings, f"SELECT t::text AS row FROM trustpack.{table['relname']} t")
        # A bytea shows as hex in a row's text.
        found += [
            (table["relname"], row["row"])
            for row in rows
            for secret in secrets
            if secret in row["row"] or secret.encode().hex() in row["row"]
        ]

    assert found == []
