"""A tenant that sells: a team, its people, and quotes in every state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import PriceImport
from trustpack.capabilities.revops.rules.price_file import read_price_file
from trustpack.capabilities.revops.service.price_book import import_prices
from trustpack.kernel.actor import Role

LEAD = {"email": "Jo@Acme.com", "company": "Acme GmbH", "segment": "enterprise", "employees": 1200, "region": "emea"}
PRICES = """sku,currency,list_price,valid_from,description,recurring
SEAT,USD,600.00,2026-01-01,Seat per year,true
"""
SELLERS = {
    "user-manager": (Role.MANAGER,),
    "user-finance": (Role.FINANCE,),
    "user-manager-and-finance": (Role.MANAGER, Role.FINANCE),
}


@dataclass(slots=True)
class Deals:
    """The calls that a test makes about deals, as one of the people of a world."""

    world: World
    opportunity_id: str = ""
    lead_id: str = ""

    async def call(self, person: str, method: str, path: str, body: object = None, *, key: str | None = None) -> httpx2.Response:
        """Send one request as one of the people."""
        return await self.world.call(person, method, f"/revops{path}", body, key=key)

    async def quote(self, person: str = "user-ae", **changes: Any) -> dict[str, Any]:
        """Write a quote and return it."""
        answer = await self.call(person, "POST", "/quotes", self.body(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Return valid terms; a change to None leaves the field out."""
        written = {"currency": "USD", "amount": "100000.00", "discount_percent": "30"} | changes
        return {name: value for name, value in written.items() if value is not None}

    def body(self, **changes: Any) -> dict[str, Any]:
        """Return a valid body of a quote; a change to None leaves the field out."""
        return {"opportunity_id": self.opportunity_id} | self.terms(**changes)

    async def act(
        self, person: str, quote: dict[str, Any], action: str, body: object = None, *, key: str | None = None
    ) -> httpx2.Response:
        """Post a command to a quote."""
        return await self.call(person, "POST", f"/quotes/{quote['id']}/{action}", body, key=key)

    async def submitted(self, **changes: Any) -> dict[str, Any]:
        """Write a quote and submit it."""
        quote = await self.quote(**changes)
        answer = await self.act("user-ae", quote, "submit-for-approval")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def approved(self, **changes: Any) -> dict[str, Any]:
        """Write a quote, submit it and have manager and finance approve it."""
        quote = await self.submitted(**changes)
        for person in ("user-manager", "user-finance"):
            answer = await self.act(person, quote, "approve", {"terms_digest": quote["terms_digest"]})
            assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def read(self, quote: dict[str, Any], person: str = "user-ae") -> dict[str, Any]:
        """Return a quote as it stands."""
        return dict((await self.call(person, "GET", f"/quotes/{quote['id']}")).json())

    async def receipts(self, quote: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the receipts of a quote."""
        return (await self.call("user-auditor", "GET", f"/quotes/{quote['id']}/receipts")).json()["items"]

    async def actions(self, quote: dict[str, Any]) -> list[str]:
        """Return the actions of the receipts of a quote in order."""
        return [receipt["action"] for receipt in await self.receipts(quote)]

    async def import_prices(self, text: str, *, dry_run: bool = False) -> PriceImport:
        """Import a price file."""
        async with self.world.container.unit_of_work.transaction(self.world.tenant_id) as tx:
            return await import_prices(tx, self.world.operator, read_price_file(text), dry_run=dry_run)

    async def in_state(self, status: str) -> dict[str, Any]:
        """Return a quote that waits in a state: draft, pending_approval or approved."""
        made = {"draft": self.quote, "pending_approval": self.submitted, "approved": self.approved}
        return await made[status]()


async def selling(world: World) -> Deals:
    """Give a tenant the team and the people who sell and approve, and a first opportunity of `user-ae`."""
    world.clock.leave_the_end_of_a_day()
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_team(tx, world.operator, name="enterprise")
        await directory.join_team(tx, world.operator, handle="user-ae", team="enterprise")
    for handle, roles in SELLERS.items():
        await world.add_person(handle, *roles)
    deals = Deals(world)
    answer = await deals.call("user-ae", "POST", "/leads", LEAD)
    assert answer.status_code == 201, answer.text
    deals.opportunity_id, deals.lead_id = answer.json()["opportunity"]["id"], answer.json()["lead"]["id"]
    return deals
