"""The rows of a CSV file, whatever its bytes are: each is a row under the names of its columns, or says what is wrong with it.

Memory is bounded by one row. Guarantee: pure apart from reading. Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from trustpack.capabilities.revops.model import CsvRow, FailedRow, InvalidImportFile, RowFault

LONGEST_ROW: Final = 65_536
"""Bytes of one line, and characters of one row whose cells hold line breaks."""
MOST_COLUMNS: Final = 50
MOST_ROWS: Final = 100_000
_SHOWN: Final = 40
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_MISQUOTED: Final = "the quotation marks or line breaks of this row do not fit"
_UNCLOSED: Final = "a quotation mark is opened and not closed"
_QUOTE: Final = 'Put quotation marks around the whole cell and double those inside it: "5"" pipe".'
_SAVE_AS_UTF8: Final = "Save the file as CSV in UTF-8 and import it again."


class Source(Protocol):
    """What a file opened for reading bytes is."""

    def readline(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    fault: RowFault | None = None


class _Lines:
    """The lines of a file, decoded one by one; a faulty one stands in its place."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._number = 0
        self._waiting: deque[_Line] = deque()

    def take(self) -> _Line | None:
        if self._waiting:
            return self._waiting.popleft()
        raw = self._source.readline(LONGEST_ROW + 1)
        if not raw:
            return None
        self._number += 1
        if len(raw) > LONGEST_ROW:
            self._skip_rest(raw)
            return self._faulty(f"the line is longer than {LONGEST_ROW} bytes", "Shorten it and import the file again.")
        return self._decoded(raw.removeprefix(_UTF8_MARK) if self._number == 1 else raw)

    def put_back(self, lines: Sequence[_Line]) -> None:
        self._waiting.extendleft(reversed(lines))

    def _decoded(self, raw: bytes) -> _Line:
        if b"\0" in raw and not (self._number == 1 and raw.startswith(_UTF16_MARKS)):
            return self._faulty("the line holds a NUL byte", "Remove it and import the file again.")
        try:
            return _Line(self._number, raw.decode())
        except UnicodeDecodeError as error:
            return self._faulty(f"byte {error.start + 1} of the line is not UTF-8", _SAVE_AS_UTF8)

    def _faulty(self, message: str, next_step: str) -> _Line:
        return _Line(self._number, "", RowFault(self._number, None, message, next_step))

    def _skip_rest(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._source.readline(LONGEST_ROW)


def open_rows(
    source: Source, *, required: Sequence[str], optional: Collection[str], one_of: Sequence[Sequence[str]] = ()
) -> Iterator[CsvRow | FailedRow]:
    """Return the rows of a file, read as they are asked for; its first line names the columns, in any order.

    Of each group in `one_of` at least one column must be there. Raises `InvalidImportFile` at once, before any row is read,
    naming every column that is unknown, missing or there twice.
    """
    lines = _Lines(source)
    header = _next_row(lines)
    if header is None:
        raise InvalidImportFile("The file is empty.", errors=[_about("line 1", f"expected the columns {','.join(required)}")])
    if isinstance(header, FailedRow):
        [fault] = header.faults
        raise InvalidImportFile(f"Its first line cannot be read: {fault.message}.", next_step=fault.next_step)
    columns = [cell.strip() for cell in header[1]]
    if errors := list(_column_faults(columns, required=required, optional=optional, one_of=one_of)):
        raise InvalidImportFile("Its columns do not fit.", errors=errors)
    return _rows(lines, columns)


def _column_faults(
    columns: Sequence[str], *, required: Sequence[str], optional: Collection[str], one_of: Sequence[Sequence[str]]
) -> Iterator[dict[str, str]]:
    if len(columns) > MOST_COLUMNS:
        yield _about("line 1", f"expected at most {MOST_COLUMNS} columns, found {len(columns)}")
        return
    if len(columns) == 1 and columns[0].count(";") + columns[0].count("\t") > 1:
        yield _about("line 1", "the columns are separated by semicolons or tabs; expected commas")
        return
    known = {*required, *optional, *(name for group in one_of for name in group)}
    for name in dict.fromkeys(columns):
        if name not in known:
            yield _about(ascii(name[:_SHOWN])[1:-1] or "(empty)", "is no column of this import")
        elif columns.count(name) > 1:
            yield _about(name, "is there twice")
    for name in required:
        if name not in columns:
            yield _about(name, "is missing")
    for group in one_of:
        if not set(group) & set(columns):
            yield _about(" or ".join(group), "is missing")


def _rows(lines: _Lines, columns: Sequence[str]) -> Iterator[CsvRow | FailedRow]:
    found = 0
    while (row := _next_row(lines)) is not None:
        if not isinstance(row, FailedRow) and not any(cell.strip() for cell in row[1]):
            continue
        found += 1
        if found > MOST_ROWS:
            line = row.line if isinstance(row, FailedRow) else row[0]
            yield _failed(line, f"the file has more than {MOST_ROWS} rows", "Import this row and all after it from another file.")
            return
        if isinstance(row, FailedRow):
            yield row
            continue
        line, cells = row
        if len(cells) != len(columns):
            yield _failed(
                line, f"expected {len(columns)} cells, found {len(cells)}", "Give every column a cell, an empty one too."
            )
            continue
        named = ((name, cell.strip()) for name, cell in zip(columns, cells, strict=True))
        yield CsvRow(line, {name: cell for name, cell in named if cell})


def _next_row(lines: _Lines) -> tuple[int, list[str]] | FailedRow | None:
    """Return the line and the cells of the next row. One that cannot be read costs only its first line."""
    first = lines.take()
    if first is None:
        return None
    if first.fault is not None:
        return FailedRow(first.number, None, (first.fault,))
    parts = [first]
    marks, length = first.text.count('"'), len(first.text)
    while marks % 2:
        following = lines.take()
        if following is not None:
            parts.append(following)
            marks, length = marks + following.text.count('"'), length + len(following.text)
        if following is None or following.fault is not None or length > LONGEST_ROW:
            lines.put_back(parts[1:])
            return _failed(first.number, _UNCLOSED, _QUOTE)
    try:
        return first.number, next(csv.reader(["".join(part.text for part in parts)], strict=True), [])
    except csv.Error:
        lines.put_back(parts[1:])
        return _failed(first.number, _MISQUOTED, _QUOTE)


def _failed(line: int, message: str, next_step: str) -> FailedRow:
    return FailedRow(line, None, (RowFault(line, None, message, next_step),))


def _about(field: str, message: str) -> dict[str, str]:
    return {"field": field, "message": message}
