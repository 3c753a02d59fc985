"""Put a quote to policy, and say who could approve it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from trustpack.capabilities import approvals, metering, policy
from trustpack.capabilities.policy import Decision, DecisionMode
from trustpack.capabilities.revops.model import Quote, WaitingQuote
from trustpack.capabilities.revops.rules.discount_input import DISCOUNT_PACKAGE, discount_input
from trustpack.capabilities.revops.rules.pricing import joint_discount, totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.service.context import LINKED_DAYS, PACK, RevOps
from trustpack.capabilities.revops.service.lending import voters_of
from trustpack.capabilities.revops.service.recording import find_readable
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction

PREPARATIONS = 5
"""Policy is asked again when the quote moved meanwhile; more often than this means a fight, and a conflict."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A quote as it was when policy was asked about it, and the answer."""

    quote: Quote
    decision: Decision


async def ask_policy(revops: RevOps, actor: Actor, quote_id: str, *, action: str, mode: DecisionMode) -> Asked:
    """Return what policy says to a quote as it is now, outside any transaction. Raises `NotFound`."""
    async with revops.unit_of_work.transaction(actor.tenant_id) as tx:
        quote = await find_readable(tx, actor, quote_id)
        linked = await linked_discount(tx, quote)
        decision_id = tx.new_id("dec")
    decision = await put_to_policy(revops, actor, quote, linked=linked, decision_id=decision_id, action=action, mode=mode)
    return Asked(quote, decision)


async def put_to_policy(
    revops: RevOps, actor: Actor, quote: Quote, *, linked: Fraction, decision_id: str, action: str, mode: DecisionMode
) -> Decision:
    """Return what policy says to a quote, stored or not, outside any transaction. The decision is not stored."""
    terms = read_terms(quote.terms)
    return await revops.gate.evaluate(
        policy.DecisionRequest(
            id=decision_id,
            tenant_id=actor.tenant_id,
            package=DISCOUNT_PACKAGE,
            subject_id=quote.id,
            subject_version=quote.version,
            mode=mode,
            input=discount_input(
                quote, terms, totals_of(terms.lines), action=action, actor=actor, linked=linked, now=revops.clock.now()
            ),
            parameters=revops.gate.parameters_for(DISCOUNT_PACKAGE),
        )
    )


async def keep_decision(tx: Transaction, decision: Decision) -> None:
    """Store a decision and count it."""
    await policy.record_decision(tx, decision)
    if decision.is_billable:
        metadata: JsonObject = {"package": decision.package, "decision_id": decision.id}
        usage = metering.UsageType.POLICY_DECISION
        await metering.emit(tx, metering.count(tx, usage=usage, pack=PACK, source_id=decision.id, metadata=metadata))


async def linked_discount(tx: Transaction, quote: Quote) -> Fraction:
    """Return the joint discount of this quote and those offered to the account in the currency within `LINKED_DAYS`."""
    linked = await store.linked_quotes(tx, quote, since=quote.created_at - timedelta(days=LINKED_DAYS))
    return joint_discount(linked.list_minor, linked.net_minor)


def ballot_of(quote: Quote | WaitingQuote, *, required: tuple[Role, ...], self_approvable: tuple[Role, ...]) -> approvals.Ballot:
    """Return what is voted on: the quote's terms as they are now, and whose yes it takes."""
    return approvals.Ballot(
        subject_id=quote.id,
        digest=quote.terms_digest,
        required=required,
        self_approvable=self_approvable,
        requester_id=quote.owner_id,
        requester_team_ids=frozenset({quote.team_id} if quote.team_id is not None else ()),
        same_team_leads=False,
        barred=frozenset(quote.people),
    )


async def who_could_approve(tx: Transaction, ballot: approvals.Ballot) -> tuple[dict[Role, tuple[str, ...]], approvals.Quorum]:
    """Return for each required role the people who could fill it today, and whether different people could fill all of them."""
    voters = await voters_of(tx, ballot)
    able = approvals.could_still_approve(voters, ballot, open_roles=ballot.required, voted=frozenset())
    usable = {voter.id: approvals.usable_roles(voter, ballot) for voter in voters}
    return able, approvals.decide_quorum(ballot.required, {person: roles for person, roles in usable.items() if roles})
