"""Amounts on pages: grouped digits."""

from __future__ import annotations

import pytest

from trustpack.platform.web.pages.numbers import grouped, shown_amount


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
