"""The shape of every answer about quotes, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from trustpack.capabilities.revops.api.wire import PersonAnswer


class LineAnswer(BaseModel):
    """One line with its discount as it was worked out: a price below the list price counts."""

    sku: str | None
    description: str
    quantity: int
    unit_price: str
    list_price: str | None
    catalogued: bool
    discount_percent: str
    effective_discount_percent: str
    recurring: bool
    list_amount: str
    net_amount: str


class TermsAnswer(BaseModel):
    """The commercial part of a quote."""

    currency: str
    pricing: str
    lines: list[LineAnswer]
    list_amount: str
    net_amount: str
    discount_percent: str
    max_line_discount_percent: str
    recurring_discount_percent: str
    valid_until: str
    term_months: int | None
    payment_days: int | None
    start_date: str | None
    terms_digest: str


class LoanAnswer(BaseModel):
    """The delegation by which a vote counted; made only after the submission, it is marked."""

    id: str
    lender: Annotated[PersonAnswer, Field(alias="from")]
    role: str
    made_after_submission: bool


class VoteAnswer(BaseModel):
    """One person's vote; `superseded` once the terms are others than those that it was given for, with the reason."""

    id: str
    approver: PersonAnswer
    verdict: str
    role: str | None
    status: str
    superseded_reason: str | None
    terms_digest: str
    digest_confirmed: bool
    delegation: LoanAnswer | None
    comment: str | None
    created_at: str


class LinkedAnswer(BaseModel):
    """The quotes that are looked at together with this one, and the discount that they come to together."""

    quotes: list[str]
    days: int
    joint_discount_percent: str


class ContractAnswer(BaseModel):
    """The contract that a quote became."""

    id: str
    quote_id: str
    status: str
    terms_digest: str
    decision_id: str
    created_at: str


class QuoteAnswer(TermsAnswer):
    """A quote as it stands; `open_approvals` are the required roles that it still waits for, `linked` is null in lists."""

    id: str
    version: int
    revision: int
    workspace: str
    opportunity_id: str
    account: str
    segment: str
    owner: PersonAnswer
    title: str | None
    status: str
    required_approvals: list[str]
    open_approvals: list[str]
    approvals: list[VoteAnswer]
    decisions: list[str]
    linked: LinkedAnswer | None
    contract: ContractAnswer | None
    derived_from: str | None
    external_id: str | None
    submitted_at: str | None
    approval_expires_at: str | None
    use_by: str | None
    created_at: str


class SubmissionAnswer(QuoteAnswer):
    """A submitted quote, and the decision by which it waits."""

    allowed: bool
    decision_id: str


class ActivationAnswer(ContractAnswer):
    """A new contract, with the quote that it was made of."""

    quote: QuoteAnswer


class ApprovalsPreview(BaseModel):
    """What submitting would need, why, and who could give it."""

    allowed: bool
    reasons: list[dict[str, Any]]
    required_approvals: list[str]
    could_approve: dict[str, list[PersonAnswer]]
    terms_digest: str
    decision_id: str


class RevisionAnswer(TermsAnswer):
    """One revision of a quote; all but the newest are superseded."""

    revision: int
    status: str
    created_by: PersonAnswer
    created_at: str


class RevisionList(BaseModel):
    """Every revision of a quote, oldest first."""

    items: list[RevisionAnswer]


class QuotePage(BaseModel):
    """One page of quotes, newest first; `next_cursor` leads on."""

    items: list[QuoteAnswer]
    next_cursor: str | None
