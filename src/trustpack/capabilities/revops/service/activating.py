"""Activate an approved quote: ask policy again, and make exactly one contract of the terms that were approved."""

from __future__ import annotations

from dataclasses import replace

from trustpack.capabilities import approvals, ledger, policy
from trustpack.capabilities.revops.model import (
    OPPORTUNITY_KIND,
    ApprovalsExpired,
    Contract,
    OpportunityStatus,
    PolicyStricter,
    Quote,
    QuoteCommand,
    QuoteExpired,
)
from trustpack.capabilities.revops.rules.transitions import next_status
from trustpack.capabilities.revops.service.context import EXPIRE_JOB
from trustpack.capabilities.revops.service.deciding import Asked, ballot_of, keep_decision
from trustpack.capabilities.revops.service.recording import advance, lock_for_seller, refuse
from trustpack.capabilities.revops.store import leads as lead_store
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import Refused
from trustpack.kernel.json_types import JsonObject
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction


async def activate(tx: Transaction, actor: Actor, asked: Asked) -> Quote | Refused | None:
    """Make the contract of an approved quote; None if the quote moved since policy was asked.

    Returns `Refused` (receipt kept) to people who do not sell, and when policy denies or asks for more than was approved.
    Raises `NotFound`, `WrongQuoteState`, `ApprovalsExpired`, `QuoteExpired`. Source: stories 2.3, 2.7; research/revops cases 26,
    31, 34.
    """
    quote, decision = await lock_for_seller(tx, actor, asked.quote.id, attempted="activate"), asked.decision
    if isinstance(quote, Refused):
        return quote
    next_status(quote.status, QuoteCommand.ACTIVATE)
    if quote.version != decision.subject_version:
        return None
    if tx.now.date() > quote.valid_until:
        raise QuoteExpired
    if quote.use_by is not None and tx.now >= quote.use_by:
        raise ApprovalsExpired
    await keep_decision(tx, decision)
    told: JsonObject = {"decision_id": decision.id}
    if not decision.allowed:
        return await refuse(tx, quote, policy.denial_of(decision), actor=actor, attempted="activate", payload=told)
    ballot = ballot_of(quote, required=decision.required_approvals, self_approvable=decision.self_approvable)
    votes = await approvals.votes_of_one(tx, quote.id)
    quorum = approvals.decide_quorum(ballot.required, approvals.votes_with_roles_of_their_time(votes, ballot))
    if not quorum.is_complete:
        stricter = PolicyStricter(
            decision_id=decision.id,
            reasons=policy.present_reasons(decision.reasons),
            missing_roles=[role.value for role in quorum.open],
        )
        return await refuse(tx, quote, stricter, actor=actor, attempted="activate", payload=told)
    return await _make_contract(tx, actor, quote, decision_id=decision.id)


async def _make_contract(tx: Transaction, actor: Actor, quote: Quote, *, decision_id: str) -> Quote:
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=quote.id)
    contract_id = tx.new_id("con")
    payload: JsonObject = {"contract_id": contract_id, "decision_id": decision_id, "net_minor": quote.net_minor}
    activated = await advance(tx, quote, QuoteCommand.ACTIVATE, actor=actor, action="activated", payload=payload)
    await store.insert_contract(
        tx,
        Contract(
            id=contract_id,
            quote_id=quote.id,
            seq=activated.version,
            status="activated",
            terms=quote.terms,
            terms_digest=quote.terms_digest,
            activated_by=actor.id,
            decision_id=decision_id,
            created_at=tx.now,
        ),
    )
    opportunity = await lead_store.lock_opportunity(tx, quote.opportunity_id)
    if opportunity is not None and opportunity.status != OpportunityStatus.WON:
        won = replace(opportunity, version=opportunity.version + 1, status=OpportunityStatus.WON)
        await lead_store.update_opportunity(tx, won)
        transition = ledger.Transition(
            subject_kind=OPPORTUNITY_KIND,
            subject_id=won.id,
            version=won.version,
            action="won",
            state=won.status,
            actor=actor,
            payload={"quote_id": quote.id, "contract_id": contract_id},
        )
        await ledger.record(tx, transition)
    return activated
