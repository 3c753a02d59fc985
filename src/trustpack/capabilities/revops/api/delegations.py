"""Routes of delegations."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from trustpack.capabilities.revops.api.answering import PREFIX, TAG, AtDesk, AtReadingDesk, Outcome
from trustpack.capabilities.revops.api.delegation_shapes import DelegationAnswer, DelegationPage
from trustpack.capabilities.revops.api.links import leading_on, links_of_delegation, links_of_delegations
from trustpack.capabilities.revops.api.wire import ReceiptList
from trustpack.capabilities.revops.service import delegations
from trustpack.capabilities.revops.service.shapes import DelegationBody
from trustpack.capabilities.revops.store.delegations import DelegationFilter
from trustpack.kernel.errors import Refused
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pagination import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import StrictRoute

router = APIRouter(prefix=f"{PREFIX}/delegations", tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)
_LEADING_ON = leading_on(200, links=links_of_delegation())


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters of the list, as they stand in the URL; `active` means neither ended nor past the last day."""

    active: Annotated[bool | None, Query()] = None
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra={"format": "cursor"})] = None

    def to_filter(self) -> DelegationFilter:
        """Return the filter of the store; one row more than asked for tells whether a next page exists."""
        return DelegationFilter(is_active=self.active, before_id=decode_cursor(self.cursor), limit=self.limit + 1)


@router.post(
    "",
    status_code=201,
    response_model=DelegationAnswer,
    responses=leading_on(201, links=links_of_delegation()),
    summary="Lend an approver's role for some days",
)
async def create_delegation(body: DelegationBody, desk: AtDesk) -> Response:
    """Let somebody fill a role that the caller holds; an administrator does so for another holder."""

    async def work(tx: Transaction) -> Outcome:
        made = await delegations.create_delegation(tx, desk.actor, body.to_written())
        [shown] = await delegations.present_delegations(tx, [made])
        return HTTPStatus.CREATED, shown

    return await desk.decide(work)


@router.get(
    "",
    response_model=DelegationPage,
    responses=leading_on(200, links=links_of_delegations()),
    summary="List delegations, newest first",
)
async def list_delegations(query: Annotated[ListQuery, Depends()], desk: AtReadingDesk) -> Response:
    """List what the caller may read, filtered, a page at a time."""
    wanted = query.to_filter()

    async def work(tx: Transaction) -> JsonObject:
        found = await delegations.list_delegations(tx, desk.actor, wanted)
        page = found[: query.limit]
        following = encode_cursor(page[-1].id) if len(found) > query.limit else None
        return {"items": await delegations.present_delegations(tx, page), "next_cursor": following}

    return await desk.read(work)


@router.get("/{delegation_id}", response_model=DelegationAnswer, responses=_LEADING_ON, summary="Read one delegation")
async def read_delegation(delegation_id: str, desk: AtReadingDesk) -> Response:
    """Return a delegation, also one that has ended."""

    async def work(tx: Transaction) -> JsonObject:
        [shown] = await delegations.present_delegations(tx, [await delegations.read_delegation(tx, desk.actor, delegation_id)])
        return shown

    return await desk.read(work)


@router.get("/{delegation_id}/receipts", response_model=ReceiptList, summary="Read a delegation's receipts")
async def read_delegation_receipts(delegation_id: str, desk: AtReadingDesk) -> Response:
    """Return every receipt of a delegation in order."""

    async def work(tx: Transaction) -> JsonObject:
        return {"items": await delegations.read_receipts(tx, desk.actor, delegation_id)}

    return await desk.read(work)


@router.delete("/{delegation_id}", response_model=DelegationAnswer, responses=_LEADING_ON, summary="End a delegation")
async def end_delegation(delegation_id: str, desk: AtReadingDesk) -> Response:
    """End a delegation at once. Votes that were given by it stand, and it can still be read."""

    async def work(tx: Transaction) -> Outcome:
        outcome = await delegations.end_delegation(tx, desk.actor, delegation_id)
        if isinstance(outcome, Refused):
            return outcome
        [shown] = await delegations.present_delegations(tx, [outcome])
        return HTTPStatus.OK, shown

    return await desk.decide(work)
