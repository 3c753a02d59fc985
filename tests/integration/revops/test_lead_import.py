"""Leads imported from another system: as if each had come through the API, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.deals import LEAD, Deals
from tests.support.engines import gate_without_engine
from tests.support.importing import count_of, is_held_up, lead, sizes, take_leads, taking_mailbox
from tests.support.server_process import wait_until
from tests.support.store import rows_as_owner
from tests.support.stored import chain_faults
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.directory import UnknownName
from trustpack.capabilities.revops.model import UnknownOwner
from trustpack.capabilities.revops.service.importing import BATCH_ROWS
from trustpack.kernel.actor import Role


async def stored(deals: Deals, number: int) -> dict[str, Any]:
    """Return an imported lead with its opportunity, as the API shows it."""
    items = (await deals.call("user-manager", "GET", "/leads?limit=100")).json()["items"]
    [found] = [item for item in items if item["lead"]["email"] == f"jo@company-{number}.example"]
    return dict(found)


def decisions(world: World) -> list[dict[str, Any]]:
    query = "SELECT id, subject_id, allowed FROM trustpack.policy_decisions WHERE tenant_id = %s"
    return [dict(row) for row in rows_as_owner(world.container.settings, query, world.tenant_id)]


async def test_an_imported_lead_has_what_one_of_the_api_has(deals: Deals) -> None:
    before = sizes(deals.world)
    await deals.call("user-manager", "POST", "/leads", LEAD | {"email": "jo@company-0.example"})
    between = sizes(deals.world)

    imported = await take_leads(deals.world, lead(1, employees="1200", region="emea"))

    assert imported.counts == {"created": 1}
    after = sizes(deals.world)
    by_api = {table: between[table] - before[table] for table in before}
    assert {table: after[table] - between[table] for table in after} == by_api | {"external_ids": 1}
    found, other = await stored(deals, 1), await stored(deals, 0)
    assert found["routing"]["rule"] == other["routing"]["rule"]
    assert found["opportunity"]["owner"] == other["opportunity"]["owner"]
    assert found["opportunity"]["team_id"] == other["opportunity"]["team_id"]
    assert found["lead"]["created_by"] == {"id": "system:operator", "handle": None}
    assert await chain_faults(deals.world, found["lead"]["id"], table="leads") == ()


async def test_the_receipt_names_the_external_id_and_the_operator(deals: Deals) -> None:
    await take_leads(deals.world, lead(1))

    found = await stored(deals, 1)
    [row] = rows_as_owner(
        deals.world.container.settings,
        "SELECT action, actor_id, convert_from(body, 'UTF8') AS body FROM trustpack.receipts WHERE subject_id = %s",
        found["lead"]["id"],
    )
    payload = json.loads(row["body"])["payload"]
    assert (row["action"], row["actor_id"], payload["external_id"]) == ("promoted", "system:operator", "crm-1")
    assert payload["routing"]["decision_id"] in {decision["id"] for decision in decisions(deals.world)}


async def test_the_same_file_again_changes_nothing(deals: Deals) -> None:
    rows = [lead(number) for number in range(5)]
    first = await take_leads(deals.world, *rows)
    before = sizes(deals.world)

    again = await take_leads(deals.world, *rows)

    assert (first.counts, again.counts) == ({"created": 5}, {"unchanged": 5})
    assert sizes(deals.world) == before


async def test_other_content_under_a_known_external_id_is_a_conflict_and_overwrites_nothing(deals: Deals) -> None:
    await take_leads(deals.world, lead(1))
    before = sizes(deals.world)

    again = await take_leads(deals.world, lead(1, company="Renamed"), lead(2))

    assert again.counts == {"conflict": 1, "created": 1}
    assert again.report.has_failures
    [(line, column, message)] = again.faults
    found = await stored(deals, 1)
    assert (line, column) == (2, "external_id")
    assert found["lead"]["id"] in message
    assert found["lead"]["company"] == "Company 1"
    assert sizes(deals.world)["leads"] == before["leads"] + 1


async def test_a_mailbox_that_has_a_lead_gets_no_second_and_its_external_id_leads_to_the_first(deals: Deals) -> None:
    before = sizes(deals.world)

    found = await take_leads(
        deals.world, lead(1, email="JO+crm@acme.com"), lead(2), lead(3, email="jo+x@company-2.example", company="Other")
    )
    again = await take_leads(deals.world, lead(1, email="JO+crm@acme.com"))

    assert (found.counts, again.counts) == ({"created": 1, "duplicate": 2}, {"unchanged": 1})
    after = sizes(deals.world)
    assert (after["leads"], after["external_ids"]) == (before["leads"] + 1, 3)
    assert after["policy_decisions"] == before["policy_decisions"] + 1


async def test_a_dry_run_says_what_would_happen_and_keeps_nothing(deals: Deals) -> None:
    await take_leads(deals.world, lead(1))
    rows = [lead(1), lead(2), lead(3, email="x"), lead(4, email="jo@acme.com"), lead(5, owner="nobody")]
    far = [lead(number) for number in range(10, 10 + BATCH_ROWS)]
    late = lead(999, email="jo+again@company-2.example")
    before = sizes(deals.world)

    dry = await take_leads(deals.world, *rows, *far, late, dry_run=True)
    nothing = sizes(deals.world)
    real = await take_leads(deals.world, *rows, *far, late)

    assert nothing == before
    assert dry.counts == {"unchanged": 1, "created": 1 + BATCH_ROWS, "duplicate": 2, "failed": 2}
    assert (real.counts, real.faults) == (dry.counts, dry.faults)


async def test_rows_that_are_wrong_stop_no_others(deals: Deals) -> None:
    found = await take_leads(
        deals.world, lead(1), lead(2, email="x"), lead(3, owner="user-finance"), lead(3), lead(4, employees="many"), lead(5)
    )

    assert found.counts == {"created": 2, "failed": 4}
    assert [(line, column) for line, column, _ in found.faults] == [
        (3, "email"), (4, "owner"), (5, "external_id"), (6, "employees"),
    ]  # fmt: skip
    assert all(fault.next_step for row in found.failed for fault in row.faults)


async def test_what_looks_like_a_formula_is_stored_as_text(deals: Deals) -> None:
    await take_leads(deals.world, lead(1, company="=HYPERLINK(1)"))

    assert (await stored(deals, 1))["lead"]["company"] == "=HYPERLINK(1)"


async def test_imported_leads_are_shared_among_the_sellers_of_their_team(deals: Deals) -> None:
    await deals.world.add_person("user-ae-2", Role.AE)
    async with deals.world.container.unit_of_work.transaction(deals.world.tenant_id) as tx:
        await directory.join_team(tx, deals.world.operator, handle="user-ae-2", team="enterprise")

    await take_leads(deals.world, *(lead(number) for number in range(9)))

    rows = rows_as_owner(
        deals.world.container.settings,
        "SELECT count(*) AS n FROM trustpack.opportunities WHERE tenant_id = %s GROUP BY owner_id",
        deals.world.tenant_id,
    )
    assert sorted(row["n"] for row in rows) == [5, 5]


async def test_the_file_may_say_who_owns_a_lead(deals: Deals) -> None:
    await take_leads(deals.world, lead(1, owner="user-manager"))

    assert (await stored(deals, 1))["opportunity"]["owner"]["handle"] == "user-manager"


async def test_a_lead_that_nobody_could_own_is_named_unless_somebody_takes_all_of_them(deals: Deals) -> None:
    nobody = lead(1, segment="mid_market", employees="300")

    alone = await take_leads(deals.world, nobody)
    owned = await take_leads(deals.world, nobody, owner="user-ae")

    assert (alone.counts, [column for _, column, _ in alone.faults]) == ({"failed": 1}, ["owner"])
    assert "--owner" in alone.failed[0].faults[0].next_step
    assert owned.counts == {"created": 1}
    assert (await stored(deals, 1))["opportunity"]["owner"]["handle"] == "user-ae"


async def test_a_row_knows_the_team_that_a_row_before_it_brought_its_account_to(deals: Deals) -> None:
    second = lead(2, email="max@company-1.example", segment="other", employees="5")

    found = await take_leads(deals.world, lead(1), second)

    assert found.counts == {"created": 2}
    rows = rows_as_owner(
        deals.world.container.settings,
        "SELECT routing_rule, routing_team FROM trustpack.leads WHERE tenant_id = %s AND email_key = 'max@company-1.example'",
        deals.world.tenant_id,
    )
    assert [(row["routing_rule"], row["routing_team"]) for row in rows] == [("existing_account", "enterprise")]


async def test_without_the_policy_engine_no_lead_is_taken_and_the_file_can_be_imported_later(deals: Deals) -> None:
    world = deals.world
    async with gate_without_engine(world.container) as gate:
        down = replace(world.container, revops=replace(world.container.revops, gate=gate))
        failed = await take_leads(World(world.tenant_id, down, world.clock, world.http), lead(1))
    denied = [decision for decision in decisions(world) if not decision["allowed"]]
    later = await take_leads(world, lead(1))

    assert (failed.counts, later.counts) == ({"failed": 1}, {"created": 1})
    assert failed.faults == [(2, None, "the routing policy did not answer")]
    assert len(denied) == 1


@pytest.mark.deal_case(37)
async def test_posts_of_the_same_leads_during_an_import_make_none_of_them_twice(deals: Deals) -> None:
    numbers = range(60)

    async def post(number: int) -> int:
        body = LEAD | {"email": f"jo@company-{number}.example", "company": f"Company {number}"}
        return (await deals.call("user-ae", "POST", "/leads", body)).status_code

    before = count_of(deals.world, "leads")
    imported, *statuses = await asyncio.gather(
        take_leads(deals.world, *(lead(number) for number in numbers)), *(post(number) for number in numbers)
    )

    assert count_of(deals.world, "leads") == before + 60
    assert count_of(deals.world, "external_ids") == 60
    assert set(statuses) <= {200, 201}
    assert imported.counts.get("created", 0) + statuses.count(201) == 60
    assert imported.counts.get("created", 0) + imported.counts.get("duplicate", 0) == 60


@pytest.mark.deal_case(37)
async def test_a_lead_that_arrives_while_its_batch_is_stored_is_not_taken_twice(deals: Deals) -> None:
    with taking_mailbox(deals.world, "jo@company-1.example", keeps=True):
        importing = asyncio.create_task(take_leads(deals.world, lead(0), lead(1), lead(2)))
        await asyncio.to_thread(wait_until, lambda: is_held_up(deals.world), seconds=60, what="the import to wait")
    found = await importing

    assert found.counts == {"created": 2, "duplicate": 1}
    assert count_of(deals.world, "leads") == 4
    assert count_of(deals.world, "external_ids") == 3


async def test_two_imports_at_once_take_each_row_once_though_their_files_have_other_orders(deals: Deals) -> None:
    rows = [lead(number) for number in range(BATCH_ROWS)]

    found = await asyncio.gather(take_leads(deals.world, *rows), take_leads(deals.world, *reversed(rows)))

    assert sum(one.counts.get("created", 0) for one in found) == len(rows)
    assert sum(one.counts.get("unchanged", 0) for one in found) == len(rows)
    assert count_of(deals.world, "leads") == 1 + len(rows)


async def test_another_tenants_external_ids_are_its_own(deals: Deals, other_world: World) -> None:
    await take_leads(deals.world, lead(1))

    found = await take_leads(other_world, lead(1), owner="user-ae")

    assert found.counts == {"created": 1}


@pytest.mark.parametrize("handle", ["nobody", "user-auditor"])
async def test_an_owner_who_does_not_sell_is_refused_before_anything_is_read(deals: Deals, handle: str) -> None:
    with pytest.raises(UnknownOwner):
        await take_leads(deals.world, lead(1), owner=handle)

    assert count_of(deals.world, "external_ids") == 0


async def test_an_unknown_tenant_is_refused_before_anything_is_read(deals: Deals) -> None:
    nowhere = World("no-such-tenant", deals.world.container, deals.world.clock, deals.world.http)

    with pytest.raises(UnknownName):
        await take_leads(nowhere, lead(1))
