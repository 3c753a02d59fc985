"""Routes of quotes that change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from trustpack.capabilities.revops.api.answering import PREFIX, TAG, AtReadingDesk
from trustpack.capabilities.revops.api.links import leading_on, links_of_quote, links_of_quotes
from trustpack.capabilities.revops.api.quote_answers import QuoteAnswer, QuotePage, RevisionList
from trustpack.capabilities.revops.api.wire import ReceiptList
from trustpack.capabilities.revops.model import QuoteFilter, QuoteStatus
from trustpack.capabilities.revops.service import reading
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pagination import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import StrictRoute

router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters of the list, as they stand in the URL."""

    status: Annotated[QuoteStatus | None, Query()] = None
    opportunity_id: Annotated[str | None, Query(max_length=64)] = None
    owner_id: Annotated[str | None, Query(max_length=64)] = None
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra={"format": "cursor"})] = None

    def to_filter(self) -> QuoteFilter:
        """Return the filter of the store; one row more than asked for tells whether a next page exists."""
        return QuoteFilter(
            status=self.status.value if self.status else None,
            opportunity_id=self.opportunity_id,
            owner_id=self.owner_id,
            keyset=Keyset.following(decode_cursor(self.cursor)),
            limit=self.limit + 1,
        )


@router.get(
    "/quotes", response_model=QuotePage, responses=leading_on(200, links=links_of_quotes()), summary="List quotes, newest first"
)
async def list_quotes(query: Annotated[ListQuery, Depends()], desk: AtReadingDesk) -> Response:
    """List what the caller may read, filtered, a page at a time."""
    wanted = query.to_filter()

    async def work(tx: Transaction) -> JsonObject:
        views = await reading.list_quotes(tx, desk.actor, wanted)
        page = views[: query.limit]
        following = encode_cursor(page[-1].quote.id) if len(views) > query.limit else None
        return {"items": [reading.present(view) for view in page], "next_cursor": following}

    return await desk.read(work)


@router.get(
    "/quotes/{quote_id}", response_model=QuoteAnswer, responses=leading_on(200, links=links_of_quote()), summary="Read one quote"
)
async def read_quote(quote_id: str, desk: AtReadingDesk) -> Response:
    """Return a quote as it stands, with the quotes that it is looked at with."""

    async def work(tx: Transaction) -> JsonObject:
        return reading.present(await reading.read_quote(tx, desk.actor, quote_id))

    return await desk.read(work)


@router.get("/quotes/{quote_id}/revisions", response_model=RevisionList, summary="Read every revision of a quote")
async def read_quote_revisions(quote_id: str, desk: AtReadingDesk) -> Response:
    """Return every revision in order; all but the last are superseded."""

    async def work(tx: Transaction) -> JsonObject:
        return {"items": await reading.read_revisions(tx, desk.actor, quote_id)}

    return await desk.read(work)


@router.get("/quotes/{quote_id}/receipts", response_model=ReceiptList, summary="Read a quote's receipts")
async def read_quote_receipts(quote_id: str, desk: AtReadingDesk) -> Response:
    """Return every receipt of a quote in order."""

    async def work(tx: Transaction) -> JsonObject:
        return {"items": await reading.read_receipts(tx, desk.actor, quote_id, prefix="quo")}

    return await desk.read(work)
