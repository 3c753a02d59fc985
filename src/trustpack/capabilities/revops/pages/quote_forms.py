"""The form in which a quote is written: what stands in it, and how its own buttons change it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trustpack.capabilities.revops.model import Pricing, Quote, QuoteLine
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.kernel.errors import InvalidInput
from trustpack.kernel.money import format_amount

LINES, AMOUNT = "lines", "amount"
MOST_LINES_OF_A_FORM: Final = 30
"""Within the number of fields that any form may have; longer quotes are written by the API."""
_OWN: Final = frozenset({"key", "opened_version", "pricing", "do"})
HEAD: Final = frozenset(
    {"title", "currency", "valid_until", "term_months", "payment_days", "start_date", "amount", "discount_percent"}
)
OF_A_LINE: Final = ("sku", "description", "quantity", "unit_price", "discount_percent", "recurring")
LINE: Final = re.compile(rf"line-([1-9][0-9]?)-({'|'.join(OF_A_LINE)})", re.ASCII)
_EMPTY_LINE: Final = {"sku": "", "description": "", "quantity": "1", "unit_price": "", "discount_percent": "0"}


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the price book: its list price by currency."""

    sku: str
    description: str
    prices: Mapping[str, str]

    @property
    def label(self) -> str:
        return " · ".join((self.description, self.sku, *(f"{price} {currency}" for currency, price in self.prices.items())))


@dataclass(frozen=True, slots=True)
class QuoteForm:
    """What stands in the form, field by field, and what is wrong with it; `lines` are the numbers of its lines in order."""

    given: Mapping[str, str]
    lines: tuple[int, ...]
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_amount(self) -> bool:
        return self.given.get("pricing") == AMOUNT

    def with_errors(self, errors: Mapping[str, str]) -> QuoteForm:
        """Return the form with what is wrong with it."""
        return replace(self, errors=errors)


def new_form(*, currency: str) -> QuoteForm:
    """Return the form of a new quote: one empty line."""
    return _with_lines({"currency": currency, "pricing": LINES}, (_EMPTY_LINE,))


def form_of(quote: Quote, items: Sequence[Item]) -> QuoteForm:
    """Return the form in which a quote is changed.

    What the price book says of an item stays empty, so that another item may take its place.
    """
    terms = read_terms(quote.terms)
    by_sku = {item.sku: item for item in items}
    head = {
        "opened_version": str(quote.version),
        "title": quote.title or "",
        "currency": terms.currency,
        "valid_until": terms.valid_until.isoformat(),
        "term_months": _text(terms.term_months),
        "payment_days": _text(terms.payment_days),
        "start_date": terms.start_date.isoformat() if terms.start_date else "",
    }
    if terms.pricing == Pricing.BARE_AMOUNT:
        [line] = terms.lines
        amount = format_amount(line.unit_price, currency=terms.currency)
        bare = {**head, "pricing": AMOUNT, "amount": amount, "discount_percent": str(line.discount)}
        return _with_lines(bare, ())
    return _with_lines(
        {**head, "pricing": LINES},
        tuple(_line_of(line, by_sku.get(line.sku or ""), currency=terms.currency) for line in terms.lines),
    )


def read_quote_form(fields: Mapping[str, str]) -> QuoteForm:
    """Return the form that was sent. Raises `InvalidInput` for what no form of ours sends."""
    numbers = set()
    for name in fields:
        found = LINE.fullmatch(name)
        if found is not None and int(found[1]) <= MOST_LINES_OF_A_FORM:
            numbers.add(int(found[1]))
        elif name not in _OWN | HEAD:
            raise InvalidInput(f"The form has no field {name[:50]!r}.")
    if fields.get("pricing") not in {LINES, AMOUNT} or not re.fullmatch(r"[0-9a-f]{32}", fields.get("key", "")):
        raise InvalidInput("The form is not whole.")
    return QuoteForm(fields, tuple(sorted(numbers)))


def rewritten(form: QuoteForm, step: str) -> QuoteForm:
    """Return the form after one of its own buttons: a line more or less, or lines instead of an amount and back.

    Raises `InvalidInput` for a button that it does not have.
    """
    lines = {number: _line_in(form, number) for number in form.lines}
    head = {name: value for name, value in form.given.items() if name in _OWN | HEAD}
    match step.partition(":"):
        case ("preview", "", ""):
            return form
        case ("add", "", ""):
            return _with_lines(head, (*lines.values(), _EMPTY_LINE)[:MOST_LINES_OF_A_FORM])
        case ("remove", ":", number) if number in {str(line) for line in lines}:
            left = tuple(line for each, line in lines.items() if each != int(number))
            return _with_lines(head, left or (_EMPTY_LINE,))
        case ("as", ":", "amount"):
            return _with_lines({**head, "pricing": AMOUNT}, ())
        case ("as", ":", "lines"):
            return _with_lines({**head, "pricing": LINES}, (_EMPTY_LINE,))
        case _:
            raise InvalidInput("The form has no such button.")


def _line_of(line: QuoteLine, item: Item | None, *, currency: str) -> dict[str, str]:
    price = format_amount(line.unit_price, currency=currency)
    return {
        "sku": line.sku or "",
        "description": "" if item and line.description == item.description else line.description,
        "quantity": str(line.quantity),
        "unit_price": "" if item and price == item.prices.get(currency) else price,
        "discount_percent": str(line.discount),
        "recurring": "yes" if line.recurring else "",
    }


def _with_lines(head: Mapping[str, str], lines: Sequence[Mapping[str, str]]) -> QuoteForm:
    numbered = {f"line-{n}-{name}": value for n, line in enumerate(lines, start=1) for name, value in line.items()}
    return QuoteForm({**head, **numbered}, tuple(range(1, len(lines) + 1)))


def _line_in(form: QuoteForm, number: int) -> dict[str, str]:
    return {name: form.given.get(f"line-{number}-{name}", "") for name in OF_A_LINE}


def value_of(form: QuoteForm, name: str) -> str:
    """Return what stands in a field, without spaces around."""
    return form.given.get(name, "").strip()


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
