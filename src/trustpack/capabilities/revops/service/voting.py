"""Approve and reject: what people decide about exactly the terms that they saw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from trustpack.capabilities import approvals
from trustpack.capabilities.approvals import Ballot, Loan, Verdict, Vote, Voter, VoteRefusal
from trustpack.capabilities.revops.model import (
    ApprovalsExpired,
    DigestRequired,
    NotAPerson,
    Quote,
    QuoteCommand,
    RoleNotHeld,
    RoleNotRequired,
    SelfApprovalForbidden,
    StaleTerms,
)
from trustpack.capabilities.revops.rules.transitions import next_status
from trustpack.capabilities.revops.service.context import EXPIRE_JOB, RevOps
from trustpack.capabilities.revops.service.deciding import ballot_of
from trustpack.capabilities.revops.service.lending import voter_now
from trustpack.capabilities.revops.service.recording import advance, lock_readable, refuse
from trustpack.capabilities.revops.service.submitting import end_of
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.errors import Refused, TrustpackError
from trustpack.kernel.json_types import JsonObject
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction

_ERROR_OF_REFUSAL: Mapping[VoteRefusal, type[TrustpackError]] = {
    VoteRefusal.NOT_A_PERSON: NotAPerson,
    VoteRefusal.SELF_APPROVAL: SelfApprovalForbidden,
    VoteRefusal.ROLE_NOT_REQUIRED: RoleNotRequired,
    VoteRefusal.ROLE_NOT_HELD: RoleNotHeld,
    VoteRefusal.OTHER_TEAM: RoleNotHeld,
}


async def approve(
    tx: Transaction,
    revops: RevOps,
    actor: Actor,
    quote_id: str,
    *,
    digest: str | None,
    comment: str | None,
    role: Role | None,
) -> Quote | Refused:
    """Record one person's yes to the terms as they are now; the quote is approved once different people fill every role.

    Returns `Refused` for own deals, roles that are not asked for, and stale terms, whose receipt is then committed. Raises
    `NotFound`, `WrongQuoteState`, `ApprovalsExpired`, `DigestRequired`, `AlreadyVoted`. Source: stories 2.3 and 2.7.
    """
    quote = await lock_readable(tx, actor, quote_id)
    next_status(quote.status, QuoteCommand.APPROVE)
    _require_open_window(tx, quote)
    if digest is not None and digest != quote.terms_digest:
        stale = StaleTerms(shown_digest=digest, terms_digest=quote.terms_digest)
        return await refuse(tx, quote, stale, actor=actor, attempted="approve")
    if digest is None and revops.digest_required:
        raise DigestRequired
    ballot = ballot_of(quote, required=quote.required_approvals, self_approvable=quote.self_approvable)
    voter = await voter_now(tx, actor, ballot, submitted_at=quote.submitted_at)
    refusal = _refusal(voter, ballot, role)
    if voter is None or refusal is not None:
        return await refuse(tx, quote, refusal or NotAPerson(), actor=actor, attempted="approve")
    earlier = await approvals.votes_of_one(tx, quote.id)
    before = approvals.decide_quorum(ballot.required, approvals.votes_with_roles_of_their_time(earlier, ballot))
    roles, loan = approvals.roles_of_vote(voter, ballot, claimed_role=role, open_roles=before.open)
    vote = _vote(tx, quote, actor, Verdict.APPROVE, confirmed=digest is not None, role=role, roles=roles, loan=loan)
    await approvals.cast_vote(tx, vote)
    quorum = approvals.decide_quorum(ballot.required, approvals.votes_with_roles_of_their_time((*earlier, vote), ballot))
    return await _count(tx, revops, quote, actor=actor, vote=vote, quorum=quorum, comment=comment)


async def reject(tx: Transaction, actor: Actor, quote_id: str, *, reason: str) -> Quote | Refused:
    """End a submission with one person's no. Whoever may approve it may reject it. Raises as `approve`."""
    quote = await lock_readable(tx, actor, quote_id)
    next_status(quote.status, QuoteCommand.REJECT)
    _require_open_window(tx, quote)
    ballot = ballot_of(quote, required=quote.required_approvals, self_approvable=quote.self_approvable)
    voter = await voter_now(tx, actor, ballot, submitted_at=quote.submitted_at)
    refusal = _refusal(voter, ballot, None)
    if voter is None or refusal is not None:
        return await refuse(tx, quote, refusal or NotAPerson(), actor=actor, attempted="reject")
    _, loan = approvals.roles_of_vote(voter, ballot, claimed_role=None, open_roles=ballot.required)
    vote = _vote(tx, quote, actor, Verdict.REJECT, confirmed=False, role=None, roles=frozenset(), loan=loan)
    await approvals.cast_vote(tx, vote)
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=quote.id)
    payload: JsonObject = {"approval_id": vote.id, **_told_of(loan)}
    return await advance(
        tx, quote, QuoteCommand.REJECT, actor=actor, action="rejected", payload=payload, personal={"reason": reason}
    )


def _refusal(voter: Voter | None, ballot: Ballot, role: Role | None) -> TrustpackError | None:
    if voter is None:
        return NotAPerson()
    refusal = approvals.refusal_of(voter, ballot, claimed_role=role)
    return _ERROR_OF_REFUSAL[refusal]() if refusal is not None else None


def _require_open_window(tx: Transaction, quote: Quote) -> None:
    # The job that expires the quote may be late; its time is not.
    if quote.approval_expires_at is not None and tx.now >= quote.approval_expires_at:
        raise ApprovalsExpired


def _vote(
    tx: Transaction,
    quote: Quote,
    actor: Actor,
    verdict: Verdict,
    *,
    confirmed: bool,
    role: Role | None,
    roles: frozenset[Role],
    loan: Loan | None,
) -> Vote:
    return Vote(
        id=tx.new_id("apr"),
        subject_id=quote.id,
        seq=quote.version + 1,
        digest=quote.terms_digest,
        digest_confirmed=confirmed,
        person_id=actor.id,
        account_id=actor.account_id or "",
        claimed_role=role,
        verdict=verdict,
        created_at=tx.now,
        roles=tuple(sorted(roles)),
        loan=loan,
    )


def _told_of(loan: Loan | None) -> JsonObject:
    return {} if loan is None else {"delegation_id": loan.delegation_id, "made_after_submission": loan.is_newer}


async def _count(
    tx: Transaction,
    revops: RevOps,
    quote: Quote,
    *,
    actor: Actor,
    vote: Vote,
    quorum: approvals.Quorum,
    comment: str | None,
) -> Quote:
    payload: JsonObject = {
        "approval_id": vote.id,
        "digest_confirmed": vote.digest_confirmed,
        "role": vote.claimed_role.value if vote.claimed_role else None,
        "filled": {role.value: person for role, person in quorum.filled.items()},
        "open": [role.value for role in quorum.open],
        **_told_of(vote.loan),
    }
    personal: JsonObject = {"comment": comment} if comment is not None else {}
    if not quorum.is_complete:
        return await advance(tx, quote, QuoteCommand.APPROVE, actor=actor, action="approved", payload=payload, personal=personal)
    use_by = min(tx.now + timedelta(seconds=revops.use_by_seconds), end_of(quote))
    await jobs.schedule(tx, kind=EXPIRE_JOB, subject_id=quote.id, due_at=use_by)
    return await advance(
        tx,
        quote,
        QuoteCommand.COMPLETE_APPROVALS,
        actor=actor,
        action="approved",
        payload=payload,
        personal=personal,
        use_by=use_by,
    )
