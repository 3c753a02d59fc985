"""Who may vote, and when different people fill every required role. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trustpack.capabilities.approvals.model import Ballot, Quorum, Verdict, Vote, Voter, VoteRefusal
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
    """Return the required roles that this person's yes may fill, before any claim to one of them."""
    if voter.kind != ActorKind.PERSON:
        return frozenset()
    usable = voter.roles & frozenset(ballot.required)
    if voter.id == ballot.requester_id:
        usable &= frozenset(ballot.self_approvable)
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
    if not usable and voter.id == ballot.requester_id:
        return VoteRefusal.SELF_APPROVAL
    if not voter.roles & frozenset(ballot.required) or (claimed_role is not None and claimed_role not in ballot.required):
        return VoteRefusal.ROLE_NOT_REQUIRED
    if not usable:
        return VoteRefusal.OTHER_TEAM
    if claimed_role is not None and claimed_role not in usable:
        return VoteRefusal.ROLE_NOT_HELD
    return None


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


def could_still_approve(
    people: Iterable[Voter], ballot: Ballot, *, open_roles: Sequence[Role], voted: frozenset[str]
) -> dict[Role, tuple[str, ...]]:
    """Return for each open role the ids of the people who have not voted yet and could fill it."""
    waiting = {person.id: usable_roles(person, ballot) for person in people if person.id not in voted}
    return {role: tuple(sorted(person for person, roles in waiting.items() if role in roles)) for role in open_roles}
