"""`/switchboard/evidence/...`: the bundle of a case, as a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities.evidence.service import deal_bundle, operation_bundle
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.platform.web.pages import Page, ThisPage, Viewer, first_steps
from trustpack.platform.web.pages.home import HomePart, HomeSource, Step
from trustpack.platform.web.routing import Store
from trustpack.proof.canonical import digest_of

OPERATIONS: Final = "high-risk-ops"
DEALS: Final = "revops/deals"
BUNDLES: Final[Mapping[str, Callable[[Transaction, Actor, str], Awaitable[bytes]]]] = {
    OPERATIONS: operation_bundle,
    DEALS: deal_bundle,
}
"""What the pages of a case ask for its file, by the part of the address (`ledger.evidence_file`)."""

router = APIRouter(prefix="/switchboard/evidence", include_in_schema=False)


@router.get("/" + OPERATIONS + "/{request_id}")
async def download_operation(request_id: str, page: ThisPage, store: Store) -> Response:
    """Send the bundle of a high-risk request."""
    return await _download(page, store, OPERATIONS, request_id)


@router.get("/" + DEALS + "/{deal_id}")
async def download_deal(deal_id: str, page: ThisPage, store: Store) -> Response:
    """Send the bundle of an opportunity with all its quotes, or of one quote."""
    return await _download(page, store, DEALS, deal_id)


async def _download(page: Page, store: UnitOfWork, kind: str, case_id: str) -> Response:
    actor = page.viewer.actor
    async with store.transaction(actor.tenant_id, consistent=True) as tx:
        content = await BUNDLES[kind](tx, actor, case_id)
    async with store.transaction(actor.tenant_id) as tx:
        await first_steps.note_evidence_seen(tx, actor)
    headers = {"Content-Disposition": f'attachment; filename="{case_id}.evidence.json"', "ETag": f'"{digest_of(content)}"'}
    return Response(content, media_type="application/json", headers=headers)


def home(unit_of_work: UnitOfWork) -> HomeSource:
    """Return what gives the step of evidence to the first page."""

    async def part(viewer: Viewer) -> HomePart:
        async with unit_of_work.transaction(viewer.actor.tenant_id) as tx:
            has_seen = await first_steps.has_seen_evidence(tx, viewer)
        return HomePart(steps=(Step(4, "Download the evidence of a case", "/switchboard/security/requests", has_seen),))

    return part
