"""Where a page of a list begins: after a row, in an order that has no ties. Guarantee: pure.

A place that is a row and not a number stays where it is while others add rows: nothing is shown twice, and nothing is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list's rows, by one of its columns and then by id, and the row after which a page begins.

    `past` is that row's value in the column and its id; by creation the id alone says where a row stands.
    """

    column: str = "created"
    descending: bool = True
    past: tuple[str, str] | None = None

    @classmethod
    def following(cls, last_id: str | None) -> Keyset:
        """Return the page after a row of the list that stands newest first; without one, the first."""
        return cls(past=None if last_id is None else ("", last_id))

    def reversed(self) -> Keyset:
        """Return the same place, looked at from the other end."""
        return replace(self, descending=not self.descending)


NEWEST = Keyset()
"""The first page of a list that stands newest first."""
