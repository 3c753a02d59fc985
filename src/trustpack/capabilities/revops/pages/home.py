"""What RevOps gives to the first page: quotes that wait for the viewer, their own, and the step that leads there."""

from __future__ import annotations

from typing import Final

from trustpack.capabilities.revops.pages.inbox import INBOX
from trustpack.capabilities.revops.pages.inbox import row_of as inbox_row
from trustpack.capabilities.revops.pages.views import CHIPS, QUOTES, short
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.rules.visibility import SELLING_ROLES
from trustpack.capabilities.revops.service import waiting
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.reading import QuoteView
from trustpack.capabilities.revops.service.standing import seller_roles
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import Viewer, first_steps
from trustpack.platform.web.pages.home import FIRST_ROWS, HomeList, HomePart, HomeRow, HomeSource, Step
from trustpack.platform.web.pages.numbers import shown_amount

_SELLERS: Final = frozenset(SELLING_ROLES) - {Role.ADMIN}


def home(revops: RevOps) -> HomeSource:
    """Return what gives the part of RevOps."""

    async def part(viewer: Viewer) -> HomePart:
        actor = viewer.actor
        async with revops.unit_of_work.transaction(actor.tenant_id) as tx:
            inbox = await waiting.needs_my_approval(tx, actor, limit=FIRST_ROWS)
            own = await waiting.my_open_quotes(tx, actor, limit=FIRST_ROWS)
            people = await first_steps.people_of_steps(tx, viewer)
            has_sold = await waiting.have_sold(tx, people)
        lists: list[HomeList] = []
        if inbox.views or inbox.approves_others:
            lists.append(_waiting(inbox.views))
        if own or not _SELLERS.isdisjoint(actor.roles):
            lists.append(_own(own))
        sell = "Come in as a seller, and turn a quote into a contract" if viewer.is_demo else "Turn a quote into a contract"
        return HomePart(tuple(lists), (Step(5, sell, QUOTES, has_sold, seller_roles(revops) & frozenset(SELLING_ROLES)),))

    return part


def _waiting(views: tuple[QuoteView, ...]) -> HomeList:
    rows = tuple((view, inbox_row(view)) for view in views)
    return HomeList(
        title="Quotes that need my approval",
        path=INBOX,
        empty="Nothing waits for you.",
        rows=tuple(
            HomeRow(
                short_id=row.short_id,
                path=row.path,
                title=f"{row.account} · {row.amount}",
                note=f"{row.owner}, at a discount of {row.discount}",
                chip=CHIPS[view.quote.status],
                beside=row.received,
                at=row.expires_at,
                at_means="expires",
            )
            for view, row in rows
        ),
        is_waiting=True,
    )


def _own(views: tuple[QuoteView, ...]) -> HomeList:
    return HomeList(
        title="My quotes",
        path=QUOTES,
        empty="You have no draft and nothing that waits.",
        rows=tuple(
            HomeRow(
                short_id=short(view.quote.id),
                path=f"{QUOTES}/{view.quote.id}",
                title=f"{read_terms(view.quote.terms).account} · "
                f"{shown_amount(view.quote.net_minor, currency=view.quote.currency)}",
                note=view.quote.title or f"Revision {view.quote.revision}",
                chip=CHIPS[view.quote.status],
                at=view.quote.created_at,
            )
            for view in views
        ),
    )
