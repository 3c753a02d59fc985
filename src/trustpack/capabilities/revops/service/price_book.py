"""Import list prices, and read those in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trustpack.capabilities import directory, ledger
from trustpack.capabilities.revops.model import PRICE_BOOK_KIND, ListPrice, PriceImport
from trustpack.capabilities.revops.rules.price_file import compare, in_force, read_price_file
from trustpack.capabilities.revops.store import price_book as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.money import format_amount
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import digest_of_value


async def import_prices(tx: Transaction, actor: Actor, wanted: Sequence[ListPrice], *, dry_run: bool) -> PriceImport:
    """Add the prices that are not in the book yet, with one receipt; with `dry_run`, only say which those are.

    Raises `UnknownName` for a tenant that does not exist.
    """
    await directory.require_tenant(tx)
    book = await store.lock_book(tx)
    found = compare(wanted, await store.all_prices(tx))
    if dry_run or not found.added:
        return found
    grown = replace(book, version=book.version + 1)
    await store.store_book(tx, grown)
    digest = digest_of_value([_present(price) for price in found.added])
    transition = ledger.Transition(
        subject_kind=PRICE_BOOK_KIND,
        subject_id=grown.id,
        version=grown.version,
        action="prices_imported",
        state="active",
        actor=actor,
        payload={"prices": len(found.added), "prices_digest": digest},
    )
    await ledger.record(tx, transition)
    await store.insert_prices(tx, grown, found.added)
    return found


async def import_price_file(tx: Transaction, actor: Actor, text: str) -> PriceImport:
    """Add the prices of a file that are not in the book yet; all of it or nothing. Raises `InvalidPriceFile`."""
    return await import_prices(tx, actor, read_price_file(text), dry_run=False)


async def read_price_book(tx: Transaction) -> list[JsonObject]:
    """Return the prices in force today, and those that will be later. Raises `UnknownName`, as an import does."""
    await directory.require_tenant(tx)
    return [_present(price) for price in in_force(await store.all_prices(tx), day=tx.now.date())]


def _present(price: ListPrice) -> JsonObject:
    return {
        "sku": price.sku,
        "currency": price.currency,
        "list_price": format_amount(price.list_minor, currency=price.currency),
        "valid_from": price.valid_from.isoformat(),
        "description": price.description,
        "recurring": price.recurring,
    }
