"""From what a seller writes to exact terms, with every faulty field named at once. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from trustpack.capabilities.revops.model import InvalidQuote, ListPrice, Pricing, QuoteLine, Terms, WrittenLine, WrittenTerms
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.kernel.money import LARGEST_AMOUNT_MINOR, InvalidMoney, Percentage, minor_digits, parse_amount, parse_percentage

VALID_DAYS: Final = 30
"""How long a quote is valid when its seller does not say."""
LONGEST_VALID_DAYS: Final = 365


class _Faults:
    """Collects what is wrong, field by field."""

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []

    def add(self, field: str, message: str) -> None:
        self.errors.append({"field": field, "message": message})

    def amount(self, field: str, text: str, *, currency: str) -> int:
        try:
            return parse_amount(text, currency=currency)
        except InvalidMoney as error:
            self.add(field, str(error))
            return 0

    def percentage(self, field: str, text: str) -> Percentage:
        try:
            return parse_percentage(text)
        except InvalidMoney as error:
            self.add(field, str(error))
            return parse_percentage("0")

    def stop_if_any(self) -> None:
        if self.errors:
            raise InvalidQuote(
                "; ".join(f"{error['field']}: {error['message']}" for error in self.errors[:3]), errors=self.errors
            )


def read_written(
    written: WrittenTerms, *, quote_id: str, revision: int, account: str, list_prices: Mapping[str, ListPrice], today: date
) -> Terms:
    """Return the exact terms of what was written; `list_prices` gives the price book's entry of each SKU in this currency.

    Whether a line recurs is the price book's to say where the SKU is in it: else a deep recurring discount could be hidden.

    Raises `InvalidQuote`: for amounts and percentages that are none, sums that are too large, a header discount that is not
    that of the lines (research/revops case 32), dates that cannot be.
    """
    faults = _Faults()
    try:
        minor_digits(written.currency)
    except InvalidMoney as error:
        faults.add("currency", str(error))
    faults.stop_if_any()
    lines, pricing = _lines_of(written, list_prices, faults)
    valid_until = written.valid_until or today + timedelta(days=VALID_DAYS)
    if not today <= valid_until <= today + timedelta(days=LONGEST_VALID_DAYS):
        faults.add("valid_until", f"expected a day from today on, {LONGEST_VALID_DAYS} days ahead at most")
    faults.stop_if_any()
    _check_sums(lines, faults)
    _check_declared(written, lines, faults)
    faults.stop_if_any()
    return Terms(
        quote_id=quote_id,
        revision=revision,
        account=account,
        currency=written.currency,
        pricing=pricing,
        lines=lines,
        valid_until=valid_until,
        term_months=written.term_months,
        payment_days=written.payment_days,
        start_date=written.start_date,
    )


def priced_anew(terms: Terms, *, list_prices: Mapping[str, ListPrice]) -> Terms:
    """Return terms with the price book as it is today: a copy of old terms hides no discount on a price that rose since.

    Raises `InvalidQuote` where the sum becomes larger than any quote may be.
    """
    if terms.pricing == Pricing.BARE_AMOUNT:
        return terms
    faults = _Faults()
    lines = tuple(_priced(line, list_prices) for line in terms.lines)
    _check_sums(lines, faults)
    faults.stop_if_any()
    return replace(terms, lines=lines, pricing=_pricing_of(lines))


def _lines_of(
    written: WrittenTerms, list_prices: Mapping[str, ListPrice], faults: _Faults
) -> tuple[tuple[QuoteLine, ...], Pricing]:
    if (written.amount is None) == (not written.lines):
        faults.add("lines", "give either lines, or an amount with its discount_percent")
        faults.stop_if_any()
    if written.amount is not None:
        line = QuoteLine(
            sku=None,
            description="Amount",
            quantity=1,
            unit_price=faults.amount("amount", written.amount, currency=written.currency),
            discount=faults.percentage("discount_percent", "0" if written.discount_percent is None else written.discount_percent),
            recurring=False,
            list_price=None,
        )
        return (line,), Pricing.BARE_AMOUNT
    lines = tuple(_line(line, number, written.currency, list_prices, faults) for number, line in enumerate(written.lines))
    return lines, _pricing_of(lines)


def _pricing_of(lines: tuple[QuoteLine, ...]) -> Pricing:
    return Pricing.CATALOGUED if all(line.list_price is not None for line in lines) else Pricing.UNCATALOGUED


def _line(line: WrittenLine, number: int, currency: str, list_prices: Mapping[str, ListPrice], faults: _Faults) -> QuoteLine:
    plain = QuoteLine(
        sku=line.sku,
        description=line.description,
        quantity=line.quantity,
        unit_price=faults.amount(f"lines/{number}/unit_price", line.unit_price, currency=currency),
        discount=faults.percentage(f"lines/{number}/discount_percent", line.discount_percent),
        recurring=line.recurring,
        list_price=None,
    )
    return _priced(plain, list_prices)


def _priced(line: QuoteLine, list_prices: Mapping[str, ListPrice]) -> QuoteLine:
    entry = list_prices.get(line.sku) if line.sku is not None else None
    if entry is None:
        return replace(line, list_price=None)
    return replace(line, list_price=entry.list_minor, recurring=entry.recurring)


def _check_sums(lines: tuple[QuoteLine, ...], faults: _Faults) -> None:
    if totals_of(lines).list_amount > LARGEST_AMOUNT_MINOR:
        faults.add("lines", "the sum of the lines is larger than any quote may be")


def _check_declared(written: WrittenTerms, lines: tuple[QuoteLine, ...], faults: _Faults) -> None:
    if written.lines and written.discount_percent is not None:
        declared = faults.percentage("discount_percent", written.discount_percent)
        if declared.share != totals_of(lines).blended:
            faults.add("discount_percent", "is not the discount of the lines; leave it out, as it follows from them")
