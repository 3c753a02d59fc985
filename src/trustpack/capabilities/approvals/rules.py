"""Who may vote, and when different people fill every required role. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trustpack.capabilities.approvals.model import Ballot, Loan, Quorum, Verdict, Vote, Voter, VoteRefusal
from trustpack.kernel.actor import ActorKind, Role


def decide_quorum(required: Sequence[Role], eligible: Mapping[str, frozenset[Role]]) -> Quorum:
    """Say which required roles different people have filled, filling as many as possible.

    `eligible` gives for each person who said yes the roles that their vote may fill. A person fills at most one role and a
    role counts once per listing; the order of votes does not matter, because this is a maximum bipartite matching by
    augmenting paths. Source: stories 1.2 and 2.3; ADR-0007.
    """
    slots = tuple(required)
    person_of_slot: dict[int, str] = {}

    def place(person: str, tried: set[int]) -> bool:
        for slot, role in enumerate(slots):
            if role not in eligible[person] or slot in tried:
                continue
            tried.add(slot)
            if slot not in person_of_slot or place(person_of_slot[slot], tried):
                person_of_slot[slot] = person
                return True
        return False

    for person in sorted(eligible):
        place(person, set())
    filled = {role: person_of_slot[slot] for slot, role in enumerate(slots) if slot in person_of_slot}
    return Quorum(filled=filled, open=tuple(role for slot, role in enumerate(slots) if slot not in person_of_slot))


def usable_roles(voter: Voter, ballot: Ballot) -> frozenset[Role]:
    """Return the required roles that this person's yes may fill, before any claim to one of them.

    Lent roles count like held ones, but never for somebody who asked for it or had a part in it.
    """
    if voter.kind != ActorKind.PERSON:
        return frozenset()
    lent = frozenset[Role]() if voter.id == ballot.requester_id else frozenset(voter.lent)
    usable = _allowed(voter.id, (voter.roles | lent) & frozenset(ballot.required), ballot)
    if ballot.same_team_leads and not voter.team_ids & ballot.requester_team_ids:
        usable -= {Role.TEAM_LEAD}
    return usable


def refusal_of(voter: Voter, ballot: Ballot, *, claimed_role: Role | None) -> VoteRefusal | None:
    """Say why this person's vote would not count, or None if it counts.

    Persons are compared, not accounts (adversarial case 2). Bots and the system never vote (case 17).
    """
    if voter.kind != ActorKind.PERSON:
        return VoteRefusal.NOT_A_PERSON
    usable = usable_roles(voter, ballot)
    if not usable and voter.id in {ballot.requester_id, *ballot.barred}:
        return VoteRefusal.SELF_APPROVAL
    required_here = (voter.roles | frozenset(voter.lent)) & frozenset(ballot.required)
    if not required_here or (claimed_role is not None and claimed_role not in ballot.required):
        return VoteRefusal.ROLE_NOT_REQUIRED
    if not usable:
        return VoteRefusal.OTHER_TEAM
    if claimed_role is not None and claimed_role not in usable:
        return VoteRefusal.ROLE_NOT_HELD
    return None


def roles_of_vote(
    voter: Voter, ballot: Ballot, *, claimed_role: Role | None, open_roles: Sequence[Role]
) -> tuple[frozenset[Role], Loan | None]:
    """Return the required roles that this person's yes counts for, and the loan by which it does if they are not their own.

    Own roles go before lent ones, and one vote never rests on both: whoever means the lent role claims it. Of several lent roles
    a vote takes the claimed one, else the first that is still open, so that it always names one delegation.
    """
    usable = usable_roles(voter, ballot) & (frozenset(Role) if claimed_role is None else {claimed_role})
    own = usable & voter.roles
    if own or not usable:
        return own, None
    role = next(role for role in (*open_roles, *ballot.required) if role in usable)
    return frozenset({role}), voter.lent[role]


def standing_votes(votes: Iterable[Vote], ballot: Ballot, voters: Mapping[str, Voter]) -> dict[str, frozenset[Role]]:
    """Return, for each person whose yes to the ballot's digest still stands, the required roles that it may fill.

    `voters` holds the active people as of now: a role lost since the vote voids it (adversarial case 9).
    """
    eligible: dict[str, frozenset[Role]] = {}
    for vote in votes:
        voter = voters.get(vote.person_id)
        if voter is None or vote.verdict != Verdict.APPROVE:
            continue
        if (vote.subject_id, vote.digest) != (ballot.subject_id, ballot.digest):
            continue
        roles = usable_roles(voter, ballot)
        if vote.claimed_role is not None:
            roles &= {vote.claimed_role}
        if roles:
            eligible[voter.id] = roles
    return eligible


def votes_with_roles_of_their_time(votes: Iterable[Vote], ballot: Ballot) -> dict[str, frozenset[Role]]:
    """Return, for each person who said yes to the ballot's digest, the required roles that they could fill when they did.

    Whoever left or lost a role since stays counted (research/revops case 27). What the ballot lets the requester and those who
    had a part fill holds as it is now: a policy that became stricter about that is no laxer to old votes.
    """
    return {
        vote.person_id: _allowed(vote.person_id, frozenset(vote.roles or ()) & frozenset(ballot.required), ballot)
        for vote in votes
        if vote.verdict == Verdict.APPROVE and (vote.subject_id, vote.digest) == (ballot.subject_id, ballot.digest)
    }


def is_needed(ballot: Ballot, *, before: Mapping[str, frozenset[Role]], after: Mapping[str, frozenset[Role]]) -> bool:
    """Say whether a yes would get the case on: it fills a role that is open, or all are filled with it.

    `before` and `after` give for each person who said yes the roles that it may fill, without and with the new one.
    """
    quorum = decide_quorum(ballot.required, after)
    return quorum.is_complete or len(quorum.open) < len(decide_quorum(ballot.required, before).open)


def could_still_approve(
    people: Iterable[Voter], ballot: Ballot, *, open_roles: Sequence[Role], voted: frozenset[str]
) -> dict[Role, tuple[str, ...]]:
    """Return for each open role the ids of the people who have not voted yet and could fill it."""
    waiting = {person.id: usable_roles(person, ballot) for person in people if person.id not in voted}
    return {role: tuple(sorted(person for person, roles in waiting.items() if role in roles)) for role in open_roles}


def _allowed(person_id: str, roles: frozenset[Role], ballot: Ballot) -> frozenset[Role]:
    """Return which of the roles the ballot lets this person fill."""
    if person_id == ballot.requester_id:
        return roles & frozenset(ballot.self_approvable)
    return frozenset() if person_id in ballot.barred else roles
