"""Price files: taken as a whole or not at all, with every faulty line named."""

from __future__ import annotations

import io
import re
from datetime import date

import pytest

from trustpack.capabilities.revops.model import InvalidPriceFile, ListPrice
from trustpack.capabilities.revops.rules.price_file import compare, in_force, read_price_file, read_prices

HEADER = "sku,currency,list_price,valid_from,description,recurring\n"
SEAT = "SEAT,USD,600.00,2026-01-01,Seat per year,true\n"


def price(day: str, minor: int, *, sku: str = "SEAT", currency: str = "USD") -> ListPrice:
    return ListPrice(sku, currency, date.fromisoformat(day), minor, "Seat per year", recurring=True)


def test_a_file_becomes_exact_prices_in_the_digits_of_each_currency():
    text = HEADER + SEAT + '"SETUP",JPY,35000,2026-02-01,"Set-up, once",false\n'

    assert read_price_file(text) == (
        price("2026-01-01", 60_000),
        ListPrice("SETUP", "JPY", date(2026, 2, 1), 35_000, "Set-up, once", recurring=False),
    )


@pytest.mark.parametrize(
    "line",
    [
        "SEAT,USD,600.001,2026-01-01,Seat,true",
        "SEAT,USD,-600,2026-01-01,Seat,true",
        "SEAT,USD,6e2,2026-01-01,Seat,true",
        "SEAT,US,600,2026-01-01,Seat,true",
        "SEAT,USD,600,2026-02-30,Seat,true",
        "SEAT,USD,600,01.02.2026,Seat,true",
        "SEAT,USD,600,20260101,Seat,true",
        "SE AT,USD,600,2026-01-01,Seat,true",
        ",USD,600,2026-01-01,Seat,true",
        "SEAT,USD,600,2026-01-01,,true",
        "SEAT,USD,600,2026-01-01,Seat,yes",
        "SEAT,USD,600,2026-01-01,Seat",
        "SEAT,USD,600,2026-01-01,Seat,true,more",
        'SEAT,USD,600,2026-01-01,"Seat,true',
    ],
)
def test_a_line_that_cannot_be_a_price_is_named_and_nothing_is_taken(line: str):
    with pytest.raises(InvalidPriceFile) as caught:
        read_price_file(HEADER + SEAT + line)

    assert [error["field"] for error in caught.value.data["errors"]] == ["line 3"]


def test_every_faulty_line_is_named_at_once():
    with pytest.raises(InvalidPriceFile) as caught:
        read_price_file(HEADER + "x\n" + SEAT + "y\n" + SEAT)

    assert [error["field"] for error in caught.value.data["errors"]] == ["line 2", "line 4", "line 5"]


@pytest.mark.parametrize("text", ["", "sku,currency\n", SEAT])
def test_a_file_without_its_columns_is_refused(text: str):
    with pytest.raises(InvalidPriceFile) as caught:
        read_price_file(text)

    assert {error["field"] for error in caught.value.data["errors"]} == {"line 1"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ((HEADER + SEAT).encode() + b"SETUP,USD,1.00,2026-01-01,\xdcber,true\n", "line 3: byte 27 of the line is not UTF-8"),
        ((HEADER + SEAT).encode("utf-16"), "line 1: .*UTF-8"),
        ((HEADER + SEAT).replace(",", ";").encode(), "line 1: .*expected commas"),
    ],
)
def test_a_file_in_another_encoding_or_with_another_separator_is_named(content: bytes, fault: str):
    with pytest.raises(InvalidPriceFile) as caught:
        read_prices(io.BytesIO(content))

    assert re.match(fault, "; ".join(f"{error['field']}: {error['message']}" for error in caught.value.data["errors"]))


def test_only_what_is_not_in_the_book_is_added():
    known = [price("2026-01-01", 60_000)]

    found = compare([price("2026-01-01", 60_000), price("2026-01-01", 60_000, currency="EUR")], known)

    assert (found.added, found.unchanged) == ((price("2026-01-01", 60_000, currency="EUR"),), 1)


def test_a_price_of_a_known_day_at_another_amount_is_added():
    assert compare([price("2026-01-01", 61_000)], [price("2026-01-01", 60_000)]).added == (price("2026-01-01", 61_000),)


def test_the_latest_price_from_today_or_before_is_in_force_and_later_ones_are_shown_too():
    january, march, july = price("2026-01-01", 1), price("2026-03-01", 2), price("2026-07-01", 3)
    other = price("2026-02-01", 4, sku="ADDON")

    assert in_force([july, january, march, other], day=date(2026, 3, 1)) == (other, march, july)
    assert in_force([july, january, march, other], day=date(2026, 2, 28)) == (other, january, march, july)
