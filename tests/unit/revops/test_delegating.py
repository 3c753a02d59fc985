"""Who may lend which role to whom, for which days, and what that gives on a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.revops.model import (
    Colleague,
    Delegation,
    DelegationForbidden,
    DelegationPhase,
    DelegationStatus,
    InvalidDelegation,
    WrittenDelegation,
)
from trustpack.capabilities.revops.rules.delegating import (
    LENDABLE,
    LONGEST_DAYS,
    lends,
    may_borrow,
    phase_of,
    require_may_delegate,
    require_sound,
    roles_lent,
)
from trustpack.kernel.actor import Role

MANAGER, FINANCE = Role.MANAGER, Role.FINANCE
TODAY = date(2026, 11, 22)
MADE = datetime(2026, 11, 20, 9, tzinfo=UTC)
DEPUTY = Colleague("usr_deputy", frozenset(), may_act=True)
A = Colleague("usr_a", frozenset({MANAGER}), may_act=True)
ADMIN = Colleague("usr_admin", frozenset({Role.ADMIN}), may_act=True)
days = st.dates(min_value=TODAY - timedelta(days=200), max_value=TODAY + timedelta(days=200))


def wanted(*, begins: int = 0, lasts: int = 7, role: Role = MANAGER) -> WrittenDelegation:
    first = TODAY + timedelta(days=begins)
    last = first + timedelta(days=lasts - 1)
    return WrittenDelegation(role=role, delegator=None, delegate="deputy", from_date=first, until_date=last, reason="away")


def delegation(**changes: Any) -> Delegation:
    fields: dict[str, Any] = {
        "id": "dlg_1",
        "version": 1,
        "status": DelegationStatus.ACTIVE,
        "role": MANAGER,
        "from_person": "usr_a",
        "to_person": "usr_deputy",
        "from_date": TODAY,
        "until_date": TODAY + timedelta(days=6),
        "created_by": "usr_a",
        "created_at": MADE,
        "ended_at": None,
        **changes,
    }
    return Delegation(**fields)


def faults(asked: WrittenDelegation, *, maker: Colleague = A, delegator: Colleague = A, delegate: Colleague | None = DEPUTY):
    """Return the fields that are refused."""
    try:
        require_sound(asked, maker=maker, delegator=delegator, delegate=delegate, today=TODAY)
    except InvalidDelegation as error:
        return [fault["field"] for fault in error.data["errors"]]
    return []


def given_on(day: date, *delegations: Delegation, held: Any = None, barred: frozenset[str] = frozenset()) -> dict[Role, str]:
    """Return what is lent on a day, by the id of the delegation."""
    roles_held = {"usr_a": frozenset({MANAGER}), "usr_b": frozenset({MANAGER, FINANCE})} if held is None else held
    lent = roles_lent(delegations, day=day, roles_held=roles_held, barred=barred)
    return {role: found.id for role, found in lent.items()}


@pytest.mark.parametrize("role", [MANAGER, FINANCE])
def test_the_holder_of_an_approvers_role_lends_it(role: Role):
    holder = replace(A, roles=frozenset({role}))

    require_may_delegate(holder, holder, role)


def test_an_administrator_lends_it_for_them():
    require_may_delegate(ADMIN, A, MANAGER)


@pytest.mark.parametrize(
    ("maker", "delegator", "role"),
    [
        pytest.param(DEPUTY, DEPUTY, MANAGER, id="a role that is not held, or held only by a delegation"),
        pytest.param(A, A, FINANCE, id="another role than the one held"),
        pytest.param(ADMIN, ADMIN, MANAGER, id="an administrator who does not hold it"),
        pytest.param(ADMIN, DEPUTY, MANAGER, id="an administrator for somebody who does not hold it"),
        pytest.param(replace(DEPUTY, roles=frozenset({MANAGER})), A, MANAGER, id="another manager's role"),
        pytest.param(replace(A, may_act=False), replace(A, may_act=False), MANAGER, id="a bot"),
        *[
            pytest.param(replace(A, roles=frozenset({role})), replace(A, roles=frozenset({role})), role, id=role.value)
            for role in sorted(set(Role) - LENDABLE)
        ],
    ],
)
@pytest.mark.deal_case(28)
def test_nobody_else_lends_a_role_and_no_other_role_is_lent(maker: Colleague, delegator: Colleague, role: Role):
    with pytest.raises(DelegationForbidden):
        require_may_delegate(maker, delegator, role)


@pytest.mark.parametrize(
    ("delegate", "maker"),
    [
        pytest.param(None, A, id="nobody"),
        pytest.param(replace(DEPUTY, may_act=False), A, id="somebody who may not act"),
        pytest.param(A, A, id="themselves"),
        pytest.param(A, ADMIN, id="themselves, through an administrator"),
        pytest.param(ADMIN, ADMIN, id="the administrator who makes it"),
        pytest.param(replace(DEPUTY, roles=frozenset({MANAGER})), A, id="somebody who holds the role"),
        pytest.param(replace(DEPUTY, roles=frozenset({Role.AUDITOR})), A, id="an auditor"),
    ],
)
def test_a_role_is_lent_to_somebody_else_who_lacks_it(delegate: Colleague | None, maker: Colleague):
    assert faults(wanted(), maker=maker, delegate=delegate) == ["to"]


@pytest.mark.parametrize(
    ("begins", "lasts", "expected"),
    [
        (0, 1, []),
        (0, LONGEST_DAYS, []),
        (300, LONGEST_DAYS, []),
        (-1, 7, ["from_date"]),
        (0, 0, ["until_date"]),
        (0, LONGEST_DAYS + 1, ["until_date"]),
        (-1, LONGEST_DAYS + 1, ["from_date", "until_date"]),
    ],
)
def test_days_begin_today_or_later_end_after_they_begin_and_are_ninety_at_most(begins: int, lasts: int, expected: list[str]):
    assert faults(wanted(begins=begins, lasts=lasts)) == expected


def test_every_fault_is_named_at_once():
    assert faults(wanted(begins=-1), delegate=None) == ["to", "from_date"]


@pytest.mark.deal_case(28)
@pytest.mark.parametrize(("ahead", "expected"), [(-1, {}), (0, {MANAGER: "dlg_1"}), (6, {MANAGER: "dlg_1"}), (7, {})])
def test_a_role_is_lent_from_the_first_through_the_last_day(ahead: int, expected: dict[Role, str]):
    assert given_on(TODAY + timedelta(days=ahead), delegation()) == expected


@given(first=days, last=days, day=days)
def test_a_role_is_lent_on_no_other_day(first: date, last: date, day: date):
    assert bool(given_on(day, delegation(from_date=first, until_date=last))) == (first <= day <= last)


@pytest.mark.parametrize(
    "held",
    [{}, {"usr_a": frozenset()}, {"usr_a": frozenset({FINANCE})}, {"usr_deputy": frozenset({MANAGER})}],
    ids=["the delegator may not act", "the delegator holds no role", "holds another role", "only the delegate holds it"],
)
@pytest.mark.deal_case(28)
def test_nothing_is_lent_that_the_delegator_does_not_hold_now(held: dict[str, frozenset[Role]]):
    assert given_on(TODAY, delegation(), held=held) == {}


def test_what_was_ended_lends_nothing():
    assert given_on(TODAY, delegation(status=DelegationStatus.ENDED, ended_at=MADE)) == {}


def test_whoever_is_barred_from_the_quote_lends_nothing_for_it_and_another_may():
    mine, other = delegation(), delegation(id="dlg_2", from_person="usr_b", created_at=MADE + timedelta(hours=1))

    assert given_on(TODAY, mine, barred=frozenset({"usr_a"})) == {}
    assert given_on(TODAY, mine, other, barred=frozenset({"usr_a"})) == {MANAGER: "dlg_2"}


def test_of_two_delegations_of_one_role_the_older_one_counts():
    older, newer = delegation(id="dlg_9"), delegation(id="dlg_1", from_person="usr_b", created_at=MADE + timedelta(hours=1))

    assert given_on(TODAY, newer, older) == {MANAGER: "dlg_9"}


def test_a_stored_delegation_of_a_role_that_cannot_be_lent_gives_nothing():
    odd = delegation(role=Role.SECURITY_OFFICER)

    assert not lends(odd, day=TODAY, roles_held={"usr_a": frozenset({Role.SECURITY_OFFICER})})


@given(
    roles=st.dictionaries(st.sampled_from(["usr_a", "usr_b"]), st.frozensets(st.sampled_from(list(Role)))),
    lenders=st.lists(st.tuples(st.sampled_from(["usr_a", "usr_b"]), st.sampled_from([MANAGER, FINANCE])), max_size=4),
    barred=st.frozensets(st.sampled_from(["usr_a", "usr_b"])),
)
def test_what_is_lent_is_always_held_by_a_delegator_who_is_not_barred(
    roles: dict[str, frozenset[Role]], lenders: list[tuple[str, Role]], barred: frozenset[str]
):
    made = [delegation(id=f"dlg_{number}", from_person=person, role=role) for number, (person, role) in enumerate(lenders)]

    lent = roles_lent(made, day=TODAY, roles_held=roles, barred=barred)

    expected = {role for person, role in lenders if person not in barred and role in roles.get(person, frozenset())}
    assert lent.keys() == expected
    assert all(found.role == role and role in roles[found.from_person] for role, found in lent.items())


@given(
    first=days,
    last=days,
    day=days,
    status=st.sampled_from(DelegationStatus),
    held=st.sampled_from([frozenset[Role](), frozenset({MANAGER}), frozenset({FINANCE})]),
)
def test_a_delegation_is_in_force_exactly_when_it_lends_its_role(
    first: date, last: date, day: date, status: DelegationStatus, held: frozenset[Role]
):
    one = delegation(from_date=min(first, last), until_date=max(first, last), status=status)

    phase = phase_of(one, day=day, roles_held={"usr_a": held})

    assert (phase == DelegationPhase.IN_FORCE) == lends(one, day=day, roles_held={"usr_a": held})


@pytest.mark.parametrize(
    ("ahead", "changes", "expected"),
    [
        (-1, {}, DelegationPhase.UPCOMING),
        (0, {"from_person": "usr_b"}, DelegationPhase.LENDS_NOTHING),
        (6, {"from_person": "usr_b"}, DelegationPhase.LENDS_NOTHING),
        (7, {}, DelegationPhase.OVER),
        (-1, {"status": DelegationStatus.ENDED}, DelegationPhase.WITHDRAWN),
        (7, {"status": DelegationStatus.ENDED}, DelegationPhase.WITHDRAWN),
    ],
)
def test_what_is_not_in_force_says_why(ahead: int, changes: dict[str, Any], expected: DelegationPhase):
    one = delegation(**changes)

    assert phase_of(one, day=TODAY + timedelta(days=ahead), roles_held={"usr_a": frozenset({MANAGER})}) == expected


@pytest.mark.parametrize(
    "delegate", [DEPUTY, A, ADMIN, replace(DEPUTY, may_act=False), replace(DEPUTY, roles=frozenset({Role.AUDITOR}))]
)
def test_whoever_may_borrow_is_whoever_would_not_be_refused(delegate: Colleague):
    assert may_borrow(MANAGER, delegator=A, delegate=delegate) == (faults(wanted(), delegate=delegate) == [])
