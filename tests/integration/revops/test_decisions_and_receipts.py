"""Decisions and receipts of leads, opportunities and quotes: whoever may read the subject reads what was recorded about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deals import Deals
from tests.support.world import World

READERS = ["user-ae", "user-manager", "user-finance", "user-auditor", "user-admin"]
HIDDEN_FROM = ["user-engineer", "user-team-lead"]


async def subjects_of(deals: Deals) -> dict[str, str]:
    """Return the ids of a lead, of its opportunity, and of a quote that was submitted."""
    return {"quote": (await deals.submitted())["id"], "lead": deals.lead_id, "opportunity": deals.opportunity_id}


async def decisions(deals: Deals, subject_id: str, person: str) -> tuple[int, dict[str, Any]]:
    answer = await deals.world.call(person, "GET", f"/policy/decisions?subject={subject_id}")
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("kind", "packages"),
    [("lead", ["revops.lead_routing"]), ("opportunity", []), ("quote", ["revops.discount_approvals"])],
)
async def test_the_decisions_about_a_deals_subject_are_its_readers_to_read(deals: Deals, kind: str, packages: list[str]) -> None:
    subject_id = (await subjects_of(deals))[kind]

    read = {person: await decisions(deals, subject_id, person) for person in READERS}
    hidden = {person: (await decisions(deals, subject_id, person))[0] for person in HIDDEN_FROM}

    assert {person: status for person, (status, _) in read.items()} == dict.fromkeys(READERS, 200)
    assert [[item["package"] for item in body["items"]] for _, body in read.values()] == [packages] * len(READERS)
    assert hidden == dict.fromkeys(HIDDEN_FROM, 404)


@pytest.mark.parametrize("kind", ["lead", "opportunity", "quote"])
async def test_the_decisions_about_another_tenants_deal_are_not_found(deals: Deals, other_world: World, kind: str) -> None:
    subject_id = (await subjects_of(deals))[kind]

    answer = await other_world.call("user-admin", "GET", f"/policy/decisions?subject={subject_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("kind", "path", "actions"),
    [
        ("lead", "leads", ["promoted"]),
        ("opportunity", "opportunities", ["opened", "touched"]),
        ("quote", "quotes", ["created", "submitted"]),
    ],
)
async def test_the_receipts_of_a_deals_subject_are_read_in_order_and_by_their_own_route_only(
    deals: Deals, kind: str, path: str, actions: list[str]
) -> None:
    subjects = await subjects_of(deals)

    read = (await deals.call("user-ae", "GET", f"/{path}/{subjects[kind]}/receipts")).json()["items"]
    others = [
        await deals.call("user-auditor", "GET", f"/{path}/{subjects[other]}/receipts") for other in subjects if other != kind
    ]

    assert [(item["seq"], item["action"], item["subject_id"]) for item in read] == [
        (seq, action, subjects[kind]) for seq, action in enumerate(actions, start=1)
    ]
    assert [answer.status_code for answer in others] == [404, 404]
