"""The price book in PostgreSQL: prices are added, never changed; of several for one day, the last import's counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from trustpack.capabilities.revops.model import ListPrice, PriceBook
from trustpack.platform.unit_of_work import Transaction


async def prices_in_force(tx: Transaction, *, skus: Sequence[str], currency: str, day: date) -> dict[str, ListPrice]:
    """Return the price of each of the SKUs that the book has in this currency on a day."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT ON (sku) sku, currency, valid_from, list_minor, description, recurring"
        " FROM trustpack.price_book_entries WHERE tenant_id = %(tenant)s"
        " AND sku = ANY(%(skus)s) AND currency = %(currency)s AND valid_from <= %(day)s"
        " ORDER BY sku, valid_from DESC, seq DESC",
        {"tenant": tx.tenant_id, "skus": list(skus), "currency": currency, "day": day},
    )
    return {row["sku"]: ListPrice(**row) for row in rows}


async def all_prices(tx: Transaction) -> tuple[ListPrice, ...]:
    """Return the price of every SKU, currency and day in the book."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT ON (sku, currency, valid_from) sku, currency, valid_from, list_minor, description, recurring"
        " FROM trustpack.price_book_entries WHERE tenant_id = %(tenant)s ORDER BY sku, currency, valid_from, seq DESC",
        {"tenant": tx.tenant_id},
    )
    return tuple(ListPrice(**row) for row in rows)


async def lock_book(tx: Transaction) -> PriceBook:
    """Return the tenant's price book, holding its row; at the first import, a new one without a version."""
    key = {"tenant": tx.tenant_id}
    await tx.write("SELECT pg_advisory_xact_lock(hashtextextended('price_book:' || %(tenant)s, 0))", key)
    row = await tx.fetch_one("SELECT id, version FROM trustpack.price_books WHERE tenant_id = %(tenant)s FOR UPDATE", key)
    return PriceBook(**row) if row is not None else PriceBook(id=tx.new_id("pbk"), version=0)


async def store_book(tx: Transaction, book: PriceBook) -> None:
    """Store the book's first or next version."""
    await tx.write(
        "INSERT INTO trustpack.price_books (tenant_id, id, version, status, created_at)"
        " VALUES (%(tenant)s, %(id)s, %(version)s, 'active', %(now)s)"
        " ON CONFLICT ON CONSTRAINT price_books_pkey DO UPDATE SET version = excluded.version",
        {"tenant": tx.tenant_id, "id": book.id, "version": book.version, "now": tx.now},
    )


async def insert_prices(tx: Transaction, book: PriceBook, prices: Sequence[ListPrice]) -> None:
    """Store what the book's newest version brought."""
    await tx.write(
        "INSERT INTO trustpack.price_book_entries (tenant_id, id, book_id, seq, sku, currency, valid_from, list_minor,"
        " description, recurring) SELECT %(tenant)s, e.id, %(book)s, %(seq)s, e.sku, e.currency, e.day, e.price, e.text, e.again"
        " FROM unnest(%(ids)s::text[], %(skus)s::text[], %(currencies)s::text[], %(days)s::date[], %(prices)s::bigint[],"
        " %(texts)s::text[], %(recurring)s::boolean[]) AS e (id, sku, currency, day, price, text, again)",
        {
            "tenant": tx.tenant_id,
            "book": book.id,
            "seq": book.version,
            "ids": [tx.new_id("pbe") for _ in prices],
            "skus": [price.sku for price in prices],
            "currencies": [price.currency for price in prices],
            "days": [price.valid_from for price in prices],
            "prices": [price.list_minor for price in prices],
            "texts": [price.description for price in prices],
            "recurring": [price.recurring for price in prices],
        },
    )
