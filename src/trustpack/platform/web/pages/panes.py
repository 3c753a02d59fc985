"""What the pane of a list shows: plain values, for one template that all lists share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar
from zlib import crc32

from trustpack.platform.web.pages.lists import TEXT, ListState, Paged

R = TypeVar("R")


class Column(NamedTuple):
    """A column; `sort` is what the list calls the order by it."""

    kind: str
    label: str
    sort: str = ""


class Choice(NamedTuple):
    """A filter with a few values: pairs of value and word."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]


class Tab(NamedTuple):
    """A usual view of the list; `asks` are the filters that make it."""

    label: str
    asks: tuple[tuple[str, str], ...]


class Action(NamedTuple):
    """Something to do at the head of the list."""

    label: str
    drawing: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPane(Generic[R]):
    """A page of a list as it was asked for, with the ways on from it."""

    title: str
    caption: str
    placeholder: str
    empty: tuple[str, str]
    state: ListState
    paged: Paged[R]
    columns: tuple[Column, ...]
    choices: tuple[Choice, ...] = ()
    tabs: tuple[Tab, ...] = ()
    actions: tuple[Action, ...] = ()
    saved: tuple[tuple[str, str], ...] = ()
    """The views that the viewer keeps of this list: name and query."""

    @property
    def rows(self) -> tuple[R, ...]:
        return self.paged.rows

    @property
    def query(self) -> str:
        """What keeps the list beside a detail as it is: to stand after the paths of the detail."""
        return self.state.query

    @property
    def back_path(self) -> str:
        """The list as it was asked for, without a detail."""
        return self.state.here

    @property
    def heads(self) -> tuple[tuple[str, str, str, str], ...]:
        """The columns as the table takes them: kind, label, path of its order, and the order that the list has."""
        state, way = self.state, "descending" if self.state.descending else "ascending"
        return tuple(
            (
                column.kind,
                column.label,
                state.link_of_sort(column.sort) if column.sort else "",
                way if column.sort == state.sort else "",
            )
            for column in self.columns
        )

    @property
    def tab_links(self) -> tuple[tuple[str, str, None], ...]:
        """The tabs with their paths: a tab asks for its own filters and keeps the others; then the viewer's own views."""
        none = {name: "" for tab in self.tabs for name, _ in tab.asks}
        usual = ((tab.label, self.state.link(**{**none, **dict(tab.asks)}), None) for tab in self.tabs)
        return (*usual, *((name, self._path(query), None) for name, query in self.saved))

    @property
    def query_to_keep(self) -> str:
        """What a view that is saved now would ask for."""
        return self.state.link().removeprefix(self.state.shape.path).removeprefix("?")

    def _path(self, query: str) -> str:
        return f"{self.state.shape.path}?{query}" if query else self.state.shape.path

    @property
    def current_tab(self) -> str:
        """The label of the viewer's view that is shown, or of the tab whose filters are set: the one that asks for most."""
        if own := [name for name, query in self.saved if query == self.query_to_keep and query]:
            return own[0]
        fitting = [tab for tab in self.tabs if all(self.state.filters[name] == value for name, value in tab.asks)]
        return max(fitting, key=lambda tab: len(tab.asks)).label if fitting else ""

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """What the bar of filters does not show but must not lose."""
        shown = {TEXT, *(choice.name for choice in self.choices)}
        return tuple((name, value) for name, value in self.state.asked.items() if name not in shown)

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """What was asked for in words, for paper, which has neither the bar of filters nor the address."""
        way = "descending" if self.state.descending else "ascending"
        column = next((column.label for column in self.columns if column.sort == self.state.sort), self.state.sort)
        filters = ", ".join(self._told(name, value) for name, value in self.state.filters.items() if value)
        return (
            ("Filters", filters or "none"),
            ("Search", f"“{self.state.text}”" if self.state.text else "none"),
            ("Sorted by", f"{column}, {way}"),
        )

    def _told(self, name: str, value: str) -> str:
        if choice := next((choice for choice in self.choices if choice.name == name), None):
            return f"{choice.label}: {dict(choice.options).get(value, value)}"
        return next((tab.label for tab in self.tabs if (name, value) in tab.asks), f"{name}: {value}")

    @property
    def place(self) -> str:
        """What tells this page of the list from its others, so that another page begins at its top."""
        return f"{crc32(self.state.query.encode()):08x}"

    @property
    def exports(self) -> tuple[tuple[str, str], ...]:
        """The files that the list can be taken as."""
        query = self.state.link().removeprefix(self.state.shape.path)
        return tuple((kind.upper(), f"{self.state.shape.path}/export/{kind}{query}") for kind in ("csv", "json"))
