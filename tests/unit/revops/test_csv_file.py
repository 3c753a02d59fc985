"""CSV files: whatever the bytes, every row is read or named, in bounded memory."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.revops.model import CsvRow, FailedRow, InvalidImportFile
from trustpack.capabilities.revops.rules import csv_file
from trustpack.capabilities.revops.rules.csv_file import LONGEST_ROW, open_rows
from trustpack.capabilities.revops.rules.lead_file import read_lead_file
from trustpack.capabilities.revops.rules.quote_file import read_quote_file

HEADER = b"a,b\n"


def rows(content: bytes) -> list[CsvRow | FailedRow]:
    return list(open_rows(io.BytesIO(content), required=("a", "b"), optional=("c",)))


def cells(content: bytes) -> list[dict[str, str]]:
    """Return the cells of every row, all of which must be readable."""
    return [dict(row.cells) for row in rows(content) if isinstance(row, CsvRow)]


def faults(content: bytes) -> list[tuple[int, str]]:
    return [(fault.line, fault.message) for row in rows(content) if isinstance(row, FailedRow) for fault in row.faults]


def column_faults(header: bytes, **changes: object) -> dict[str, str]:
    with pytest.raises(InvalidImportFile) as caught:
        open_rows(io.BytesIO(header), **{"required": ("a", "b"), "optional": (), **changes})  # type: ignore[arg-type]
    return {error["field"]: error["message"] for error in caught.value.data["errors"]}


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"a,b\r\n1,2\r\n",
        b"\xef\xbb\xbfa,b\n1,2",
        b"b,a\n2,1\n",
        b" a , b \n 1 ,2 \n",
        b'"a","b"\n"1","2"\n',
        b"a,b\n\n , \n1,2\n\n",
    ],
)
def test_a_row_is_read_by_the_names_of_its_columns_however_the_file_was_saved(content: bytes):
    assert cells(content) == [{"a": "1", "b": "2"}]


def test_line_breaks_commas_and_marks_inside_quotation_marks_belong_to_the_cell():
    found = rows(HEADER + b'"two\r\nlines","5"" pipe, red"\n3,4\n')

    assert [(row.line, dict(row.cells)) for row in found if isinstance(row, CsvRow)] == [
        (2, {"a": "two\r\nlines", "b": '5" pipe, red'}),
        (4, {"a": "3", "b": "4"}),
    ]


@pytest.mark.parametrize("text", ["=1+1", "=cmd|' /C calc'!A0", "@SUM(A1)", "+49", "-1"])
def test_what_a_spreadsheet_would_compute_stays_text(text: str):
    assert cells(HEADER + f"{text},2\n".encode()) == [{"a": text, "b": "2"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1\n", "expected 2 cells, found 1"),
        (b"1,2,3\n", "expected 2 cells, found 3"),
        (b"1,\xff\n", "byte 3 of the line is not UTF-8"),
        (b"1,\0\n", "the line holds a NUL byte"),
        (b'1,5" pipe\n', "a quotation mark is opened and not closed"),
        (b'1,"x"y"z"\n', "the quotation marks or line breaks of this row do not fit"),
        (b"1,x\ry\n", "the quotation marks or line breaks of this row do not fit"),
        (b"1," + b"x" * LONGEST_ROW + b"\n", f"the line is longer than {LONGEST_ROW} bytes"),
    ],
)
def test_a_faulty_row_is_named_and_costs_no_other(line: bytes, message: str):
    content = HEADER + b"1,2\n" + line + b"3,4\n"

    assert faults(content) == [(3, message)]
    assert cells(content) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_cell_that_never_ends_costs_its_first_line_only():
    rest = b"3,4\n" * LONGEST_ROW

    found = rows(HEADER + b'1,"2\n' + rest[: 4 * 50_000])

    assert isinstance(found[0], FailedRow)
    assert [type(row) for row in found[1:]] == [CsvRow] * 50_000


def test_a_line_without_an_end_is_not_held_in_memory():
    class Endless:
        """A gigabyte in one line; remembers how much was asked for at once."""

        def __init__(self) -> None:
            self.lines: Iterator[bytes] = iter([HEADER, *[b"x" * LONGEST_ROW] * 16_000, b"\n", b"3,4\n"])
            self.largest = 0

        def readline(self, size: int = -1, /) -> bytes:
            self.largest = max(self.largest, size) if size >= 0 else 1 << 60
            return next(self.lines, b"")

    source = Endless()

    found = list(open_rows(source, required=("a", "b"), optional=()))

    assert source.largest <= LONGEST_ROW + 1
    assert isinstance(found[-1], CsvRow)


def test_rows_beyond_the_limit_are_refused_with_where_to_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_file, "MOST_ROWS", 2)

    found = rows(HEADER + b"1,2\n\nbroken\n3,4\n5,6\n")

    assert [row.line for row in found] == [2, 4, 5]
    assert isinstance(found[-1], FailedRow)
    assert "more than 2 rows" in found[-1].faults[0].message


def test_every_column_that_does_not_fit_is_named_before_any_row_is_read():
    class HeaderOnly(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            assert self.tell() == 0, "read on although the columns do not fit"
            return super().readline(size)

    with pytest.raises(InvalidImportFile) as caught:
        open_rows(HeaderOnly(b"a,x,a,\n1,2,3,4\n"), required=("a", "b"), optional=("c",), one_of=(("d", "e"),))

    assert {error["field"]: error["message"] for error in caught.value.data["errors"]} == {
        "a": "is there twice",
        "x": "is no column of this import",
        "(empty)": "is no column of this import",
        "b": "is missing",
        "d or e": "is missing",
    }


@pytest.mark.parametrize("header", [b"a;b;c\n", b"a\tb\tc\n"])
def test_another_separator_is_named(header: bytes):
    assert "expected commas" in column_faults(header)["line 1"]


def test_a_hostile_column_name_is_shown_harmlessly():
    assert list(column_faults(b"a,b,\x1b[31m" + b"x" * 100 + b"\n")) == ["\\x1b[31m" + "x" * 35]


@pytest.mark.parametrize("header", [b",".join(b"c%d" % number for number in range(51)), b"", b"\n"])
def test_a_header_that_is_none_is_named(header: bytes):
    assert column_faults(header)


@pytest.mark.parametrize("content", ["a,b\n1,2\n".encode("utf-16"), b"a,\xffb\n", b'"a,b\n1,2\n', b"x" * (LONGEST_ROW + 1)])
def test_an_unreadable_header_is_said_with_what_to_do(content: bytes):
    with pytest.raises(InvalidImportFile) as caught:
        rows(content)

    assert caught.value.detail.startswith("Its first line cannot be read: ")
    assert caught.value.next_step


CSV_PIECES = [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"1", b"x", b"=", b"\xc3\xa9"]
CSV_BYTES = st.lists(st.sampled_from(CSV_PIECES)).map(b"".join)
LEAD_HEADER = b"external_id,email,company,segment,employees,owner\n"
QUOTE_HEADER = b"external_id,currency,email,amount,unit_price,quantity,description,discount_percent,valid_until,recurring\n"


@given(st.one_of(st.binary(), CSV_BYTES))
def test_any_bytes_are_rows_or_faults(content: bytes):
    for read, header in ((read_lead_file, LEAD_HEADER), (read_quote_file, QUOTE_HEADER)):
        for found in read(io.BytesIO(header + content)):
            assert found.line >= 2
            assert not isinstance(found, FailedRow) or found.faults
        with contextlib.suppress(InvalidImportFile):
            list(read(io.BytesIO(content)))


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_what_a_csv_writer_writes_is_read_back(table: list[list[str]]):
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *table])

    expected = [{name: cell.strip() for name, cell in zip("ab", row, strict=True) if cell.strip()} for row in table]
    assert cells(file.getvalue().encode()) == [row for row in expected if row]
    assert faults(file.getvalue().encode()) == []
