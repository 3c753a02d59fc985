"""The first page: what waits for the viewer, what they have under way, and their first steps; each capability gives its part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from trustpack.kernel.actor import Role
from trustpack.platform.web.pages.roles import roles_in_words
from trustpack.platform.web.pages.viewer import Viewer

FIRST_ROWS = 5
HOME_KEY = "home"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeRow:
    """One object in a list of the first page. With `until` it runs out: then it stands there until that, `since` then."""

    short_id: str
    path: str
    title: str
    note: str
    chip: tuple[str, str]
    beside: str = ""
    at: datetime | None = None
    at_means: str = ""
    until: datetime | None = None
    since: datetime | None = None
    until_means: str = ""
    afterwards: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeList:
    """A list of the first page, with the way to the whole of it and, where it may be added to, to a new object."""

    title: str
    path: str
    empty: str
    rows: tuple[HomeRow, ...]
    is_waiting: bool = False
    add_path: str = ""
    add_text: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps; `order` is its place among those of all capabilities.

    `roles`: one of these is needed to take it; none: everybody can. It says what is offered and guards nothing.
    """

    order: int
    text: str
    path: str
    done: bool
    roles: frozenset[Role] = frozenset()

    def shown_to(self, viewer: Viewer) -> tuple[str, str, bool, str]:
        """Return the step as a checklist takes it: for who cannot take it without a path, and with the role that it takes."""
        if not self.roles or not self.roles.isdisjoint(viewer.actor.roles):
            return (self.text, self.path, self.done, "")
        return (self.text, "", self.done, f"Takes the role {roles_in_words(self.roles, last='or')}.")


@dataclass(frozen=True, slots=True)
class HomePart:
    """What one capability gives to the first page."""

    lists: tuple[HomeList, ...] = ()
    steps: tuple[Step, ...] = ()
    hides_steps: bool = False


HomeSource = Callable[[Viewer], Awaitable[HomePart]]
