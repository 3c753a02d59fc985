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
    """Whose work is done there; empty: that of its workspace. It says what is offered and guards nothing.

    A place that names somebody is offered to nobody else, but to whom a count names it.
    """


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
"""How many objects of each place wait for the viewer, by the place's key; one that is named with 0 is of use to them too."""


def useful_workspaces(
    workspaces: Sequence[Workspace], roles: frozenset[Role], counts: Mapping[str, int], current: Place | None
) -> tuple[Workspace, ...]:
    """Return the workspaces with the places that are of use to somebody of these roles, or that their counts name.

    Where they are is always among them, and who has no use for any by their roles sees all that are not for some alone.
    """

    def is_useful(workspace: Workspace, place: Place) -> bool:
        return not (place.useful_to or workspace.useful_to).isdisjoint(roles)

    has_use = any(is_useful(workspace, place) for workspace in workspaces for place in workspace.places)

    def is_offered(workspace: Workspace, place: Place) -> bool:
        is_for_all = not place.useful_to and not (workspace.useful_to and has_use)
        return is_for_all or is_useful(workspace, place) or place.key in counts or place == current

    offered = (replace(one, places=tuple(place for place in one.places if is_offered(one, place))) for one in workspaces)
    return tuple(one for one in offered if one.places)


def place_at(path: str, workspaces: Sequence[Workspace]) -> Place | None:
    """Return the place that a path lies in: the longest whose path it begins with, but for the first page's own."""
    places = (place for workspace in workspaces for place in workspace.places)
    fitting = [place for place in places if path == place.path or (path.startswith(place.path + "/") and place.path != BASE_PATH)]
    return max(fitting, key=lambda place: len(place.path), default=None)
