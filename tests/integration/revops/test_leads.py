"""Leads: routed once, promoted at once, never twice."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import psycopg
import pytest

from tests.support.store import as_app, rows_as_owner, run_as_app
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import format_time

LEAD = {"email": "Jo@Acme.com", "company": "Acme GmbH", "segment": "enterprise", "employees": 1200, "region": "emea"}


@pytest.fixture
async def selling(world):
    """A tenant with the team that enterprise leads go to, and somebody in it."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_team(tx, world.operator, name="enterprise")
        await directory.join_team(tx, world.operator, handle="user-ae", team="enterprise")
    await world.add_person("user-manager", Role.MANAGER)
    await world.add_person("user-finance", Role.FINANCE)
    return world


async def post(world, person="user-ae", key=None, **changes):
    return await world.call(person, "POST", "/revops/leads", LEAD | changes, key=key)


async def test_a_lead_becomes_an_opportunity_of_the_routed_team(selling):
    answer = await post(selling)

    assert answer.status_code == 201
    found = answer.json()
    async with selling.container.unit_of_work.transaction(selling.tenant_id) as tx:
        team = await directory.team_by_name(tx, "enterprise")
    assert found["opportunity"]["team_id"] == team.id
    assert found["opportunity"]["lead_id"] == found["lead"]["id"]
    assert found["opportunity"]["owner"]["handle"] == "user-ae"
    assert found["lead"]["opportunity_id"] == found["opportunity"]["id"]
    assert (found["routing"]["team"], found["routing"]["rule"]) == ("enterprise", "enterprise_segment")
    due = format_time(selling.clock.now() + timedelta(hours=4))
    assert found["opportunity"]["first_touch_due_at"][:16] == due[:16]


async def test_the_routing_decision_is_stored_with_its_policy_version(selling):
    found = (await post(selling)).json()

    [row] = rows_as_owner(
        selling.container.settings,
        "SELECT subject_id, package, allowed, bundle_revision FROM trustpack.policy_decisions WHERE id = %s",
        found["routing"]["decision_id"],
    )
    assert (row["subject_id"], row["package"], row["allowed"]) == (found["lead"]["id"], "revops.lead_routing", True)
    assert row["bundle_revision"].startswith("0.1.0+")


async def test_lead_and_opportunity_have_their_receipts_without_personal_text(selling):
    found = (await post(selling, source="Met Jo of Acme at a fair")).json()

    rows = rows_as_owner(
        selling.container.settings,
        "SELECT action, convert_from(body, 'UTF8') AS body FROM trustpack.receipts WHERE subject_id = ANY(%s) ORDER BY action",
        [found["lead"]["id"], found["opportunity"]["id"]],
    )
    assert [row["action"] for row in rows] == ["opened", "promoted"]
    assert not [row for row in rows if "acme" in row["body"].lower()]
    assert json.loads(rows[1]["body"])["payload"]["routing"]["decision_id"] == found["routing"]["decision_id"]


@pytest.mark.deal_case(37)
@pytest.mark.parametrize("email", ["jo@acme.com", " JO@ACME.COM ", "jo+trial@acme.com"])
async def test_the_same_mailbox_again_is_the_same_lead(selling, email):
    first = await post(selling)
    second = await post(selling, email=email, company="Another name")

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()


@pytest.mark.deal_case(37)
async def test_the_same_mailbox_again_tells_people_of_another_team_whom_to_ask_and_nothing_else(selling):
    await selling.add_person("user-ae-elsewhere", Role.AE)
    first = (await post(selling, source="Met Jo at a fair")).json()

    second = await selling.call("user-ae-elsewhere", "POST", "/revops/leads", LEAD | {"email": "JO@acme.com"})

    assert (second.status_code, second.json()["code"]) == (409, "revops.lead_taken")
    assert second.json()["owner"] == first["opportunity"]["owner"]
    assert not [text for text in (first["lead"]["id"], first["lead"]["company"], "fair") if text in second.text]


@pytest.mark.deal_case(37)
async def test_of_twenty_posts_at_once_one_makes_the_lead(selling):
    answers = await asyncio.gather(*(post(selling, email=f"jo+{number}@acme.com") for number in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["lead"]["id"] for answer in answers}) == 1
    [row] = rows_as_owner(
        selling.container.settings,
        "SELECT (SELECT count(*) FROM trustpack.opportunities WHERE tenant_id = %s) AS opportunities,"
        " (SELECT count(*) FROM trustpack.policy_decisions WHERE tenant_id = %s) AS decisions,"
        " (SELECT count(*) FROM trustpack.usage_events WHERE tenant_id = %s) AS usage",
        *[selling.tenant_id] * 3,
    )
    assert row == {"opportunities": 1, "decisions": 1, "usage": 1}


async def test_a_known_account_stays_with_its_team(selling):
    await post(selling)

    found = (await post(selling, email="max@acme.com", segment="other", employees=5)).json()

    assert (found["routing"]["rule"], found["routing"]["team"]) == ("existing_account", "enterprise")


