"""Delegations as subjects of their own: who makes and ends them, who reads them, and what they leave behind."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from tests.support.deals import Deals, selling
from tests.support.delegating import DEPUTY, day, delegate, end, lend, receipts_of
from tests.support.store import rows_as_owner, run_as_app
from tests.support.stored import tables_holding
from tests.support.world import World
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import set_person_status
from trustpack.capabilities.revops.rules.delegating import MOST_AT_ONCE
from trustpack.kernel.actor import ActorKind, Role


@pytest.fixture
async def deals(world: World) -> Deals:
    """A tenant that sells, with somebody who holds no role."""
    await world.add_person(DEPUTY)
    return await selling(world)


async def listed(deals: Deals, person: str, query: str = "") -> list[str]:
    """Return the ids of the delegations that a person is shown."""
    return [item["id"] for item in (await deals.call(person, "GET", f"/delegations{query}")).json()["items"]]


async def test_a_manager_lends_the_own_role_and_a_receipt_says_so(deals: Deals) -> None:
    made = await lend(deals)
    [receipt] = await receipts_of(deals, made)

    assert (made["role"], made["from"]["handle"], made["to"]["handle"]) == ("manager", "user-manager", DEPUTY)
    assert (made["status"], made["in_force"], made["version"]) == ("active", True, 1)
    assert (made["from_date"], made["until_date"], made["reason"]) == (day(deals, 0), day(deals, 6), "Away until Monday")
    assert (made["created_by"]["handle"], made["ended_at"]) == ("user-manager", None)
    told = receipt["payload"]
    assert (receipt["action"], told["role"], told["from"], told["to"]) == (
        "created",
        "manager",
        made["from"]["id"],
        made["to"]["id"],
    )
    assert (told["from_date"], told["until_date"]) == (made["from_date"], made["until_date"])


async def test_the_reason_is_kept_where_it_can_be_erased(deals: Deals) -> None:
    made = await lend(deals, reason="Surgery on Tuesday")
    [receipt] = await receipts_of(deals, made)

    assert receipt["payload"]["reason"].keys() == {"commitment"}
    assert tables_holding(deals.world, "Surgery on Tuesday") == ["trustpack.disclosures"]


async def test_an_administrator_lends_for_somebody_who_is_away_and_is_named(deals: Deals) -> None:
    made = await lend(deals, "user-admin", **{"from": "user-finance", "role": "finance"})

    assert (made["from"]["handle"], made["created_by"]["handle"]) == ("user-finance", "user-admin")
    assert (await end(deals, made, "user-admin")).json()["status"] == "ended"


async def test_people_may_be_named_by_their_id(deals: Deals) -> None:
    people = deals.world.people

    made = await lend(deals, "user-admin", **{"from": people["user-manager"].id, "to": people[DEPUTY].id})

    assert (made["from"]["handle"], made["to"]["handle"]) == ("user-manager", DEPUTY)


@pytest.mark.deal_case(28)
@pytest.mark.parametrize(
    ("person", "changes"),
    [
        pytest.param("user-engineer", {}, id="who holds no approver's role"),
        pytest.param("user-finance", {}, id="who holds another one"),
        pytest.param("user-admin", {}, id="an administrator who does not hold it"),
        pytest.param("user-finance", {"from": "user-manager"}, id="a colleague for the holder"),
        pytest.param("user-admin", {"from": "user-finance"}, id="an administrator for who does not hold it"),
    ],
)
async def test_nobody_lends_what_is_not_theirs(deals: Deals, person: str, changes: dict[str, Any]) -> None:
    answer = await delegate(deals, person, **changes)

    assert (answer.status_code, answer.json()["code"]) == (403, "revops.delegation_forbidden")
    assert await listed(deals, "user-auditor") == []


@pytest.mark.deal_case(28)
async def test_a_borrowed_role_is_not_lent_on_and_makes_no_circle(deals: Deals) -> None:
    await lend(deals)

    onward = await delegate(deals, DEPUTY, to="user-engineer")
    back = await delegate(deals, DEPUTY, to="user-manager")

    assert [answer.json()["code"] for answer in (onward, back)] == ["revops.delegation_forbidden"] * 2


@pytest.mark.deal_case(28)
async def test_two_holders_lend_each_other_nothing(deals: Deals) -> None:
    answer = await delegate(deals, to="user-manager-and-finance")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "to")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": "user-manager"}, "to"),
        ({"to": "nobody-of-that-name"}, "to"),
        ({"to": "usr_" + "0" * 32}, "to"),
        ({"begins": -1}, "from_date"),
        ({"lasts": 0}, "until_date"),
        ({"lasts": 91}, "until_date"),
    ],
    ids=str,
)
async def test_a_delegation_that_cannot_be_is_refused_by_field(deals: Deals, changes: dict[str, Any], field: str) -> None:
    answer = await delegate(deals, **changes)

    assert (answer.status_code, answer.json()["code"]) == (422, "revops.invalid_delegation")
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


async def test_an_administrator_gives_the_role_of_somebody_else_to_others_only(deals: Deals) -> None:
    answer = await delegate(deals, "user-admin", **{"from": "user-manager", "to": "user-admin"})
    unknown = await delegate(deals, "user-admin", **{"from": "nobody-of-that-name"})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "to")
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "from")


@pytest.mark.parametrize("who", ["a bot", "somebody who left"])
async def test_a_role_is_lent_to_active_people_only(deals: Deals, who: str) -> None:
    world = deals.world
    await world.add_person("user-other", kind=ActorKind.BOT if who == "a bot" else ActorKind.PERSON)
    if who == "somebody who left":
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await set_person_status(tx, world.operator, handle="user-other", status=PersonStatus.DEACTIVATED)

    answer = await delegate(deals, to="user-other")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "to")


@pytest.mark.parametrize("role", ["ae", "admin", "security_officer", "team_lead", "auditor"])
async def test_no_other_role_can_be_lent(deals: Deals, role: str) -> None:
    await deals.world.change_role("user-manager", Role(role), grant=True)

    answer = await delegate(deals, role=role)

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


async def test_somebody_of_another_tenant_is_nobody(deals: Deals, other_world: World) -> None:
    await other_world.add_person("user-elsewhere")

    by_handle = await delegate(deals, to="user-elsewhere")
    by_id = await delegate(deals, to=other_world.people["user-elsewhere"].id)

    assert by_handle.status_code == by_id.status_code == 422
    assert by_handle.json()["errors"] == by_id.json()["errors"]


async def test_one_person_lends_to_a_limited_number_also_in_one_moment(deals: Deals) -> None:
    for _ in range(MOST_AT_ONCE - 1):
        await lend(deals)

    answers = await asyncio.gather(*(delegate(deals) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    [refused, _] = [answer.json() for answer in answers if answer.status_code == 409]
    assert refused["code"] == "revops.too_many_delegations"
    await end(deals, (await deals.call("user-manager", "GET", "/delegations")).json()["items"][0])
    assert (await delegate(deals)).status_code == 201


async def test_one_key_makes_one_delegation(deals: Deals) -> None:
    body = {"role": "manager", "to": DEPUTY, "from_date": day(deals, 0), "until_date": day(deals, 0), "reason": "away"}

    answers = [await deals.call("user-manager", "POST", "/delegations", body, key="k1") for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert len(await listed(deals, "user-manager")) == 1


async def test_its_delegator_ends_a_delegation_once_with_a_receipt(deals: Deals) -> None:
    made = await lend(deals)

    ended, again = await end(deals, made), await end(deals, made)

    assert (ended.status_code, ended.json()["status"], ended.json()["in_force"]) == (200, "ended", False)
    assert ended.json()["ended_at"] is not None
    assert (again.status_code, again.json()["code"]) == (409, "revops.delegation_ended")
    assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created", "ended"]
    shown = (await deals.call("user-manager", "GET", f"/delegations/{made['id']}")).json()
    assert shown == ended.json()


@pytest.mark.parametrize("person", [DEPUTY, "user-finance", "user-auditor"])
async def test_whoever_else_reads_it_does_not_end_it_and_leaves_a_receipt(deals: Deals, person: str) -> None:
    made = await lend(deals)

    answer = await end(deals, made, person)

    assert (answer.status_code, answer.json()["code"]) == (403, "revops.not_your_delegation")
    last = (await receipts_of(deals, made))[-1]
    assert (last["action"], last["state"], last["actor"]["handle"]) == ("refused", "active", person)
    assert last["payload"] == {"attempted": "end", "code": "revops.not_your_delegation"}


async def test_nobody_fills_a_delegation_with_receipts(deals: Deals) -> None:
    made = await lend(deals)

    for _ in range(25):
        await end(deals, made, DEPUTY)

    assert len(await receipts_of(deals, made)) == 1 + 20


@pytest.mark.parametrize("person", ["user-engineer", "user-ae", "user-team-lead"])
async def test_for_people_who_have_nothing_to_do_with_it_it_is_not_there(deals: Deals, person: str) -> None:
    made = await lend(deals)

    answers = [await deals.call(person, "GET", f"/delegations/{made['id']}{rest}") for rest in ("", "/receipts")]

    assert [answer.status_code for answer in (*answers, await end(deals, made, person))] == [404, 404, 404]
    assert await listed(deals, person) == []


async def test_in_another_tenant_it_is_not_there(deals: Deals, other_world: World) -> None:
    made = await lend(deals)

    answers = [
        await other_world.call("user-admin", method, f"/revops/delegations/{made['id']}{rest}")
        for method, rest in (("GET", ""), ("GET", "/receipts"), ("DELETE", ""))
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created"]


async def test_the_list_is_paged_newest_first_and_filtered(deals: Deals) -> None:
    first, second, third = [await lend(deals, lasts=lasts) for lasts in (1, 7, 7)]
    await end(deals, second)

    page = (await deals.call("user-manager", "GET", "/delegations?limit=2")).json()
    rest = (await deals.call("user-manager", "GET", f"/delegations?limit=2&cursor={page['next_cursor']}")).json()

    assert [item["id"] for item in page["items"] + rest["items"]] == [third["id"], second["id"], first["id"]]
    assert rest["next_cursor"] is None
    assert await listed(deals, DEPUTY, "?active=true") == [third["id"], first["id"]]
    assert await listed(deals, DEPUTY, "?active=false") == [second["id"]]
    deals.world.clock.advance(days=1)
    assert await listed(deals, DEPUTY, "?active=true") == [third["id"]]
    assert await listed(deals, DEPUTY, "?active=false") == [second["id"], first["id"]]


async def test_it_says_whether_it_is_in_force(deals: Deals) -> None:
    later, now = await lend(deals, begins=1), await lend(deals)
    await deals.world.change_role("user-manager", Role.MANAGER, grant=False)

    without_role = (await deals.call(DEPUTY, "GET", f"/delegations/{now['id']}")).json()

    assert (later["in_force"], now["in_force"], without_role["in_force"]) == (False, True, False)


async def test_what_it_lends_to_whom_and_when_is_written_once(deals: Deals) -> None:
    made = await lend(deals)
    await end(deals, made, DEPUTY)
    await end(deals, made)

    text = (
        "SELECT role, from_person, to_person, from_date::text, until_date::text, version FROM trustpack.delegations WHERE id = %s"
    )
    assert rows_as_owner(deals.world.container.settings, text, made["id"]) == [
        {
            "role": "manager",
            "from_person": made["from"]["id"],
            "to_person": made["to"]["id"],
            "from_date": made["from_date"],
            "until_date": made["until_date"],
            "version": 3,
        }
    ]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("to_person = from_person", "delegations_two_people"),
        ("role = 'admin'", "delegations_role"),
        ("until_date = from_date - 1", "delegations_days"),
        ("status = 'ended'", "delegations_ended"),
        ("ended_at = now()", "delegations_ended"),
        ("status = 'paused'", "delegations_status"),
        ("until_date = until_date + 30", "receipt_for_every_version"),
    ],
)
async def test_the_database_itself_refuses_a_delegation_that_cannot_be(deals: Deals, change: str, constraint: str) -> None:
    made = await lend(deals)

    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        await run_as_app(
            deals.world.container,
            deals.world.tenant_id,
            f"UPDATE trustpack.delegations SET version = version + 1, {change} WHERE id = %(id)s",
            id=made["id"],
        )

    assert caught.value.diag.constraint_name == constraint
