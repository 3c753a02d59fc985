"""Delegations as a test makes them: a role lent from today on, unless it says otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2

from tests.support.deals import Deals

DEPUTY = "user-deputy"
"""Somebody without any role, to whom one is lent."""


def day(deals: Deals, ahead: int) -> str:
    """Return a day by its distance from today, in UTC."""
    return (deals.world.clock.now() + timedelta(days=ahead)).date().isoformat()


def delegation(deals: Deals, *, begins: int = 0, lasts: int = 7, **changes: Any) -> dict[str, Any]:
    """Return a valid body: `begins` days from now, for `lasts` days. A change to None leaves the field out."""
    body = {
        "role": "manager",
        "to": DEPUTY,
        "from_date": day(deals, begins),
        "until_date": day(deals, begins + lasts - 1),
        "reason": "Away until Monday",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def delegate(deals: Deals, person: str = "user-manager", **changes: Any) -> httpx2.Response:
    """Post a delegation."""
    return await deals.call(person, "POST", "/delegations", delegation(deals, **changes))


async def lend(deals: Deals, person: str = "user-manager", **changes: Any) -> dict[str, Any]:
    """Make a delegation and return it."""
    answer = await delegate(deals, person, **changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def end(deals: Deals, made: dict[str, Any], person: str = "user-manager") -> httpx2.Response:
    """End a delegation."""
    return await deals.call(person, "DELETE", f"/delegations/{made['id']}")


async def receipts_of(deals: Deals, made: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the receipts of a delegation."""
    return list((await deals.call("user-auditor", "GET", f"/delegations/{made['id']}/receipts")).json()["items"])
