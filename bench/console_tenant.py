"""People who look at the bulk tenant's pages: signed in, each with a session of their own, and what there is for them to see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from selling_tenant import MANAGER, NEWCOMER, TEAM_SELLER, TENANT
from store_counts import as_superuser

from trustpack.app.bootstrap import Container, open_container
from trustpack.capabilities import directory
from trustpack.capabilities.directory.service import accounts_of
from trustpack.capabilities.directory.service.accounts import invite
from trustpack.capabilities.directory.service.saved_views import save_view
from trustpack.capabilities.directory.service.sessions import open_session
from trustpack.kernel.actor import Actor, ActorKind, Role, system_actor
from trustpack.platform.settings import Settings

AUDITOR: Final = "bench-auditor"
"""Reads everything, and so has the longest lists."""
ENGINEER: Final = "bulk-engineer-1"
SELLER: Final = TEAM_SELLER
LEAD: Final = "bulk-team-lead-1"
PEOPLE: Final = (AUDITOR, SELLER, MANAGER, ENGINEER, LEAD)
_LONGEST: Final[Mapping[str, str]] = {
    "request_id": "high_risk_requests",
    "quote_id": "quotes",
    "lead_id": "leads",
    "opportunity_id": "opportunities",
}
"""What the parameters of paths stand for; of each table the row with the longest history is looked at."""
_VIEWED: Final = "/switchboard/revops/quotes"
"""The list of which everybody keeps a view."""


@dataclass(frozen=True, slots=True)
class ConsoleTenant:
    """The cookies of people by handle, an id for each parameter that a page's path may have, and pages that nothing leads to."""

    sessions: dict[str, str]
    ids: dict[str, str]
    addresses: tuple[str, ...]


def enter_console(settings: Settings) -> ConsoleTenant:
    """Sign the people in, after adding an auditor to the bulk tenant, a view for each of them, and an invitation."""
    sessions, invitation = asyncio.run(_sign_in(settings))
    addresses = (f"/switchboard/views?list={_VIEWED}", f"/switchboard/invitation/{invitation}", *_forms_of_drafts(settings))
    return ConsoleTenant(sessions, dict(_longest(settings)), addresses)


def counts_of_store(settings: Settings) -> str:
    """Say how much is in the store."""
    with as_superuser(settings) as connection:
        counts = {
            what: connection.execute(f"SELECT count(*) FROM trustpack.{table}").fetchone()  # noqa: S608 - of this module
            for what, table in (("requests", "high_risk_requests"), ("quotes", "quotes"), ("receipts", "receipts"))
        }
    return ", ".join(f"{count[0]:,} {what}" for what, count in counts.items() if count)


def waiting_requests(settings: Settings, number: int) -> list[str]:
    """Return the newest requests of the bulk tenant that nobody has voted on."""
    with as_superuser(settings) as connection:
        rows = connection.execute(
            "SELECT id FROM trustpack.high_risk_requests WHERE tenant_id = %(tenant)s AND status = 'pending_approval'"
            " AND version = 1 ORDER BY id DESC LIMIT %(number)s",
            {"tenant": TENANT, "number": number},
        ).fetchall()
    return [row[0] for row in rows]


async def _sign_in(settings: Settings) -> tuple[dict[str, str], str]:
    operator = system_actor(TENANT, "operator")
    async with open_container(settings) as container:
        async with container.unit_of_work.transaction(TENANT) as tx:
            await directory.add_person(tx, operator, handle=AUDITOR, display_name="Auditor", roles=frozenset({Role.AUDITOR}))
            invitation = await invite(tx, operator, handle=NEWCOMER)
        return {handle: await _session(container, handle) for handle in PEOPLE}, invitation.text


async def _session(container: Container, handle: str) -> str:
    async with container.unit_of_work.transaction(TENANT) as tx:
        person = await directory.person_by_handle(tx, handle)
        actor = Actor(tenant_id=TENANT, id=person.id, kind=ActorKind.PERSON, handle=handle)
        await save_view(tx, actor, path=_VIEWED, name="Drafts", query="status=draft")
        account = (await accounts_of(tx, person.id))[0]
        return (await open_session(tx, account, method="passkey", client="bench", limits=container.sign_in.limits)).text


def _forms_of_drafts(settings: Settings) -> Iterable[str]:
    """Name the form of the newest quote that the seller may still change."""
    with as_superuser(settings) as connection:
        rows = connection.execute(
            "SELECT quote.id FROM trustpack.quotes AS quote JOIN trustpack.people AS owner ON owner.tenant_id = quote.tenant_id"
            " AND owner.id = quote.owner_id WHERE quote.tenant_id = %s AND owner.handle = %s AND quote.status = 'draft'"
            " ORDER BY quote.id DESC LIMIT 1",
            (TENANT, SELLER),
        ).fetchall()
    return [f"{_VIEWED}/{quote_id}/edit" for (quote_id,) in rows]


def _longest(settings: Settings) -> Iterable[tuple[str, str]]:
    with as_superuser(settings) as connection:
        for parameter, table in _LONGEST.items():
            row = connection.execute(
                f"SELECT id FROM trustpack.{table} WHERE tenant_id = %s ORDER BY version DESC, id DESC LIMIT 1",  # noqa: S608
                (TENANT,),
            ).fetchone()
            if row is not None:
                yield parameter, row[0]
