"""What counts as drift, finding by finding, and what must never count: pure comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.operations.model import GrantStatus
from trustpack.capabilities.operations.model.drift import (
    Drift,
    DriftCode,
    FoundMember,
    FoundRole,
    GrantBook,
    KnownGrant,
    Repair,
    TargetInventory,
)
from trustpack.capabilities.operations.rules.drift import find_drift, find_drift_without_store, find_lost_timers
from trustpack.kernel.json_types import JsonValue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = NOW + timedelta(hours=1)
ROLE = "tpk_" + "a" * 32
FACTS: dict[str, JsonValue] = {"system_identifier": "7", "database": "orders", "database_oid": 5, "installation_id": "i"}


def a_role(**changes: Any) -> FoundRole:
    role = FoundRole(
        name=ROLE,
        ref="16400",
        is_covered=True,
        issuer="store-1",
        expires_at=END,
        is_expired=False,
        valid_until=str(END),
        keeps_valid_until=True,
        can_login=True,
        in_group=True,
        is_taken_over=False,
    )
    return replace(role, **changes)


def a_grant(**changes: Any) -> KnownGrant:
    grant = KnownGrant(
        role_name=ROLE,
        tenant_id="tenant-1",
        request_id="hro_1",
        status=GrantStatus.ACTIVE,
        ended_at=None,
        target_system="system-1",
        target_expires_at=END,
    )
    return replace(grant, **changes)


def ended(**changes: Any) -> KnownGrant:
    return a_grant(status=GrantStatus.REVERTED, ended_at=NOW - timedelta(minutes=1), **changes)


def inventory(*roles: FoundRole, **changes: Any) -> TargetInventory:
    return replace(TargetInventory(system="system-1", is_current=True, roles=roles), **changes)


def a_book(*own: KnownGrant, known: tuple[KnownGrant, ...] = ()) -> GrantBook:
    return GrantBook(
        store_id="store-1",
        tenant_id="tenant-1",
        target_system="system-1",
        registered=FACTS,
        read_at=NOW,
        own={grant.role_name: grant for grant in own},
        known={grant.role_name: grant for grant in known},
    )


def summary(found: tuple[Drift, ...]) -> list[tuple[str, str, str | None]]:
    return [(drift.code.value, drift.repair.value, drift.request_id) for drift in found]


def test_a_live_grant_as_it_was_made_is_no_drift():
    assert find_drift(inventory(a_role()), a_book(a_grant())) == ()


@pytest.mark.adversarial(41)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"valid_until": "infinity", "keeps_valid_until": False}, ("valid_until_changed", "restore_expiry")),
        ({"expires_at": END + timedelta(seconds=1)}, ("expiry_changed", "restore_expiry")),
        ({"is_taken_over": True, "is_expired": True, "in_group": False}, ("login_restored", "restore_expiry")),
        ({"is_taken_over": True, "is_expired": True, "can_login": False}, ("login_restored", "restore_expiry")),
        ({"in_group": False}, ("left_group", "none")),
        ({"is_covered": False}, ("stray_role", "remove_role")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_changed_role_is_found_on_its_case(changes: dict[str, Any], expected: tuple[str, str]):
    status = GrantStatus.REVERTING if changes.get("is_taken_over") else GrantStatus.ORDERED
    status = GrantStatus.ACTIVE if "in_group" in changes and not changes.get("is_taken_over") else status

    found = find_drift(inventory(a_role(**changes)), a_book(a_grant(status=status)))

    assert summary(found) == [(*expected, "hro_1")]


@pytest.mark.adversarial(41)
def test_an_extended_end_is_set_back_to_what_the_receipt_says():
    found = find_drift(
        inventory(a_role(expires_at=END + timedelta(hours=5), valid_until="infinity", keeps_valid_until=False)), a_book(a_grant())
    )

    assert [(drift.code, drift.expires_at) for drift in found] == [(DriftCode.EXPIRY_CHANGED, END)]


@pytest.mark.adversarial(41)
def test_a_role_let_in_again_is_held_to_the_approved_end_even_where_the_record_was_extended():
    role = a_role(expires_at=END + timedelta(days=9), is_taken_over=True)

    found = find_drift(inventory(role), a_book(a_grant(status=GrantStatus.REVERTING)))

    assert [drift.code.value for drift in found] == ["expiry_changed", "login_restored"]
    assert {drift.expires_at for drift in found} == {END}


def test_an_end_that_came_earlier_is_no_drift():
    assert find_drift(inventory(a_role(expires_at=END - timedelta(minutes=5))), a_book(a_grant())) == ()


def test_a_role_that_is_being_taken_back_is_no_drift():
    role = a_role(is_taken_over=True, is_expired=True, can_login=False, in_group=False, keeps_valid_until=False)

    assert find_drift(inventory(role), a_book(a_grant(status=GrantStatus.REVERTING))) == ()


def test_a_grant_that_has_just_expired_and_waits_for_its_revert_is_no_drift():
    assert find_drift(inventory(a_role(is_expired=True)), a_book(a_grant())) == ()


@pytest.mark.adversarial(42)
def test_a_changed_password_is_recorded_and_nothing_is_done():
    found = find_drift(inventory(a_role(), password_changed=frozenset({ROLE})), a_book(a_grant()))

    assert summary(found) == [("password_changed", "none", "hro_1")]


def test_where_passwords_cannot_be_seen_none_has_changed():
    assert find_drift(inventory(a_role(), password_changed=None), a_book(a_grant())) == ()


@pytest.mark.parametrize("grant", [a_grant(status=GrantStatus.ORDERED), a_grant(status=GrantStatus.REVERTING)], ids=str)
def test_a_role_that_is_not_there_yet_or_no_more_is_not_missing(grant: KnownGrant):
    assert find_drift(inventory(), a_book(grant)) == ()


def test_a_live_grant_without_its_role_ends():
    assert summary(find_drift(inventory(), a_book(a_grant()))) == [("missing_role", "end_access", "hro_1")]


def test_a_grant_that_was_ordered_on_another_system_is_not_missing_here():
    assert find_drift(inventory(), a_book(a_grant(target_system="system-0"))) == ()


@pytest.mark.adversarial(44)
@pytest.mark.parametrize(("is_covered", "repair"), [(True, "revert_grant"), (False, "remove_role")])
def test_a_role_of_an_ended_case_is_taken_away_again(is_covered: bool, repair: str):
    found = find_drift(inventory(a_role(is_covered=is_covered)), a_book(known=(ended(),)))

    assert summary(found) == [("resurrected_role", repair, "hro_1")]


def test_a_role_whose_case_ended_while_the_target_was_asked_is_no_drift():
    just_ended = replace(ended(), ended_at=NOW)

    assert find_drift(inventory(a_role()), a_book(known=(just_ended,))) == ()


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [("store-1", [("orphan_role", "revert_grant", None)]), ("store-2", []), (None, [])],
    ids=["ours", "of another store", "of an earlier version"],
)
def test_a_grant_that_no_case_knows_is_taken_back_by_its_issuer_alone(issuer: str | None, expected: list[Any]):
    assert summary(find_drift(inventory(a_role(issuer=issuer)), a_book())) == expected


def test_a_role_that_nobody_granted_is_removed_whoever_made_it():
    found = find_drift(inventory(a_role(is_covered=False, issuer=None)), a_book())

    assert summary(found) == [("stray_role", "remove_role", None)]


@pytest.mark.parametrize("grant", [a_grant(tenant_id="tenant-2"), ended(tenant_id="tenant-2")], ids=["live", "ended"])
def test_the_role_of_another_tenant_is_left_to_that_tenant(grant: KnownGrant):
    assert find_drift(inventory(a_role(keeps_valid_until=False)), a_book(known=(grant,))) == ()


def test_a_role_back_of_a_tenant_that_left_the_target_is_taken_away_without_naming_the_case():
    found = find_drift(inventory(a_role()), a_book(known=(ended(tenant_id="tenant-2", is_watched=False),)))

    assert summary(found) == [("resurrected_role", "revert_grant", None)]


def test_another_system_is_reported_and_nothing_on_it_is_touched():
    found = find_drift(inventory(a_role(is_covered=False), system="system-2", is_sealed=False), a_book())

    assert summary(found) == [("other_system", "none", None)]


def test_an_installation_of_another_version_is_reported_and_ends_nothing():
    found = find_drift(TargetInventory(system="system-1", is_current=False), a_book(a_grant()))

    assert summary(found) == [("installation_outdated", "none", None)]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"system_identifier": "7", "database": "orders", "database_oid": 5}, ("installation_missing", "end_access", None)),
        ({"system_identifier": "7", "database": "other", "database_oid": 6}, ("other_system", "none", None)),
        ({"system_identifier": "8", "database": "orders", "database_oid": 5}, ("other_system", "none", None)),
        ({"system_identifier": None, "database": "other", "database_oid": 5}, ("other_system", "none", None)),
        ({"system_identifier": None, "database": "orders", "database_oid": 5}, ("installation_missing", "none", None)),
        ({}, ("installation_missing", "none", None)),
    ],
)
def test_a_missing_installation_ends_access_only_on_what_is_surely_the_registered_system(
    seen: dict[str, JsonValue], expected: tuple[str, str, None]
):
    found = TargetInventory(system=None, is_current=False, is_missing=True, seen=seen)

    assert summary(find_drift(found, a_book(a_grant()))) == [expected]


def test_what_the_registered_identity_does_not_tell_proves_no_system():
    facts = {**FACTS, "system_identifier": None}
    found = TargetInventory(
        system=None, is_current=False, is_missing=True, seen={"system_identifier": "7", "database": "orders", "database_oid": 5}
    )

    assert summary(find_drift(found, replace(a_book(a_grant()), registered=facts))) == [("installation_missing", "none", None)]


@pytest.mark.parametrize(("system", "expected"), [("system-1", "end_access"), ("system-2", "none")])
def test_an_installation_that_still_tells_its_system_is_believed(system: str, expected: str):
    found = TargetInventory(system=system, is_current=False, is_missing=True)

    assert [drift.repair.value for drift in find_drift(found, a_book(a_grant()))] == [expected]


def test_an_altered_installation_ends_the_access_on_it():
    found = find_drift(inventory(a_role(), is_sealed=False), a_book(a_grant()))

    assert summary(found) == [("installation_altered", "end_access", None)]


REGISTERED = {"seal": "seal-1", "layout": 3, "definition_digest": "definition-1"}


@pytest.mark.parametrize(
    ("seal", "layout", "definition", "expected"),
    [
        ("seal-1", 3, "definition-1", []),
        ("seal-2", 3, "definition-1", [("installation_altered", "end_access", None)]),
        ("seal-2", 3, "definition-2", [("installation_changed", "none", None)]),
        ("seal-2", 4, "definition-1", [("installation_changed", "none", None)]),
    ],
    ids=["the registered one", "sealed anew", "for another definition", "by another version"],
)
def test_an_intact_seal_is_held_against_the_registered_one(seal: str, layout: int, definition: str, expected: list[Any]):
    book = replace(a_book(a_grant()), registered=REGISTERED)

    assert summary(find_drift(inventory(a_role(), seal=seal, layout=layout, definition_digest=definition), book)) == expected


def test_a_broken_seal_ends_the_access_whatever_was_registered():
    book = replace(a_book(a_grant()), registered=REGISTERED)
    found = find_drift(inventory(a_role(), is_sealed=False, seal="seal-2", definition_digest="definition-2"), book)

    assert summary(found) == [("installation_altered", "end_access", None)]


WIDER = [
    ({"scope": "globex"}, ""),
    ({"connection_limit": 3}, f"alter role {ROLE} connection limit 2;"),
    ({"connection_limit": -1}, f"alter role {ROLE} connection limit 2;"),
    ({"powers": ("superuser", "createdb")}, f"alter role {ROLE} nosuperuser; alter role {ROLE} nocreatedb;"),
    ({"memberships": ('al"ice',)}, f'revoke "al""ice" from {ROLE};'),
    ({"has_rights": True}, f"drop owned by {ROLE};"),
]


@pytest.mark.parametrize(("changes", "remedy"), WIDER, ids=str)
def test_a_role_that_is_more_than_its_grant_ends(changes: dict[str, Any], remedy: str):
    [found] = find_drift(inventory(a_role(**changes)), a_book(a_grant(scope="acme", connection_limit=2)))

    assert (found.code.value, found.repair.value, found.request_id) == ("grant_widened", "end_access", "hro_1")
    assert found.remedy == remedy
    assert "ice" not in found.detail


@pytest.mark.parametrize("changes", [{}, {"scope": "acme", "connection_limit": 2}, {"connection_limit": 1}], ids=str)
def test_a_role_that_is_no_more_than_its_grant_is_no_drift(changes: dict[str, Any]):
    assert find_drift(inventory(a_role(**changes)), a_book(a_grant(scope="acme", connection_limit=2))) == ()


def test_a_power_that_the_revert_could_not_take_is_told_for_as_long_as_it_stands():
    role = a_role(powers=("superuser",), is_expired=True)

    assert summary(find_drift(inventory(role), a_book(a_grant(status=GrantStatus.REVERT_FAILED)))) == [
        ("grant_widened", "none", "hro_1")
    ]


def test_a_right_that_blocks_a_revert_is_told_by_the_revert_alone():
    role = a_role(has_rights=True, is_expired=True, is_taken_over=True, can_login=False, in_group=False)

    assert find_drift(inventory(role), a_book(a_grant(status=GrantStatus.REVERT_FAILED))) == ()


def test_a_foreign_member_is_named_only_where_it_can_be_erased():
    entry = FoundMember(role="trustpack_shop_reader", member='mal"lory')

    [found] = find_drift(inventory(foreign_members=(entry,)), a_book())

    assert (found.code, found.repair, found.member) == (DriftCode.FOREIGN_MEMBER, Repair.REVOKE_MEMBERSHIP, entry)
    assert "mal" not in found.detail + found.key
    assert found.remedy == 'revoke "trustpack_shop_reader" from "mal""lory";'


def test_sessions_without_a_role_are_ended():
    assert summary(find_drift(inventory(orphan_sessions=3), a_book())) == [("orphan_session", "end_sessions", None)]


def test_only_a_grant_without_a_timer_is_scheduled_again():
    timed = a_grant(role_name="tpk_" + "b" * 32, request_id="hro_2")

    found = find_lost_timers(a_book(timed, a_grant(lost_timer=True)))

    assert summary(found) == [("lost_timer", "schedule_again", "hro_1")]


def test_without_a_store_a_target_still_shows_what_does_not_fit_together():
    found = find_drift_without_store(
        inventory(
            a_role(is_covered=False),
            a_role(name="tpk_" + "b" * 32, keeps_valid_until=False),
            a_role(name="tpk_" + "c" * 32),
            a_role(name="tpk_" + "e" * 32, powers=("bypassrls",)),
            missing=("tpk_" + "d" * 32,),
        )
    )

    assert [drift.code.value for drift in found] == ["stray_role", "valid_until_changed", "grant_widened", "missing_role"]


ROLES = st.builds(
    a_role,
    name=st.sampled_from([ROLE, "tpk_" + "b" * 32]),
    is_covered=st.booleans(),
    issuer=st.sampled_from(["store-1", "store-2", None]),
    expires_at=st.sampled_from([END - timedelta(hours=2), END, END + timedelta(days=9)]),
    is_expired=st.booleans(),
    keeps_valid_until=st.booleans(),
    can_login=st.booleans(),
    in_group=st.booleans(),
    is_taken_over=st.booleans(),
    scope=st.sampled_from(["acme", "globex", None]),
    powers=st.sampled_from([(), ("superuser",)]),
    has_rights=st.booleans(),
)
GRANTS = st.builds(
    a_grant,
    status=st.sampled_from([GrantStatus.ORDERED, GrantStatus.ACTIVE, GrantStatus.REVERTING, GrantStatus.REVERT_FAILED]),
    target_expires_at=st.sampled_from([None, END]),
)


@given(role=ROLES, grant=GRANTS)
def test_no_end_is_ever_set_later_than_approved(role: FoundRole, grant: KnownGrant):
    found = find_drift(inventory(role), a_book(grant))

    ends = [drift.expires_at for drift in found if drift.repair is Repair.RESTORE_EXPIRY]
    assert all(end is not None and end <= (grant.target_expires_at or role.expires_at) for end in ends)


@given(role=ROLES, is_ended=st.booleans())
def test_what_another_tenant_or_another_store_granted_is_never_touched(role: FoundRole, is_ended: bool):
    theirs = (ended if is_ended else a_grant)(role_name=role.name, tenant_id="tenant-2")

    assert find_drift(inventory(role), a_book(known=(theirs,))) == ()
    if role.is_covered and role.issuer != "store-1":
        assert find_drift(inventory(role), a_book()) == ()


@given(role=ROLES, grant=GRANTS)
def test_each_finding_has_one_key_and_belongs_to_the_case(role: FoundRole, grant: KnownGrant):
    found = find_drift(inventory(role), a_book(grant))

    assert len({drift.key for drift in found}) == len(found)
    assert {drift.request_id for drift in found if drift.role_name == ROLE} <= {"hro_1"}
