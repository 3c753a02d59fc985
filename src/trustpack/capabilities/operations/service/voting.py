"""Approve, reject, cancel: what people decide about a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from trustpack.capabilities import approvals, directory
from trustpack.capabilities.approvals import Ballot, Verdict, Vote, Voter, VoteRefusal
from trustpack.capabilities.operations.model import (
    Command,
    DigestRequired,
    HighRiskRequest,
    NotAPerson,
    OtherTeam,
    Refused,
    RequesterOnly,
    RoleNotHeld,
    RoleNotRequired,
    SelfApprovalForbidden,
    StaleDigest,
    WaitingRequest,
    WindowClosed,
)
from trustpack.capabilities.operations.rules.transitions import next_status
from trustpack.capabilities.operations.service.context import EXPIRE_JOB, Operations
from trustpack.capabilities.operations.service.recording import advance, lock_readable, refuse
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonValue
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction

_ERROR_OF_REFUSAL: Mapping[VoteRefusal, type[TrustpackError]] = {
    VoteRefusal.NOT_A_PERSON: NotAPerson,
    VoteRefusal.SELF_APPROVAL: SelfApprovalForbidden,
    VoteRefusal.ROLE_NOT_REQUIRED: RoleNotRequired,
    VoteRefusal.ROLE_NOT_HELD: RoleNotHeld,
    VoteRefusal.OTHER_TEAM: OtherTeam,
}


async def approve(
    tx: Transaction,
    operations: Operations,
    actor: Actor,
    request_id: str,
    *,
    digest: str | None,
    comment: str | None,
    role: Role | None,
) -> HighRiskRequest | Refused:
    """Record one person's yes to the effect as it is now; the request is approved once different people fill every role.

    Returns `Refused` for self-approval, a wrong role or a stale digest, whose receipt is then committed. Raises `NotFound`,
    `WrongState`, `WindowClosed`, `DigestRequired`, `AlreadyVoted`. Source: stories 1.2 and 1.4; ADR-0007.
    """
    request = await lock_readable(tx, actor, request_id)
    next_status(request.status, Command.APPROVE)
    _require_open_window(tx, request)
    if digest is None and operations.limits.digest_required:
        raise DigestRequired
    if digest is not None and digest != request.effect_digest:
        stale = StaleDigest(shown_digest=digest, effect_digest=request.effect_digest)
        return await refuse(tx, request, stale, actor=actor, attempted="approve")
    ballot = ballot_of(request, operations)
    earlier = await approvals.votes_of_one(tx, request.id)
    voters = await voters_now(tx, [actor.id, *(vote.person_id for vote in earlier)])
    refusal = _refusal(voters.get(actor.id), ballot, role)
    if refusal is not None:
        return await refuse(tx, request, refusal, actor=actor, attempted="approve")
    given = next((vote for vote in earlier if (vote.person_id, vote.digest) == (actor.id, ballot.digest)), None)
    vote = given or _vote(tx, request, actor, Verdict.APPROVE, confirmed=digest is not None, role=role)
    if given is None:
        await approvals.cast_vote(tx, vote)
    cast = earlier if given is not None else (*earlier, vote)
    quorum = approvals.decide_quorum(ballot.required, approvals.standing_votes(cast, ballot, voters))
    if given is not None and not quorum.is_complete:
        # A second yes adds nothing. But where somebody got a lost role back, the votes that are there may be enough by now.
        raise approvals.AlreadyVoted
    return await _count(
        tx, operations, request, actor=actor, vote=vote, quorum=quorum, comment=comment if given is None else None
    )


async def reject(
    tx: Transaction, operations: Operations, actor: Actor, request_id: str, *, reason: str
) -> HighRiskRequest | Refused:
    """End a request with one person's no. Whoever may approve it may reject it. Raises as `approve`."""
    request = await lock_readable(tx, actor, request_id)
    next_status(request.status, Command.REJECT)
    _require_open_window(tx, request)
    voters = await voters_now(tx, [actor.id])
    refusal = _refusal(voters.get(actor.id), ballot_of(request, operations), None)
    if refusal is not None:
        return await refuse(tx, request, refusal, actor=actor, attempted="reject")
    vote = _vote(tx, request, actor, Verdict.REJECT, confirmed=False, role=None)
    await approvals.cast_vote(tx, vote)
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=request.id)
    payload: dict[str, JsonValue] = {"approval_id": vote.id, "effect_digest": request.effect_digest}
    return await advance(
        tx, request, Command.REJECT, actor=actor, action="rejected", payload=payload, personal={"reason": reason}
    )


