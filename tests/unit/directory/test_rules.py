"""Names, token texts and the one role change that nobody may make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.directory.model import InvalidName, NotSignedIn, OwnApprovalRoleForbidden, Person, PersonStatus
from trustpack.capabilities.directory.rules import (
    APPROVAL_ROLES,
    LONGEST_TOKEN_LIFETIME,
    read_token,
    require_may_change_role,
    require_name,
    token_end,
    token_text,
)
from trustpack.kernel.actor import Actor, ActorKind, Role
from trustpack.platform.entropy import new_secret
from trustpack.proof.canonical import digest_of

names = st.from_regex(r"[a-z][a-z0-9-]{1,39}", fullmatch=True)
secrets = st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True)
NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)


def person(person_id: str) -> Person:
    return Person(
        id=person_id,
        version=1,
        status=PersonStatus.ACTIVE,
        handle="jane",
        display_name="Jane",
        kind=ActorKind.PERSON,
        roles=frozenset(),
        team_ids=frozenset(),
    )


def admin(person_id: str) -> Actor:
    return Actor(tenant_id="acme", id=person_id, kind=ActorKind.PERSON, handle="root", roles=frozenset({Role.ADMIN}))


@given(name=names)
def test_a_proper_name_is_returned_unchanged(name: str):
    assert require_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a", "Jane", "1st", "-a", "a_b", "a b", "a.b", "é-name", "a" * 41, "jane\n", "../etc", "a'b", "a\u0000", "\uff41bc"],
    ids=ascii,
)
def test_any_other_name_is_refused(name: str):
    with pytest.raises(InvalidName):
        require_name(name)


@given(tenant=names, secret=secrets)
def test_a_token_names_its_tenant_and_is_known_by_its_digest(tenant: str, secret: str):
    text = token_text(tenant, secret)

    assert read_token(text) == (tenant, digest_of(text.encode()))


@given(tenant=names, other=names, secret=secrets)
def test_a_token_with_its_tenant_swapped_has_another_digest(tenant: str, other: str, secret: str):
    digests = {read_token(token_text(name, secret))[1] for name in (tenant, other)}

    assert len(digests) == len({tenant, other})


def test_a_new_secret_makes_a_well_formed_token():
    tenant, _ = read_token(token_text("acme", new_secret()))

    assert tenant == "acme"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tp_",
        "tp_acme_short",
        "tp_acme_" + "a" * 42,
        "tp_acme_" + "a" * 44,
        "tp_ACME_" + "a" * 43,
        "tp__" + "a" * 43,
        "xx_acme_" + "a" * 43,
        "tp_acme_" + "a" * 42 + "é",
        "tp_acme_" + "a" * 42 + "'",
        "tp_acme_" + "a" * 43 + "\n",
        " tp_acme_" + "a" * 43,
        "tp_" + "a" * 41 + "_" + "a" * 43,
    ],
    ids=ascii,
)
def test_a_text_that_has_not_the_form_of_a_token_signs_nobody_in(text: str):
    with pytest.raises(NotSignedIn):
        read_token(text)


@given(text=st.text(max_size=100))
def test_any_text_is_a_token_or_the_named_error(text: str):
    try:
        read_token(text)
    except NotSignedIn:
        return


@pytest.mark.parametrize("role", sorted(APPROVAL_ROLES))
def test_nobody_gives_an_approval_role_to_the_own_person(role: Role):
    with pytest.raises(OwnApprovalRoleForbidden):
        require_may_change_role(admin("usr_1"), person("usr_1"), role, grant=True)


@pytest.mark.parametrize("role", sorted(APPROVAL_ROLES))
def test_an_approval_role_may_be_given_to_somebody_else(role: Role):
    require_may_change_role(admin("usr_1"), person("usr_2"), role, grant=True)


@pytest.mark.parametrize("role", sorted(APPROVAL_ROLES))
def test_an_approval_role_may_be_taken_from_the_own_person(role: Role):
    require_may_change_role(admin("usr_1"), person("usr_1"), role, grant=False)


@pytest.mark.parametrize("role", sorted(set(Role) - APPROVAL_ROLES))
def test_a_role_that_approves_nothing_may_be_given_to_the_own_person(role: Role):
    require_may_change_role(admin("usr_1"), person("usr_1"), role, grant=True)


@given(days=st.integers(0, 10_000))
def test_a_token_lives_as_long_as_asked_and_at_most_a_year(days: int):
    assert token_end(NOW, timedelta(days=days)) == NOW + min(timedelta(days=days), LONGEST_TOKEN_LIFETIME)
