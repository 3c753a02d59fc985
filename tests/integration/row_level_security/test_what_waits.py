"""What waits for somebody is found along an index, under row-level security too: every page counts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import pytest
from psycopg.rows import DictRow

from tests.support.deals import selling
from tests.support.world import World
from trustpack.capabilities.operations.store import waiting as requests
from trustpack.capabilities.revops.store import waiting as quotes
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction

FIND: Final = {
    "high_risk_requests": requests.waiting_requests,
    "quotes": quotes.waiting_quotes,
}
APPROVES: Final = {"high_risk_requests": Role.SECURITY_OFFICER, "quotes": Role.FINANCE}


@dataclass(frozen=True)
class Explained(Transaction):
    """A transaction that keeps the plan of everything that is read in it."""

    plans: list[str] = field(default_factory=list)

    async def fetch_all(self, query: LiteralString, parameters: Any, *, plan_anew: bool = False) -> Sequence[DictRow]:
        lines = await super().fetch_all("EXPLAIN " + query, parameters, plan_anew=True)
        self.plans.append("\n".join(line["QUERY PLAN"] for line in lines))
        return await super().fetch_all(query, parameters, plan_anew=plan_anew)


async def found_for(world: World, table: str, role: Role) -> tuple[int, list[str]]:
    """Return how many rows of a table wait for somebody of a role, and how they were found."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        explained = Explained(tx.tenant_id, tx.now, tx.ids, tx.connection)
        await tx.write("SET LOCAL enable_seqscan = off", {})  # so few rows would be read whole
        await tx.write("SET LOCAL enable_bitmapscan = off", {})
        found = await FIND[table](explained, person_id="usr_somebody", roles=[role], after_id=None, limit=10)
    return len(found), explained.plans


@pytest.fixture
async def busy(world: World) -> World:
    """A tenant in which a request and a quote wait for approvals."""
    await world.ask()
    await (await selling(world)).submitted()
    return world


@pytest.mark.parametrize("table", FIND)
async def test_the_roles_and_the_time_lead_to_what_waits(busy: World, table: str):
    found, (steps, rows) = await found_for(busy, table, APPROVES[table])

    assert found == 1
    condition = r"Index Cond: \(\(tenant_id = [^\n]* AND \(required_roles = one.required_roles\) AND \(approval_expires_at > "
    assert re.search(rf"using {table}_waiting on {table}[^\n]*\n *{condition}", rows)
    assert len(re.findall(rf"using {table}_waiting on {table}\b", steps)) == steps.count(f" on {table}") == 2
    assert "Sort" not in steps


@pytest.mark.parametrize("table", FIND)
async def test_for_whoever_approves_nothing_no_more_is_read_than_which_roles_are_waited_for(busy: World, table: str):
    found, plans = await found_for(busy, table, Role.AUDITOR)

    assert (found, len(plans)) == (0, 1)
