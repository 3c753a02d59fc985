"""Roles on pages, as people call them."""

from __future__ import annotations

import pytest

from trustpack.kernel.actor import Role
from trustpack.platform.web.pages.roles import ROLE_WORDS, roles_in_words


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ((), ""),
        ((Role.AE,), "account executive"),
        ((Role.TEAM_LEAD, Role.ENGINEER), "engineer and team lead"),
        ((Role.SECURITY_OFFICER, Role.FINANCE, Role.AE), "account executive, finance and security officer"),
    ],
)
def test_roles_are_listed_as_people_call_them_in_the_same_order_each_time(roles: tuple[Role, ...], said: str) -> None:
    assert roles_in_words(roles) == said
    assert roles_in_words(reversed(roles)) == said


def test_roles_of_which_one_is_enough_are_listed_with_or() -> None:
    assert roles_in_words({Role.TEAM_LEAD, Role.SECURITY_OFFICER}, last="or") == "security officer or team lead"


def test_every_role_has_words_without_signs_of_the_wire() -> None:
    assert ROLE_WORDS.keys() == set(Role)
    assert all(words.replace(" ", "").isalpha() and len(words) > 2 for words in ROLE_WORDS.values())
