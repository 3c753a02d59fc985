"""What the page of one quote shows at its head and in its overview: plain values, for templates that compute nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final, cast

from trustpack.capabilities import ledger
from trustpack.capabilities.approvals import Verdict
from trustpack.capabilities.policy import listed
from trustpack.capabilities.revops.model import Quote, QuoteStatus, Terms
from trustpack.capabilities.revops.pages.quote_offers import Offer, hindrances_of, may_edit, offers_of
from trustpack.capabilities.revops.pages.views import CHIPS, QUOTES, short
from trustpack.capabilities.revops.rules.bands import Band, Measured
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.service.reading import QuoteView, present_terms
from trustpack.capabilities.revops.service.standing import Standing
from trustpack.capabilities.revops.service.telling import Record
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.money import format_limit, format_share
from trustpack.platform.web.pages.numbers import grouped
from trustpack.platform.web.pages.roles import ROLE_WORDS

PARTS: Final = ("overview", "approvals", "versions", "contract", "evidence", "related")
_WAITING: Final = {
    QuoteStatus.PENDING_APPROVAL: "Approvals end",
    QuoteStatus.APPROVED: "Expires unless activated",
}


@dataclass(frozen=True, slots=True)
class EndShown:
    """Who ended the submission of these terms, when, and why."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteShown:
    """The head of a quote: what it is, where it stands, and what the one who looks may try to do."""

    id: str
    short_id: str
    path: str
    account: str
    title: str
    chip: tuple[str, str]
    owner: str
    created_at: datetime
    digest: str
    revision: int
    net: str
    discount: str
    received: str
    deadline: tuple[str, datetime] | None
    rejection: EndShown | None
    has_contract: bool
    may_edit: bool
    offers: tuple[Offer, ...]
    hindrances: tuple[str, ...]

    def question(self, name: str) -> Offer | None:
        """Return what is offered under a name, if it is."""
        return next((offer for offer in self.offers if offer.name == name), None)


@dataclass(frozen=True, slots=True)
class PictureShown:
    """A discount against the limits of the matrix; `others` are further limits to be marked."""

    value: Fraction
    threshold: Fraction
    others: tuple[Fraction, ...]
    scale: Fraction
    figure: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewShown:
    """The terms of a quote, exactly as the API gives them, and who took it back if somebody did."""

    facts: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    totals: tuple[tuple[str, str], ...]
    picture: PictureShown | None
    ladder: tuple[str, ...]
    measures: tuple[tuple[str, str], ...]
    measured_when: str
    recall: EndShown | None


def head_of(view: QuoteView, standing: Standing, actor: Actor, *, sellers: frozenset[Role], now: datetime) -> QuoteShown:
    """Return the head of a quote as somebody sees it."""
    quote = view.quote
    terms = read_terms(quote.terms)
    shown = cast("dict[str, Any]", present_terms(terms, totals_of(terms.lines)))
    return QuoteShown(
        id=quote.id,
        short_id=short(quote.id),
        path=f"{QUOTES}/{quote.id}",
        account=terms.account,
        title=quote.title or "",
        chip=CHIPS[quote.status],
        owner=view.handles.get(quote.owner_id, quote.owner_id),
        created_at=quote.created_at,
        digest=quote.terms_digest,
        revision=quote.revision,
        net=f"{grouped(shown['net_amount'])} {terms.currency}",
        discount=f"{shown['discount_percent']} %",
        received=f"{len(standing.filled)}/{len(quote.required_approvals)}" if quote.required_approvals else "",
        deadline=_deadline(quote),
        rejection=_rejection(view),
        has_contract=view.contract is not None,
        may_edit=may_edit(quote, actor),
        offers=offers_of(quote, standing, actor, sellers=sellers, now=now),
        hindrances=hindrances_of(quote, standing, actor, sellers=sellers, now=now),
    )


