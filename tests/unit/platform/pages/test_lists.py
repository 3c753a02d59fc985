"""The state of a list is its URL, and its pages lose nothing and show nothing twice while rows are added."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from trustpack.kernel.errors import InvalidInput
from trustpack.kernel.keysets import Keyset
from trustpack.platform.web.pages.exports import cell_of
from trustpack.platform.web.pages.lists import Key, ListShape, ListState, Paged, read_state
from trustpack.platform.web.pages.panes import Choice, Column, ListPane, Tab

SHAPE = ListShape("/list", ("status", "show"), {"created": True, "name": False})
SIZE = 3
Row = tuple[str, int]


def state(query: str = "") -> ListState:
    return read_state(SHAPE, QueryParams(query))


def at(path: str) -> ListState:
    """Return the list that a link leads to."""
    return state(urlsplit(path).query)


def id_of(number: int) -> str:
    return f"row_{number:032x}"


def key_of(row: Row, *, sort: str) -> Key:
    name, number = row
    return ("" if sort == "created" else name), id_of(number)


def read(rows: set[Row], keyset: Keyset, *, limit: int) -> list[Row]:
    """Return what the store would: rows past a place, in an order."""

    def key(row: Row) -> Key:
        return key_of(row, sort=keyset.column)

    ordered = sorted(rows, key=key, reverse=keyset.descending)
    if keyset.past is not None:
        past = keyset.past
        ordered = [row for row in ordered if (key(row) < past if keyset.descending else key(row) > past)]
    return ordered[:limit]


def page(rows: set[Row], asked: ListState) -> Paged[Row]:
    return asked.page_of(read(rows, asked.keyset(), limit=SIZE + 1), lambda row: key_of(row, sort=asked.sort), size=SIZE)


def pane(query: str) -> ListPane[Row]:
    return ListPane(
        title="Rows", caption="Rows", placeholder="", empty=("", ""), state=state(query), paged=Paged((), "", ""),
        columns=(Column("key", "ID"), Column("title", "Name", "name"), Column("when", "Created", "created")),
        choices=(Choice("status", "Status", (("open", "Open"),)),),
        tabs=(Tab("All", (("show", ""), ("status", ""))), Tab("Ended", (("show", "ended"), ("status", "")))),
    )  # fmt: skip


rows_of_a_list = st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 400)), max_size=30).map(
    lambda rows: {(name, number) for number, name in {number: name for name, number in rows}.items()}
)


@given(rows_of_a_list, st.lists(rows_of_a_list, max_size=12), st.sampled_from(["", "sort=-created", "sort=created", "sort=name"]))
def test_paging_on_loses_nothing_and_shows_nothing_twice_while_rows_are_added(first: set[Row], added: list[set[Row]], query: str):
    taken = {number for _, number in first}
    rows, additions = set(first), iter(added)
    shown: list[Row] = []
    path = f"/list?{query}"
    while path:
        paged = page(rows, at(path))
        shown += paged.rows
        path = paged.next_path
        new = {row for row in next(additions, set()) if row[1] not in taken}
        taken |= {number for _, number in new}
        rows |= new

    assert len(shown) == len(set(shown))
    assert first <= set(shown)


@given(rows_of_a_list, rows_of_a_list, st.sampled_from(["", "sort=created", "sort=name", "sort=-name"]))
def test_paging_back_shows_every_earlier_row_once_in_the_lists_order(first: set[Row], added: set[Row], query: str):
    paged = page(first, state(query))
    while paged.next_path:
        paged = page(first, at(paged.next_path))
    known = {number for _, number in first}
    rows = first | {row for row in added if row[1] not in known}
    seen = [paged.rows]
    while paged.previous_path:
        paged = page(rows, at(paged.previous_path))
        seen.insert(0, paged.rows)
    shown = [row for one in seen for row in one]
    asked = state(query)

    assert shown == sorted(set(shown), key=lambda row: key_of(row, sort=asked.sort), reverse=asked.descending)
    assert first <= set(shown)
    assert len(set(shown)) == len(shown)


def test_the_first_page_has_no_way_back_and_the_last_none_on():
    rows = {("a", number) for number in range(SIZE + 1)}
    first = page(rows, state())
    last = page(rows, at(first.next_path))
    again = page(rows, at(last.previous_path))

    assert (first.previous_path, last.next_path) == ("", "")
    assert (again.rows, again.previous_path) == (first.rows, "")
    assert at(again.next_path).keyset() == at(first.next_path).keyset()


def test_a_page_whose_rows_are_gone_leads_to_the_beginning():
    rows = {("a", number) for number in range(SIZE + 1)}
    there = at(page(rows, state("status=open")).next_path)

    assert page(set(), there) == Paged((), "/list?status=open", "")


def test_a_link_keeps_what_was_asked_for_but_the_place():
    rows = {("a", number) for number in range(SIZE + 1)}
    there = at(page(rows, state("q=a+b&status=open&sort=-name")).next_path)
    link = there.link(status="", show="ended")

    assert there.after
    assert dict(parse_qsl(urlsplit(link).query)) == {"q": "a b", "show": "ended", "sort": "-name"}
    assert at(there.here) == there
    assert at(there.shape.path + there.query) == there


def test_the_list_as_it_is_at_first_needs_no_query():
    assert state("q=&status=&sort=-created").query == ""
    assert state("another=thing&ask=approve").query == ""


def test_an_order_turns_around_when_it_is_asked_for_again():
    asked = state("status=open")
    by_name = at(asked.link_of_sort("name"))
    by_name_down = at(by_name.link_of_sort("name"))
    oldest = at(asked.link_of_sort("created"))

    assert [(one.sort, one.descending) for one in (by_name, by_name_down, oldest)] == [
        ("name", False), ("name", True), ("created", False),
    ]  # fmt: skip
    assert by_name.filters["status"] == "open"
    assert pane("sort=-name").heads[1] == ("title", "Name", "/list?sort=name", "descending")
    assert pane("").heads[0] == ("key", "ID", "", "")


@pytest.mark.parametrize(
    "query",
    [
        "sort=secret",
        "q=" + "a" * 201,
        "status=%00",
        "q=%00",
        "after=1",
        "after=eHh4",
        "before=%F0%9F%92%A5",
        "after=" + "a" * 2000,
    ],
)
def test_what_no_list_of_ours_asks_for_is_refused(query: str):
    with pytest.raises(InvalidInput):
        state(query).keyset()


def test_the_tab_is_the_one_that_asks_for_most_and_keeps_other_filters():
    assert (pane("").current_tab, pane("show=ended").current_tab, pane("status=open").current_tab) == ("All", "Ended", "")
    assert pane("q=x&show=ended&status=open").tab_links == (("All", "/list?q=x", None), ("Ended", "/list?q=x&show=ended", None))


def test_the_bar_of_filters_keeps_what_it_does_not_show():
    assert pane("q=x&status=open&show=ended&sort=name").kept == (("show", "ended"), ("sort", "name"))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", ("none", "none", "Created, descending")),
        ("q=a+b&status=open&show=ended&sort=name", ("Status: Open, Ended", "“a b”", "Name, ascending")),
        ("status=other&show=mine", ("Status: other, show: mine", "none", "Created, descending")),
    ],
)
def test_paper_is_told_in_words_what_was_asked_for(query: str, told: tuple[str, str, str]):
    assert pane(query).told == tuple(zip(("Filters", "Search", "Sorted by"), told, strict=True))


def test_a_file_holds_the_list_from_its_beginning():
    query = urlsplit(page({("a", number) for number in range(9)}, state("status=open")).next_path).query

    assert pane(query).exports == (("CSV", "/list/export/csv?status=open"), ("JSON", "/list/export/json?status=open"))


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_cell_is_never_a_formula(begin: str):
    assert cell_of(f"{begin}HYPERLINK(1)") == f"'{begin}HYPERLINK(1)"
    assert (cell_of(None), cell_of("plain"), cell_of(7)) == ("", "plain", "7")
