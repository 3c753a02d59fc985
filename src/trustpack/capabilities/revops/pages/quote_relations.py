"""What a quote is related to: its lead, its opportunity, and other quotes."""

from __future__ import annotations

from dataclasses import dataclass

from trustpack.capabilities.revops.model import Quote
from trustpack.capabilities.revops.pages.quote_parts import joint_of
from trustpack.capabilities.revops.pages.views import CHIPS, LEADS, OPPORTUNITIES, QUOTES, short
from trustpack.capabilities.revops.rules.pricing import joint_discount
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.service.reading import QuoteView
from trustpack.capabilities.revops.service.telling import Relations
from trustpack.kernel.money import format_share
from trustpack.platform.web.pages import called


@dataclass(frozen=True, slots=True)
class QuoteLink:
    """Another quote, by the name that people gave it."""

    path: str
    label: str
    short_id: str
    said: str
    chip: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedShown:
    """What a quote belongs to and what it is looked at with; paths are empty for what cannot be opened."""

    chain: tuple[tuple[str, str, str], ...]
    siblings: tuple[QuoteLink, ...]
    linked: tuple[QuoteLink, ...]
    joint: str
    hidden: int
    origin: tuple[str, str] | None


def related_of(view: QuoteView, relations: Relations) -> RelatedShown:
    """Return what a quote is related to."""
    lead, opportunity = relations.lead, relations.opportunity
    chain = []
    if lead is not None:
        chain.append(("Lead", lead.company, f"{LEADS}/{lead.id}"))
    if opportunity is not None:
        owner = called(relations.handles.get(opportunity.owner_id, opportunity.owner_id))
        chain.append(("Opportunity", f"{opportunity.account}, of {owner}", f"{OPPORTUNITIES}/{opportunity.id}"))
    if view.contract is not None:
        chain.append(("Contract", short(view.contract.id), f"{QUOTES}/{view.quote.id}/contract"))
    return RelatedShown(
        chain=tuple(chain),
        siblings=tuple(_link(each, relations) for each in relations.siblings),
        linked=tuple(_link(each, relations) for each in relations.linked),
        joint=joint_of(view),
        hidden=relations.hidden,
        origin=_origin(view.quote, relations),
    )


def _link(quote: Quote, relations: Relations) -> QuoteLink:
    discount = f"{format_share(joint_discount(quote.list_minor, quote.net_minor))} %"
    return QuoteLink(
        path=f"{QUOTES}/{quote.id}",
        label=quote.title or read_terms(quote.terms).account,
        short_id=short(quote.id),
        said=f"{called(relations.handles.get(quote.owner_id, quote.owner_id))} · {discount}",
        chip=CHIPS[quote.status],
    )


def _origin(quote: Quote, relations: Relations) -> tuple[str, str] | None:
    if quote.derived_from is None:
        return None
    if relations.origin is None:
        return short(quote.derived_from), ""
    link = _link(relations.origin, relations)
    return f"{link.label} {link.short_id}", link.path
