"""Tables of results, once for the terminal and once as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; `notes` say how to read it. The first columns are text, the others numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: int = 1

    def as_text(self) -> str:
        """Return the table in columns for the terminal."""
        widths = [max(len(row[column]) for row in (self.head, *self.rows)) for column in range(len(self.head))]
        lines = [_in_columns(row, widths, text_columns=self.text_columns) for row in (self.head, *self.rows)]
        return "\n".join((self.title, *(f"  {line}" for line in lines), *(f"  {note}" for note in self.notes), ""))

    def as_markdown(self) -> str:
        """Return the table as a section of a Markdown page."""
        ruler = tuple("---" if column < self.text_columns else "---:" for column in range(len(self.head)))
        lines = [f"| {' | '.join(row)} |" for row in (self.head, ruler, *self.rows)]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join((f"## {self.title}", "", *lines, "", *notes, *([""] if notes else [])))


def _in_columns(row: Sequence[str], widths: Sequence[int], *, text_columns: int) -> str:
    sized = enumerate(zip(row, widths, strict=True))
    aligned = (cell.ljust(width) if column < text_columns else cell.rjust(width) for column, (cell, width) in sized)
    return "  ".join(aligned).rstrip()
