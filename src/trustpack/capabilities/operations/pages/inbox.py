"""`/switchboard/security/inbox`: the requests that wait for the viewer's yes, and how many they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities.operations.pages.views import REQUESTS, name_of, received_of, short
from trustpack.capabilities.operations.pages.wording import type_of
from trustpack.capabilities.operations.service import waiting
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Actor, Role
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, Place, ThisPage, Viewer
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.inboxes import InboxPane, read_inbox
from trustpack.platform.web.pages.lists import PAGE_SIZE
from trustpack.platform.web.pages.roles import roles_in_words

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
async def show_inbox(page: ThisPage) -> Response:
    """Show what waits for the viewer's yes, those that expire first in front."""
    operations: Operations = page.request.app.state.operations
    async with operations.unit_of_work.transaction(page.viewer.actor.tenant_id) as tx:
        inbox = await list_inbox(page, tx, operations)
    return await page.show("operations/inbox.html", view=inbox, current="")


async def list_inbox(page: Page, tx: Transaction, operations: Operations) -> InboxPane[InboxRow]:
    """Return the inbox as the page's URL asks for it; what the URL says beside is ignored. Raises `InvalidInput`."""
    state, actor = read_inbox(INBOX, page.request.query_params), page.viewer.actor
    inbox = await waiting.needs_my_approval(tx, operations, actor, limit=PAGE_SIZE, after_id=state.after_id)
    rows = [row_of(view, state.query) for view in inbox.views]
    return state.pane_of(rows, goes_on_after=inbox.goes_on_after, why_never=_why_never(operations, actor))


async def counts(tx: Transaction, operations: Operations, viewer: Viewer) -> Mapping[str, int]:
    """Return how many requests wait for a viewer, if any do."""
    count = await waiting.count_that_need_me(tx, operations, viewer.actor)
    return {PLACE.key: count} if count else {}


def _why_never(operations: Operations, actor: Actor) -> str:
    approving = waiting.roles_that_approve(operations)
    if not approving.isdisjoint(actor.roles):
        return ""
    return f"Requests wait for {roles_in_words(approving, last='or')}, and none of these roles is yours."


def row_of(view: RequestView, query: str) -> InboxRow:
    """Return a request as a row of the inbox; `query` keeps the inbox beside it when the row opens."""
    request = view.request
    return InboxRow(
        id=request.id,
        short_id=short(request.id),
        path=f"{REQUESTS}/{request.id}{query}",
        type=type_of(request.type),
        target=f"{request.target_name} · {request.scope}",
        requester=name_of(view, request.requester_id),
        received=received_of(view),
        expires_at=request.approval_expires_at,
    )
