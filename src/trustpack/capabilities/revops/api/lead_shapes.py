"""What goes over the wire about leads: the shape of answers for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from trustpack.capabilities.revops.api.wire import PersonAnswer


class LeadAnswer(BaseModel):
    """A stored lead."""

    id: str
    version: int
    status: str
    email: str
    company: str
    segment: str
    employees: int | None
    region: str | None
    source: str | None
    created_by: PersonAnswer
    opportunity_id: str
    created_at: str


class OpportunityAnswer(BaseModel):
    """An opportunity; the first touch is the first quote."""

    id: str
    version: int
    status: str
    lead_id: str
    account: str
    segment: str
    owner: PersonAnswer
    team_id: str | None
    first_touch_due_at: str
    first_touched_at: str | None
    created_at: str


class RoutingAnswer(BaseModel):
    """Why a lead went where it went."""

    team: str | None
    rule: str
    decision_id: str


class PromotionAnswer(BaseModel):
    """A lead with the opportunity that it became."""

    lead: LeadAnswer
    opportunity: OpportunityAnswer
    routing: RoutingAnswer


class LeadPage(BaseModel):
    """One page of leads, newest first."""

    items: list[PromotionAnswer]
    next_cursor: str | None


class OpportunityPage(BaseModel):
    """An opportunity with its lead and routing."""

    opportunity: OpportunityAnswer
    lead: LeadAnswer | None
    routing: RoutingAnswer | None


SAME_LEAD: dict[str, Any] = {"model": PromotionAnswer, "description": "The same lead was there already; this is it, unchanged"}
