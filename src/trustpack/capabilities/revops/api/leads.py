"""Routes of leads and opportunities."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from trustpack.capabilities import directory
from trustpack.capabilities.revops.api.answering import PREFIX, TAG, AtDesk, AtReadingDesk, Outcome, answer_with
from trustpack.capabilities.revops.api.lead_shapes import SAME_LEAD, LeadPage, OpportunityPage, PromotionAnswer
from trustpack.capabilities.revops.api.links import leading_on, links_of_lead, links_of_leads
from trustpack.capabilities.revops.api.wire import ReceiptList
from trustpack.capabilities.revops.model import LeadFilter, Promotion
from trustpack.capabilities.revops.service import leads, presenting, reading
from trustpack.capabilities.revops.service.shapes import LeadBody
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pagination import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import StrictRoute

_LEADING_ON = {200: {**SAME_LEAD, "links": links_of_lead()}, **leading_on(201, links=links_of_lead())}
router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters of the list, as they stand in the URL."""

    segment: Annotated[str | None, Query(max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = None
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra={"format": "cursor"})] = None

    def to_filter(self) -> LeadFilter:
        """Return the filter of the store; one row more than asked for tells whether a next page exists."""
        return LeadFilter(segment=self.segment, keyset=Keyset.following(decode_cursor(self.cursor)), limit=self.limit + 1)


@router.post("/leads", status_code=201, response_model=PromotionAnswer, responses=_LEADING_ON, summary="Take a lead in")
async def create_lead(body: LeadBody, desk: AtDesk) -> Response:
    """Route a lead to a team and open its opportunity; the same mailbox again is answered with the lead that is there."""
    if (kept := await desk.kept()) is not None:
        return answer_with(kept)
    routed = await leads.route(desk.revops, desk.actor, body.to_new_lead())

    async def work(tx: Transaction) -> Outcome:
        promotion = routed if isinstance(routed, Promotion) else await leads.promote(tx, desk.actor, routed)
        [shown] = await presenting.present_promotions(tx, [promotion])
        return (HTTPStatus.CREATED if promotion.is_new else HTTPStatus.OK), shown

    return await desk.decide(work)


@router.get(
    "/leads", response_model=LeadPage, responses=leading_on(200, links=links_of_leads()), summary="List leads, newest first"
)
async def list_leads(query: Annotated[ListQuery, Depends()], desk: AtReadingDesk) -> Response:
    """List what the caller may read, filtered, a page at a time."""
    wanted = query.to_filter()

    async def work(tx: Transaction) -> JsonObject:
        found = await leads.list_leads(tx, desk.actor, wanted)
        page = found[: query.limit]
        following = encode_cursor(page[-1].lead.id) if len(found) > query.limit else None
        return {"items": await presenting.present_promotions(tx, page), "next_cursor": following}

    return await desk.read(work)


@router.get("/opportunities/{opportunity_id}", response_model=OpportunityPage, summary="Read one opportunity")
async def read_opportunity(opportunity_id: str, desk: AtReadingDesk) -> Response:
    """Return an opportunity with its lead, and why it was routed as it was."""

    async def work(tx: Transaction) -> JsonObject:
        opportunity, lead = await leads.read_opportunity(tx, desk.actor, opportunity_id)
        handles = await directory.handles_of(tx, [opportunity.owner_id, *([lead.created_by] if lead else [])])
        return {
            "opportunity": presenting.present_opportunity(opportunity, handles),
            "lead": presenting.present_lead(lead, handles) if lead else None,
            "routing": presenting.present_routing(lead) if lead else None,
        }

    return await desk.read(work)


@router.get("/leads/{lead_id}/receipts", response_model=ReceiptList, summary="Read a lead's receipts")
async def read_lead_receipts(lead_id: str, desk: AtReadingDesk) -> Response:
    """Return every receipt of a lead in order."""

    async def work(tx: Transaction) -> JsonObject:
        return {"items": await reading.read_receipts(tx, desk.actor, lead_id, prefix="lead")}

    return await desk.read(work)


@router.get("/opportunities/{opportunity_id}/receipts", response_model=ReceiptList, summary="Read an opportunity's receipts")
async def read_opportunity_receipts(opportunity_id: str, desk: AtReadingDesk) -> Response:
    """Return every receipt of an opportunity in order."""

    async def work(tx: Transaction) -> JsonObject:
        return {"items": await reading.read_receipts(tx, desk.actor, opportunity_id, prefix="opp")}

    return await desk.read(work)
