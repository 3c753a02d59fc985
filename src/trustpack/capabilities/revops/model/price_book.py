"""The price book: what one unit of a SKU costs from a day on. Amounts are minor units of the entry's currency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

PRICE_BOOK_KIND = "price_book"


@dataclass(frozen=True, slots=True)
class ListPrice:
    """The list price of one unit of a SKU in a currency, from a day on, until a later one takes its place."""

    sku: str
    currency: str
    valid_from: date
    list_minor: int
    description: str
    recurring: bool


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The book itself, one per tenant; its versions are its imports."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class PriceImport:
    """What an import brought, or would bring: new prices, and how many were in the book already."""

    added: tuple[ListPrice, ...]
    unchanged: int
