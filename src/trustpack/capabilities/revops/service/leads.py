"""Take leads in: one lead per mailbox, routed by policy, and an opportunity at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from trustpack.capabilities import directory, ledger, policy
from trustpack.capabilities.policy import Decision, DecisionMode
from trustpack.capabilities.revops.model import (
    LEAD_KIND,
    OPPORTUNITY_KIND,
    Lead,
    LeadFilter,
    LeadTaken,
    NewLead,
    Opportunity,
    OpportunityStatus,
    Promotion,
    Routing,
    SellersOnly,
)
from trustpack.capabilities.revops.rules.routing import ROUTING_PACKAGE, read_routing, routing_input
from trustpack.capabilities.revops.rules.visibility import may_read, may_sell, reads_everything
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.deciding import keep_decision
from trustpack.capabilities.revops.service.staffing import Staff
from trustpack.capabilities.revops.store import leads as store
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import NotFound
from trustpack.kernel.ids import require_id
from trustpack.platform.unit_of_work import Transaction

FALLBACK = Routing(rule="policy_unavailable", team="", sla_seconds=4 * 3600)
"""Where a lead goes when the policy cannot say: it is kept, without a team, and its clock runs (research/revops case 38)."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A lead that is about to be stored, with what policy said about it.

    What comes from another system has that system's `external_id`, and may name who owns it.
    """

    lead_id: str
    new: NewLead
    decision: Decision
    external_id: str | None = None
    owner_id: str | None = None


async def route(revops: RevOps, actor: Actor, new: NewLead) -> Incoming | Promotion:
    """Return the lead with the policy's answer, outside any transaction; or the one that is there already.

    Raises `SellersOnly`, and `LeadTaken` where the one that is there is not the actor's to read.
    """
    if not may_sell(actor):
        raise SellersOnly
    async with revops.unit_of_work.transaction(actor.tenant_id) as tx:
        if (known := await _promotion_of(tx, actor, new)) is not None:
            return known
        teams = await store.teams_of_accounts(tx, [new.account_key])
    return await ask_routing(revops, actor, new, account_team=teams.get(new.account_key))


async def ask_routing(revops: RevOps, actor: Actor, new: NewLead, *, account_team: str | None) -> Incoming:
    """Return a lead with what policy says about it, outside any transaction; `account_team` has the lead's account already."""
    ids = revops.unit_of_work.ids
    lead_id = ids.new("lead")
    decision = await revops.gate.evaluate(
        policy.DecisionRequest(
            id=ids.new("dec"),
            tenant_id=actor.tenant_id,
            package=ROUTING_PACKAGE,
            subject_id=lead_id,
            subject_version=0,
            mode=DecisionMode.ENFORCE,
            input=routing_input(new, account_team=account_team, now=revops.clock.now()),
            parameters=revops.gate.parameters_for(ROUTING_PACKAGE),
        )
    )
    return Incoming(lead_id, new, decision)


async def promote(
    tx: Transaction, actor: Actor, incoming: Incoming, *, staff: Staff | None = None, is_unseen: bool = False
) -> Promotion:
    """Store a lead with its opportunity, decision, receipts and usage; of several at once for one mailbox, one is stored.

    What policy said about the others led to nothing, and is neither kept nor counted.

    A caller who has just found the mailbox without a lead says `is_unseen`: then nothing is waited for, and if a lead came
    meanwhile a later statement of the transaction fails with `UniqueViolation`. Raises `NobodyToOwn`, before anything is
    stored, and `LeadTaken`. Source: story 2.2; research/revops case 37.
    """
    decision, new = incoming.decision, incoming.new
    routing = read_routing(decision) or FALLBACK
    staff = staff or Staff(tx, fallback=actor.id)
    team_id = await staff.team_id(routing.team)
    opportunity = Opportunity(
        id=tx.new_id("opp"),
        version=1,
        status=OpportunityStatus.OPEN,
        lead_id=incoming.lead_id,
        account=new.company,
        account_key=new.account_key,
        segment=new.segment,
        owner_id=incoming.owner_id or (actor.id if Role.AE in actor.roles else await staff.take_seller(team_id)),
        team_id=team_id,
        first_touch_due_at=tx.now + timedelta(seconds=routing.sla_seconds),
        first_touched_at=None,
        created_at=tx.now,
    )
    lead = _lead(tx, actor, incoming, routing, opportunity_id=opportunity.id)
    if is_unseen:
        await store.insert_unseen_lead(tx, lead)
    elif not await store.insert_lead(tx, lead):
        known = await _promotion_of(tx, actor, new)
        assert known is not None  # leads are never deleted, and the mailbox is taken
        return known
    await keep_decision(tx, decision)
    await store.insert_opportunity(tx, opportunity)
    await _record(tx, actor, lead, opportunity, routing, external_id=incoming.external_id)
    return Promotion(lead, opportunity, is_new=True)