async def cancel(tx: Transaction, actor: Actor, request_id: str, *, reason: str | None) -> HighRiskRequest | Refused:
    """End a request before its execution, by the requester. Raises `NotFound`, `WrongState`."""
    request = await lock_readable(tx, actor, request_id)
    next_status(request.status, Command.CANCEL)
    if actor.id != request.requester_id:
        return await refuse(tx, request, RequesterOnly(), actor=actor, attempted="cancel")
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=request.id)
    personal: dict[str, JsonValue] = {"reason": reason} if reason is not None else {}
    return await advance(tx, request, Command.CANCEL, actor=actor, action="cancelled", payload={}, personal=personal)


def ballot_of(request: HighRiskRequest | WaitingRequest, operations: Operations) -> Ballot:
    """Return what is voted on: the request's effect as it is now, and whose yes it takes."""
    return Ballot(
        subject_id=request.id,
        digest=request.effect_digest,
        required=request.required_approvals,
        self_approvable=request.self_approvable,
        requester_id=request.requester_id,
        requester_team_ids=frozenset(request.requester_team_ids),
        same_team_leads=operations.limits.team_lead_same_team,
    )


async def voters_now(tx: Transaction, person_ids: list[str]) -> dict[str, Voter]:
    """Return people with their roles as of now; the roles cannot change until the transaction ends (adversarial case 9)."""
    return voters_among(await directory.people_for_share(tx, sorted(set(person_ids))))


def voters_among(people: Iterable[directory.Person]) -> dict[str, Voter]:
    """Return those of the people who may act, as they vote."""
    return {
        person.id: Voter(id=person.id, kind=person.kind, roles=person.roles, team_ids=person.team_ids)
        for person in people
        if person.is_active
    }


def _refusal(voter: Voter | None, ballot: Ballot, role: Role | None) -> TrustpackError | None:
    if voter is None:
        return NotAPerson()
    refusal = approvals.refusal_of(voter, ballot, claimed_role=role)
    return _ERROR_OF_REFUSAL[refusal]() if refusal is not None else None


def _require_open_window(tx: Transaction, request: HighRiskRequest) -> None:
    # The job that expires the request may be late; its time is not.
    if tx.now >= request.approval_expires_at:
        raise WindowClosed


def _vote(
    tx: Transaction,
    request: HighRiskRequest,
    actor: Actor,
    verdict: Verdict,
    *,
    confirmed: bool,
    role: Role | None,
) -> Vote:
    return Vote(
        id=tx.new_id("apr"),
        subject_id=request.id,
        seq=request.version + 1,
        digest=request.effect_digest,
        digest_confirmed=confirmed,
        person_id=actor.id,
        account_id=actor.account_id or "",
        claimed_role=role,
        verdict=verdict,
        created_at=tx.now,
    )


async def _count(
    tx: Transaction,
    operations: Operations,
    request: HighRiskRequest,
    *,
    actor: Actor,
    vote: Vote,
    quorum: approvals.Quorum,
    comment: str | None,
) -> HighRiskRequest:
    payload: dict[str, JsonValue] = {
        "approval_id": vote.id,
        "effect_digest": vote.digest,
        "digest_confirmed": vote.digest_confirmed,
        "role": vote.claimed_role.value if vote.claimed_role else None,
        "filled": {role.value: person for role, person in quorum.filled.items()},
        "open": [role.value for role in quorum.open],
    }
    personal: dict[str, JsonValue] = {"comment": comment} if comment is not None else {}
    if not quorum.is_complete:
        return await advance(tx, request, Command.APPROVE, actor=actor, action="approved", payload=payload, personal=personal)
    use_by = tx.now + timedelta(seconds=operations.limits.approval_use_by_seconds)
    await jobs.schedule(tx, kind=EXPIRE_JOB, subject_id=request.id, due_at=use_by)
    return await advance(
        tx, request, Command.COMPLETE_APPROVALS, actor=actor, action="approved", payload=payload, personal=personal, use_by=use_by
    )
