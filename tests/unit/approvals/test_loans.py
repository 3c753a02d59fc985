"""Roles that are lent: what a vote with them counts for, and for whom they count never."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.approvals import (
    Ballot,
    Loan,
    Voter,
    VoteRefusal,
    could_still_approve,
    decide_quorum,
    refusal_of,
    roles_of_vote,
    usable_roles,
)
from trustpack.kernel.actor import ActorKind, Role

AE, MANAGER, FINANCE = Role.AE, Role.MANAGER, Role.FINANCE
BY_A, BY_B = Loan("dlg_a", is_newer=False), Loan("dlg_b", is_newer=True)
LOAN_OF = {MANAGER: BY_A, FINANCE: BY_B, AE: Loan("dlg_c", is_newer=False)}
role_sets = st.frozensets(st.sampled_from([AE, MANAGER, FINANCE]))


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


def borrower(*held: Role, person: str = "usr_deputy", kind: ActorKind = ActorKind.PERSON, **lent: Loan) -> Voter:
    """Return somebody who holds some roles and is lent others, such as `manager=BY_A`."""
    loans = {Role(role): loan for role, loan in lent.items()}
    return Voter(id=person, kind=kind, roles=frozenset(held), team_ids=frozenset(), lent=loans)


def counted(voter: Voter, *, claimed: Role | None = None, still_open: tuple[Role, ...] = (MANAGER, FINANCE)) -> Any:
    return roles_of_vote(voter, ballot(), claimed_role=claimed, open_roles=still_open)


def test_a_lent_role_can_be_filled_by_somebody_who_holds_none():
    deputy = borrower(manager=BY_A)

    assert refusal_of(deputy, ballot(), claimed_role=None) is None
    assert counted(deputy) == ({MANAGER}, BY_A)


@pytest.mark.parametrize("person", ["usr_owner", "usr_writer"])
def test_who_had_a_part_in_it_can_use_no_lent_role(person: str):
    seller = borrower(AE, person=person, manager=BY_A, finance=BY_B)

    assert usable_roles(seller, ballot()) == frozenset()
    assert refusal_of(seller, ballot(), claimed_role=None) == VoteRefusal.SELF_APPROVAL


def test_an_owner_does_not_fill_the_own_band_with_a_lent_role():
    own_band = ballot(required=(AE,), self_approvable=(AE,))
    lent = {"ae": BY_A}

    assert usable_roles(borrower(person="usr_owner", **lent), own_band) == frozenset()
    assert usable_roles(borrower(AE, person="usr_owner", **lent), own_band) == {AE}


@pytest.mark.parametrize("kind", [ActorKind.BOT, ActorKind.SYSTEM])
def test_a_machine_can_use_no_lent_role(kind: ActorKind):
    assert usable_roles(borrower(kind=kind, manager=BY_A), ballot()) == frozenset()


def test_a_lent_role_that_is_not_asked_for_counts_for_nothing():
    deputy = borrower(finance=BY_B)

    assert refusal_of(deputy, ballot(required=(MANAGER,)), claimed_role=None) == VoteRefusal.ROLE_NOT_REQUIRED
    assert refusal_of(deputy, ballot(), claimed_role=MANAGER) == VoteRefusal.ROLE_NOT_HELD


def test_own_roles_go_before_lent_ones_unless_the_lent_one_is_claimed():
    both = borrower(FINANCE, manager=BY_A)

    assert counted(both) == ({FINANCE}, None)
    assert counted(both, claimed=MANAGER) == ({MANAGER}, BY_A)


def test_a_role_that_is_held_and_lent_is_the_own_one():
    assert counted(borrower(MANAGER, manager=BY_A)) == ({MANAGER}, None)


@pytest.mark.parametrize(("still_open", "expected"), [((MANAGER, FINANCE), MANAGER), ((FINANCE,), FINANCE), ((), MANAGER)])
def test_of_two_lent_roles_a_vote_takes_the_one_that_is_still_open(still_open: tuple[Role, ...], expected: Role):
    deputy = borrower(manager=BY_A, finance=BY_B)

    assert counted(deputy, still_open=still_open) == ({expected}, LOAN_OF[expected])


@given(held=role_sets, lent=role_sets, claimed=st.none() | st.sampled_from([AE, MANAGER, FINANCE]), still_open=role_sets)
def test_a_vote_rests_on_own_roles_or_on_one_delegation_and_never_on_both(
    held: frozenset[Role], lent: frozenset[Role], claimed: Role | None, still_open: frozenset[Role]
):
    voter = borrower(*held, **{role.value: LOAN_OF[role] for role in lent})
    accepted = refusal_of(voter, ballot(), claimed_role=claimed) is None

    roles, loan = counted(voter, claimed=claimed, still_open=tuple(sorted(still_open & {MANAGER, FINANCE})))

    assert bool(roles) == accepted
    assert roles <= {MANAGER, FINANCE} & ({claimed} if claimed else roles)
    if loan is None:
        assert roles <= held
    else:
        [role] = roles
        assert (role in lent - held, loan) == (True, LOAN_OF[role])


@given(held=role_sets, lent=role_sets)
def test_a_lent_role_adds_to_the_own_ones_and_takes_none(held: frozenset[Role], lent: frozenset[Role]):
    plain, with_loans = borrower(*held), borrower(*held, **{role.value: LOAN_OF[role] for role in lent})

    assert usable_roles(plain, ballot()) == held & {MANAGER, FINANCE}
    assert usable_roles(with_loans, ballot()) == (held | lent) & {MANAGER, FINANCE}


def test_a_delegate_is_one_person_however_many_roles_are_lent():
    deputy = borrower(manager=BY_A, finance=BY_B)

    quorum = decide_quorum((MANAGER, FINANCE), {"usr_deputy": usable_roles(deputy, ballot())})

    assert len(quorum.open) == 1


def test_delegates_are_among_those_who_could_still_approve():
    able = could_still_approve([borrower(manager=BY_A)], ballot(), open_roles=(MANAGER, FINANCE), voted=frozenset())

    assert able == {MANAGER: ("usr_deputy",), FINANCE: ()}
