"""The wire shapes of leads and opportunities (api.md, "RevOps")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import Lead, Opportunity, Promotion
from trustpack.kernel.clock import format_time
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction


async def present_promotions(tx: Transaction, promotions: Sequence[Promotion]) -> list[JsonObject]:
    """Return leads with their opportunities and routing, with a fixed number of statements."""
    leads = [promotion.lead for promotion in promotions]
    owners = [promotion.opportunity.owner_id for promotion in promotions]
    handles = await directory.handles_of(tx, [*(lead.created_by for lead in leads), *owners])
    return [
        {
            "lead": present_lead(promotion.lead, handles),
            "opportunity": present_opportunity(promotion.opportunity, handles),
            "routing": present_routing(promotion.lead),
        }
        for promotion in promotions
    ]


def present_lead(lead: Lead, handles: Mapping[str, str]) -> JsonObject:
    """Return a lead."""
    return {
        "id": lead.id,
        "version": lead.version,
        "status": lead.status,
        "email": lead.email,
        "company": lead.company,
        "segment": lead.segment,
        "employees": lead.employees,
        "region": lead.region,
        "source": lead.source,
        "created_by": present_person(lead.created_by, handles),
        "opportunity_id": lead.opportunity_id,
        "created_at": format_time(lead.created_at),
    }


def present_opportunity(opportunity: Opportunity, handles: Mapping[str, str]) -> JsonObject:
    """Return an opportunity."""
    touched = opportunity.first_touched_at
    return {
        "id": opportunity.id,
        "version": opportunity.version,
        "status": opportunity.status,
        "lead_id": opportunity.lead_id,
        "account": opportunity.account,
        "segment": opportunity.segment,
        "owner": present_person(opportunity.owner_id, handles),
        "team_id": opportunity.team_id,
        "first_touch_due_at": format_time(opportunity.first_touch_due_at),
        "first_touched_at": format_time(touched) if touched else None,
        "created_at": format_time(opportunity.created_at),
    }


def present_routing(lead: Lead) -> JsonObject:
    """Return why a lead went where it went."""
    return {"team": lead.routing_team or None, "rule": lead.routing_rule, "decision_id": lead.decision_id}


def present_person(person_id: str, handles: Mapping[str, str]) -> JsonObject:
    """Return a person as others see them."""
    return {"id": person_id, "handle": handles.get(person_id)}
