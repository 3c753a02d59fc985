"""A demo tenant that sells, filled by `trustpack seed --bulk`, with a token for everybody who sells or manages in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from http_load import http_read, http_request
from progress import Progress
from store_counts import as_superuser

from trustpack.app.bootstrap import open_container
from trustpack.app.bulk.plots import QUOTES_PER_DEAL
from trustpack.app.bulk.seeding import seed_bulk
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.settings import Settings
from trustpack.platform.telemetry.logs import configure_logs

TENANT: Final = "bench-deals"
TEAM_SELLER: Final = "bulk-ae-1"
"""Sees the deals of a team of four."""
LONE_SELLER: Final = "bulk-ae-8"
"""Is in no team, and sees the own deals alone."""
MANAGER: Final = "bulk-manager-1"
NEWCOMER: Final = "bench-ae"
"""Sells, but has sold nothing yet."""
_SELLS_OR_MANAGES: Final = frozenset({Role.AE, Role.MANAGER})


@dataclass(frozen=True, slots=True)
class SellingTenant:
    """The tenant's people by handle, and their bearer tokens by id."""

    ids: dict[str, str]
    tokens: dict[str, str]

    def reading(self, path: str, *, by: str) -> str:
        """Return the HTTP request of somebody who reads; `path` goes on after `/revops`."""
        return http_read(f"/revops{path}", token=self.tokens[self.ids[by]])

    def submitting(self, quote_id: str, *, owner_id: str) -> str:
        """Return the HTTP request of an owner who submits a quote."""
        return http_request(f"/revops/quotes/{quote_id}/submit-for-approval", token=self.tokens[owner_id], body=None)


def fill_selling_tenant(settings: Settings, *, quotes: int) -> SellingTenant:
    """Make the tenant in a store that runs, with so many bulk quotes."""
    configure_logs(settings.log_level)
    return asyncio.run(_fill(settings, quotes))


def quotes_in(settings: Settings, status: str) -> list[tuple[str, str]]:
    """Return id and owner of the tenant's quotes in a state, the oldest first."""
    with as_superuser(settings) as connection:
        return connection.execute(
            "SELECT id, owner_id FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND status = %(status)s ORDER BY id",
            {"tenant": TENANT, "status": status},
        ).fetchall()


async def _fill(settings: Settings, quotes: int) -> SellingTenant:
    operator = system_actor(TENANT, "operator")
    progress = Progress("bulk quotes")
    done = 0

    def report(more: int, wanted: int) -> None:
        nonlocal done
        done += more
        progress.tell(f"{done * QUOTES_PER_DEAL:,} of {wanted * QUOTES_PER_DEAL:,}")

    async with open_container(settings) as container:
        async with container.unit_of_work.transaction(TENANT) as tx:
            await directory.create_tenant(tx, operator, name="Bench deals", is_demo=True)
            await directory.add_person(tx, operator, handle=NEWCOMER, display_name=NEWCOMER, roles=frozenset({Role.AE}))
        await seed_bulk(settings, TENANT, quotes=quotes, report=report)
        async with container.unit_of_work.transaction(TENANT) as tx:
            people = await directory.people_with_any_role(tx, tuple(_SELLS_OR_MANAGES))
            tokens = {
                person.id: await directory.issue_token(
                    tx, operator, handle=person.handle, label="bench", lifetime=timedelta(days=1)
                )
                for person in people
            }
    return SellingTenant(
        {person.handle: person.id for person in people}, {person: token.secret for person, token in tokens.items()}
    )
