"""Quote files: lines that stand together are one quote, which is read whole or not at all."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import pytest

from trustpack.capabilities.revops.model import FailedRow, LeadRow, QuoteRow, WrittenLine
from trustpack.capabilities.revops.rules.lead_file import read_lead_file
from trustpack.capabilities.revops.rules.quote_file import OPTIONAL, read_quote_file
from trustpack.capabilities.revops.rules.texts import MOST_LINES

COLUMNS = ("external_id", "currency", "opportunity_id", "lead_external_id", "email", "amount", *OPTIONAL)
BARE = {"external_id": "Q-1", "email": "Jo@Acme.com", "currency": "USD", "amount": "100000.00", "discount_percent": "30"}
LINE = {"external_id": "Q-2", "lead_external_id": "crm-1", "currency": "USD", "sku": "SEAT", "description": "Seats",
        "quantity": "100", "unit_price": "600.00", "discount_percent": "10", "recurring": "TRUE"}  # fmt: skip
NEXT = {"external_id": "Q-2", "description": "Setup", "quantity": "1", "unit_price": "35000.00"}


def read(*rows: dict[str, str], between: bytes = b"", before: int = -1) -> list[QuoteRow | FailedRow]:
    """Read rows, with `between` put in before one of them."""
    parts = []
    for number, row in enumerate([dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]):
        file = io.StringIO(newline="")
        csv.DictWriter(file, COLUMNS).writerow(row)
        parts += [between if number - 1 == before else b"", file.getvalue().encode()]
    return list(read_quote_file(io.BytesIO(b"".join(parts))))


def faults(*rows: dict[str, str]) -> list[tuple[int, str | None]]:
    """Return lines and columns of what is wrong with one quote."""
    [found] = read(*rows)
    assert isinstance(found, FailedRow)
    return [(fault.line, fault.column) for fault in found.faults]


def test_a_bare_amount_is_a_quote_in_one_row():
    [found] = read(BARE | {"title": "First", "valid_until": "2026-12-31", "term_months": "12", "payment_days": "0"})

    assert isinstance(found, QuoteRow)
    assert (found.external_id, found.email_key, found.title) == ("Q-1", "jo@acme.com", "First")
    written = found.written
    assert (written.currency, written.amount, written.discount_percent, written.lines) == ("USD", "100000.00", "30", ())
    assert (written.valid_until, written.term_months, written.payment_days) == (date(2026, 12, 31), 12, 0)


def test_rows_under_one_external_id_are_the_lines_of_one_quote_in_their_order():
    first, second, third = read(LINE, NEXT, BARE, LINE | {"external_id": "Q-3"})

    assert isinstance(first, QuoteRow)
    assert first.lines == (2, 3)
    assert first.written.lines == (
        WrittenLine("SEAT", "Seats", 100, "600.00", "10", recurring=True),
        WrittenLine(None, "Setup", 1, "35000.00", "0", recurring=False),
    )
    assert (first.written.amount, first.written.discount_percent) == (None, None)
    assert [row.external_id for row in (second, third)] == ["Q-1", "Q-3"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([BARE | {"email": ""}], [(2, "opportunity_id or lead_external_id or email")]),
        ([BARE | {"lead_external_id": "crm-1"}], [(2, "opportunity_id or lead_external_id or email")]),
        ([BARE | {"email": "x"}], [(2, "email")]),
        ([BARE | {"email": "", "opportunity_id": "opp_1"}], [(2, "opportunity_id")]),
        ([BARE | {"currency": ""}], [(2, "currency")]),
        ([BARE | {"sku": "SEAT"}], [(2, "sku")]),
        ([BARE, BARE], [(2, "amount")]),
        ([BARE | {"valid_until": "31.12.2026"}], [(2, "valid_until")]),
        ([BARE | {"valid_until": "2026-02-30"}], [(2, "valid_until")]),
        ([BARE | {"term_months": "0"}], [(2, "term_months")]),
        ([BARE | {"payment_days": "366"}], [(2, "payment_days")]),
        ([BARE | {"title": "x" * 201}], [(2, "title")]),
        ([LINE | {"quantity": "0"}], [(2, "quantity")]),
        ([LINE | {"quantity": ""}], [(2, "quantity")]),
        ([LINE | {"unit_price": ""}], [(2, "unit_price")]),
        ([LINE | {"description": ""}], [(2, "description")]),
        ([LINE | {"recurring": "yes"}], [(2, "recurring")]),
        ([LINE, NEXT | {"sku": "a b"}], [(3, "sku")]),
        ([LINE, NEXT | {"currency": "EUR"}], [(3, "currency")]),
        ([LINE, NEXT | {"title": "Late"}], [(3, "title")]),
        ([LINE, NEXT | {"amount": "1.00"}], [(3, "amount")]),
        ([LINE] + [NEXT] * MOST_LINES, [(2, None)]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_by_line_and_column(rows: list[dict[str, str]], expected: list[tuple[int, str | None]]):
    assert faults(*rows) == expected


def test_the_largest_quote_has_as_many_lines_as_the_api_takes():
    [found] = read(LINE, *[NEXT] * (MOST_LINES - 1))

    assert isinstance(found, QuoteRow)
    assert len(found.written.lines) == MOST_LINES


def test_lines_that_do_not_stand_together_are_not_two_quotes():
    first, between, late = read(LINE, BARE, NEXT | {"lead_external_id": "crm-1", "currency": "USD"})

    assert isinstance(first, QuoteRow)
    assert isinstance(between, QuoteRow)
    assert isinstance(late, FailedRow)
    assert [(fault.line, fault.column) for fault in late.faults] == [(4, "external_id")]


@pytest.mark.parametrize("before", [1, 2])
def test_a_row_that_cannot_be_read_fails_the_quotes_that_it_may_belong_to(before: int):
    found = read(LINE, NEXT, BARE, BARE | {"external_id": "Q-9"}, between=b"\xff\n", before=before)

    taken = [row.external_id for row in found if isinstance(row, QuoteRow)]
    assert taken == (["Q-1", "Q-9"] if before == 1 else ["Q-9"])
    assert sum(isinstance(row, FailedRow) for row in found) == (2 if before == 1 else 3)


def test_rows_without_an_external_id_are_each_named():
    found = read(BARE | {"external_id": ""}, BARE | {"external_id": ""})

    assert [row.line for row in found if isinstance(row, FailedRow)] == [2, 3]


@pytest.mark.parametrize(
    "change",
    [{"unit_price": "599.00"}, {"quantity": "99"}, {"discount_percent": "11"}, {"recurring": "false"}, {"sku": "OTHER"},
     {"description": "x"}, {"currency": "EUR"}, {"title": "x"}, {"valid_until": "2026-12-31"}, {"term_months": "1"},
     {"payment_days": "1"}, {"start_date": "2026-12-31"}, {"lead_external_id": "crm-2"}],
)  # fmt: skip
def test_any_other_content_has_another_digest(change: dict[str, str]):
    [first], [again], [other] = read(LINE), read(LINE), read(LINE | change)

    assert first.content_digest == again.content_digest  # type: ignore[union-attr]
    assert first.content_digest != other.content_digest  # type: ignore[union-attr]


def test_the_files_of_the_guide_can_be_imported():
    guide = (Path(__file__).parents[3] / "docs" / "how-to" / "import-leads-and-quotes.md").read_text(encoding="utf-8")
    leads, quotes = (text.encode() for text in guide.split("```\n") if text.startswith("external_id,"))

    assert [type(row) for row in read_lead_file(io.BytesIO(leads))] == [LeadRow] * 2
    assert [(type(row), len(row.lines)) for row in read_quote_file(io.BytesIO(quotes))] == [(QuoteRow, 2), (QuoteRow, 1)]  # type: ignore[union-attr]
