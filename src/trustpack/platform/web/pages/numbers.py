"""How pages write amounts: in groups of three digits, as the API does not."""

from __future__ import annotations

from trustpack.kernel.money import format_amount


def grouped(amount: str) -> str:
    """Return an exact amount with its digits in groups: `526800.00` is `526,800.00`."""
    sign = "-" if amount.startswith("-") else ""
    whole, point, rest = amount.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def shown_amount(minor: int, *, currency: str) -> str:
    """Return minor units as pages show them, with the currency: 52680000 USD is `526,800.00 USD`."""
    return f"{grouped(format_amount(minor, currency=currency))} {currency}"
