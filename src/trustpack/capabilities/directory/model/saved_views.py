"""Views of lists that people keep for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from trustpack.kernel.errors import ErrorKind, TrustpackError


@dataclass(frozen=True, slots=True)
class SavedView:
    """A list as somebody wants to see it again; `query` stands after the path of the list."""

    id: str
    path: str
    name: str
    query: str


class TooManyViews(TrustpackError):
    """Somebody has as many views of a list as can be shown above it."""

    kind = ErrorKind.CONFLICT
    code = "directory.too_many_views"
    title = "The list has enough views"
    detail = "You keep as many views of this list as fit above it."
    next_step = "Delete one that you no longer need, then save this one."


class NameTaken(TrustpackError):
    """Another view of the same list has the name."""

    kind = ErrorKind.CONFLICT
    code = "directory.view_name_taken"
    title = "Another view has this name"
    detail = "You keep another view of this list under this name."
    next_step = "Choose another name."
