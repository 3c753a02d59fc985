"""What waits for somebody is found along an index, under row-level security too: every page counts it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import pytest
from psycopg import sql
from psycopg.rows import DictRow

from tests.support.clock import MovableClock
from tests.support.deals import selling
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.store import as_owner
from tests.support.world import World
from trustpack.capabilities.operations.store import waiting as requests
from trustpack.capabilities.revops.store import waiting as quotes
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings
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
        found = await FIND[table](explained, person_id="usr_somebody", roles=[role], after_id=None, limit=10)
    return len(found), explained.plans


def crowd(settings: Settings, table: str) -> None:
    """Put 4,000 rows beside the one of a table, of which every fourth waits, for ten other texts of roles; let the planner know.

    A plan tells something only of a table that is worth an index. The store's checks are off meanwhile: nothing but plans is made
    of these rows.
    """
    copied = sql.SQL(
        "INSERT INTO {0} SELECT made.* FROM {0} AS one CROSS JOIN generate_series(1, 4000) AS number CROSS JOIN LATERAL"
        " jsonb_populate_record(one, jsonb_build_object('id', one.id || number, 'required_roles', 'role_' || number / 4 % 10,"
        " 'status', CASE number % 4 WHEN 0 THEN one.status ELSE 'expired' END,"
        " 'approval_expires_at', one.approval_expires_at + number * interval '1 minute')) AS made"
    )
    with as_owner(settings) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(copied.format(sql.Identifier("trustpack", table)))
        connection.execute("ANALYZE")


@pytest.fixture(scope="module")
async def busy(settings: Settings, clock: MovableClock) -> AsyncIterator[World]:
    """A tenant in which a request and a quote wait for approvals, among many of both; alone on its store, as plans are."""
    own = empty_store(settings)
    async with world_of_demo(own, clock) as world:
        await world.add_target()
        await world.add_person("user-ae", Role.AE)
        await world.ask()
        await (await selling(world)).submitted()
        for table in FIND:
            crowd(own, table)
        yield world


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
