"""Say which approvals a request needs, who has given them, and who could still give the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from trustpack.capabilities import approvals, directory, ledger
from trustpack.capabilities.approvals import Ballot, Vote, Voter
from trustpack.capabilities.directory import Person
from trustpack.capabilities.operations.model import HighRiskRequest, Status
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.voting import ballot_of
from trustpack.kernel.actor import Actor, Role
from trustpack.platform.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class NeededApproval:
    """One required role: the vote that fills it, or the handles of those who could still fill it."""

    role: Role
    vote: Vote | None
    could_approve: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """What stands between a request and its approval, as of now, and whether the reader's vote would help."""

    needed: tuple[NeededApproval, ...]
    may_vote: bool

    @property
    def given(self) -> int:
        """How many of the required roles are filled."""
        return sum(one.vote is not None for one in self.needed)


async def approvals_of(
    tx: Transaction, operations: Operations, actor: Actor, request: HighRiskRequest, votes: tuple[Vote, ...]
) -> Approvals:
    """Return what a request needs, as an actor who may read it sees it.

    While it waits, roles are those of now; after that a vote keeps what it filled when the request was approved.
    """
    ballot = ballot_of(request, operations)
    cast = {vote.person_id: vote for vote in votes if vote.digest == ballot.digest}
    if request.status != Status.PENDING_APPROVAL:
        filled = await _filled(tx, request) if cast else {}
        return Approvals(tuple(NeededApproval(role, cast.get(filled.get(role, ""))) for role in ballot.required), may_vote=False)
    people = {person.id: person for person in await directory.people_with_any_role(tx, ballot.required)}
    voters = {person.id: _voter(person) for person in people.values()}
    standing = approvals.standing_votes(votes, ballot, voters)
    quorum = approvals.decide_quorum(ballot.required, standing)
    able = approvals.could_still_approve(voters.values(), ballot, open_roles=quorum.open, voted=frozenset(cast))
    needed = tuple(
        NeededApproval(
            role,
            cast.get(quorum.filled.get(role, "")),
            tuple(directory.Handle.of(people[person_id]) for person_id in able.get(role, ())),
        )
        for role in ballot.required
    )
    # Where somebody got a lost role back, a second yes has the votes that are there counted again.
    has_voted = actor.id in cast and not (quorum.is_complete and actor.id in standing)
    return Approvals(needed, may_vote=not has_voted and _would_count(actor, voters, ballot))


async def _filled(tx: Transaction, request: HighRiskRequest) -> Mapping[Role, str]:
    """Return who filled which role when the last vote on the request's effect was counted."""
    payloads = [
        json.loads(receipt.body)["payload"]
        for receipt in await ledger.receipts_of(tx, request.id)
        if receipt.action == "approved"
    ]
    counted = [payload["filled"] for payload in payloads if payload["effect_digest"] == request.effect_digest]
    return {Role(role): person_id for role, person_id in counted[-1].items()} if counted else {}


def _would_count(actor: Actor, voters: dict[str, Voter], ballot: Ballot) -> bool:
    voter = voters.get(actor.id)
    return voter is not None and approvals.refusal_of(voter, ballot, claimed_role=None) is None


def _voter(person: Person) -> Voter:
    return Voter(id=person.id, kind=person.kind, roles=person.roles, team_ids=person.team_ids)
