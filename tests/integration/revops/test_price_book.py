"""The price book: imported with a receipt, and what a low unit price is measured by."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.support.deals import Deals
from tests.support.store import rows_as_owner
from trustpack.capabilities.directory import UnknownName
from trustpack.capabilities.revops.cli import revops_app
from trustpack.capabilities.revops.model import InvalidPriceFile
from trustpack.capabilities.revops.rules.price_file import read_price_file
from trustpack.capabilities.revops.service.price_book import import_prices, read_price_book
from trustpack.kernel.actor import system_actor

HEADER = "sku,currency,list_price,valid_from,description,recurring\n"
SEAT = "SEAT,USD,600.00,2026-01-01,Seat per year,true\n"
LINE: dict[str, Any] = {"sku": "SEAT", "description": "Seats", "quantity": 100, "unit_price": "600.00", "recurring": True}


async def imported(deals: Deals, text: str, *, dry_run: bool = False) -> tuple[int, int]:
    """Import a file and return how many prices were added and unchanged."""
    found = await deals.import_prices(text, dry_run=dry_run)
    return len(found.added), found.unchanged


async def book(deals: Deals) -> list[dict[str, Any]]:
    return list((await deals.call("user-ae", "GET", "/price-book")).json()["items"])


def receipts(deals: Deals) -> list[str]:
    """Return the actions of the receipts of the tenant's price book."""
    rows = rows_as_owner(
        deals.world.container.settings,
        "SELECT action FROM trustpack.receipts WHERE tenant_id = %s AND subject_kind = 'price_book' ORDER BY seq",
        deals.world.tenant_id,
    )
    return [row["action"] for row in rows]


async def test_the_same_file_again_adds_nothing_and_leaves_no_receipt(deals: Deals) -> None:
    first, again = await imported(deals, HEADER + SEAT), await imported(deals, HEADER + SEAT)

    assert (first, again) == ((1, 0), (0, 1))
    assert [(price["sku"], price["list_price"]) for price in await book(deals)] == [("SEAT", "600.00")]
    assert receipts(deals) == ["prices_imported"]


async def test_a_dry_run_says_what_would_be_added_and_adds_nothing(deals: Deals) -> None:
    assert await imported(deals, HEADER + SEAT, dry_run=True) == (1, 0)
    assert (await book(deals), receipts(deals)) == ([], [])


async def test_two_first_imports_at_once_make_one_book(deals: Deals) -> None:
    other = "ADDON,USD,180.00,2026-01-01,Analytics,true\n"

    added = await asyncio.gather(imported(deals, HEADER + SEAT), imported(deals, HEADER + SEAT + other))

    assert sum(count for count, _ in added) == 2
    assert [price["sku"] for price in await book(deals)] == ["ADDON", "SEAT"]


async def test_a_unit_price_below_the_list_price_is_a_discount_that_needs_approval(deals: Deals) -> None:
    await imported(deals, HEADER + SEAT)
    fair = await deals.submitted(amount=None, discount_percent=None, lines=[LINE])
    low = await deals.submitted(amount=None, discount_percent=None, lines=[LINE | {"unit_price": "450.00"}])

    assert (fair["pricing"], fair["required_approvals"]) == ("catalogued", ["ae"])
    [line] = low["lines"]
    assert (line["list_price"], line["discount_percent"], line["effective_discount_percent"]) == ("600.00", "0", "25")
    assert low["required_approvals"] == ["manager", "finance"]


@pytest.mark.deal_case(9)
async def test_a_line_in_no_price_book_needs_manager_and_finance_at_any_price(deals: Deals) -> None:
    await imported(deals, HEADER + SEAT)
    quote = await deals.submitted(amount=None, discount_percent=None, lines=[LINE, LINE | {"sku": "OTHER"}])

    assert quote["pricing"] == "uncatalogued"
    assert quote["required_approvals"] == ["manager", "finance"]


async def test_a_price_from_tomorrow_on_counts_from_tomorrow_on(deals: Deals) -> None:
    tomorrow = (deals.world.clock.now() + timedelta(days=1)).date().isoformat()
    await imported(deals, HEADER + SEAT + f"SEAT,USD,800.00,{tomorrow},Seat per year,true\n")
    today = await deals.quote(amount=None, discount_percent=None, lines=[LINE])
    deals.world.clock.advance(days=1)
    later = await deals.quote(amount=None, discount_percent=None, lines=[LINE])

    assert (today["lines"][0]["list_price"], later["lines"][0]["list_price"]) == ("600.00", "800.00")
    assert later["max_line_discount_percent"] == "25"


async def test_another_tenants_prices_are_neither_shown_nor_used(deals: Deals, other_world: Any) -> None:
    await imported(deals, HEADER + SEAT)

    answer = await other_world.call("user-ae", "GET", "/revops/price-book")

    assert answer.json() == {"items": []}


def test_the_command_names_each_faulty_line_once_and_opens_no_store(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(HEADER + "SEAT,USD,6oo,2026-01-01,Seat,true\n", encoding="utf-8")

    def run(tenant: str, work: object) -> Any:
        raise AssertionError("the store was opened")

    program = typer.Typer()
    program.add_typer(revops_app(run, run), name="revops")
    result = CliRunner().invoke(program, ["revops", "price-book", "import", str(file), "--tenant", "acme"])

    assert isinstance(result.exception, InvalidPriceFile)
    [fault] = result.exception.data["errors"]
    assert (fault["field"], fault["message"].split(" as ")[0]) == ("line 2", "list_price: expected an amount of USD")
    assert result.exception.detail + result.output == "Nothing of it was taken."


async def test_a_tenant_that_does_not_exist_gets_no_price_book_and_shows_none(deals: Deals) -> None:
    unit_of_work = deals.world.container.unit_of_work

    with pytest.raises(UnknownName, match="no tenant called nobody"):
        async with unit_of_work.transaction("nobody") as tx:
            await import_prices(tx, system_actor("nobody", "operator"), read_price_file(HEADER + SEAT), dry_run=False)
    with pytest.raises(UnknownName, match="no tenant called nobody"):
        async with unit_of_work.transaction("nobody") as tx:
            await read_price_book(tx)
