"""How pages write figures: amounts in groups of three digits, and discounts of lists short. The API writes neither so."""

from __future__ import annotations

from fractions import Fraction

from trustpack.kernel.money import format_amount


def grouped(amount: str) -> str:
    """Return an exact amount with its digits in groups: `526800.00` is `526,800.00`."""
    sign = "-" if amount.startswith("-") else ""
    whole, point, rest = amount.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def shown_amount(minor: int, *, currency: str) -> str:
    """Return minor units as pages show them, with the currency: 52680000 USD is `526,800.00 USD`."""
    return f"{grouped(format_amount(minor, currency=currency))} {currency}"


def short_percent(share: Fraction) -> str:
    """Return a share of one as a percentage with two digits at most, rounded up: just above a limit never reads as at it."""
    hundredths = -(-share * 10_000 // 1)
    whole, rest = divmod(int(hundredths), 100)
    return f"{whole}.{rest:02d}".rstrip("0").removesuffix(".") + " %"
