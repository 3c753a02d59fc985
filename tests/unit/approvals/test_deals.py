"""What approvals of a deal add: people who had a part in it, and votes that stand with the roles of their time."""

from __future__ import annotations

from datetime import UTC, datetime
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
    decide_quorum,
    refusal_of,
    usable_roles,
    votes_with_roles_of_their_time,
)
from trustpack.kernel.actor import ActorKind, Role

AE, MANAGER, FINANCE = Role.AE, Role.MANAGER, Role.FINANCE
role_sets = st.frozensets(st.sampled_from([AE, MANAGER, FINANCE]))
names = st.sampled_from([f"usr_{number}" for number in range(5)])


def ballot(**changes: Any) -> Ballot:
    fields: dict[str, Any] = {
        "subject_id": "quo_1",
        "digest": "sha256:shown",
        "required": (MANAGER, FINANCE),
        "self_approvable": (),
        "requester_id": "usr_owner",
        "requester_team_ids": frozenset(),
        "same_team_leads": False,
        "barred": frozenset({"usr_writer"}),
        **changes,
    }
    return Ballot(**fields)


def voter(person: str, *held: Role) -> Voter:
    return Voter(id=person, kind=ActorKind.PERSON, roles=frozenset(held), team_ids=frozenset())


def vote(person: str, *held: Role, **changes: Any) -> Vote:
    fields: dict[str, Any] = {
        "id": f"apr_{person}",
        "subject_id": "quo_1",
        "seq": 3,
        "digest": "sha256:shown",
        "digest_confirmed": True,
        "person_id": person,
        "account_id": f"acc_{person}",
        "claimed_role": None,
        "verdict": Verdict.APPROVE,
        "created_at": datetime(2026, 11, 21, tzinfo=UTC),
        "roles": held,
        **changes,
    }
    return Vote(**fields)


def test_whoever_had_a_part_in_a_deal_fills_no_role_of_it():
    writer = voter("usr_writer", MANAGER, FINANCE)

    assert usable_roles(writer, ballot()) == frozenset()
    assert refusal_of(writer, ballot(), claimed_role=None) == VoteRefusal.SELF_APPROVAL


def test_what_the_owner_may_approve_alone_nobody_else_who_had_a_part_may():
    own = ballot(required=(AE,), self_approvable=(AE,))

    assert refusal_of(voter("usr_owner", AE), own, claimed_role=None) is None
    assert refusal_of(voter("usr_writer", AE), own, claimed_role=None) == VoteRefusal.SELF_APPROVAL


def test_an_owner_who_wrote_the_quote_too_is_still_its_owner():
    own = ballot(required=(AE,), self_approvable=(AE,), barred=frozenset({"usr_owner", "usr_writer"}))

    assert usable_roles(voter("usr_owner", AE), own) == {AE}


@given(held=role_sets, required=st.lists(st.sampled_from([AE, MANAGER, FINANCE]), unique=True), barred=st.frozensets(names))
def test_a_barred_person_never_fills_a_role_and_others_are_untouched(
    held: frozenset[Role], required: list[Role], barred: frozenset[str]
):
    open_to_all = ballot(required=tuple(required), barred=frozenset())
    restricted = ballot(required=tuple(required), barred=barred)

    for person in (f"usr_{number}" for number in range(5)):
        someone = voter(person, *held)
        expected = frozenset() if person in barred else usable_roles(someone, open_to_all)
        assert usable_roles(someone, restricted) == expected


def test_a_vote_stands_with_the_roles_of_its_time():
    votes = [vote("usr_a", MANAGER), vote("usr_b", FINANCE)]

    standing = votes_with_roles_of_their_time(votes, ballot())

    assert decide_quorum((MANAGER, FINANCE), standing).is_complete


@pytest.mark.parametrize(
    "changes",
    [{"verdict": Verdict.REJECT}, {"digest": "sha256:older"}, {"subject_id": "quo_2"}],
    ids=["a no", "other terms", "another quote"],
)
def test_only_a_yes_to_exactly_these_terms_stands(changes: dict[str, Any]):
    assert votes_with_roles_of_their_time([vote("usr_a", MANAGER, **changes)], ballot()) == {}


@pytest.mark.parametrize("kept", [None, ()], ids=["a vote without kept roles", "a vote with none"])
def test_a_vote_without_roles_of_its_time_fills_nothing(kept: tuple[Role, ...] | None):
    standing = votes_with_roles_of_their_time([vote("usr_a", roles=kept)], ballot())

    assert decide_quorum((MANAGER,), standing).open == (MANAGER,)


def test_a_role_that_was_not_required_when_the_vote_was_given_is_not_filled_by_it_later():
    # Policy asks for finance as well at activation; a manager's yes was never one of finance.
    standing = votes_with_roles_of_their_time([vote("usr_a", MANAGER)], ballot(required=(MANAGER, FINANCE)))

    assert decide_quorum((MANAGER, FINANCE), standing).open == (FINANCE,)


def test_an_owner_whose_own_yes_the_policy_accepts_no_more_fills_nothing_with_the_old_one():
    votes = [vote("usr_owner", AE)]

    before = votes_with_roles_of_their_time(votes, ballot(required=(AE,), self_approvable=(AE,)))
    after = votes_with_roles_of_their_time(votes, ballot(required=(AE,), self_approvable=()))

    assert decide_quorum((AE,), before).is_complete
    assert decide_quorum((AE,), after).open == (AE,)


def test_a_vote_of_somebody_who_had_a_part_fills_nothing():
    standing = votes_with_roles_of_their_time([vote("usr_writer", MANAGER)], ballot())

    assert decide_quorum((MANAGER,), standing).open == (MANAGER,)


@given(given_roles=st.dictionaries(names, role_sets, max_size=5))
def test_votes_never_fill_more_than_they_were_given_for(given_roles: dict[str, frozenset[Role]]):
    votes = [vote(person, *sorted(held)) for person, held in given_roles.items()]

    quorum = decide_quorum((MANAGER, FINANCE), votes_with_roles_of_their_time(votes, ballot()))

    assert all(role in given_roles[person] for role, person in quorum.filled.items())
    assert len(set(quorum.filled.values())) == len(quorum.filled)
