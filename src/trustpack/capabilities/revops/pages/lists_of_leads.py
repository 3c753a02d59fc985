"""`/switchboard/revops/leads`: the list of leads, on its own, beside a lead, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import LeadFilter, Promotion
from trustpack.capabilities.revops.pages.lists import ME, owners, person_asked_for
from trustpack.capabilities.revops.pages.views import LEADS, LeadRow, lead_row
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.service import leads, listing, presenting
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, ThisPage
from trustpack.platform.web.pages.exports import Export, send_export
from trustpack.platform.web.pages.lists import PAGE_SIZE, Key, ListShape, ListState, read_state
from trustpack.platform.web.pages.panes import Action, Choice, Column, ListPane, Tab
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=LEADS, include_in_schema=False)
SHAPE: Final = ListShape(LEADS, ("by", "segment"), {"created": True})
_COLUMNS: Final = (
    Column("key", "ID"),
    Column("title", "Company"),
    Column("detail", "E-mail"),
    Column("person", "Owner"),
    Column("status", "Segment"),
    Column("when", "Created", "created"),
)
_CELLS: Final = {
    "id": lambda item: item["lead"]["id"],
    "company": lambda item: item["lead"]["company"],
    "email": lambda item: item["lead"]["email"],
    "segment": lambda item: item["lead"]["segment"],
    "region": lambda item: item["lead"]["region"],
    "team": lambda item: item["routing"]["team"],
    "owner": lambda item: item["opportunity"]["owner"]["handle"],
    "opportunity_id": lambda item: item["lead"]["opportunity_id"],
    "created_at": lambda item: item["lead"]["created_at"],
}


@router.get("")
async def show_leads(page: ThisPage, store: Store) -> Response:
    """Show what the viewer may read, as the URL asks for it; a whole id leads to its lead."""
    text = read_state(SHAPE, page.request.query_params).text
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        if text.startswith("lead_"):
            return page.go(f"{LEADS}/{(await leads.read_lead(tx, page.viewer.actor, text)).id}")
        listed = await list_leads(page, tx)
    return await page.show("revops/leads.html", view=listed, current="")


@router.get("/export/{kind}")
async def export_leads(page: ThisPage, store: Store, kind: Literal["csv", "json"]) -> Response:
    """Send what the list shows as a file, with each lead as the API shows it."""
    state = read_state(SHAPE, page.request.query_params)
    wanted: LeadFilter | None = None

    async def read(tx: Transaction, keyset: Keyset, limit: int) -> Sequence[tuple[Key, JsonObject]]:
        nonlocal wanted
        wanted = wanted or await _filter_of(page, tx, state)
        found = await leads.list_leads(tx, page.viewer.actor, replace(wanted, keyset=keyset, limit=limit))
        shown = await presenting.present_promotions(tx, found)
        return [(_key(one), item) for one, item in zip(found, shown, strict=True)]

    return await send_export(page, store, state, Export("leads", read, _CELLS), kind=kind)


async def list_leads(page: Page, tx: Transaction) -> ListPane[LeadRow]:
    """Return the list as the page's URL asks for it; what the URL says beside is ignored. Raises `InvalidInput`."""
    state = read_state(SHAPE, page.request.query_params)
    wanted = await _filter_of(page, tx, state)
    found = await leads.list_leads(tx, page.viewer.actor, replace(wanted, keyset=state.keyset(), limit=PAGE_SIZE + 1))
    handles = await directory.handles_of(tx, [one.opportunity.owner_id for one in found])
    segment = state.filters["segment"]
    saved = await directory.saved_views(tx, page.viewer.actor, SHAPE.path)
    return ListPane(
        title="Leads",
        caption="Leads",
        placeholder="Find by id, e-mail, company or person…",
        empty=("No leads yet", "Each lead stands here with who has it now."),
        state=state,
        saved=tuple((one.name, one.query) for one in saved),
        paged=state.page_of(found, _key, size=PAGE_SIZE).of(lambda one: lead_row(one, handles, state.query)),
        columns=_COLUMNS,
        choices=(
            Choice("by", "Brought in by", owners(state.filters["by"])),
            *([Choice("segment", "Segment", ((segment, segment),))] if segment else []),
        ),
        tabs=(Tab("All", (("by", ""),)), Tab("Brought in by me", (("by", ME),))),
        actions=(Action("New lead", "plus", f"{LEADS}/new{state.query}"),) if may_sell(page.viewer.actor) else (),
    )


async def _filter_of(page: Page, tx: Transaction, state: ListState) -> LeadFilter:
    return LeadFilter(
        segment=state.filters["segment"] or None,
        created_by=await person_asked_for(page, tx, state.filters["by"]),
        named_by=await listing.named_by(tx, state.text) if state.text else None,
    )


def _key(promotion: Promotion) -> Key:
    return "", promotion.lead.id
