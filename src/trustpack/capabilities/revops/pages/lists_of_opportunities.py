"""`/switchboard/revops/opportunities`: the list of opportunities, on its own, beside one of them, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import Opportunity, OpportunityFilter, OpportunityStatus
from trustpack.capabilities.revops.pages.lists import ME, owners, person_asked_for
from trustpack.capabilities.revops.pages.views import OPPORTUNITIES, OPPORTUNITY_CHIPS, OpportunityRow, opportunity_row
from trustpack.capabilities.revops.service import leads, listing, presenting
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, ThisPage
from trustpack.platform.web.pages.exports import Export, send_export
from trustpack.platform.web.pages.lists import PAGE_SIZE, Key, ListShape, ListState, one_of, read_state
from trustpack.platform.web.pages.panes import Choice, Column, ListPane, Tab
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=OPPORTUNITIES, include_in_schema=False)
SHAPE: Final = ListShape(OPPORTUNITIES, ("status", "owner", "segment"), {"created": True, "account": False, "status": False})
_TABS: Final = (
    Tab("All", (("status", ""), ("owner", ""))),
    Tab("Mine", (("status", ""), ("owner", ME))),
    Tab("Open", (("status", OpportunityStatus.OPEN), ("owner", ""))),
    Tab("Won", (("status", OpportunityStatus.WON), ("owner", ""))),
)
_COLUMNS: Final = (
    Column("key", "ID"),
    Column("title", "Account", "account"),
    Column("detail", "Segment"),
    Column("person", "Owner"),
    Column("status", "Status", "status"),
    Column("number", "Take up"),
    Column("when", "Created", "created"),
)
_CELLS: Final = {
    "id": lambda item: item["id"],
    "account": lambda item: item["account"],
    "segment": lambda item: item["segment"],
    "owner": lambda item: item["owner"]["handle"],
    "status": lambda item: item["status"],
    "first_touch_due_at": lambda item: item["first_touch_due_at"],
    "first_touched_at": lambda item: item["first_touched_at"],
    "lead_id": lambda item: item["lead_id"],
    "created_at": lambda item: item["created_at"],
}


@router.get("")
async def show_opportunities(page: ThisPage, store: Store) -> Response:
    """Show what the viewer may read, as the URL asks for it; a whole id leads to its opportunity."""
    text = read_state(SHAPE, page.request.query_params).text
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        if text.startswith("opp_"):
            opportunity, _ = await leads.read_opportunity(tx, page.viewer.actor, text)
            return page.go(f"{OPPORTUNITIES}/{opportunity.id}")
        listed = await list_opportunities(page, tx)
    return await page.show("revops/opportunities.html", view=listed, current="")


@router.get("/export/{kind}")
async def export_opportunities(page: ThisPage, store: Store, kind: Literal["csv", "json"]) -> Response:
    """Send what the list shows as a file, with each opportunity as the API shows it."""
    state = read_state(SHAPE, page.request.query_params)
    wanted: OpportunityFilter | None = None

    async def read(tx: Transaction, keyset: Keyset, limit: int) -> Sequence[tuple[Key, JsonObject]]:
        nonlocal wanted
        wanted = wanted or await _filter_of(page, tx, state)
        found = await listing.list_opportunities(tx, page.viewer.actor, replace(wanted, keyset=keyset, limit=limit))
        handles = await directory.handles_of(tx, [one.owner_id for one in found])
        return [(_key(state, one), presenting.present_opportunity(one, handles)) for one in found]

    return await send_export(page, store, state, Export("opportunities", read, _CELLS), kind=kind)


async def list_opportunities(page: Page, tx: Transaction) -> ListPane[OpportunityRow]:
    """Return the list as the page's URL asks for it; what the URL says beside is ignored. Raises `InvalidInput`."""
    state = read_state(SHAPE, page.request.query_params)
    wanted = replace(await _filter_of(page, tx, state), keyset=state.keyset(), limit=PAGE_SIZE + 1)
    found = await listing.list_opportunities(tx, page.viewer.actor, wanted)
    handles = await directory.handles_of(tx, [one.owner_id for one in found])
    paged = state.page_of(found, lambda one: _key(state, one), size=PAGE_SIZE)
    segment = state.filters["segment"]
    saved = await directory.saved_views(tx, page.viewer.actor, SHAPE.path)
    return ListPane(
        title="Opportunities",
        caption="Opportunities",
        placeholder="Find by id, account or person…",
        empty=("No opportunities yet", "Each lead opens one; it stands here until it is won."),
        state=state,
        saved=tuple((one.name, one.query) for one in saved),
        paged=paged.of(lambda one: opportunity_row(one, handles, state.query)),
        columns=_COLUMNS,
        choices=(
            Choice("status", "Status", tuple((status, word) for status, (_, word) in OPPORTUNITY_CHIPS.items())),
            Choice("owner", "Owner", owners(state.filters["owner"])),
            *([Choice("segment", "Segment", ((segment, segment),))] if segment else []),
        ),
        tabs=_TABS,
    )


async def _filter_of(page: Page, tx: Transaction, state: ListState) -> OpportunityFilter:
    return OpportunityFilter(
        status=one_of("status", state.filters["status"], tuple(OPPORTUNITY_CHIPS)),
        segment=state.filters["segment"] or None,
        owner_id=await person_asked_for(page, tx, state.filters["owner"]),
        named_by=await listing.named_by(tx, state.text) if state.text else None,
    )


def _key(state: ListState, opportunity: Opportunity) -> Key:
    values = {"created": "", "account": opportunity.account, "status": opportunity.status}
    return values[state.sort], opportunity.id