def overview_of(view: QuoteView, measured: Measured, record: Record | None) -> OverviewShown:
    """Return the overview of a quote; `record` is what was recorded of it, where it was taken back."""
    quote = view.quote
    terms = read_terms(quote.terms)
    shown = cast("dict[str, Any]", present_terms(terms, totals_of(terms.lines)))
    return OverviewShown(
        facts=(
            ("Account", terms.account),
            ("Owner", view.handles.get(quote.owner_id, quote.owner_id)),
            ("Segment", quote.segment),
            *((("Title", quote.title),) if quote.title else ()),
            *agreed(terms),
            *((("Known outside as", quote.external_id),) if quote.external_id else ()),
        ),
        rows=tuple(line_row(line) for line in shown["lines"]),
        totals=totals_shown(shown, currency=terms.currency),
        picture=picture_of(measured),
        ladder=tuple(_rung(band) for band in measured.bands),
        measures=tuple((_in_words(name), f"{format_share(share)} %") for name, share in measured.discounts.items()),
        measured_when="by the policy that decided" if measured.is_decided else "by the policy in force now",
        recall=_recall(record) if record is not None else None,
    )


def _deadline(quote: Quote) -> tuple[str, datetime] | None:
    ends = quote.use_by if quote.status == QuoteStatus.APPROVED else quote.approval_expires_at
    label = _WAITING.get(quote.status)
    return (label, ends) if label is not None and ends is not None else None


def _rejection(view: QuoteView) -> EndShown | None:
    current = (vote for vote in view.votes if vote.digest == view.quote.terms_digest)
    vote = next((vote for vote in current if vote.verdict == Verdict.REJECT), None)
    if vote is None:
        return None
    by = view.handles.get(vote.person_id, vote.person_id)
    return EndShown(by, vote.created_at, view.comments.get(vote.seq, ""))


def _recall(record: Record) -> EndShown | None:
    deed = ledger.last_deed(record.history, "recalled")
    return None if deed is None else EndShown(record.handles.get(deed.by, deed.by), deed.at, deed.reason)


def line_row(line: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """Return a line as a row of `amounts`."""
    list_amount, net_amount = grouped(line["list_amount"]), grouped(line["net_amount"])
    figures = (f"{line['quantity']:,}", list_amount, f"{line['effective_discount_percent']} %", net_amount)
    return line["description"], line["sku"] or "no SKU", figures


def totals_shown(shown: Mapping[str, Any], *, currency: str) -> tuple[tuple[str, str], ...]:
    """Return the totals of presented terms as `amounts` has them at its foot."""
    return (
        (f"List in {currency}", grouped(shown["list_amount"])),
        ("Discount", f"{shown['discount_percent']} %"),
        (f"Net in {currency}", grouped(shown["net_amount"])),
    )


def agreed(terms: Terms) -> tuple[tuple[str, str], ...]:
    """Return what terms say beside their lines: until when they may be taken, for how long, and how they are paid."""
    return (
        ("Valid until", f"{terms.valid_until.isoformat()}, the whole day in UTC"),
        ("Term", f"{terms.term_months} months" if terms.term_months is not None else "not said"),
        ("Payment", f"within {terms.payment_days} days" if terms.payment_days is not None else "not said"),
        ("Starts", terms.start_date.isoformat() if terms.start_date is not None else "not said"),
    )


def picture_of(measured: Measured) -> PictureShown | None:
    """Return the discount that decides against the limits; None where there is no limit to keep."""
    limits = [band.up_to for band in measured.bands if band.up_to < 1]
    deepest = measured.deepest
    if deepest is None or not limits:
        return None
    name, share = deepest
    return PictureShown(
        value=share,
        threshold=limits[0],
        others=tuple(limits[1:]),
        scale=min(Fraction(1), max(share, limits[-1]) * 2),
        figure=f"{format_share(share)} %",
        note=f"The {_in_words(name).lower()} discount decides. {_needs(measured)}",
    )


def _needs(measured: Measured) -> str:
    if measured.band is None:
        return "No band of the matrix covers it."
    needs = f"It needs {_approvers(measured.band)}"
    return f"{needs}." if measured.band == measured.within[0] else f"{needs}, as not all of its lines are in the price book."


def _rung(band: Band) -> str:
    return f"Up to {format_limit(band.up_to)} %: {_approvers(band)}"


def _approvers(band: Band) -> str:
    needed = listed([ROLE_WORDS[role] for role in band.approvals])
    return f"{needed}, who may be the owner" if band.self_approvable else needed


def _in_words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def names_of(people: Sequence[str], standing: Standing) -> tuple[str, ...]:
    """Return people by the names by which others know them."""
    return tuple(standing.handles.get(person, person) for person in people)
