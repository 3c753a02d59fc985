"""Quotes: lines, terms, revisions, and the states they pass through. Amounts are minor units of the quote's currency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from trustpack.kernel.actor import Role
from trustpack.kernel.money import Percentage

QUOTE_KIND = "quote"
WORKSPACE = "revops"


class QuoteStatus(StrEnum):
    """Where a quote stands (api.md, "RevOps")."""

    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    ACTIVATED = "activated"
    REJECTED = "rejected"
    RECALLED = "recalled"
    EXPIRED = "expired"


class QuoteCommand(StrEnum):
    """What can happen to a quote; `rules.transitions` says when."""

    REVISE = "revise"
    RETITLE = "retitle"
    PREVIEW = "preview"
    SUBMIT = "submit"
    APPROVE = "approve"
    COMPLETE_APPROVALS = "complete_approvals"
    REJECT = "reject"
    RECALL = "recall"
    EXPIRE = "expire"
    ACTIVATE = "activate"
    REFUSE = "refuse"


class Pricing(StrEnum):
    """Where list prices come from: every line from the price book, not every line, or one amount without lines."""

    CATALOGUED = "catalogued"
    UNCATALOGUED = "uncatalogued"
    BARE_AMOUNT = "bare_amount"


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One line as the seller wrote it; `list_price` is the price book's for one unit, None where the SKU is in none."""

    sku: str | None
    description: str
    quantity: int
    unit_price: int
    discount: Percentage
    recurring: bool
    list_price: int | None


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything commercial about a quote: what is approved. A change of any field is a new revision with a new digest.

    The revision is part of it, so that no approval of an earlier one counts when the terms return to what they were.
    """

    quote_id: str
    revision: int
    account: str
    currency: str
    pricing: Pricing
    lines: tuple[QuoteLine, ...]
    valid_until: date
    term_months: int | None
    payment_days: int | None
    start_date: date | None


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """What one line comes to. `discount` is the effective one: what the price book's price is undercut by counts too."""

    list_amount: int
    net_amount: int
    discount: Fraction


@dataclass(frozen=True, slots=True)
class Totals:
    """What a quote comes to, and the discounts that a policy may look at, as exact shares of one."""

    lines: tuple[LineAmounts, ...]
    list_amount: int
    net_amount: int
    declared: Fraction
    blended: Fraction
    largest_line: Fraction
    recurring: Fraction


@dataclass(frozen=True, slots=True)
class WaitingQuote:
    """As much of a quote that waits for approvals as it takes to say who may vote on it."""

    id: str
    terms_digest: str
    required_approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    owner_id: str
    team_id: str | None
    people: tuple[str, ...]
    submitted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Quote:
    """One quote and where it stands. `version` counts its receipts, `revision` its commercial changes.

    `people` are all who had a part in it: who took the lead in, created, changed, submitted or recalled the quote, or had such
    a part in the one that it was copied from. None of them fills an approval role, but the owner one that a decision lets the
    owner fill.
    """

    id: str
    version: int
    revision: int
    status: QuoteStatus
    opportunity_id: str
    account_key: str
    segment: str
    currency: str
    owner_id: str
    team_id: str | None
    people: tuple[str, ...]
    title: str | None
    terms: bytes
    terms_digest: str
    list_minor: int
    net_minor: int
    required_approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    decision_id: str | None
    valid_until: date
    submitted_at: datetime | None
    approval_expires_at: datetime | None
    use_by: datetime | None
    derived_from: str | None
    external_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LinkedQuotes:
    """The other quotes that one is looked at with, newest first, and what all of them, this one included, come to."""

    others: tuple[str, ...]
    list_minor: int
    net_minor: int


@dataclass(frozen=True, slots=True)
class QuoteRevision:
    """One revision as it was written; `seq` is the receipt that made it."""

    id: str
    quote_id: str
    seq: int
    revision: int
    terms: bytes
    terms_digest: str
    list_minor: int
    net_minor: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Contract:
    """What an activated quote became: the very terms that were approved."""

    id: str
    quote_id: str
    seq: int
    status: str
    terms: bytes
    terms_digest: str
    activated_by: str
    decision_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line as a seller sends it, in the currency's own digits."""

    sku: str | None
    description: str
    quantity: int
    unit_price: str
    discount_percent: str
    recurring: bool


@dataclass(frozen=True, slots=True)
class WrittenTerms:
    """What a seller writes: lines, or one bare amount with a discount (then `lines` is empty)."""

    currency: str
    lines: tuple[WrittenLine, ...]
    amount: str | None
    discount_percent: str | None
    valid_until: date | None
    term_months: int | None
    payment_days: int | None
    start_date: date | None
