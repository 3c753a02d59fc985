"""Who may vote and when different people fill every role: properties, and brute force over every assignment."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.approvals import (
    Ballot,
    Verdict,
    Vote,
    Voter,
    VoteRefusal,
    could_still_approve,
    decide_quorum,
    refusal_of,
    standing_votes,
    usable_roles,
)
from trustpack.kernel.actor import ActorKind, Role

LEAD, SECURITY, FINANCE = Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.FINANCE
roles = st.sampled_from([Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.FINANCE, Role.MANAGER])
people = st.dictionaries(st.sampled_from([f"usr_{number}" for number in range(5)]), st.frozensets(roles, max_size=4), max_size=5)
required_once = st.lists(roles, max_size=4, unique=True)
required_often = st.lists(roles, max_size=4)


def most_that_can_be_filled(required: list[Role], eligible: dict[str, frozenset[Role]]) -> int:
    """Try every way to seat people in slots."""
    seats = [*eligible, *([None] * len(required))]
    return max(
        (
            sum(person is not None and role in eligible[person] for person, role in zip(seating, required, strict=True))
            for seating in set(permutations(seats, len(required)))
        ),
        default=0,
    )


def ballot(**changes: Any) -> Ballot:
    fields: dict[str, Any] = {
        "subject_id": "hro_1",
        "digest": "sha256:shown",
        "required": (LEAD, SECURITY),
        "self_approvable": (),
        "requester_id": "usr_requester",
        "requester_team_ids": frozenset({"team_a"}),
        "same_team_leads": False,
        **changes,
    }
    return Ballot(**fields)


def voter(*held: Role, person: str = "usr_voter", kind: ActorKind = ActorKind.PERSON, teams: tuple[str, ...] = ()) -> Voter:
    return Voter(id=person, kind=kind, roles=frozenset(held), team_ids=frozenset(teams))


def vote(person: str, **changes: Any) -> Vote:
    fields: dict[str, Any] = {
        "id": f"apr_{person}",
        "subject_id": "hro_1",
        "seq": 2,
        "digest": "sha256:shown",
        "digest_confirmed": True,
        "person_id": person,
        "account_id": f"acc_{person}",
        "claimed_role": None,
        "verdict": Verdict.APPROVE,
        "created_at": datetime(2026, 11, 21, tzinfo=UTC),
        **changes,
    }
    return Vote(**fields)


@given(required=required_once, eligible=people)
def test_an_assignment_gives_each_role_to_a_person_who_may_fill_it_and_nobody_two(
    required: list[Role], eligible: dict[str, frozenset[Role]]
):
    quorum = decide_quorum(required, eligible)

    assert all(role in eligible[person] for role, person in quorum.filled.items())
    assert len(set(quorum.filled.values())) == len(quorum.filled)


@given(required=required_once, eligible=people)
def test_every_required_role_is_either_filled_or_open(required: list[Role], eligible: dict[str, frozenset[Role]]):
    quorum = decide_quorum(required, eligible)

    assert sorted([*quorum.filled, *quorum.open]) == sorted(required)


@given(required=required_often, eligible=people)
def test_as_many_roles_are_filled_as_any_assignment_could_fill(required: list[Role], eligible: dict[str, frozenset[Role]]):
    quorum = decide_quorum(required, eligible)

    assert len(required) - len(quorum.open) == most_that_can_be_filled(required, eligible)


@given(required=required_once, eligible=people, random=st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(required: list[Role], eligible: dict[str, frozenset[Role]], random: Any):
    shuffled = list(eligible.items())
    random.shuffle(shuffled)

    assert decide_quorum(required, dict(shuffled)) == decide_quorum(required, eligible)


@given(required=required_once, eligible=people, more=st.frozensets(roles))
def test_one_more_yes_never_opens_a_role(required: list[Role], eligible: dict[str, frozenset[Role]], more: frozenset[Role]):
    before = decide_quorum(required, eligible)

    after = decide_quorum(required, {**eligible, "usr_9": more})

    assert len(after.open) <= len(before.open)


@pytest.mark.parametrize("names", [("usr_a", "usr_b"), ("usr_b", "usr_a")])
def test_a_person_with_both_roles_makes_room_for_one_with_a_single_role(names: tuple[str, str]):
    both, single = names

    quorum = decide_quorum([LEAD, SECURITY], {both: frozenset({LEAD, SECURITY}), single: frozenset({LEAD})})

    assert quorum.is_complete
    assert quorum.filled == {LEAD: single, SECURITY: both}


@pytest.mark.adversarial(3)
def test_one_person_with_both_roles_fills_only_one():
    quorum = decide_quorum([LEAD, SECURITY], {"usr_a": frozenset({LEAD, SECURITY})})

    assert not quorum.is_complete
    assert len(quorum.open) == 1


def test_a_role_listed_twice_needs_two_people():
    one = decide_quorum([LEAD, LEAD], {"usr_a": frozenset({LEAD})})
    two = decide_quorum([LEAD, LEAD], {"usr_a": frozenset({LEAD}), "usr_b": frozenset({LEAD})})

    assert (one.is_complete, two.is_complete) == (False, True)


def test_without_required_roles_nobody_is_needed():
    assert decide_quorum([], {}).is_complete


@pytest.mark.parametrize(
    ("who", "what", "claimed", "expected"),
    [
        pytest.param(voter(LEAD), ballot(), None, None, id="a lead"),
        pytest.param(voter(LEAD), ballot(), LEAD, None, id="a lead who says so"),
        pytest.param(voter(LEAD, SECURITY), ballot(), SECURITY, None, id="one of two roles"),
        pytest.param(voter(LEAD, kind=ActorKind.BOT), ballot(), None, VoteRefusal.NOT_A_PERSON, id="a bot"),
        pytest.param(voter(LEAD, kind=ActorKind.SYSTEM), ballot(), None, VoteRefusal.NOT_A_PERSON, id="the system"),
        pytest.param(
            voter(LEAD, person="usr_requester", kind=ActorKind.BOT),
            ballot(),
            None,
            VoteRefusal.NOT_A_PERSON,
            id="a bot on its own request",
        ),
        pytest.param(voter(LEAD, person="usr_requester"), ballot(), None, VoteRefusal.SELF_APPROVAL, id="the requester"),
        pytest.param(
            voter(LEAD, person="usr_requester"), ballot(), LEAD, VoteRefusal.SELF_APPROVAL, id="the requester with a claim"
        ),
        pytest.param(
            voter(LEAD, SECURITY, person="usr_requester"),
            ballot(),
            None,
            VoteRefusal.SELF_APPROVAL,
            id="the requester with every role",
        ),
        pytest.param(voter(person="usr_requester"), ballot(), None, VoteRefusal.SELF_APPROVAL, id="the requester without a role"),
        pytest.param(
            voter(LEAD, person="usr_requester"),
            ballot(self_approvable=(LEAD,)),
            None,
            None,
            id="the requester where it is listed",
        ),
        pytest.param(
            voter(SECURITY, person="usr_requester"),
            ballot(self_approvable=(LEAD,)),
            None,
            VoteRefusal.SELF_APPROVAL,
            id="the requester where another role is listed",
        ),
        pytest.param(
            voter(LEAD, SECURITY, person="usr_requester"),
            ballot(self_approvable=(LEAD,)),
            SECURITY,
            VoteRefusal.ROLE_NOT_HELD,
            id="the requester who claims the role that is not listed",
        ),
        pytest.param(
            voter(FINANCE, person="usr_requester"),
            ballot(self_approvable=(FINANCE,)),
            None,
            VoteRefusal.SELF_APPROVAL,
            id="a listed role that is not required",
        ),
        pytest.param(voter(FINANCE), ballot(), None, VoteRefusal.ROLE_NOT_REQUIRED, id="another role"),
        pytest.param(voter(), ballot(), None, VoteRefusal.ROLE_NOT_REQUIRED, id="no role"),
        pytest.param(voter(Role.ADMIN), ballot(), None, VoteRefusal.ROLE_NOT_REQUIRED, id="an admin"),
        pytest.param(voter(LEAD, FINANCE), ballot(), FINANCE, VoteRefusal.ROLE_NOT_REQUIRED, id="a claim to a role not required"),
        pytest.param(voter(LEAD), ballot(), SECURITY, VoteRefusal.ROLE_NOT_HELD, id="a claim to a role not held"),
        pytest.param(voter(LEAD), ballot(same_team_leads=True), None, VoteRefusal.OTHER_TEAM, id="a lead of no team"),
        pytest.param(
            voter(LEAD, teams=("team_b",)),
            ballot(same_team_leads=True),
            None,
            VoteRefusal.OTHER_TEAM,
            id="a lead of another team",
        ),
        pytest.param(
            voter(LEAD, teams=("team_b", "team_a")), ballot(same_team_leads=True), None, None, id="a lead of a common team"
        ),
        pytest.param(voter(SECURITY), ballot(same_team_leads=True), None, None, id="security needs no common team"),
        pytest.param(
            voter(LEAD, SECURITY),
            ballot(same_team_leads=True),
            LEAD,
            VoteRefusal.ROLE_NOT_HELD,
            id="a lead of another team who is security too",
        ),
    ],
)
@pytest.mark.adversarial(1, 17)
def test_a_vote_is_refused_for_the_reason_that_applies(
    who: Voter, what: Ballot, claimed: Role | None, expected: VoteRefusal | None
):
    assert refusal_of(who, what, claimed_role=claimed) == expected


@given(
    held=st.frozensets(roles),
    required=required_once,
    listed=st.frozensets(roles),
    claimed=st.none() | roles,
    is_requester=st.booleans(),
    kind=st.sampled_from(ActorKind),
    same_team=st.booleans(),
    team=st.sampled_from(["team_a", "team_b"]),
)
def test_a_vote_is_accepted_exactly_when_it_could_fill_a_role(
    held: frozenset[Role],
    required: list[Role],
    listed: frozenset[Role],
    claimed: Role | None,
    is_requester: bool,
    kind: ActorKind,
    same_team: bool,
    team: str,
):
    who = voter(*held, person="usr_requester" if is_requester else "usr_voter", kind=kind, teams=(team,))
    what = ballot(required=tuple(required), self_approvable=tuple(listed), same_team_leads=same_team)

    refusal = refusal_of(who, what, claimed_role=claimed)

    usable = usable_roles(who, what)
    assert (refusal is None) == bool(usable if claimed is None else usable & {claimed})


@pytest.mark.adversarial(1)
@given(held=st.frozensets(roles), required=required_once, listed=st.frozensets(roles))
def test_a_requester_fills_only_roles_that_the_decision_lists(
    held: frozenset[Role], required: list[Role], listed: frozenset[Role]
):
    usable = usable_roles(voter(*held, person="usr_requester"), ballot(required=tuple(required), self_approvable=tuple(listed)))

    assert usable == held & set(required) & listed


def test_a_yes_stands_for_the_roles_held_now():
    standing = standing_votes([vote("usr_a")], ballot(), {"usr_a": voter(LEAD, FINANCE, person="usr_a")})

    assert standing == {"usr_a": frozenset({LEAD})}


@pytest.mark.adversarial(9)
def test_a_yes_falls_when_its_role_is_lost():
    standing = standing_votes([vote("usr_a")], ballot(), {"usr_a": voter(FINANCE, person="usr_a")})

    assert standing == {}


def test_a_yes_for_a_claimed_role_does_not_move_to_another_when_that_role_is_lost():
    cast = vote("usr_a", claimed_role=LEAD)

    standing = standing_votes([cast], ballot(), {"usr_a": voter(SECURITY, person="usr_a")})

    assert standing == {}


def test_a_yes_for_a_claimed_role_fills_only_that_role():
    cast = vote("usr_a", claimed_role=LEAD)

    standing = standing_votes([cast], ballot(), {"usr_a": voter(LEAD, SECURITY, person="usr_a")})

    assert standing == {"usr_a": frozenset({LEAD})}


@pytest.mark.parametrize(
    "cast",
    [
        pytest.param(vote("usr_a", digest="sha256:earlier"), id="on another digest"),
        pytest.param(vote("usr_a", verdict=Verdict.REJECT), id="a no"),
        pytest.param(vote("usr_gone"), id="of somebody who is no longer active"),
        pytest.param(vote("usr_a", subject_id="hro_2"), id="on another subject with the same digest"),
    ],
)
@pytest.mark.adversarial(11, 12)
def test_a_vote_does_not_stand(cast: Vote):
    assert standing_votes([cast], ballot(), {"usr_a": voter(LEAD, SECURITY, person="usr_a")}) == {}


@pytest.mark.adversarial(17)
def test_the_vote_of_somebody_who_became_a_bot_does_not_stand():
    standing = standing_votes([vote("usr_a")], ballot(), {"usr_a": voter(LEAD, person="usr_a", kind=ActorKind.BOT)})

    assert standing == {}


def test_those_who_could_still_approve_are_named_by_role_without_requester_and_voters():
    crowd = [
        voter(LEAD, person="usr_b"),
        voter(LEAD, SECURITY, person="usr_a"),
        voter(SECURITY, person="usr_voted"),
        voter(SECURITY, person="usr_requester"),
        voter(LEAD, person="usr_bot", kind=ActorKind.BOT),
    ]

    able = could_still_approve(crowd, ballot(), open_roles=(LEAD, SECURITY), voted=frozenset({"usr_voted"}))

    assert able == {LEAD: ("usr_a", "usr_b"), SECURITY: ("usr_a",)}
