"""What the pages of a lead and of an opportunity show: plain values, for templates that compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trustpack.capabilities import ledger, policy
from trustpack.capabilities.revops.model import OpportunityStatus, Quote
from trustpack.capabilities.revops.pages.views import CHIPS, LEADS, OPPORTUNITIES, OPPORTUNITY_CHIPS, QUOTES, short
from trustpack.capabilities.revops.rules.pricing import joint_discount
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.service.beginnings import Beginning
from trustpack.kernel.actor import Actor
from trustpack.kernel.money import format_share
from trustpack.platform.web.pages.numbers import shown_amount

_MARKS: Final = {
    "promoted": ("file-check", "green"),
    "opened": ("file-check", "grey"),
    "touched": ("check", "green"),
    "won": ("circle-check", "green"),
}
_LEAD_CHIPS: Final = {"promoted": ("done", "Promoted")}
_FALLBACK_RULE: Final = "policy_unavailable"


@dataclass(frozen=True, slots=True)
class OfferShown:
    """A quote of an opportunity."""

    id: str
    short_id: str
    path: str
    title: str
    net: str
    discount: str
    chip: tuple[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DealShown:
    """A lead or an opportunity with what belongs to it; `due` is the first touch while it is still waited for."""

    id: str
    short_id: str
    path: str
    title: str
    chip: tuple[str, str]
    owner: str
    created_at: datetime
    facts: tuple[tuple[str, str], ...]
    routing: tuple[tuple[str, str], ...]
    decisions: tuple[policy.DecisionShown, ...]
    due: datetime | None
    is_late: bool
    touched: tuple[datetime, str] | None
    offers: tuple[OfferShown, ...]
    new_quote_path: str
    evidence: ledger.EvidenceShown
    lead_path: str
    company: str
    opportunity_path: str


def deal_of(found: Beginning, actor: Actor, *, is_lead: bool, file: ledger.FileShown | None, now: datetime) -> DealShown:
    """Return a lead or its opportunity as its page shows it to somebody."""
    lead, opportunity = found.lead, found.opportunity
    shown_id, state = (lead.id, lead.status) if is_lead else (opportunity.id, opportunity.status)
    waits = opportunity.first_touched_at is None and opportunity.status == OpportunityStatus.OPEN
    return DealShown(
        id=shown_id,
        short_id=short(shown_id),
        path=f"{LEADS if is_lead else OPPORTUNITIES}/{shown_id}",
        title=lead.company if is_lead else opportunity.account,
        chip=_LEAD_CHIPS[state] if is_lead else OPPORTUNITY_CHIPS[state],
        owner=found.name_of(lead.created_by if is_lead else opportunity.owner_id),
        created_at=lead.created_at if is_lead else opportunity.created_at,
        facts=_lead_facts(found) if is_lead else _opportunity_facts(found),
        routing=_routing(found),
        decisions=tuple(policy.shown_decision(decision, asked="Policy was asked") for decision in found.record.decisions),
        due=opportunity.first_touch_due_at if waits else None,
        is_late=waits and now > opportunity.first_touch_due_at,
        touched=_touched(found),
        offers=tuple(_offer(quote) for quote in found.quotes),
        new_quote_path=f"{QUOTES}/new?opportunity={opportunity.id}" if may_sell(actor) else "",
        evidence=ledger.evidence_of(
            found.record.history, file=file, handles=found.record.handles, marks=_MARKS, tell=_told, now=now
        ),
        lead_path=f"{LEADS}/{lead.id}",
        company=lead.company,
        opportunity_path=f"{OPPORTUNITIES}/{opportunity.id}",
    )


def _lead_facts(found: Beginning) -> tuple[tuple[str, str], ...]:
    lead = found.lead
    return (
        ("E-mail", lead.email),
        ("Company", lead.company),
        ("Segment", lead.segment),
        ("Employees", "not said" if lead.employees is None else str(lead.employees)),
        ("Region", lead.region or "not said"),
        ("Source", lead.source or "not said"),
    )


def _opportunity_facts(found: Beginning) -> tuple[tuple[str, str], ...]:
    opportunity = found.opportunity
    return (
        ("Account", opportunity.account),
        ("Owner", found.name_of(opportunity.owner_id)),
        ("Team", _team(found)),
        ("Segment", opportunity.segment),
    )


def _routing(found: Beginning) -> tuple[tuple[str, str], ...]:
    rule = found.lead.routing_rule
    said = "none: policy could not be asked" if rule == _FALLBACK_RULE else rule.replace("_", " ")
    return (("Rule", said), ("Team", _team(found)), ("Owner", found.name_of(found.opportunity.owner_id)))


def _team(found: Beginning) -> str:
    name = found.lead.routing_team
    if found.opportunity.team_id is not None:
        return name
    return f"none: there is no team called {name}" if name else "none"


def _touched(found: Beginning) -> tuple[datetime, str] | None:
    at = found.opportunity.first_touched_at
    return None if at is None else (at, "in time" if at <= found.opportunity.first_touch_due_at else "late")


def _offer(quote: Quote) -> OfferShown:
    return OfferShown(
        id=quote.id,
        short_id=short(quote.id),
        path=f"{QUOTES}/{quote.id}",
        title=quote.title or "Without a title",
        net=shown_amount(quote.net_minor, currency=quote.currency),
        discount=f"{format_share(joint_discount(quote.list_minor, quote.net_minor))} %",
        chip=CHIPS[quote.status],
        created_at=quote.created_at,
    )


def _told(body: Mapping[str, Any], _opened: Mapping[str, Any]) -> str:
    payload = body["payload"]
    match body["action"]:
        case "promoted":
            return f"The rule {payload['routing']['rule']} sent it to the team {payload['routing']['team'] or 'none'}."
        case "touched":
            return "The first quote, in time." if payload["in_time"] else "The first quote, late."
        case "won":
            return f"Contract {short(payload['contract_id'])}."
        case _:
            return ""
