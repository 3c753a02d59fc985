"""What the palette finds among deals: an id or its end, the beginning of an account, or who owns them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from urllib.parse import urlencode

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import LeadFilter, OpportunityFilter, QuoteFilter
from trustpack.capabilities.revops.pages.views import LEADS, OPPORTUNITIES, QUOTES, row_of, short
from trustpack.capabilities.revops.service import listing, reading
from trustpack.capabilities.revops.service.leads import list_leads
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Found, called


async def find_deals(tx: Transaction, actor: Actor, text: str, *, most: int) -> Sequence[Found]:
    """Return the newest opportunities, quotes and leads that the text may mean and that the actor may read, by turns."""
    named = await listing.named_by(tx, text)
    opportunities = await listing.list_opportunities(tx, actor, OpportunityFilter(named_by=named, limit=most))
    quotes = await reading.list_rows(tx, actor, QuoteFilter(named_by=named, limit=most))
    promotions = await list_leads(tx, actor, LeadFilter(named_by=named, limit=most))
    people = [held.owner_id for held in opportunities] + [quote.owner_id for quote in quotes]
    handles = await directory.handles_of(tx, people + [promotion.lead.created_by for promotion in promotions])
    deals = [
        Found(held.account, _hint("Opportunity", held.id, handles.get(held.owner_id)), "briefcase", f"{OPPORTUNITIES}/{held.id}")
        for held in opportunities
    ]
    offers = [
        Found(row.account, f"{_hint('Quote', row.id, row.owner)} · {row.chip[1]}", "percent", row.path)
        for row in [row_of(quote, handles) for quote in quotes]
    ]
    leads = [
        Found(lead.company, _hint("Lead", lead.id, handles.get(lead.created_by)), "user-plus", f"{LEADS}/{lead.id}")
        for lead in [promotion.lead for promotion in promotions]
    ]
    by_turns = chain.from_iterable(zip_longest(deals, offers, leads))
    return [found for found in by_turns if found is not None][:most]


def quotes_of(handle: str) -> str:
    """Return where the list shows what somebody offered."""
    return f"{QUOTES}?{urlencode({'owner': handle})}"


def _hint(kind: str, object_id: str, handle: str | None) -> str:
    return " · ".join(part for part in (kind, short(object_id), handle and called(handle)) if part)
