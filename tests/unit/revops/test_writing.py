"""From what a seller writes to exact terms: what the price book says is not the seller's to say."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from trustpack.capabilities.revops.model import InvalidQuote, ListPrice, Pricing, Terms, WrittenLine, WrittenTerms
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.capabilities.revops.rules.writing import priced_anew, read_written

TODAY = date(2026, 11, 22)


def entry(list_minor: int = 60_000, *, recurring: bool = True) -> ListPrice:
    return ListPrice("SEAT", "USD", TODAY, list_minor, "Seat per year", recurring)


def line(**changes: Any) -> WrittenLine:
    fields: dict[str, Any] = {"sku": "SEAT", "description": "Seats", "quantity": 1, "unit_price": "600.00"}
    return WrittenLine(**(fields | {"discount_percent": "0", "recurring": True} | changes))


def terms_of(*lines: WrittenLine, book: dict[str, ListPrice] | None = None, **changes: Any) -> Terms:
    fields: dict[str, Any] = {"currency": "USD", "lines": lines, "amount": None, "discount_percent": None}
    fields |= dict.fromkeys(("valid_until", "term_months", "payment_days", "start_date")) | changes
    prices = {"SEAT": entry()} if book is None else book
    return read_written(WrittenTerms(**fields), quote_id="quo_1", revision=1, account="Acme", list_prices=prices, today=TODAY)


@pytest.mark.deal_case(32)
def test_a_seller_who_says_that_a_line_does_not_recur_hides_no_recurring_discount() -> None:
    terms = terms_of(line(recurring=False, discount_percent="45"))

    assert [written.recurring for written in terms.lines] == [True]
    assert totals_of(terms.lines).recurring > 0


def test_a_line_in_no_price_book_recurs_as_its_seller_says() -> None:
    lines = terms_of(line(recurring=False), line(recurring=True), book={}).lines

    assert [written.recurring for written in lines] == [False, True]


@pytest.mark.parametrize(
    "too_much",
    [
        {"quantity": 1_000_000, "unit_price": "9999999999999.99"},
        {"quantity": 2, "unit_price": "5000000000000.01"},
        {"unit_price": "10000000000000.01"},
        {"unit_price": "999999999999999.99"},
    ],
    ids=str,
)
def test_a_sum_beyond_the_largest_amount_is_refused(too_much: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuote):
        terms_of(line(**too_much))


def test_the_largest_amount_itself_is_taken() -> None:
    assert totals_of(terms_of(line(unit_price="10000000000000.00")).lines).list_amount == 10**15


@pytest.mark.deal_case(17)
def test_terms_that_are_priced_anew_are_measured_by_the_list_prices_of_today() -> None:
    old = terms_of(line(unit_price="480.00"))

    new = priced_anew(old, list_prices={"SEAT": entry(100_000)})
    gone = priced_anew(old, list_prices={})

    assert [int(totals_of(terms.lines).blended * 100) for terms in (old, new)] == [20, 52]
    assert (old.pricing, new.pricing, gone.pricing) == (Pricing.CATALOGUED, Pricing.CATALOGUED, Pricing.UNCATALOGUED)
    assert [written.unit_price for written in new.lines] == [48_000]


def test_a_bare_amount_stays_one_when_it_is_priced_anew() -> None:
    bare = terms_of(amount="100000.00", discount_percent="30")

    assert priced_anew(bare, list_prices={"SEAT": entry()}) == bare


def test_a_list_price_that_makes_the_sum_too_large_is_refused() -> None:
    with pytest.raises(InvalidQuote):
        priced_anew(terms_of(line(quantity=2)), list_prices={"SEAT": entry(10**15)})
