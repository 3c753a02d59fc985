"""`/switchboard/revops/quotes/{id}[/{part}]`: one quote beside the list, or beside the inbox for whoever comes from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from trustpack.capabilities import ledger
from trustpack.capabilities.revops.model import QuoteStatus
from trustpack.capabilities.revops.pages.inbox import INBOX, PLACE, list_inbox
from trustpack.capabilities.revops.pages.lists import SHAPE, list_quotes
from trustpack.capabilities.revops.pages.quote_details import PARTS, QuoteShown, head_of, overview_of
from trustpack.capabilities.revops.pages.quote_offers import COMMANDS
from trustpack.capabilities.revops.pages.quote_parts import (
    approvals_of,
    contract_of,
    decisions_of,
    evidence_of,
    versions_of,
)
from trustpack.capabilities.revops.pages.quote_relations import related_of
from trustpack.capabilities.revops.pages.views import QUOTES
from trustpack.capabilities.revops.service import reading, standing, telling
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.kernel.errors import NotFound
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, ThisPage
from trustpack.platform.web.pages.inboxes import read_inbox, stands_beside
from trustpack.platform.web.pages.lists import read_state
from trustpack.platform.web.pages.once import new_key

router = APIRouter(prefix=QUOTES, include_in_schema=False)
ShortText = Annotated[str, Query(max_length=200)]
_DEALS = "revops/deals"


@dataclass(frozen=True, slots=True)
class Opened:
    """A quote as somebody has it open: its head, everything behind it, and the list beside it."""

    view: reading.QuoteView
    standing: standing.Standing
    one: QuoteShown
    values: dict[str, Any]


@router.get("/{quote_id}")
async def show_quote(page: ThisPage, quote_id: str, ask: ShortText = "") -> Response:
    """Show one quote beside the list; `ask` puts one of its questions in place of its parts, for browsers without scripts."""
    return await _show(page, quote_id, part=PARTS[0], ask=ask)


@router.get("/{quote_id}/{part}")
async def show_part(page: ThisPage, quote_id: str, part: str) -> Response:
    """Show another part of one quote. The address that a form was sent to leads to that form. Raises `NotFound`."""
    if part in COMMANDS:
        keep = kept_of(page.request)
        return page.go(f"{QUOTES}/{quote_id}{keep}{'&' if keep else '?'}ask={part}")
    if part not in PARTS:
        raise NotFound
    return await _show(page, quote_id, part=part, ask="")


async def opened(tx: Transaction, page: Page, quote_id: str) -> Opened:
    """Return a quote as the viewer has it open. Raises `NotFound`."""
    actor, revops = page.viewer.actor, revops_of(page.request)
    view = await reading.read_quote(tx, actor, quote_id)
    stands = await standing.standing_of(tx, actor, view)
    one = head_of(view, stands, actor, sellers=standing.seller_roles(revops), now=tx.now)
    values = {**await _beside(page, tx), "current": one.id, "one": one, "key": new_key(tx)}
    return Opened(view, stands, one, values)


def kept_of(request: Request) -> str:
    """Return what keeps the list or the inbox as it is, to stand after the path of a quote."""
    query = request.query_params
    return read_inbox(INBOX, query).query if stands_beside(query) else read_state(SHAPE, query).query


def revops_of(request: Request) -> RevOps:
    """Return the collaborators of the flow."""
    found: RevOps = request.app.state.revops
    return found


async def _beside(page: Page, tx: Transaction) -> dict[str, Any]:
    if stands_beside(page.request.query_params):
        inbox = await list_inbox(page, tx)
        # The address is the quote's, but where the viewer is, is the inbox.
        shown = {"beside": "revops/inbox_list.html", "place": PLACE}
        return {**shown, "view": inbox, "keep": inbox.query, "back_path": inbox.back_path}
    listed = await list_quotes(page, tx)
    return {"beside": "revops/quote_list.html", "view": listed, "keep": listed.query, "back_path": listed.back_path}


async def _show(page: Page, quote_id: str, *, part: str, ask: str) -> Response:
    revops, tenant_id = revops_of(page.request), page.viewer.actor.tenant_id
    async with revops.unit_of_work.snapshot(tenant_id) as tx:
        quote = await opened(tx, page, quote_id)
        shown = await _part(tx, page, quote, part)
    question = quote.one.question(ask)
    if question is not None:
        return await page.show("revops/quote_question.html", **quote.values, offer=question, reading=None)
    return await page.show("revops/quote.html", **quote.values, part=part, shown=shown)


async def _part(tx: Transaction, page: Page, quote: Opened, part: str) -> object:
    view, actor = quote.view, page.viewer.actor
    match part:
        case "approvals":
            return approvals_of(view, quote.standing)
        case "versions":
            return versions_of(view, await telling.read_course(tx, actor, view.quote.id))
        case "contract":
            contract = await telling.read_contract(tx, view)
            return None if contract is None else contract_of(*contract)
        case "evidence":
            record = await telling.read_record(tx, actor, view.quote.id)
            file = await ledger.evidence_file(page, tx, kind=_DEALS, case_id=view.quote.id)
            return {"evidence": evidence_of(record, file=file, now=tx.now), "decisions": decisions_of(record)}
        case "related":
            return related_of(view, await telling.read_relations(tx, actor, view))
        case _:
            measured = await standing.measured(tx, revops_of(page.request), actor, view.quote)
            is_recalled = view.quote.status == QuoteStatus.RECALLED
            return overview_of(view, measured, await telling.read_record(tx, actor, view.quote.id) if is_recalled else None)