@pytest.mark.deal_case(38)
async def test_a_lead_whose_team_does_not_exist_is_kept_and_its_clock_runs(selling):
    found = (await post(selling, person="user-manager", email="a@mid.example", segment="mid_market", employees=300)).json()

    assert (found["routing"]["team"], found["opportunity"]["team_id"]) == ("mid-market", None)
    assert found["opportunity"]["owner"]["handle"] == "user-manager"
    assert found["opportunity"]["first_touch_due_at"]


async def test_a_manager_brings_a_lead_to_the_least_busy_seller(selling):
    await selling.add_person("user-ae-2", Role.AE)
    async with selling.container.unit_of_work.transaction(selling.tenant_id) as tx:
        await directory.join_team(tx, selling.operator, handle="user-ae-2", team="enterprise")
    await post(selling)

    found = (await post(selling, person="user-manager", email="b@other.example")).json()

    assert found["opportunity"]["owner"]["handle"] == "user-ae-2"


async def test_a_repeated_key_gets_the_first_answer(selling):
    first = await post(selling, key="k-1")
    second = await post(selling, key="k-1")

    assert (second.status_code, second.json()) == (201, first.json())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "jo"}, "email"),
        ({"email": 7}, "email"),
        ({"company": " "}, "company"),
        ({"company": "a\u202eb"}, "company"),
        ({"employees": -1}, "employees"),
        ({"employees": 1.5}, "employees"),
        ({"segment": ""}, "segment"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_a_malformed_lead_is_refused_with_its_field_and_leaves_nothing(selling, changes, field):
    answer = await post(selling, **changes)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert rows_as_owner(selling.container.settings, "SELECT FROM trustpack.leads WHERE tenant_id = %s", selling.tenant_id) == []


@pytest.mark.parametrize("person", ["user-engineer", "user-auditor", "user-finance"])
async def test_only_sellers_bring_leads_in(selling, person):
    answer = await post(selling, person=person)

    assert (answer.status_code, answer.json()["code"]) == (403, "revops.sellers_only")


async def test_deals_are_read_by_their_people_team_approvers_auditor_and_admin_only(selling, other_world):
    found = (await post(selling)).json()
    path = f"/revops/opportunities/{found['opportunity']['id']}"
    await selling.add_person("user-ae-3", Role.AE)

    statuses = {
        person: (await selling.call(person, "GET", path)).status_code
        for person in ("user-ae", "user-manager", "user-finance", "user-auditor", "user-admin", "user-ae-3", "user-engineer")
    }
    stranger = await other_world.call("user-admin", "GET", path)

    assert [person for person, status in statuses.items() if status == 200] == [
        "user-ae", "user-manager", "user-finance", "user-auditor", "user-admin"
    ]  # fmt: skip
    assert set(statuses.values()) == {200, 404}
    assert stranger.status_code == 404


async def test_the_list_shows_what_the_caller_may_read_page_by_page(selling):
    for number in range(3):
        await post(selling, email=f"p{number}@acme.com")
    await selling.add_person("user-ae-3", Role.AE)

    first = (await selling.call("user-ae", "GET", "/revops/leads?limit=2")).json()
    rest = (await selling.call("user-ae", "GET", f"/revops/leads?limit=2&cursor={first['next_cursor']}")).json()
    none = (await selling.call("user-ae-3", "GET", "/revops/leads")).json()

    emails = [item["lead"]["email"] for item in first["items"] + rest["items"]]
    assert emails == ["p2@acme.com", "p1@acme.com", "p0@acme.com"]
    assert rest["next_cursor"] is None
    assert none == {"items": [], "next_cursor": None}


async def test_who_brought_an_opportunity_in_is_what_its_lead_says_whatever_is_written(selling, container):
    opportunity_id = (await post(selling)).json()["opportunity"]["id"]
    statement = "SELECT brought_by FROM trustpack.opportunities WHERE id = %s"
    brought_by = selling.people["user-ae"].id
    written = []

    async with as_app(container, selling.tenant_id) as connection:
        for change in ("brought_by = 'usr_x'", "version = version + 1, brought_by = 'usr_x'"):
            await connection.execute("SAVEPOINT before")
            try:
                await connection.execute(f"UPDATE trustpack.opportunities SET {change} WHERE id = %s", (opportunity_id,))
            except psycopg.errors.CheckViolation:
                written.append("refused")
            else:
                cursor = await connection.execute(statement, (opportunity_id,))
                written.append((await cursor.fetchone())["brought_by"])
            await connection.execute("ROLLBACK TO before")

    assert written == ["refused", brought_by]
    assert rows_as_owner(selling.container.settings, statement, opportunity_id) == [{"brought_by": brought_by}]


async def test_an_opportunity_without_its_lead_is_refused(selling, container):
    opportunity_id = (await post(selling)).json()["opportunity"]["id"]

    with pytest.raises(psycopg.errors.NotNullViolation, match="brought_by"):
        await run_as_app(
            container,
            selling.tenant_id,
            "INSERT INTO trustpack.opportunities SELECT (jsonb_populate_record(o, %(changes)s::jsonb)).*"
            " FROM trustpack.opportunities o WHERE o.id = %(id)s",
            id=opportunity_id,
            changes=json.dumps({"id": "opp_x", "lead_id": "lead_x", "version": 1}),
        )
