"""`/switchboard/revops/inbox`: the quotes that wait for the viewer's yes, and how many they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities.revops.pages.views import QUOTES, REVOPS, short
from trustpack.capabilities.revops.rules.delegating import LENDABLE
from trustpack.capabilities.revops.service import waiting
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.reading import QuoteView, headline_of
from trustpack.kernel.actor import Role
from trustpack.kernel.money import format_share
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, Place, ThisPage, Viewer
from trustpack.platform.web.pages.inboxes import InboxPane, read_inbox
from trustpack.platform.web.pages.lists import PAGE_SIZE
from trustpack.platform.web.pages.numbers import shown_amount
from trustpack.platform.web.pages.roles import ROLE_WORDS, roles_in_words

INBOX: Final = f"{REVOPS}/inbox"
PLACE: Final = Place(
    "revops-inbox",
    "Needs my approval",
    "inbox",
    INBOX,
    "To approve",
    useful_to=LENDABLE,
)
_WHY_NEVER: Final = (
    f"Quotes wait for {roles_in_words(LENDABLE, last='or')}, or within the own band for their {ROLE_WORDS[Role.AE]}. "
    "None of these roles is yours, and none is lent to you today that you may use."
)
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A quote that waits for the viewer."""

    id: str
    short_id: str
    path: str
    account: str
    owner: str
    amount: str
    discount: str
    received: str
    expires_at: datetime


@router.get(INBOX)
async def show_inbox(page: ThisPage) -> Response:
    """Show what waits for the viewer's yes, those that expire first in front."""
    revops: RevOps = page.request.app.state.revops
    async with revops.unit_of_work.transaction(page.viewer.actor.tenant_id) as tx:
        inbox = await list_inbox(page, tx)
    return await page.show("revops/inbox.html", view=inbox, current="")


async def list_inbox(page: Page, tx: Transaction) -> InboxPane[InboxRow]:
    """Return the inbox as the page's URL asks for it; what the URL says beside is ignored. Raises `InvalidInput`."""
    state = read_inbox(INBOX, page.request.query_params)
    inbox = await waiting.needs_my_approval(tx, page.viewer.actor, limit=PAGE_SIZE, after_id=state.after_id)
    rows = [row_of(view, state.query) for view in inbox.views]
    approves = inbox.approves_others or Role.AE in page.viewer.actor.roles
    return state.pane_of(rows, goes_on_after=inbox.goes_on_after, why_never="" if approves else _WHY_NEVER)


async def counts(tx: Transaction, viewer: Viewer) -> Mapping[str, int]:
    """Return how many quotes wait for a viewer; of 0, to those alone who approve quotes of others."""
    count = await waiting.count_that_need_me(tx, viewer.actor)
    return {} if count is None else {PLACE.key: count}


def row_of(view: QuoteView, query: str = "") -> InboxRow:
    """Return a quote as a row of the inbox; `query` keeps the inbox beside it when the row opens."""
    quote = view.quote
    shown = headline_of(quote)
    given = sum(vote.verdict.value == "approve" and vote.digest == quote.terms_digest for vote in view.votes)
    return InboxRow(
        id=quote.id,
        short_id=short(quote.id),
        path=f"{QUOTES}/{quote.id}{query}",
        account=shown.account,
        owner=view.handles.get(quote.owner_id, quote.owner_id),
        amount=shown_amount(quote.net_minor, currency=quote.currency),
        discount=f"{format_share(shown.discount)} %",
        received=f"{given}/{len(quote.required_approvals)}",
        expires_at=quote.approval_expires_at or quote.created_at,
    )
