"""The cells of one row, read into values, with every faulty cell named at once. Guarantee: pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from trustpack.capabilities.revops.model import CsvRow, FailedRow, RowFault
from trustpack.capabilities.revops.rules.texts import LONGEST_LINE, LONGEST_NAME, NAME, ONE_VISIBLE_LINE

EXTERNAL_ID: Final = "external_id"
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", re.ASCII)
_NAME: Final = re.compile(NAME, re.ASCII)
_LINE: Final = re.compile(ONE_VISIBLE_LINE)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_FLAGS: Final = {"true": True, "false": False}


class Cells:
    """Reads one row cell by cell; what is wrong collects in `faults`, and the value that is returned then means nothing."""

    def __init__(self, row: CsvRow) -> None:
        self._row = row
        self.faults: list[RowFault] = []

    def fail(self, column: str | None, message: str) -> None:
        """Note what is wrong with a cell."""
        self.faults.append(RowFault(self._row.line, column, message))

    def has(self, column: str) -> bool:
        """Say whether the cell is there and not empty."""
        return column in self._row.cells

    def text(self, column: str) -> str | None:
        """Return a cell as it stands; what looks like a formula is text as any other."""
        return self._row.cells.get(column)

    def needed(self, column: str) -> str:
        """Return a cell that must not be empty."""
        if not self.has(column):
            self.fail(column, "is missing")
        return self.text(column) or ""

    def external_id(self, column: str = EXTERNAL_ID) -> str:
        """Return what the other system calls the row."""
        text = self.needed(column)
        if text and not _EXTERNAL_ID.fullmatch(text):
            self.fail(column, "expected an id of letters, digits and . _ : / - with at most 128 characters")
        return text

    def name(self, column: str, *, needed: bool = False) -> str | None:
        """Return a short name such as `enterprise`."""
        text = (self.needed(column) or None) if needed else self.text(column)
        if text is not None and (len(text) > LONGEST_NAME or not _NAME.fullmatch(text)):
            self.fail(column, f"expected letters, digits and . _ - with at most {LONGEST_NAME} characters")
        return text

    def line(self, column: str, *, needed: bool = False) -> str | None:
        """Return one visible line of text."""
        text = (self.needed(column) or None) if needed else self.text(column)
        if text is not None and (len(text) > LONGEST_LINE or not _LINE.fullmatch(text)):
            self.fail(column, f"expected one line of visible text with at most {LONGEST_LINE} characters")
        return text

    def whole(self, column: str, *, least: int, most: int) -> int | None:
        """Return a whole number within its limits."""
        text = self.text(column)
        if text is None:
            return None
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            self.fail(column, f"expected a whole number from {least} to {most}")
            return None
        return int(text)

    def day(self, column: str, *, needed: bool = False) -> date | None:
        """Return a day."""
        text = (self.needed(column) or None) if needed else self.text(column)
        if text is None:
            return None
        try:
            return date.fromisoformat(text if _DAY.fullmatch(text) else "")
        except ValueError:
            self.fail(column, "expected a day such as 2026-01-31")
            return None

    def flag(self, column: str) -> bool:
        """Return `true` or `false`, and false for an empty cell."""
        text = self.text(column)
        if text is not None and text.lower() not in _FLAGS:
            self.fail(column, "expected true or false")
        return _FLAGS.get((text or "").lower(), False)

    def failed(self) -> FailedRow:
        """Return the row with its faults."""
        return failed_row(self._row, self.faults)


def failed_row(row: CsvRow, faults: list[RowFault]) -> FailedRow:
    """Return a row with what is wrong about it; an external id that is none is not repeated."""
    text = row.cells.get(EXTERNAL_ID, "")
    return FailedRow(row.line, text if _EXTERNAL_ID.fullmatch(text) else None, tuple(faults))
