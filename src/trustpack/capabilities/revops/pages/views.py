"""What the lists of RevOps show: plain values, for templates that compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trustpack.capabilities.revops.model import Opportunity, OpportunityStatus, Promotion, Quote, QuoteStatus
from trustpack.capabilities.revops.service.reading import headline_of
from trustpack.kernel.money import format_share
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.numbers import shown_amount

REVOPS: Final = f"{BASE_PATH}/revops"
QUOTES: Final = f"{REVOPS}/quotes"
LEADS: Final = f"{REVOPS}/leads"
OPPORTUNITIES: Final = f"{REVOPS}/opportunities"
_SHORT_ID = 8
CHIPS: Final = {
    QuoteStatus.DRAFT: ("draft", "Draft"),
    QuoteStatus.PENDING_APPROVAL: ("pending", "Pending"),
    QuoteStatus.APPROVED: ("approved", "Approved"),
    QuoteStatus.REJECTED: ("denied", "Rejected"),
    QuoteStatus.RECALLED: ("expired", "Recalled"),
    QuoteStatus.EXPIRED: ("expired", "Expired"),
    QuoteStatus.ACTIVATED: ("done", "Activated"),
}
OPPORTUNITY_CHIPS: Final[Mapping[str, tuple[str, str]]] = {
    OpportunityStatus.OPEN: ("active", "Open"),
    OpportunityStatus.WON: ("done", "Won"),
}
STATUSES: Final = tuple((status.value, word) for status, (_, word) in CHIPS.items())


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """A quote in the list, with its figures as its own page has them."""

    id: str
    short_id: str
    path: str
    account: str
    owner: str
    discount: str
    total: str
    chip: tuple[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead in the list, with whoever has it now."""

    id: str
    short_id: str
    path: str
    company: str
    email: str
    owner: str
    segment: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpportunityRow:
    """An opportunity in the list; `due_at` is None once somebody has taken it up."""

    id: str
    short_id: str
    path: str
    account: str
    segment: str
    owner: str
    chip: tuple[str, str]
    due_at: datetime | None
    created_at: datetime


def row_of(quote: Quote, handles: Mapping[str, str], query: str = "") -> QuoteRow:
    """Return a quote as a row of the list; `query` keeps the list as it is when the row opens."""
    shown = headline_of(quote)
    return QuoteRow(
        id=quote.id,
        short_id=short(quote.id),
        path=f"{QUOTES}/{quote.id}{query}",
        account=shown.account,
        owner=handles.get(quote.owner_id, quote.owner_id),
        discount=f"{format_share(shown.discount)} %",
        total=shown_amount(quote.net_minor, currency=quote.currency),
        chip=CHIPS[quote.status],
        created_at=quote.created_at,
    )


def lead_row(promotion: Promotion, handles: Mapping[str, str], query: str) -> LeadRow:
    """Return a lead as a row of the list."""
    lead, owner_id = promotion.lead, promotion.opportunity.owner_id
    return LeadRow(
        id=lead.id,
        short_id=short(lead.id),
        path=f"{LEADS}/{lead.id}{query}",
        company=lead.company,
        email=lead.email,
        owner=handles.get(owner_id, owner_id),
        segment=lead.segment,
        created_at=lead.created_at,
    )


def opportunity_row(opportunity: Opportunity, handles: Mapping[str, str], query: str) -> OpportunityRow:
    """Return an opportunity as a row of the list."""
    return OpportunityRow(
        id=opportunity.id,
        short_id=short(opportunity.id),
        path=f"{OPPORTUNITIES}/{opportunity.id}{query}",
        account=opportunity.account,
        segment=opportunity.segment,
        owner=handles.get(opportunity.owner_id, opportunity.owner_id),
        chip=OPPORTUNITY_CHIPS[opportunity.status],
        due_at=opportunity.first_touch_due_at if opportunity.first_touched_at is None else None,
        created_at=opportunity.created_at,
    )


def short(object_id: str) -> str:
    """Return the end of an id, by which people tell objects apart."""
    return object_id[-_SHORT_ID:]
