"""What a list shows to whom: the own, the team's, and what one had a part in; each once, newest first, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deals import LEAD, Deals
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role


async def listed(deals: Deals, person: str, path: str = "/quotes", **query: Any) -> list[str]:
    """Return the ids of a whole list, read two at a time."""
    found: list[str] = []
    cursor = ""
    while True:
        filters = "".join(f"&{name}={value}" for name, value in query.items())
        page = (await deals.call(person, "GET", f"{path}?limit=2{filters}{cursor}")).json()
        found += [item["lead"]["id"] if "lead" in item else item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def move(world: World, handle: str, *, join: bool) -> None:
    """Have somebody join or leave the selling team."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.join_team(tx, world.operator, handle=handle, team="enterprise", join=join)


@pytest.fixture
async def colleagues(deals: Deals) -> Deals:
    """Two more account executives: one in the team of `user-ae`, one in none."""
    await deals.world.add_person("user-ae-2", Role.AE)
    await deals.world.add_person("user-ae-3", Role.AE)
    await move(deals.world, "user-ae-2", join=True)
    return deals


async def test_every_quote_is_listed_once_newest_first(colleagues: Deals):
    quotes = [await colleagues.quote() for _ in range(5)]
    newest_first = [quote["id"] for quote in reversed(quotes)]

    assert await listed(colleagues, "user-ae") == newest_first
    assert await listed(colleagues, "user-ae-2") == newest_first
    assert await listed(colleagues, "user-manager") == newest_first
    assert await listed(colleagues, "user-ae-3") == []


async def test_filters_hold_for_whoever_reads_a_part(colleagues: Deals):
    drafts = [await colleagues.quote() for _ in range(3)]
    waiting = await colleagues.submitted()

    for person in ("user-ae", "user-ae-2", "user-manager"):
        assert await listed(colleagues, person, status="pending_approval") == [waiting["id"]]
        assert await listed(colleagues, person, status="draft") == [quote["id"] for quote in reversed(drafts)]
        assert await listed(colleagues, person, owner_id=drafts[0]["owner"]["id"]) == [
            waiting["id"],
            *(quote["id"] for quote in reversed(drafts)),
        ]
        assert await listed(colleagues, person, opportunity_id="opp_" + "0" * 32) == []


@pytest.mark.parametrize("part", ["wrote", "changed", "submitted"])
async def test_who_had_a_part_in_a_quote_finds_it_after_leaving_the_team(colleagues: Deals, part: str):
    other = await colleagues.quote()
    quote = await colleagues.quote("user-ae-2" if part == "wrote" else "user-ae")
    if part == "changed":
        body = {"terms": colleagues.terms(discount_percent="31")}
        assert (await colleagues.call("user-ae-2", "PATCH", f"/quotes/{quote['id']}", body)).status_code == 200
    if part == "submitted":
        assert (await colleagues.act("user-ae-2", quote, "submit-for-approval")).status_code == 200
    assert await listed(colleagues, "user-ae-2") == [quote["id"], other["id"]]

    await move(colleagues.world, "user-ae-2", join=False)

    assert await listed(colleagues, "user-ae-2") == [quote["id"]]


async def test_leads_are_listed_to_who_brought_them_to_their_owner_and_to_their_team(colleagues: Deals):
    [first] = await listed(colleagues, "user-manager", "/leads")
    brought = await colleagues.call("user-ae-3", "POST", "/leads", LEAD | {"email": "ann@other.com"})
    assert brought.status_code == 201, brought.text
    second = brought.json()["lead"]["id"]

    assert await listed(colleagues, "user-manager", "/leads") == [second, first]
    assert await listed(colleagues, "user-ae-2", "/leads") == [second, first]
    assert await listed(colleagues, "user-ae-3", "/leads") == [second]
    assert await listed(colleagues, "user-ae-3", "/leads", segment="mid_market") == []
    await move(colleagues.world, "user-ae", join=False)
    assert await listed(colleagues, "user-ae", "/leads") == [first]
