"""A segment and a region have one spelling, so that nobody passes by the rows that policy has for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deals import LEAD, Deals
from tests.support.gates import behind, gate_with
from tests.support.store import as_owner

STRICT_ROW = {
    "segments": ["public_sector"],
    "up_to": {"numerator": 1, "denominator": 1},
    "pricing": ["bare_amount"],
    "approvals": ["manager", "finance"],
    "self_approvable": [],
}


def strict_for_public_sector(parameters: Any) -> Any:
    return {**parameters, "matrix": [STRICT_ROW, *parameters["matrix"]]} if "matrix" in parameters else parameters


async def led_in(deals: Deals, **changes: Any) -> dict[str, Any]:
    answer = await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "ann@city.example"} | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_segment_is_kept_routed_and_found_in_one_spelling(deals: Deals) -> None:
    found = await led_in(deals, segment="ENTERPRISE", region="EMEA")

    assert (found["lead"]["segment"], found["lead"]["region"], found["opportunity"]["segment"]) == (
        "enterprise",
        "emea",
        "enterprise",
    )
    assert (found["routing"]["team"], found["routing"]["rule"]) == ("enterprise", "enterprise_segment")
    for spelling in ("enterprise", "Enterprise"):
        listed = (await deals.call("user-ae", "GET", f"/leads?segment={spelling}")).json()["items"]
        assert found["lead"]["id"] in [item["lead"]["id"] for item in listed]


@pytest.mark.parametrize("stored", ["public_sector", "Public_Sector"], ids=["written today", "stored by an older version"])
async def test_no_spelling_passes_by_the_strict_row_of_a_segment(deals: Deals, stored: str) -> None:
    deals.opportunity_id = (await led_in(deals, segment="PUBLIC_Sector"))["opportunity"]["id"]
    quote = await deals.quote(discount_percent="10")
    with as_owner(deals.world.container.settings) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE trustpack.quotes SET segment = %s WHERE id = %s", (stored, quote["id"]))

    async with gate_with(deals.world, strict_for_public_sector) as gate:
        answer = await behind(deals.world, gate, "user-ae", f"/revops/quotes/{quote['id']}/submit-for-approval")

    assert answer.status_code == 200, answer.text
    assert answer.json()["required_approvals"] == ["manager", "finance"]
