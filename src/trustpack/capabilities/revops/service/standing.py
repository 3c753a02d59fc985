"""How far the approvals of a quote have come, who could still give them, and what the one who looks could add."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from trustpack.capabilities import approvals, directory, policy
from trustpack.capabilities.approvals import VoteRefusal
from trustpack.capabilities.revops.model import Quote, QuoteStatus, StaleTerms
from trustpack.capabilities.revops.rules.bands import Measured, measured_by
from trustpack.capabilities.revops.rules.discount_input import DISCOUNT_PACKAGE, discount_input
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.deciding import ballot_of, linked_discount
from trustpack.capabilities.revops.service.lending import voters_of
from trustpack.capabilities.revops.service.reading import QuoteView
from trustpack.capabilities.revops.service.recording import lock_readable
from trustpack.capabilities.revops.store.delegations import delegations_by_id
from trustpack.kernel.actor import Actor, Role
from trustpack.platform.unit_of_work import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The approvals of the terms as they are now, people by id.

    `own_roles` are those that the one who looks could fill, `lenders` names whose they are where they are lent; `refusal` says
    why a vote of theirs would not count. `adds` says whether their yes would bring the quote nearer to its approvals.
    """

    filled: Mapping[Role, str]
    open: tuple[Role, ...]
    could_approve: Mapping[Role, tuple[str, ...]]
    own_roles: tuple[Role, ...]
    lenders: Mapping[Role, str]
    refusal: VoteRefusal | None
    has_voted: bool
    adds: bool
    handles: Mapping[str, str]


async def standing_of(tx: Transaction, actor: Actor, view: QuoteView) -> Standing:
    """Return how a quote stands for somebody who may read it. Once it waits no more, nobody could add anything."""
    quote = view.quote
    ballot = ballot_of(quote, required=quote.required_approvals, self_approvable=quote.self_approvable)
    given = approvals.votes_with_roles_of_their_time(view.votes, ballot)
    quorum = approvals.decide_quorum(ballot.required, given)
    voted = frozenset(vote.person_id for vote in view.votes if vote.digest == quote.terms_digest)
    if quote.status != QuoteStatus.PENDING_APPROVAL:
        return Standing(
            filled=quorum.filled,
            open=quorum.open,
            could_approve={},
            own_roles=(),
            lenders={},
            refusal=None,
            has_voted=actor.id in voted,
            adds=False,
            handles=view.handles,
        )
    voters = await voters_of(tx, ballot)
    able = approvals.could_still_approve(voters, ballot, open_roles=quorum.open, voted=voted)
    # Whoever holds none of the roles is nobody of those: as a voter they are who they are, without a role that counts.
    plain = approvals.Voter(id=actor.id, kind=actor.kind, roles=actor.roles, team_ids=actor.team_ids)
    voter = next((each for each in voters if each.id == actor.id), plain)
    usable = approvals.usable_roles(voter, ballot)
    borrowed = {role: loan for role, loan in voter.lent.items() if role in usable and role not in voter.roles}
    delegations = await delegations_by_id(tx, [loan.delegation_id for loan in borrowed.values()])
    lenders = {role: delegations[loan.delegation_id].from_person for role, loan in borrowed.items()}
    named = [person for people in able.values() for person in people]
    with_own = approvals.decide_quorum(ballot.required, {**given, actor.id: usable}) if usable else quorum
    return Standing(
        filled=quorum.filled,
        open=quorum.open,
        could_approve=able,
        own_roles=tuple(role for role in ballot.required if role in usable),
        lenders=lenders,
        refusal=approvals.refusal_of(voter, ballot, claimed_role=None),
        has_voted=actor.id in voted,
        adds=actor.id not in voted and len(with_own.open) < len(quorum.open),
        handles={**view.handles, **await directory.handles_of(tx, [*named, *lenders.values()])},
    )


async def measured(tx: Transaction, revops: RevOps, actor: Actor, quote: Quote) -> Measured:
    """Return the discounts of a quote against the matrix: the one of its stored decision, else the one in force now."""
    if quote.decision_id is not None:
        question = json.loads((await policy.find_decision(tx, quote.decision_id)).input)
        # What no schema has vetted is not kept.
        if question is not None:
            return measured_by(question, is_decided=True)
    terms = read_terms(quote.terms)
    linked = await linked_discount(tx, quote)
    asked = discount_input(quote, terms, totals_of(terms.lines), action="submit", actor=actor, linked=linked, now=tx.now)
    return measured_by({**asked, "parameters": revops.gate.parameters_for(DISCOUNT_PACKAGE)}, is_decided=False)


def seller_roles(revops: RevOps) -> frozenset[Role]:
    """Return the roles that policy lets submit and activate."""
    named = revops.gate.parameters_for(DISCOUNT_PACKAGE)["seller_roles"]
    assert isinstance(named, list)  # as the schema of the parameters says
    return frozenset(Role(str(name)) for name in named)


async def require_as_shown(tx: Transaction, actor: Actor, quote_id: str, *, digest: str) -> Quote:
    """Hold the row of a quote that still has the terms that were shown. Raises `NotFound`, `StaleTerms`; records nothing."""
    quote = await lock_readable(tx, actor, quote_id)
    if quote.terms_digest != digest:
        raise StaleTerms(
            "The terms changed since they were shown to you; nothing was recorded.",
            next_step="Read what changed, then decide about the terms as they are now.",
        )
    return quote
