from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.revops.model import Pricing, QuoteLine, Terms
from trustpack.capabilities.revops.rules.pricing import joint_discount, totals_of
from trustpack.capabilities.revops.rules.terms import encode_terms, read_terms, terms_digest
from trustpack.kernel.money import Percentage, parse_amount, parse_percentage

lines = st.builds(
    QuoteLine,
    sku=st.none() | st.just("SEAT"),
    description=st.just("Seats"),
    quantity=st.integers(1, 10**4),
    unit_price=st.integers(0, 10**9),
    discount=st.integers(0, 10**8).map(lambda millionths: Percentage(Fraction(millionths, 10**6))),
    recurring=st.booleans(),
    list_price=st.none() | st.integers(0, 10**9),
)


def line(price, discount="0", *, quantity=1, list_price=None, recurring=True, sku="SEAT"):
    return QuoteLine(
        sku=sku,
        description="Seats",
        quantity=quantity,
        unit_price=parse_amount(price, currency="USD"),
        discount=parse_percentage(discount),
        recurring=recurring,
        list_price=None if list_price is None else parse_amount(list_price, currency="USD"),
    )


def test_the_discount_of_a_quote_is_exact():
    totals = totals_of([line("252000.00", "20.004")])

    assert (totals.list_amount, totals.net_amount) == (25_200_000, 20_158_992)
    assert totals.declared == Fraction(20004, 100_000)
    assert totals.blended > Fraction(1, 5)


@pytest.mark.parametrize("price", ["99999.99", "333.33", "0.01", "100000.00"])
def test_exactly_twenty_percent_of_any_amount_stays_at_or_below_twenty(price):
    totals = totals_of([line(price, "20")])

    assert totals.declared == Fraction(1, 5)
    assert totals.blended <= Fraction(1, 5)


def test_a_fat_line_hides_no_deep_one():
    totals = totals_of([line("90000.00", "45"), line("131000.00", "0", recurring=False)])

    assert totals.blended < Fraction(1, 5)
    assert totals.largest_line == Fraction(45, 100)
    assert totals.recurring == Fraction(45, 100)


def test_a_unit_price_below_the_price_book_is_a_discount():
    totals = totals_of([line("300.00", "0", list_price="600.00", quantity=10)])

    assert totals.list_amount == 600_000
    assert (totals.declared, totals.blended) == (0, Fraction(1, 2))


def test_a_unit_price_above_the_price_book_hides_no_discount():
    totals = totals_of([line("1200.00", "50", list_price="600.00")])

    assert totals.blended == Fraction(1, 2)


@pytest.mark.deal_case(8)
def test_what_has_no_list_price_counts_as_given_away():
    assert totals_of([line("0.00")]).blended == 1
    assert totals_of([]).blended == 1


def test_split_quotes_are_measured_together():
    parts = [totals_of([line("100000.00", "10")]), totals_of([line("100000.00", "40")])]

    together = joint_discount(sum(part.list_amount for part in parts), sum(part.net_amount for part in parts))

    assert together == Fraction(1, 4)
    assert joint_discount(0, 0) == 1


@given(amounts=st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)).map(sorted), min_size=1, max_size=40))
def test_a_joint_discount_can_be_told_to_policy_and_is_never_less_than_it_is(amounts):
    list_minor, net_minor = sum(most for _, most in amounts), sum(least for least, _ in amounts)
    exact = Fraction(list_minor - net_minor, list_minor) if list_minor else Fraction(1)

    told = joint_discount(list_minor, net_minor)

    assert 0 <= told.numerator <= told.denominator <= 10**15
    assert exact <= told <= exact + Fraction(1, 10**15)


@given(written=st.lists(lines, min_size=1, max_size=6))
def test_no_discount_is_deeper_than_its_deepest_line_or_outside_its_bounds(written):
    totals = totals_of(written)

    assert 0 <= totals.net_amount <= totals.list_amount
    assert 0 <= totals.blended <= totals.largest_line <= 1
    assert totals.list_amount == sum(amount.list_amount for amount in totals.lines)
    assert totals.net_amount == sum(amount.net_amount for amount in totals.lines)


@given(written=st.lists(lines, min_size=1, max_size=4))
def test_terms_survive_being_written_and_read(written):
    terms = Terms("quo_1", 1, "acme", "USD", Pricing.CATALOGUED, tuple(written), date(2026, 12, 31), 12, 30, date(2027, 1, 1))

    encoded = encode_terms(terms)

    assert read_terms(encoded) == terms
    assert encode_terms(read_terms(encoded)) == encoded


@pytest.mark.parametrize(
    "changed",
    [
        {"quote_id": "quo_2"},
        {"revision": 2},
        {"account": "globex"},
        {"currency": "EUR"},
        {"pricing": Pricing.UNCATALOGUED},
        {"lines": (line("600.01"),)},
        {"lines": (line("600.00", "0.000001"),)},
        {"lines": (line("600.00", quantity=2),)},
        {"lines": (line("600.00", list_price="700.00"),)},
        {"lines": (line("600.00", recurring=False),)},
        {"lines": (line("600.00", sku="OTHER"),)},
        {"lines": (line("600.00"), line("600.00"))},
        {"valid_until": date(2027, 1, 1)},
        {"term_months": 13},
        {"payment_days": 60},
        {"start_date": None},
    ],
)
def test_every_commercial_change_has_another_digest(changed):
    fields = {
        "quote_id": "quo_1",
        "revision": 1,
        "account": "acme",
        "currency": "USD",
        "pricing": Pricing.CATALOGUED,
        "lines": (line("600.00"),),
        "valid_until": date(2026, 12, 31),
        "term_months": 12,
        "payment_days": 30,
        "start_date": date(2027, 1, 1),
    }

    before, after = (terms_digest(encode_terms(Terms(**(fields | change)))) for change in ({}, changed))

    assert before != after
