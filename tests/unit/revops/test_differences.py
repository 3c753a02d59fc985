"""What changed between two revisions, as people compare two papers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from trustpack.capabilities.revops.model import Pricing, QuoteLine, Terms
from trustpack.capabilities.revops.pages.quote_differences import difference
from trustpack.kernel.money import parse_percentage

SEAT = QuoteLine("SEAT", "Seat", 50, 60_000, parse_percentage("10"), recurring=True, list_price=60_000)
SETUP = QuoteLine(None, "Setup", 1, 3_500_000, parse_percentage("0"), recurring=False, list_price=None)
TERMS = Terms(
    quote_id="quo_1",
    revision=1,
    account="Acme",
    currency="USD",
    pricing=Pricing.UNCATALOGUED,
    lines=(SEAT, SETUP),
    valid_until=date(2026, 12, 31),
    term_months=12,
    payment_days=None,
    start_date=None,
)


def test_nothing_changed_is_said_to_be_nothing():
    found = difference(TERMS, replace(TERMS, revision=2))

    assert (found.added, found.removed, found.changed, found.figures) == (0, 0, 0, ())
    assert {sign for sign, _ in found.lines} == {" "}


def test_a_line_that_keeps_its_name_is_changed_and_stands_beside_what_it_was():
    found = difference(TERMS, replace(TERMS, lines=(replace(SEAT, quantity=60, unit_price=59_999), SETUP)))

    assert (found.added, found.removed, found.changed) == (0, 0, 1)
    assert found.lines == (
        ("-", "SEAT Seat: 50 at 600.00, less 10 %"),
        ("+", "SEAT Seat: 60 at 599.99 (list 600.00), less 10 %"),
        (" ", "Setup: 1 at 35,000.00, less 0 %, once"),
    )


def test_amounts_and_quantities_stand_in_groups_as_in_the_totals():
    many = replace(SEAT, quantity=1_500, unit_price=1_200_000, list_price=150_000_000)
    found = difference(replace(TERMS, lines=(replace(many, quantity=1),)), replace(TERMS, lines=(many,)))

    assert found.lines[1] == ("+", "SEAT Seat: 1,500 at 12,000.00 (list 1,500,000.00), less 10 %")
    assert found.figures[0] == ("List", "1,500,000.00 USD", "2,250,000,000.00 USD")


def test_lines_that_came_and_went_are_counted_apart():
    support = replace(SETUP, description="Support")
    found = difference(TERMS, replace(TERMS, lines=(support, SEAT)))

    assert (found.added, found.removed, found.changed) == (1, 1, 0)
    assert [sign for sign, _ in found.lines] == ["+", " ", "-"]


def test_lines_of_one_name_are_compared_in_their_order():
    cheaper = replace(SEAT, unit_price=10_000)
    found = difference(replace(TERMS, lines=(SEAT, cheaper)), replace(TERMS, lines=(SEAT, replace(cheaper, quantity=1))))

    assert (found.added, found.removed, found.changed) == (0, 0, 1)


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"valid_until": date(2027, 1, 1)}, ("Valid until", "2026-12-31", "2027-01-01")),
        ({"term_months": None}, ("Term", "12 months", "not said")),
        ({"payment_days": 30}, ("Payment", "not said", "30 days")),
        ({"start_date": date(2027, 2, 1)}, ("Starts", "not said", "2027-02-01")),
    ],
)
def test_other_terms_are_told_as_before_and_after(changes: dict[str, Any], figure: tuple[str, str, str]):
    assert difference(TERMS, replace(TERMS, **changes)).figures == (figure,)


def test_amounts_are_told_in_their_own_currency():
    found = difference(TERMS, replace(TERMS, currency="EUR"))

    assert found.figures[:2] == (("List", "65,000.00 USD", "65,000.00 EUR"), ("Net", "62,000.00 USD", "62,000.00 EUR"))
