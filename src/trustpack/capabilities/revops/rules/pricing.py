"""What a quote comes to, exactly. Guarantee: pure. Source: story 2.6; research/revops section 2, cases 1 to 9."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from trustpack.capabilities.revops.model import LineAmounts, QuoteLine, Totals
from trustpack.kernel.money import LARGEST_AMOUNT_MINOR, discounted

_EVERYTHING = Fraction(1)
"""The discount of what has no list price: it cannot be measured, so it counts as the deepest (case 8)."""


def totals_of(lines: Sequence[QuoteLine]) -> Totals:
    """Return the amounts of a quote and its discounts.

    A unit price below the price book's counts as discount; one above it raises the list amount, so that no premium on one
    line pays for a discount on the same line. Each line's net amount is rounded toward the seller.
    """
    amounts = tuple(_amounts_of(line) for line in lines)
    recurring = [amount for line, amount in zip(lines, amounts, strict=True) if line.recurring]
    list_amount, net_amount = _sums(amounts)
    return Totals(
        lines=amounts,
        list_amount=list_amount,
        net_amount=net_amount,
        declared=max((line.discount.share for line in lines), default=_EVERYTHING),
        blended=_share(list_amount, net_amount),
        largest_line=max((amount.discount for amount in amounts), default=_EVERYTHING),
        recurring=_share(*_sums(recurring)) if recurring else Fraction(0),
    )


def joint_discount(list_minor: int, net_minor: int) -> Fraction:
    """Return the discount of several quotes that come to this together: what splitting one deal would hide (case 12).

    Exact up to the largest amount that one quote may have; beyond, rounded up, so that policy can always be told.
    """
    share = _share(list_minor, net_minor)
    if share.denominator <= LARGEST_AMOUNT_MINOR:
        return share
    scaled = share * LARGEST_AMOUNT_MINOR
    return Fraction(-(-scaled.numerator // scaled.denominator), LARGEST_AMOUNT_MINOR)


def _amounts_of(line: QuoteLine) -> LineAmounts:
    list_price = line.unit_price if line.list_price is None else max(line.list_price, line.unit_price)
    list_amount = list_price * line.quantity
    net_amount = discounted(line.unit_price * line.quantity, line.discount)
    return LineAmounts(list_amount=list_amount, net_amount=net_amount, discount=_share(list_amount, net_amount))


def _sums(amounts: Iterable[LineAmounts]) -> tuple[int, int]:
    several = list(amounts)
    return sum(amount.list_amount for amount in several), sum(amount.net_amount for amount in several)


def _share(list_amount: int, net_amount: int) -> Fraction:
    return Fraction(list_amount - net_amount, list_amount) if list_amount else _EVERYTHING
