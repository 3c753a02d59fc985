"""Exact money and discounts: whole minor units of a currency, and fractions; never a float, never a rounded percentage.

Guarantee: pure. Source: ISO 4217 (minor units); story 2.6; research/revops section 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final

_EXCEPTIONS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_HUNDREDTHS: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK"
    " DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK"
    " LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR"
    " RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES"
    " WST XCD XCG YER ZAR ZMW ZWG"
)
_MINOR_DIGITS: Final[Mapping[str, int]] = {
    code: digits for digits, codes in ({2: _HUNDREDTHS} | _EXCEPTIONS).items() for code in codes.split()
}
CURRENCIES: Final = frozenset(_MINOR_DIGITS)
LARGEST_AMOUNT_MINOR: Final = 10**15
"""Ten trillion dollars: far beyond any deal, and with room to every limit of JSON integers (2^53)."""
_STEPS_OF_PERCENT: Final = 100 * 10**6
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,3}))?", re.ASCII)
_PERCENT: Final = re.compile(r"(0|[1-9][0-9]{0,2})(?:\.([0-9]{1,6}))?", re.ASCII)


class InvalidMoney(ValueError):
    """A text is no amount of the currency, no percentage, or the currency is not known; the message says what was expected."""


@dataclass(frozen=True, slots=True, order=True)
class Percentage:
    """A percentage exactly as it was written: `Percentage(Fraction(20004, 1000))` is 20.004 %."""

    value: Fraction

    @property
    def share(self) -> Fraction:
        """The part of one whole that it is: 20 % is 1/5."""
        return self.value / 100

    def __str__(self) -> str:
        return _decimal_text(self.value)


def minor_digits(currency: str) -> int:
    """Return how many digits the currency has after the point. Raises `InvalidMoney` for a currency that is not in use."""
    if currency not in _MINOR_DIGITS:
        raise InvalidMoney("expected a currency of ISO 4217, such as USD")
    return _MINOR_DIGITS[currency]


def parse_amount(text: str, *, currency: str) -> int:
    """Return the amount in minor units: `"600.00"` USD is 60000. Raises `InvalidMoney`.

    No sign, exponent, separator or digit beyond the currency's own is accepted: `600.001` USD is an error, not 600.00.
    """
    digits = minor_digits(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None or len(match[2] or "") > digits:
        raise InvalidMoney(f"expected an amount of {currency} as digits with at most {digits} after the point")
    minor = int(match[1] + (match[2] or "").ljust(digits, "0"))
    if minor > LARGEST_AMOUNT_MINOR:
        raise InvalidMoney(f"expected at most {format_amount(LARGEST_AMOUNT_MINOR, currency=currency)} {currency}")
    return minor


def format_amount(minor: int, *, currency: str) -> str:
    """Return minor units as a decimal text with the currency's digits: 60000 USD is `"600.00"`."""
    digits = minor_digits(currency)
    whole, rest = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def parse_percentage(text: str) -> Percentage:
    """Return a percentage from 0 to 100 with at most six digits after the point, exactly. Raises `InvalidMoney`."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise InvalidMoney("expected a percentage from 0 to 100 as digits with at most 6 after the point")
    value = Fraction(int(match[1] + (match[2] or "")), 10 ** len(match[2] or ""))
    if value > 100:  # noqa: PLR2004 - a percentage
        raise InvalidMoney("expected a percentage from 0 to 100")
    return Percentage(value)


def discounted(minor: int, percentage: Percentage) -> int:
    """Return what is left of an amount, in minor units, rounded toward the seller: no rounding ever deepens a discount."""
    left = minor * (1 - percentage.share)
    return -(-left.numerator // left.denominator)


def format_share(share: Fraction) -> str:
    """Return a discount, a share of one, as a percentage: exactly where six digits after the point suffice, else rounded up.

    Wherever a discount is written, it is written so. As limits are rounded down, one above a limit never reads as at it.
    """
    return _decimal_text(Fraction(ceil(share * _STEPS_OF_PERCENT), 10**6))


def format_limit(limit: Fraction) -> str:
    """Return the largest share that is allowed as a percentage, as `format_share` writes it, but rounded down."""
    return _decimal_text(Fraction(floor(limit * _STEPS_OF_PERCENT), 10**6))


def _decimal_text(value: Fraction) -> str:
    """Return a fraction whose denominator divides a power of ten, without trailing zeros."""
    scaled = value * 10**6
    assert scaled.denominator == 1  # parse_percentage takes six digits at most
    text = f"{scaled.numerator // 10**6}.{scaled.numerator % 10**6:06d}".rstrip("0")
    return text.removesuffix(".")
