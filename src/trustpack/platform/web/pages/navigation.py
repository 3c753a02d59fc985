"""Where a viewer can go: what each capability offers as data, and how objects are found by what a person types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from trustpack.kernel.actor import Role
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation. Its `key` names the count that may stand beside it."""

    key: str
    label: str
    icon: str
    path: str
    short: str = ""
    """What a phone's tab bar shows; empty: the place is not in it."""
    useful_to: frozenset[Role] = frozenset()
    """Whose work is done there; empty: that of its workspace. It says what is offered and guards nothing."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A heading of the rail with its places. Its pages are fetched anew after the event `signal`; empty: never."""

    label: str
    places: tuple[Place, ...]
    signal: str = ""
    useful_to: frozenset[Role] = frozenset()
    """Whose work is done there; empty: everybody's."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object that fits what was typed into the palette."""

    label: str
    hint: str
    icon: str
    path: str


Find = Callable[[Viewer, str], Awaitable[Sequence[Found]]]
"""Finds a few objects that the viewer may read; each capability offers one."""

Counts = Callable[[Viewer], Awaitable[Mapping[str, int]]]
"""How many objects of each place wait for the viewer, by the place's key."""


def useful_workspaces(
    workspaces: Sequence[Workspace], roles: frozenset[Role], counts: Mapping[str, int], current: Place | None
) -> tuple[Workspace, ...]:
    """Return the workspaces with the places that are of use to somebody of these roles, or where something waits for them.

    Where they are is always among them, and whoever has no use for any sees all.
    """

    def wanted(workspace: Workspace, place: Place) -> bool:
        useful_to = place.useful_to or workspace.useful_to
        return not useful_to.isdisjoint(roles) or bool(counts.get(place.key))

    def is_for_all(workspace: Workspace, place: Place) -> bool:
        return not (place.useful_to or workspace.useful_to)

    if not any(wanted(workspace, place) for workspace in workspaces for place in workspace.places):
        return tuple(workspaces)
    offered = (
        replace(
            one, places=tuple(place for place in one.places if is_for_all(one, place) or wanted(one, place) or place == current)
        )
        for one in workspaces
    )
    return tuple(one for one in offered if one.places)


def place_at(path: str, workspaces: Sequence[Workspace]) -> Place | None:
    """Return the place that a path lies in: the longest whose path it begins with, but for the first page's own."""
    places = (place for workspace in workspaces for place in workspace.places)
    fitting = [place for place in places if path == place.path or (path.startswith(place.path + "/") and place.path != BASE_PATH)]
    return max(fitting, key=lambda place: len(place.path), default=None)
