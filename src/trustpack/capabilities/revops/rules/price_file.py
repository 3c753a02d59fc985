"""From a CSV file to list prices, with every faulty line named at once; and what is new about them. Guarantee: pure."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date
from typing import Final

from trustpack.capabilities.revops.model import CsvRow, FailedRow, InvalidImportFile, InvalidPriceFile, ListPrice, PriceImport
from trustpack.capabilities.revops.rules.cells import Cells
from trustpack.capabilities.revops.rules.csv_file import Source, open_rows
from trustpack.kernel.money import InvalidMoney, parse_amount

COLUMNS: Final = ("sku", "currency", "list_price", "valid_from", "description", "recurring")


def read_price_file(text: str) -> tuple[ListPrice, ...]:
    """Return the prices of a file that is in memory already. Raises `InvalidPriceFile`."""
    return read_prices(io.BytesIO(text.encode()))


def read_prices(source: Source) -> tuple[ListPrice, ...]:
    """Return the prices of a file whose first line names the columns. Raises `InvalidPriceFile`.

    Two lines for one SKU, currency and day are a fault: nobody could say which one is meant.
    """
    errors: list[dict[str, str]] = []
    prices: dict[tuple[str, str, date], ListPrice] = {}
    try:
        rows = open_rows(source, required=COLUMNS, optional=())
    except InvalidImportFile as error:
        faults = error.data.get("errors") or [{"field": "columns", "message": error.detail}]
        raise InvalidPriceFile(errors=[_fault(1, f"{fault['field']}: {fault['message']}") for fault in faults]) from error
    for row in rows:
        price = row if isinstance(row, FailedRow) else _price(row)
        if isinstance(price, FailedRow):
            errors += [_fault(fault.line, ": ".join(filter(None, (fault.column, fault.message)))) for fault in price.faults]
            continue
        key = (price.sku, price.currency, price.valid_from)
        if key in prices:
            errors.append(_fault(row.line, f"a second price of {price.sku} in {price.currency} from the same day"))
        prices[key] = price
    if errors:
        raise InvalidPriceFile(errors=errors)
    return tuple(prices.values())


def compare(wanted: Iterable[ListPrice], known: Iterable[ListPrice]) -> PriceImport:
    """Return which prices are not in the book yet; the same file again brings nothing."""
    there = set(known)
    prices = tuple(wanted)
    added = tuple(price for price in prices if price not in there)
    return PriceImport(added=added, unchanged=len(prices) - len(added))


def in_force(prices: Iterable[ListPrice], *, day: date) -> tuple[ListPrice, ...]:
    """Return for each SKU and currency the price in force on a day, and those that will be later, in order."""
    current: dict[tuple[str, str], ListPrice] = {}
    later: list[ListPrice] = []
    for price in sorted(prices, key=_order):
        if price.valid_from <= day:
            current[price.sku, price.currency] = price
        else:
            later.append(price)
    return tuple(sorted([*current.values(), *later], key=_order))


def _order(price: ListPrice) -> tuple[str, str, date]:
    return price.sku, price.currency, price.valid_from


def _price(row: CsvRow) -> ListPrice | FailedRow:
    cells = Cells(row)
    sku, currency = cells.name("sku", needed=True), cells.needed("currency")
    day, description = cells.day("valid_from", needed=True), cells.line("description", needed=True)
    cells.needed("recurring")
    recurring = cells.flag("recurring")
    amount = cells.needed("list_price")
    list_minor = 0
    try:
        list_minor = parse_amount(amount, currency=currency) if amount and currency else 0
    except InvalidMoney as error:
        cells.fail("list_price", str(error))
    if cells.faults or sku is None or day is None or description is None:
        return cells.failed()
    return ListPrice(
        sku=sku, currency=currency, valid_from=day, list_minor=list_minor, description=description, recurring=recurring
    )


def _fault(line: int, message: str) -> dict[str, str]:
    return {"field": f"line {line}", "message": message}
