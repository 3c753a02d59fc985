"""What an import reads from a file, and what it tells about each row. A line number is that of the row's first line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from trustpack.capabilities.revops.model.leads import NewLead
from trustpack.capabilities.revops.model.quotes import WrittenTerms

CORRECT: Final = "Correct the cell and import the file again."


class RowOutcome(StrEnum):
    """What became of one row: of a quote, all its lines are one."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong in one row and what to do about it; `column` is None where the row as a whole is meant."""

    line: int
    column: str | None
    message: str
    next_step: str = CORRECT


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that was not taken, with everything that is wrong about it."""

    line: int
    external_id: str | None
    faults: tuple[RowFault, ...]
    outcome: RowOutcome = RowOutcome.FAILED


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row as it stands in the file: its cells by column, without spaces around; empty cells are left out."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeadRow:
    """One lead to import. `owner` is the handle of who owned it in the other system, if the file says so."""

    line: int
    external_id: str
    content_digest: str
    new: NewLead
    owner: str | None


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """One quote to import: `lines` are those of the file, in the order of the quote's own lines.

    The opportunity is named by exactly one of its id, its lead's external id, and its lead's mailbox.
    """

    line: int
    lines: tuple[int, ...]
    external_id: str
    content_digest: str
    opportunity_id: str | None
    lead_external_id: str | None
    email_key: str | None
    title: str | None
    written: WrittenTerms


@dataclass(frozen=True, slots=True)
class ImportedId:
    """What an external id was imported as, and the digest of what the file said then."""

    external_id: str
    subject_id: str
    content_digest: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many rows came to what; `failed_rows` are those of one batch, or none in the report of a whole import."""

    counts: Mapping[RowOutcome, int]
    failed_rows: tuple[FailedRow, ...] = field(default=())

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    @property
    def has_failures(self) -> bool:
        return bool(self.counts.get(RowOutcome.FAILED) or self.counts.get(RowOutcome.CONFLICT))
