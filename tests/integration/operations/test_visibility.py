"""What is seen of requests beside who may: teams that change, ids and tokens that are none, lists, filters and pages.

Who may read and do what, on every route, is in tests/integration/api_matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import format_time, parse_time

OPERATION = "/high-risk-ops/requests/{request}"
READS: Mapping[str, str] = {
    "request": OPERATION,
    "receipts": f"{OPERATION}/receipts",
    "evidence": "/evidence/high-risk-ops/{request}",
    "decisions": "/policy/decisions?subject={request}",
    "decision": "/policy/decisions/{decision}",
}
COMMANDS: Mapping[str, object] = {
    "approve": {},
    "reject": {"reason": "no"},
    "cancel": {},
    "execute": None,
    "credentials": {},
    "revert": {"reason": "done"},
}
UNKNOWN = "hro_0190163d8694739b962b6e2b9f9d4f4c"
MALFORMED = [
    "x", "hro_", "hro_xyz", UNKNOWN.upper(), UNKNOWN[:-1], UNKNOWN + "0", UNKNOWN.replace("hro_", "dec_"), "hro-" + UNKNOWN[4:],
    "%00", UNKNOWN + "%0A", "hro_" + "\N{ARABIC-INDIC DIGIT ZERO}" * 32, "x" * 3000, "' OR 1=1 --",
]  # fmt: skip


def path_of(route: str, *, request: str, decision: str) -> str:
    return READS[route].format(request=request, decision=decision)


async def test_leaving_the_team_ends_the_reading(world: World) -> None:
    await world.add_person("user-team-mate")
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_team(tx, world.operator, name="payments")
        for handle in ("user-engineer", "user-team-mate"):
            await directory.join_team(tx, world.operator, handle=handle, team="payments")
    path = f"/high-risk-ops/requests/{(await world.ask())['id']}"
    before = await world.call("user-team-mate", "GET", path)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.join_team(tx, world.operator, handle="user-team-mate", team="payments", join=False)

    after = await world.call("user-team-mate", "GET", path)

    assert (before.status_code, after.status_code) == (200, 404)


async def test_the_list_joins_ones_own_with_those_of_each_team_once_in_one_order(world: World) -> None:
    await world.add_person("user-team-mate", Role.ENGINEER)
    await world.add_person("user-alone", Role.ENGINEER)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        for team in ("payments", "ledger"):
            await directory.add_team(tx, world.operator, name=team)
            for handle in ("user-engineer", "user-team-mate"):
                await directory.join_team(tx, world.operator, handle=handle, team=team)
    await world.ask("user-alone")
    readable = [(await world.ask(who))["id"] for who in ("user-engineer", "user-team-mate", "user-engineer")]

    first = (await world.call("user-team-mate", "GET", "/high-risk-ops/requests?limit=2")).json()
    rest = (await world.call("user-team-mate", "GET", f"/high-risk-ops/requests?limit=2&cursor={first['next_cursor']}")).json()

    assert [item["id"] for item in (*first["items"], *rest["items"])] == sorted(readable, reverse=True)


async def test_another_tenants_target_and_people_are_unknown(world: World, other_world: World) -> None:
    await other_world.ask()
    person = other_world.people["user-engineer"].id

    listed = await world.call("user-admin", "GET", f"/high-risk-ops/requests?requester={person}")

    assert listed.json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "token", ["tp_{tenant}_{secret}x", "tp_{other}_{secret}", "TP_{tenant}_{secret}", "{secret}", "tp_{tenant}_"]
)
async def test_a_token_that_was_altered_signs_nobody_in(world: World, other_world: World, token: str) -> None:
    secret = world.tokens["user-admin"].removeprefix(f"tp_{world.tenant_id}_")
    altered = token.format(tenant=world.tenant_id, other=other_world.tenant_id, secret=secret)

    response = await world.http.get("/high-risk-ops/requests", headers={"Authorization": f"Bearer {altered}"})

    assert response.status_code == 401


@pytest.mark.parametrize("malformed", MALFORMED)
async def test_a_malformed_id_is_not_found_on_every_route(world: World, malformed: str) -> None:
    for route in READS:
        answer = await world.call("user-admin", "GET", path_of(route, request=malformed, decision=malformed))

        assert answer.status_code in ({404, 422} if route == "decisions" else {404}), (route, answer.text)
    for command, body in COMMANDS.items():
        answer = await world.act("user-admin", malformed, command, body)

        assert answer.status_code == 404, (command, answer.text)


async def test_a_walk_through_the_pages_meets_everything_once_newest_first(world: World) -> None:
    created = [(await world.ask(ticket=f"INC-{number}"))["id"] for number in range(25)]

    seen: list[str] = []
    sizes: list[int] = []
    cursor = ""
    while cursor is not None:
        page = (
            await world.call("user-auditor", "GET", f"/high-risk-ops/requests?limit=7{cursor and '&cursor=' + cursor}")
        ).json()
        seen += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        cursor = page["next_cursor"]

    assert sizes == [7, 7, 7, 4]
    assert seen == sorted(created, reverse=True)


async def test_a_request_made_during_a_walk_moves_no_page(world: World) -> None:
    created = [(await world.ask())["id"] for _ in range(4)]
    first = (await world.call("user-auditor", "GET", "/high-risk-ops/requests?limit=2")).json()
    await world.ask()

    second = (await world.call("user-auditor", "GET", f"/high-risk-ops/requests?limit=2&cursor={first['next_cursor']}")).json()

    assert [item["id"] for item in (*first["items"], *second["items"])] == sorted(created, reverse=True)


async def test_a_full_last_page_has_no_next_one(world: World) -> None:
    await world.ask()
    await world.ask()

    page = (await world.call("user-auditor", "GET", "/high-risk-ops/requests?limit=2")).json()

    assert (len(page["items"]), page["next_cursor"]) == (2, None)


async def test_lists_are_filtered_by_status_requester_and_time(world: World) -> None:
    await world.change_role("user-engineer-2", Role.ENGINEER, grant=True)
    first = await world.ask()
    world.clock.advance(seconds=10)
    second = await world.ask("user-engineer-2")
    world.clock.advance(seconds=10)
    third = await world.ask()
    await world.act("user-engineer", third["id"], "cancel")
    middle = parse_time(second["created_at"])

    async def ids(query: str) -> list[str]:
        response = await world.call("user-auditor", "GET", f"/high-risk-ops/requests?{query}")
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["items"]]

    assert await ids("status=cancelled") == [third["id"]]
    assert await ids("status=pending_approval") == [second["id"], first["id"]]
    assert await ids("requester=user-engineer-2") == [second["id"]]
    assert await ids(f"requester={world.people['user-engineer'].id}") == [third["id"], first["id"]]
    assert await ids("requester=nobody") == []
    assert await ids("type=TEMP_DB_READ_ACCESS&limit=1") == [third["id"]]
    assert await ids("type=SOMETHING_ELSE") == []
    assert await ids(f"created_after={format_time(middle)}") == [third["id"], second["id"]]
    assert await ids(f"created_before={format_time(middle)}") == [first["id"]]
    assert await ids(f"created_after={format_time(middle)}&created_before={format_time(middle + timedelta(seconds=1))}") == [
        second["id"]
    ]
    assert await ids("status=pending_approval&requester=user-engineer") == [first["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x", "cursor=!!!!", "cursor=%C3%A9", "cursor=aHJvXzE", "cursor=", "cursor=" + "A" * 300,
        "limit=0", "limit=-1", "limit=201",
        "limit=many", "limit=1.5", "status=open", "status=", "created_after=yesterday", "created_after=1e400", "created_after=0",
        "created_before=2026-11-22", "created_before=2026-11-22T00:00:00", "type=x%00",
        "requester=%00", "requester=A%20B",
    ],
)  # fmt: skip
async def test_a_filter_or_cursor_that_makes_no_sense_is_422(world: World, query: str) -> None:
    response = await world.call("user-auditor", "GET", f"/high-risk-ops/requests?{query}")

    assert response.status_code == 422, response.text
