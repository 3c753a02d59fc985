"""`/switchboard/security/inbox`: the requests that wait for the viewer's yes, and how many they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from trustpack.capabilities.operations.pages.views import REQUESTS, name_of, received_of, short
from trustpack.capabilities.operations.pages.wording import type_of
from trustpack.capabilities.operations.service import waiting
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Actor, Role
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Place, ThisPage, Viewer
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.lists import PAGE_SIZE
from trustpack.platform.web.pages.roles import roles_in_words
from trustpack.platform.web.pagination import decode_cursor, encode_cursor

INBOX: Final = f"{BASE_PATH}/security/inbox"
PLACE: Final = Place(
    "security-inbox",
    "Needs my approval",
    "inbox",
    INBOX,
    "To approve",
    useful_to=frozenset({Role.TEAM_LEAD, Role.SECURITY_OFFICER}),
)
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A request that waits for the viewer."""

    id: str
    short_id: str
    path: str
    type: str
    target: str
    requester: str
    received: str
    expires_at: datetime


@router.get(INBOX)
async def show_inbox(page: ThisPage, cursor: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show what waits for the viewer's yes, those that expire first in front."""
    operations: Operations = page.request.app.state.operations
    actor, after_id = page.viewer.actor, decode_cursor(cursor or None)
    async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
        inbox = await waiting.needs_my_approval(tx, operations, actor, limit=PAGE_SIZE, after_id=after_id)
    next_path = f"{INBOX}?cursor={encode_cursor(inbox.goes_on_after)}" if inbox.goes_on_after else ""
    rows = [row_of(view) for view in inbox.views]
    return await page.show(
        "operations/inbox.html", rows=rows, next_path=next_path, is_first=not cursor, why_never=_why_never(operations, actor)
    )


async def counts(tx: Transaction, operations: Operations, viewer: Viewer) -> Mapping[str, int]:
    """Return how many requests wait for a viewer, if any do."""
    count = await waiting.count_that_need_me(tx, operations, viewer.actor)
    return {PLACE.key: count} if count else {}


def _why_never(operations: Operations, actor: Actor) -> str:
    approving = waiting.roles_that_approve(operations)
    if not approving.isdisjoint(actor.roles):
        return ""
    return f"Requests wait for {roles_in_words(approving, last='or')}, and none of these roles is yours."


def row_of(view: RequestView) -> InboxRow:
    """Return a request as a row of the inbox."""
    request = view.request
    return InboxRow(
        id=request.id,
        short_id=short(request.id),
        path=f"{REQUESTS}/{request.id}",
        type=type_of(request.type),
        target=f"{request.target_name} · {request.scope}",
        requester=name_of(view, request.requester_id),
        received=received_of(view),
        expires_at=request.approval_expires_at,
    )
