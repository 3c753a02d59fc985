"""`/switchboard/revops/opportunities/{id}`: one opportunity with its quotes, its lead, and what was recorded of it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities import ledger
from trustpack.capabilities.revops.pages.deal_views import deal_of
from trustpack.capabilities.revops.pages.lists_of_opportunities import list_opportunities
from trustpack.capabilities.revops.pages.views import OPPORTUNITIES
from trustpack.capabilities.revops.service.beginnings import read_beginning
from trustpack.kernel.errors import NotFound
from trustpack.platform.web.pages import ThisPage
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=OPPORTUNITIES, include_in_schema=False)


@router.get("/{opportunity_id}")
async def show_opportunity(page: ThisPage, store: Store, opportunity_id: str) -> Response:
    """Show one opportunity. Raises `NotFound`."""
    if not opportunity_id.startswith("opp_"):
        raise NotFound
    actor = page.viewer.actor
    async with store.snapshot(actor.tenant_id) as tx:
        found = await read_beginning(tx, actor, opportunity_id)
        file = await ledger.evidence_file(page, tx, kind="revops/deals", case_id=found.opportunity.id)
        one = deal_of(found, actor, is_lead=False, file=file, now=tx.now)
        listed = await list_opportunities(page, tx)
    return await page.show("revops/opportunity.html", view=listed, current=one.id, one=one)
