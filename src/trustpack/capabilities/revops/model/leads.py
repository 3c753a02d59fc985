"""Leads, how they were routed, and the opportunities that they became."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

LEAD_KIND = "lead"
OPPORTUNITY_KIND = "opportunity"


@dataclass(frozen=True, slots=True)
class NewLead:
    """A lead as it came in; `email_key` and `account_key` are the spellings by which it is compared."""

    email: str
    email_key: str
    company: str
    account_key: str
    segment: str
    employees: int | None
    region: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Routing:
    """Which rule sent a lead to which team, and how soon somebody must take it up."""

    rule: str
    team: str
    sla_seconds: int


@dataclass(frozen=True, slots=True)
class Lead:
    """A stored lead; the mailbox is unique in its tenant."""

    id: str
    version: int
    status: str
    email: str
    email_key: str
    company: str
    segment: str
    employees: int | None
    region: str | None
    source: str | None
    created_by: str
    opportunity_id: str
    routing_rule: str
    routing_team: str
    decision_id: str
    created_at: datetime


class OpportunityStatus(StrEnum):
    """Where an opportunity stands (api.md, "RevOps")."""

    OPEN = "open"
    WON = "won"


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A chance to sell to an account; `account_key` tells accounts apart, `account` is what people call it."""

    id: str
    version: int
    status: str
    lead_id: str
    account: str
    account_key: str
    segment: str
    owner_id: str
    team_id: str | None
    first_touch_due_at: datetime
    first_touched_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Promotion:
    """A lead with its opportunity; `is_new` is false where the same lead had been promoted before."""

    lead: Lead
    opportunity: Opportunity
    is_new: bool
