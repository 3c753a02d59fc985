from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.kernel.money import (
    CURRENCIES,
    LARGEST_AMOUNT_MINOR,
    InvalidMoney,
    Percentage,
    discounted,
    format_amount,
    format_limit,
    format_share,
    minor_digits,
    parse_amount,
    parse_percentage,
)

amounts = st.integers(0, LARGEST_AMOUNT_MINOR)
shares = st.fractions(0, 1, max_denominator=10**18)
percentages = st.integers(0, 100 * 10**6).map(lambda millionths: Percentage(Fraction(millionths, 10**6)))


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("600.00", "USD", 60000),
        ("600", "USD", 60000),
        ("600.5", "USD", 60050),
        ("0", "USD", 0),
        ("0.01", "EUR", 1),
        ("1200", "JPY", 1200),
        ("1.234", "KWD", 1234),
        ("1.2", "BHD", 1200),
        ("10000000000000.00", "USD", LARGEST_AMOUNT_MINOR),
    ],
)
def test_an_amount_is_read_in_the_minor_units_of_its_currency(text, currency, minor):
    assert parse_amount(text, currency=currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("600.001", "USD"),
        ("1.0", "JPY"),
        ("1.2345", "KWD"),
        ("-1.00", "USD"),
        ("+1.00", "USD"),
        ("1e3", "USD"),
        ("1,000.00", "USD"),
        ("1.000,00", "EUR"),
        (".5", "USD"),
        ("5.", "USD"),
        ("00.5", "USD"),
        ("", "USD"),
        (" 1", "USD"),
        ("1\n", "USD"),
        ("NaN", "USD"),
        ("Infinity", "USD"),
        ("٣", "USD"),
        ("10000000000000.01", "USD"),
        ("1.00", "usd"),
        ("1.00", "ZZZ"),
        ("1.00", ""),
    ],
)
def test_anything_else_is_no_amount(text, currency):
    with pytest.raises(InvalidMoney):
        parse_amount(text, currency=currency)


@given(minor=amounts, currency=st.sampled_from(sorted(CURRENCIES)))
def test_an_amount_survives_being_written_and_read(minor, currency):
    text = format_amount(minor, currency=currency)

    assert parse_amount(text, currency=currency) == minor
    assert len(text.partition(".")[2]) == minor_digits(currency)


@pytest.mark.parametrize(
    ("text", "value"),
    [("30", Fraction(30)), ("20.004", Fraction(20004, 1000)), ("0", Fraction(0)), ("100", Fraction(100)), ("20.0", Fraction(20))],
)
def test_a_percentage_is_exactly_what_was_written(text, value):
    assert parse_percentage(text).value == value


@pytest.mark.parametrize(
    "text", ["100.000001", "101", "-0", "-1", "2e1", "NaN", "Infinity", "20,5", "", "20%", ".5", "5.", "0.0000001", "020", "20\n"]
)
def test_anything_else_is_no_percentage(text):
    with pytest.raises(InvalidMoney):
        parse_percentage(text)


@given(percentage=percentages)
def test_a_percentage_survives_being_written_and_read(percentage):
    assert parse_percentage(str(percentage)) == percentage


@given(minor=amounts, percentage=percentages)
def test_rounding_never_deepens_a_discount(minor, percentage):
    net = discounted(minor, percentage)

    assert 0 <= net <= minor
    assert net >= minor * (1 - percentage.share)
    assert net - minor * (1 - percentage.share) < 1
    assert (minor - net) * 100 * percentage.value.denominator <= percentage.value.numerator * minor


@pytest.mark.parametrize(("amount", "net"), [("99999.99", "80000.00"), ("333.33", "266.67"), ("100000.00", "80000.00")])
def test_twenty_percent_of_an_odd_amount_stays_within_twenty_percent(amount, net):
    minor = parse_amount(amount, currency="USD")

    assert format_amount(discounted(minor, parse_percentage("20")), currency="USD") == net


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(1, 5), "20"),
        (Fraction(20004, 100_000), "20.004"),
        (Fraction(1, 3), "33.333334"),
        (Fraction(1, 5) + Fraction(1, 10**12), "20.000001"),
        (Fraction(0), "0"),
        (Fraction(1), "100"),
    ],
)
def test_a_share_is_written_exactly_or_rounded_up(share, text):
    assert format_share(share) == text


@given(one=shares, other=shares, by=st.integers(1, 10**24).map(lambda parts: Fraction(1, parts)))
def test_a_discount_above_a_limit_never_reads_as_at_it_or_below(one, other, by):
    for limit, discount in ((min(one, other), max(one, other)), (one, one + by)):
        if limit < discount:
            assert Fraction(format_share(discount)) > Fraction(format_limit(limit))


@given(one=shares, other=shares)
def test_of_two_discounts_the_larger_never_reads_as_the_smaller(one, other):
    assert Fraction(format_share(min(one, other))) <= Fraction(format_share(max(one, other)))


@given(percentage=percentages)
def test_a_written_percentage_reads_as_it_was_written_as_discount_and_as_limit(percentage):
    assert format_share(percentage.share) == format_limit(percentage.share) == str(percentage)