async def read_opportunity(tx: Transaction, actor: Actor, opportunity_id: str) -> tuple[Opportunity, Lead | None]:
    """Return an opportunity that the actor may read, with its lead. Raises `NotFound`."""
    opportunity = await store.opportunity_by_id(tx, require_id(opportunity_id, prefix="opp"))
    if opportunity is None:
        raise NotFound
    lead = await store.lead_by_id(tx, opportunity.lead_id)
    people = frozenset({opportunity.owner_id, *([lead.created_by] if lead is not None else [])})
    if not may_read(actor, people=people, team_id=opportunity.team_id):
        raise NotFound
    return opportunity, lead


async def read_promotion(tx: Transaction, actor: Actor, lead_id: str) -> Promotion:
    """Return a lead that the actor may read, whoever may read its opportunity, with that. Raises `NotFound`."""
    lead = await store.lead_by_id(tx, require_id(lead_id, prefix="lead"))
    opportunity = await store.opportunity_by_id(tx, lead.opportunity_id) if lead is not None else None
    if lead is None or opportunity is None:
        raise NotFound
    if not may_read(actor, people=frozenset({opportunity.owner_id, lead.created_by}), team_id=opportunity.team_id):
        raise NotFound
    return Promotion(lead, opportunity, is_new=False)


async def read_lead(tx: Transaction, actor: Actor, lead_id: str) -> Lead:
    """Return a lead that the actor may read. Raises `NotFound`."""
    return (await read_promotion(tx, actor, lead_id)).lead


async def list_leads(tx: Transaction, actor: Actor, wanted: LeadFilter) -> tuple[Promotion, ...]:
    """Return one page of the leads that the actor may read, each with its opportunity."""
    if not reads_everything(actor):
        wanted = replace(wanted, visible_to=actor.id, team_ids=tuple(sorted(actor.team_ids)))
    leads = await store.list_leads(tx, wanted)
    opportunities = await store.opportunities_by_id(tx, [lead.opportunity_id for lead in leads])
    return tuple(Promotion(lead, opportunities[lead.opportunity_id], is_new=False) for lead in leads)


async def _promotion_of(tx: Transaction, actor: Actor, new: NewLead) -> Promotion | None:
    lead = await store.lead_by_mailbox(tx, new.email_key)
    opportunity = await store.opportunity_by_id(tx, lead.opportunity_id) if lead is not None else None
    if lead is None or opportunity is None:
        return None
    owner_id = opportunity.owner_id
    if not may_read(actor, people=frozenset({owner_id, lead.created_by}), team_id=opportunity.team_id):
        handles = await directory.handles_of(tx, [owner_id])
        raise LeadTaken(owner={"id": owner_id, "handle": handles.get(owner_id)})
    return Promotion(lead, opportunity, is_new=False)


def _lead(tx: Transaction, actor: Actor, incoming: Incoming, routing: Routing, *, opportunity_id: str) -> Lead:
    new = incoming.new
    return Lead(
        id=incoming.lead_id,
        version=1,
        status="promoted",
        email=new.email,
        email_key=new.email_key,
        company=new.company,
        segment=new.segment,
        employees=new.employees,
        region=new.region,
        source=new.source,
        created_by=actor.id,
        opportunity_id=opportunity_id,
        routing_rule=routing.rule,
        routing_team=routing.team,
        decision_id=incoming.decision.id,
        created_at=tx.now,
    )


async def _record(
    tx: Transaction, actor: Actor, lead: Lead, opportunity: Opportunity, routing: Routing, *, external_id: str | None
) -> None:
    taken_in = ledger.Transition(
        subject_kind=LEAD_KIND,
        subject_id=lead.id,
        version=lead.version,
        action="promoted",
        state=lead.status,
        actor=actor,
        payload={
            "segment": lead.segment,
            "employees": lead.employees,
            "region": lead.region,
            "opportunity_id": opportunity.id,
            "routing": {"rule": routing.rule, "team": routing.team, "decision_id": lead.decision_id},
            **({"external_id": external_id} if external_id is not None else {}),
        },
        personal={
            "email": lead.email,
            "company": lead.company,
            **({"source": lead.source} if lead.source is not None else {}),
        },
    )
    await ledger.record(tx, taken_in)
    opened = ledger.Transition(
        subject_kind=OPPORTUNITY_KIND,
        subject_id=opportunity.id,
        version=opportunity.version,
        action="opened",
        state=opportunity.status,
        actor=actor,
        payload={
            "lead_id": lead.id,
            "owner_id": opportunity.owner_id,
            "team_id": opportunity.team_id,
            "segment": opportunity.segment,
            "first_touch_due_at": format_time(opportunity.first_touch_due_at),
        },
        personal={"account": opportunity.account},
    )
    await ledger.record(tx, opened)
