"""The state of a list is its URL: filters, text, order and place; whoever has the link sees the same list."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from trustpack.kernel.errors import InvalidInput
from trustpack.kernel.ids import is_id
from trustpack.kernel.keysets import Keyset

MAX_TEXT = 200
PAGE_SIZE = 30
"""How many rows a page of a list has: somewhat more than a screen shows."""
_MAX_CURSOR = 1000
TEXT, SORT, AFTER, BEFORE = "q", "sort", "after", "before"
R = TypeVar("R")
S = TypeVar("S")
Key = tuple[str, str]
"""A row's value in the column that orders the list, and its id."""


@dataclass(frozen=True, slots=True)
class ListShape:
    """What a list can be asked for. `sorts` says of each order whether it descends at first; the first is the usual one."""

    path: str
    filters: tuple[str, ...]
    sorts: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class ListState:
    """One list as it was asked for."""

    shape: ListShape
    text: str
    filters: Mapping[str, str]
    sort: str
    descending: bool
    after: str
    before: str

    @property
    def query(self) -> str:
        """Everything that was asked for, to stand after a path; empty for the list as it is at first."""
        return self._encoded({**self._asked, AFTER: self.after, BEFORE: self.before})

    @property
    def here(self) -> str:
        """The address of the list as it was asked for."""
        return self.shape.path + self.query

    @property
    def is_filtered(self) -> bool:
        """Whether something keeps rows out."""
        return bool(self.text or any(self.filters.values()))

    @property
    def asked(self) -> Mapping[str, str]:
        """What was asked for but the place, and but what is empty."""
        return {name: value for name, value in self._asked.items() if value}

    def link(self, **changes: str) -> str:
        """Return the address of the list with other filters, from its beginning."""
        return self.shape.path + self._encoded({**self._asked, **changes})

    def link_of_sort(self, sort: str) -> str:
        """Return the address of the list in another order; the order that it has turns around."""
        descends = not self.descending if sort == self.sort else self.shape.sorts[sort]
        return self.link(**{SORT: self._sort_text(sort, descending=descends)})

    def keyset(self) -> Keyset:
        """Return the place at which the page begins; a page before one is read backwards. Raises `InvalidInput`."""
        place = self.before or self.after
        keyset = Keyset(self.sort, self.descending, _decoded(place) if place else None)
        return keyset.reversed() if self.before else keyset

    def page_of(self, found: Sequence[R], key: Callable[[R], Key], *, size: int = PAGE_SIZE) -> Paged[R]:
        """Return the page and the ways on from it; `found` is what `keyset` led to, one row longer where there is more."""
        rows, has_more = tuple(found[:size]), len(found) > size
        if self.before:
            rows = rows[::-1]
        if not rows:
            return Paged((), self.link() if self.after or self.before else "", "")
        has_previous, has_next = (has_more, True) if self.before else (bool(self.after), has_more)
        return Paged(
            rows,
            self.link(**{BEFORE: _encoded(key(rows[0]))}) if has_previous else "",
            self.link(**{AFTER: _encoded(key(rows[-1]))}) if has_next else "",
        )

    @property
    def _asked(self) -> dict[str, str]:
        usual = next(iter(self.shape.sorts))
        is_usual = self.sort == usual and self.descending == self.shape.sorts[usual]
        return {
            TEXT: self.text,
            **self.filters,
            SORT: "" if is_usual else self._sort_text(self.sort, descending=self.descending),
        }

    @staticmethod
    def _sort_text(sort: str, *, descending: bool) -> str:
        return f"-{sort}" if descending else sort

    @staticmethod
    def _encoded(values: Mapping[str, str]) -> str:
        query = urlencode({name: value for name, value in values.items() if value})
        return f"?{query}" if query else ""


@dataclass(frozen=True, slots=True)
class Paged(Generic[R]):
    """The rows of a page, in the list's order; an empty path leads nowhere."""

    rows: tuple[R, ...]
    previous_path: str
    next_path: str

    def of(self, row_of: Callable[[R], S]) -> Paged[S]:
        """Return the same page with other rows."""
        return Paged(tuple(row_of(row) for row in self.rows), self.previous_path, self.next_path)


def read_state(shape: ListShape, query: QueryParams) -> ListState:
    """Read what a list is asked for; what the list does not know belongs to whatever stands beside it. Raises `InvalidInput`."""
    given = {name: _clean(name, query.get(name, "")) for name in (TEXT, SORT, *shape.filters)}
    usual = next(iter(shape.sorts))
    sort = given[SORT].removeprefix("-") or usual
    if sort not in shape.sorts:
        raise InvalidInput("The list has no such order.")
    return ListState(
        shape=shape,
        text=given[TEXT],
        filters={name: given[name] for name in shape.filters},
        sort=sort,
        descending=given[SORT].startswith("-") if given[SORT] else shape.sorts[usual],
        after=query.get(AFTER, ""),
        before=query.get(BEFORE, ""),
    )


def one_of(name: str, value: str, known: Sequence[str]) -> str | None:
    """Return the value of a filter, None where it is not set. Raises `InvalidInput` for a value that the list does not know."""
    if value and value not in known:
        raise InvalidInput(f"There is no such {name}.")
    return value or None


def _clean(name: str, value: str) -> str:
    if len(value) > MAX_TEXT or "\0" in value:
        raise InvalidInput(f"{name} is too long, or holds a character that no text has.")
    return value.strip()


def _encoded(key: Key) -> str:
    value, row_id = key
    return base64.urlsafe_b64encode(f"{row_id}\n{value}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> Key:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("The place in the list is not one that this service handed out.") from error
    row_id, _, value = raw.partition("\n")
    if len(cursor) > _MAX_CURSOR or not is_id(row_id) or "\0" in value:
        raise InvalidInput("The place in the list is not one that this service handed out.")
    return value, row_id
