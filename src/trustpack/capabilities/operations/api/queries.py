"""Routes that change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BeforeValidator

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.operations.api.answering import PREFIX, TAG, AtDesk, answer_json
from trustpack.capabilities.operations.api.links import leading_on, links_of_page, links_of_request, links_of_statements
from trustpack.capabilities.operations.api.shapes import (
    PreviewAnswer,
    ReceiptsAnswer,
    RequestAnswer,
    RequestBody,
    RequestPage,
    StatementPage,
)
from trustpack.capabilities.operations.model import RequestFilter, Status
from trustpack.capabilities.operations.service import creating, reading
from trustpack.kernel.clock import parse_time
from trustpack.kernel.keysets import Keyset
from trustpack.platform.web.pagination import DEFAULT_PAGE, MAX_PAGE, decode_cursor, decode_place, encode_cursor, encode_place
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import Store, StrictRoute

router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)

Moment = Annotated[AwareDatetime, BeforeValidator(parse_time)]
"""An RFC 3339 time; a bare number is no time, though pydantic would count its seconds from 1970."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters of the list, as they stand in the URL."""

    status: Annotated[Status | None, Query()] = None
    type: Annotated[str | None, Query(max_length=64, pattern=r"^[A-Z_]+$")] = None
    requester: Annotated[str | None, Query(max_length=64, pattern=r"^[a-z][a-z0-9_-]*$", description="An id or a handle.")] = None
    created_after: Annotated[Moment | None, Query()] = None
    created_before: Annotated[Moment | None, Query()] = None
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra={"format": "cursor"})] = None

    def to_filter(self) -> RequestFilter:
        """Return the filter of the store; one row more than asked for tells whether a next page exists."""
        return RequestFilter(
            statuses=(self.status.value,) if self.status else (),
            type=self.type,
            requester_id=self.requester,
            created_after=self.created_after,
            created_before=self.created_before,
            keyset=Keyset.following(decode_cursor(self.cursor)),
            limit=self.limit + 1,
        )


@router.post("/requests/preview", response_model=PreviewAnswer, summary="Say what would be needed; create nothing")
async def preview_request(body: RequestBody, desk: AtDesk) -> Response:
    """Answer what policy would say, which approvals it would need, and who could give them."""
    return answer_json(await creating.preview(desk.operations, desk.actor, body.to_new_request()))


@router.get(
    "/requests",
    response_model=RequestPage,
    responses=leading_on(200, links=links_of_page()),
    summary="List requests, newest first",
)
async def list_requests(query: Annotated[ListQuery, Depends()], actor: SignedIn, unit_of_work: Store) -> Response:
    """List what the caller may read, filtered, a page at a time."""
    wanted = query.to_filter()
    async with unit_of_work.transaction(actor.tenant_id) as tx:
        views = await reading.list_requests(tx, actor, wanted)
    page = views[: query.limit]
    following = encode_cursor(page[-1].request.id) if len(views) > query.limit else None
    return answer_json({"items": [reading.present(view) for view in page], "next_cursor": following})


@router.get(
    "/requests/{request_id}",
    response_model=RequestAnswer,
    responses=leading_on(200, links=links_of_request()),
    summary="Read one request",
)
async def read_request(request_id: str, actor: SignedIn, unit_of_work: Store) -> Response:
    """Return a request as it stands."""
    async with unit_of_work.transaction(actor.tenant_id) as tx:
        return answer_json(reading.present(await reading.read_request(tx, actor, request_id)))


@router.get("/requests/{request_id}/receipts", response_model=ReceiptsAnswer, summary="Read a request's receipts")
async def read_receipts(request_id: str, actor: SignedIn, unit_of_work: Store) -> Response:
    """Return every receipt of a request in order."""
    async with unit_of_work.transaction(actor.tenant_id) as tx:
        return answer_json({"items": await reading.read_receipts(tx, actor, request_id)})


@router.get(
    "/requests/{request_id}/statements",
    response_model=StatementPage,
    responses=leading_on(200, links=links_of_statements()),
    summary="Read what was done with the access",
)
async def list_statements(
    request_id: str,
    actor: SignedIn,
    unit_of_work: Store,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra={"format": "place"})] = None,
) -> Response:
    """List the recorded statements of an access that has ended, oldest first, a page at a time."""
    after = decode_place(cursor)
    async with unit_of_work.transaction(actor.tenant_id) as tx:
        items = await reading.list_statements(tx, actor, request_id, after=after, limit=limit + 1)
    following = encode_place(after + limit) if len(items) > limit else None
    return answer_json({"items": items[:limit], "next_cursor": following})
