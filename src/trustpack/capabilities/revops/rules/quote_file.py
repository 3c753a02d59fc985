"""From a CSV file to quotes: one row each for a bare amount, or one row per line, standing together under one external id.

Guarantee: pure apart from reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trustpack.capabilities.revops.model import (
    CsvRow,
    FailedRow,
    InvalidContact,
    QuoteRow,
    RowFault,
    WrittenLine,
    WrittenTerms,
)
from trustpack.capabilities.revops.rules.cells import EXTERNAL_ID, Cells, failed_row
from trustpack.capabilities.revops.rules.contacts import normal_email
from trustpack.capabilities.revops.rules.csv_file import Source, open_rows
from trustpack.capabilities.revops.rules.texts import (
    LONGEST_EMAIL,
    LONGEST_PAYMENT_DAYS,
    LONGEST_TERM_MONTHS,
    MOST_LINES,
    MOST_UNITS,
)
from trustpack.kernel.ids import is_id
from trustpack.kernel.json_types import JsonObject
from trustpack.proof.canonical import digest_of_value

REQUIRED: Final = (EXTERNAL_ID, "currency")
OPPORTUNITY: Final = ("opportunity_id", "lead_external_id", "email")
PRICED_BY: Final = ("amount", "unit_price")
OF_LINE: Final = ("sku", "description", "quantity", "unit_price", "recurring")
ABOUT_QUOTE: Final = ("title", "valid_until", "term_months", "payment_days", "start_date")
OPTIONAL: Final = (*ABOUT_QUOTE, *OF_LINE, "discount_percent")


@dataclass(slots=True)
class _Group:
    """The rows of one quote. `beside` is the line of an unreadable row next to them, which may be one of its lines."""

    rows: list[CsvRow]
    beside: int | None
    has_too_many: bool = False

    @property
    def external_id(self) -> str:
        return self.rows[0].cells.get(EXTERNAL_ID, "")

    def takes(self, row: CsvRow) -> bool:
        return bool(self.external_id) and row.cells.get(EXTERNAL_ID) == self.external_id

    def add(self, row: CsvRow) -> None:
        if len(self.rows) < MOST_LINES:
            self.rows.append(row)
        else:
            self.has_too_many = True


def read_quote_file(source: Source) -> Iterator[QuoteRow | FailedRow]:
    """Return the quotes of a file as they are asked for. Raises `InvalidImportFile` at once for columns that do not fit.

    A fault in one row is a fault of its whole quote, so that no quote is imported without one of its lines.
    """
    return _quotes(open_rows(source, required=REQUIRED, optional=OPTIONAL, one_of=(OPPORTUNITY, PRICED_BY)))


def _quotes(rows: Iterator[CsvRow | FailedRow]) -> Iterator[QuoteRow | FailedRow]:
    lines: dict[str, int] = {}
    for item in _groups(rows):
        if isinstance(item, FailedRow):
            yield item
            continue
        first = lines.setdefault(item.external_id, item.rows[0].line)
        yield _quote(item, stands_in=first if item.external_id and first != item.rows[0].line else None)


def _groups(rows: Iterator[CsvRow | FailedRow]) -> Iterator[_Group | FailedRow]:
    group: _Group | None = None
    unreadable: int | None = None
    for row in rows:
        if isinstance(row, FailedRow):
            unreadable = row.line
            if group is not None:
                group.beside = unreadable
            yield row
        elif group is not None and group.takes(row):
            group.add(row)
            unreadable = None
        else:
            if group is not None:
                yield group
            group, unreadable = _Group([row], beside=unreadable), None
    if group is not None:
        yield group


def _quote(group: _Group, *, stands_in: int | None) -> QuoteRow | FailedRow:
    head = Cells(group.rows[0])
    external_id = head.external_id()
    if stands_in is not None:
        head.fail(EXTERNAL_ID, f"stands in line {stands_in} already; all lines of one quote stand together")
    if group.beside is not None:
        head.fail(None, f"line {group.beside} cannot be read and may belong to this quote")
    if group.has_too_many:
        head.fail(None, f"the quote has more than {MOST_LINES} lines")
    opportunity = _opportunity(head)
    lines, faults = _lines(group, head)
    written = _written(head, lines)
    title = head.line("title")
    if found := [*head.faults, *faults]:
        return failed_row(group.rows[0], found)
    return QuoteRow(
        line=group.rows[0].line,
        lines=tuple(row.line for row in group.rows),
        external_id=external_id,
        content_digest=_digest(opportunity, written, title),
        opportunity_id=opportunity.get("opportunity_id"),
        lead_external_id=opportunity.get("lead_external_id"),
        email_key=opportunity.get("email"),
        title=title,
        written=written,
    )


def _opportunity(head: Cells) -> dict[str, str]:
    named = [column for column in OPPORTUNITY if head.has(column)]
    if len(named) != 1:
        head.fail(" or ".join(OPPORTUNITY), "expected exactly one of them")
        return {}
    [column] = named
    text = head.needed(column)
    if column == "lead_external_id":
        return {column: head.external_id(column)}
    if column == "opportunity_id":
        if not is_id(text) or not text.startswith("opp_"):
            head.fail(column, "expected the id of an opportunity, such as opp_...")
        return {column: text}
    try:
        return {column: normal_email(text[: LONGEST_EMAIL + 1])}
    except InvalidContact as error:
        head.fail(column, error.data["errors"][0]["message"])
        return {}


def _lines(group: _Group, head: Cells) -> tuple[tuple[WrittenLine, ...], list[RowFault]]:
    if head.has("amount"):
        for column in OF_LINE:
            if head.has(column):
                head.fail(column, "expected an empty cell beside an amount")
        if len(group.rows) > 1:
            head.fail("amount", "expected one row only; a quote of several lines has a unit_price in each instead")
        return (), []
    lines, faults = [], []
    for row in group.rows:
        cells = Cells(row)
        if cells.has("amount"):
            cells.fail("amount", "expected an empty cell, as the rows before it are lines")
        for column in (*OPPORTUNITY, "currency", *ABOUT_QUOTE):
            if cells.has(column) and cells.text(column) != head.text(column):
                cells.fail(column, "expected what the first row of the quote says, or an empty cell")
        lines.append(_line(cells))
        faults += cells.faults
    return tuple(lines), faults


def _line(cells: Cells) -> WrittenLine:
    cells.needed("quantity")
    return WrittenLine(
        sku=cells.name("sku"),
        description=cells.line("description", needed=True) or "",
        quantity=cells.whole("quantity", least=1, most=MOST_UNITS) or 1,
        unit_price=cells.needed("unit_price"),
        discount_percent=cells.text("discount_percent") or "0",
        recurring=cells.flag("recurring"),
    )


def _written(head: Cells, lines: tuple[WrittenLine, ...]) -> WrittenTerms:
    amount = head.text("amount")
    return WrittenTerms(
        currency=head.needed("currency"),
        lines=lines,
        amount=amount,
        discount_percent=None if amount is None else head.text("discount_percent") or "0",
        valid_until=head.day("valid_until"),
        term_months=head.whole("term_months", least=1, most=LONGEST_TERM_MONTHS),
        payment_days=head.whole("payment_days", least=0, most=LONGEST_PAYMENT_DAYS),
        start_date=head.day("start_date"),
    )


def _digest(opportunity: dict[str, str], written: WrittenTerms, title: str | None) -> str:
    content: JsonObject = {
        "opportunity": {**opportunity},
        "title": title,
        "currency": written.currency,
        "amount": written.amount,
        "discount_percent": written.discount_percent,
        "lines": [
            [line.sku, line.description, line.quantity, line.unit_price, line.discount_percent, line.recurring]
            for line in written.lines
        ],
        "valid_until": written.valid_until.isoformat() if written.valid_until else None,
        "term_months": written.term_months,
        "payment_days": written.payment_days,
        "start_date": written.start_date.isoformat() if written.start_date else None,
    }
    return digest_of_value(content)
