"""A path lies in the place whose path it begins with, and people are offered the places that are of use to them."""

from __future__ import annotations

import pytest

from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import Place, Workspace
from trustpack.platform.web.pages.navigation import place_at, useful_workspaces

WORKSPACES = (
    Workspace("One", (Place("requests", "Requests", "zap", "/s/requests"), Place("mine", "Mine", "inbox", "/s/requests/mine"))),
    Workspace("Two", (Place("quotes", "Quotes", "percent", "/s/quotes"),)),
)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/s/requests", "requests"),
        ("/s/requests/hrr_1", "requests"),
        ("/s/requests/mine", "mine"),
        ("/s/quotes/q_1", "quotes"),
        ("/s/requests-old", None),
        ("/s", None),
    ],
)
def test_the_place_of_a_path(path: str, key: str | None):
    place = place_at(path, WORKSPACES)

    assert (place.key if place else None) == key


APPROVALS = Place("approvals", "Approvals", "inbox", "/s/approvals", useful_to=frozenset({Role.TEAM_LEAD}))
OFFERED = (
    Workspace("You", (Place("home", "Home", "inbox", "/s"),)),
    Workspace("Security", (APPROVALS, WORKSPACES[0].places[0]), useful_to=frozenset({Role.ENGINEER, Role.TEAM_LEAD})),
    Workspace("Sales", WORKSPACES[1].places, useful_to=frozenset({Role.AE})),
)


@pytest.mark.parametrize(
    ("roles", "counts", "current", "keys"),
    [
        ({Role.ENGINEER}, {}, None, ["home", "requests"]),
        ({Role.TEAM_LEAD}, {}, None, ["home", "approvals", "requests"]),
        ({Role.AE}, {}, None, ["home", "quotes"]),
        ({Role.AE}, {"approvals": 1}, None, ["home", "approvals", "quotes"]),
        ({Role.AE}, {"approvals": 0}, None, ["home", "approvals", "quotes"]),
        ({Role.AE}, {}, APPROVALS, ["home", "approvals", "quotes"]),
        ({Role.ENGINEER, Role.AE}, {}, None, ["home", "requests", "quotes"]),
        (set(), {}, None, ["home", "requests", "quotes"]),
        (set(), {"approvals": 0}, None, ["home", "approvals", "requests", "quotes"]),
    ],
)
def test_people_are_offered_what_is_of_use_to_them(
    roles: set[Role], counts: dict[str, int], current: Place | None, keys: list[str]
):
    offered = useful_workspaces(OFFERED, frozenset(roles), counts, current)

    assert [place.key for workspace in offered for place in workspace.places] == keys
