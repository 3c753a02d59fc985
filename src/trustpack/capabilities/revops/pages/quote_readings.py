"""The terms that the form of a quote says, read as the API reads them, and what is wrong with each field. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from trustpack.capabilities.revops.model import InvalidQuote, WrittenTerms
from trustpack.capabilities.revops.pages.quote_forms import HEAD, LINE, OF_A_LINE, Item, QuoteForm, value_of
from trustpack.capabilities.revops.service.shapes import QuoteChangeBody
from trustpack.kernel.money import CURRENCIES

ReadTerms = tuple[WrittenTerms, str | None]
"""The terms that a form says, and the title."""


_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_EXPECTED: Final = {
    "title": "Write one line of at most 200 characters, or leave it empty.",
    "currency": "Choose a currency.",
    "sku": "Choose an item of the price book, or none.",
    "description": "Say in one line what it is, in at most 200 characters.",
    "quantity": "Write a whole number from 1 to 1000000.",
    "unit_price": "Write an amount in digits, such as 1250.00.",
    "amount": "Write an amount in digits, such as 1250.00.",
    "discount_percent": "Write a percentage from 0 to 100, such as 12.5, with at most 6 digits after the point.",
    "valid_until": "Choose a day, such as 2026-01-31, or leave it empty.",
    "start_date": "Choose a day, such as 2026-01-31, or leave it empty.",
    "term_months": "Write a whole number from 1 to 240, or leave it empty.",
    "payment_days": "Write a whole number from 0 to 365, or leave it empty.",
}
_NUMBERS: Final = frozenset({"quantity", "term_months", "payment_days"})


def read_terms_of(form: QuoteForm, items: Sequence[Item]) -> ReadTerms | Mapping[str, str]:
    """Return the terms and the title that the form says, read as the API reads them, or what is wrong field by field."""
    numbers = _written_lines(form)
    if not form.is_amount and not numbers:
        return {"lines": "Write at least one line."}
    try:
        body = QuoteChangeBody.model_validate({"terms": _body(form, numbers, items), "title": value_of(form, "title") or None})
    except ValidationError as error:
        faults = _faults([fault["loc"] for fault in error.errors()], numbers)
        closer = _without_price(form, numbers)
        return faults | {name: text for name, text in closer.items() if name in faults or name == "currency"}
    assert body.terms is not None
    return body.terms.to_written(), body.title


def label_of(field_name: str) -> str:
    """Return a field as people call it: "Line 2, unit price"."""
    found = LINE.fullmatch(field_name)
    words = (found[2] if found else field_name).replace("_", " ")
    return f"Line {found[1]}, {words}" if found else words.capitalize()


def faults_of(form: QuoteForm, error: InvalidQuote) -> Mapping[str, str]:
    """Return what the rules of pricing found wrong, by the fields of the form."""
    numbers = _written_lines(form)
    return {
        _field_of(tuple(fault["field"].split("/")), numbers): as_sentence(fault["message"])
        for fault in error.data.get("errors", ())
    }


def as_sentence(message: str) -> str:
    """Return what a rule found wrong with a field, as a page says it."""
    return f"{message[:1].upper()}{message[1:]}."


def _written_lines(form: QuoteForm) -> tuple[int, ...]:
    """Return the lines in which something was written; the others are not meant."""
    told = ("sku", "description", "unit_price")
    return () if form.is_amount else tuple(n for n in form.lines if any(value_of(form, f"line-{n}-{name}") for name in told))


def _body(form: QuoteForm, numbers: Iterable[int], items: Sequence[Item]) -> dict[str, Any]:
    body = {name: _typed(name, value_of(form, name)) for name in HEAD - {"title", "amount", "discount_percent"}}
    body = {name: value for name, value in body.items() if value != ""}
    if form.is_amount:
        return {**body, "amount": value_of(form, "amount"), "discount_percent": value_of(form, "discount_percent") or "0"}
    by_sku = {item.sku: item for item in items}
    return {**body, "lines": [_line_body(form, number, by_sku) for number in numbers]}


def _line_body(form: QuoteForm, number: int, by_sku: Mapping[str, Item]) -> dict[str, Any]:
    """Return a line as the API takes it; what is left empty is the price book's to say."""
    told = {name: value_of(form, f"line-{number}-{name}") for name in OF_A_LINE}
    item = by_sku.get(told["sku"])
    return {
        "sku": told["sku"] or None,
        "description": told["description"] or (item.description if item else ""),
        "quantity": _typed("quantity", told["quantity"]),
        "unit_price": told["unit_price"] or (item.prices.get(value_of(form, "currency"), "") if item else ""),
        "discount_percent": told["discount_percent"] or "0",
        "recurring": bool(told["recurring"]),
    }


def _typed(name: str, text: str) -> str | int:
    return int(text) if name in _NUMBERS and _WHOLE.fullmatch(text) else text


def _without_price(form: QuoteForm, numbers: Iterable[int]) -> dict[str, str]:
    """Return what is behind a missing price: a currency that there is not, or in which the price book has none."""
    if value_of(form, "currency") not in CURRENCIES:
        return {"currency": _EXPECTED["currency"]}
    told = f"The price book has no price of this in {value_of(form, 'currency')}: write one."
    bare = (n for n in numbers if value_of(form, f"line-{n}-sku") and not value_of(form, f"line-{n}-unit_price"))
    return {f"line-{n}-unit_price": told for n in bare}


def _faults(places: Iterable[tuple[int | str, ...]], numbers: Sequence[int]) -> dict[str, str]:
    told = [tuple(str(part) for part in place if part != "terms") for place in places]
    return {_field_of(place, numbers): _EXPECTED.get(place[-1] if place else "", "This cannot be read.") for place in told}


def _field_of(place: tuple[str, ...], numbers: Sequence[int]) -> str:
    match place:
        case ("lines", index, name):
            return f"line-{numbers[int(index)]}-{name}"
        case (name, *_):
            return name
        case _:
            return "lines"
