"""Figures on pages: grouped digits, and short discounts that never hide that a limit is passed."""

from __future__ import annotations

from fractions import Fraction

import pytest

from trustpack.platform.web.pages.numbers import grouped, short_percent, shown_amount


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("526800.00", "526,800.00"),
        ("999.99", "999.99"),
        ("1000", "1,000"),
        ("1234567.890", "1,234,567.890"),
        ("-48000.00", "-48,000.00"),
        ("-0.50", "-0.50"),
        ("10000000000000.00", "10,000,000,000,000.00"),
    ],
)
def test_digits_of_an_amount_stand_in_groups_and_none_is_lost(amount: str, shown: str) -> None:
    assert grouped(amount) == shown


def test_an_amount_is_shown_with_the_digits_and_the_name_of_its_currency() -> None:
    assert shown_amount(52_680_000, currency="USD") == "526,800.00 USD"
    assert shown_amount(52_680_000, currency="JPY") == "52,680,000 JPY"


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (Fraction(1, 5), "20 %"),
        (Fraction(200_001, 1_000_000), "20.01 %"),
        (Fraction(40_608_794, 100_000_000), "40.61 %"),
        (Fraction(125, 1000), "12.5 %"),
        (Fraction(0), "0 %"),
        (Fraction(1), "100 %"),
        (Fraction(1, 10**9), "0.01 %"),
    ],
)
def test_a_short_discount_is_rounded_up(share: Fraction, shown: str) -> None:
    assert short_percent(share) == shown
