"""Quotes imported from another system: drafts as the API writes them, each once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.deals import PRICES, Deals
from tests.support.importing import count_of, lead, sizes, take_leads, take_quotes
from tests.support.stored import chain_faults
from trustpack.capabilities.revops.service.importing import BATCH_ROWS


def bare(number: int, **changes: str) -> dict[str, str]:
    """Return the row of a quote of one amount for the first opportunity of a tenant that sells."""
    return {
        "external_id": f"Q-{number}",
        "email": "jo@acme.com",
        "currency": "USD",
        "amount": "100000.00",
        "discount_percent": "30",
        **changes,
    }


def line(number: int, **changes: str) -> dict[str, str]:
    """Return the row of one line of a quote."""
    return {
        "external_id": f"Q-{number}",
        "email": "jo@acme.com",
        "currency": "USD",
        "sku": "SEAT",
        "description": "Seats",
        "quantity": "100",
        "unit_price": "600.00",
        "discount_percent": "10",
        **changes,
    }


async def quotes_of(deals: Deals) -> list[dict[str, Any]]:
    """Return the tenant's quotes, oldest first."""
    items = (await deals.call("user-manager", "GET", "/quotes?limit=100")).json()["items"]
    return [await deals.read(item) for item in reversed(items)]


async def test_an_imported_quote_is_the_draft_that_the_api_writes(deals: Deals) -> None:
    by_api = await deals.quote()

    found = await take_quotes(deals.world, bare(1))

    assert found.counts == {"created": 1}
    [_, imported] = await quotes_of(deals)
    own = {"id", "terms_digest", "created_at", "external_id"}
    assert {name: value for name, value in imported.items() if name not in own} == {
        name: value for name, value in by_api.items() if name not in own
    }
    assert await chain_faults(deals.world, imported["id"], table="quotes") == ()
    [receipt] = await deals.receipts(imported)
    assert (receipt["action"], receipt["actor"]["id"]) == ("created", "system:operator")
    assert receipt["payload"]["external_id"] == "Q-1"


async def test_an_imported_quote_is_approved_like_any_other(deals: Deals) -> None:
    await take_quotes(deals.world, bare(1))
    [quote] = await quotes_of(deals)

    submitted = (await deals.act("user-ae", quote, "submit-for-approval")).json()
    for person in ("user-manager", "user-finance"):
        answer = await deals.act(person, quote, "approve", {"terms_digest": submitted["terms_digest"]})
        assert answer.status_code == 200, answer.text

    assert submitted["required_approvals"] == ["manager", "finance"]
    assert answer.json()["status"] == "approved"


async def test_rows_under_one_external_id_are_priced_as_lines_of_one_quote(deals: Deals) -> None:
    await deals.import_prices(PRICES)

    found = await take_quotes(
        deals.world,
        line(1, unit_price="450.00", discount_percent=""),
        {"external_id": "Q-1", "sku": "", "description": "Setup", "quantity": "1", "unit_price": "1000.00"},
    )

    assert found.counts == {"created": 1}
    [quote] = await quotes_of(deals)
    assert [(row["description"], row["list_price"], row["effective_discount_percent"]) for row in quote["lines"]] == [
        ("Seats", "600.00", "25"),
        ("Setup", None, "0"),
    ]


async def test_the_opportunity_is_found_by_its_id_its_leads_external_id_or_its_leads_mailbox(deals: Deals) -> None:
    await take_leads(deals.world, lead(1), lead(2, email="jo+2@acme.com"))

    found = await take_quotes(
        deals.world,
        bare(1, email="", opportunity_id=deals.opportunity_id, lead_external_id=""),
        bare(2, email="", opportunity_id="", lead_external_id="crm-1"),
        bare(3, email="", opportunity_id="", lead_external_id="crm-2"),
        bare(4, email="JO+x@acme.com", opportunity_id="", lead_external_id=""),
    )

    assert found.counts == {"created": 4}
    accounts = [quote["account"] for quote in await quotes_of(deals)]
    assert accounts == ["Acme GmbH", "Company 1", "Acme GmbH", "Acme GmbH"]


@pytest.mark.parametrize(
    "named",
    [{"email": "nobody@acme.com"}, {"lead_external_id": "crm-99"}, {"opportunity_id": f"opp_{'0' * 32}"}],
)
async def test_a_quote_for_nobody_is_named(deals: Deals, named: dict[str, str]) -> None:
    found = await take_quotes(deals.world, {**bare(1, email=""), **named}, bare(2, email="jo@acme.com"))

    [column] = named
    assert found.counts == {"created": 1, "failed": 1}
    assert [(line, name) for line, name, _ in found.faults] == [(2, column)]


async def test_faults_of_the_terms_are_named_by_line_and_column(deals: Deals) -> None:
    yesterday = (deals.world.clock.now() - timedelta(days=1)).date().isoformat()

    found = await take_quotes(
        deals.world,
        line(1),
        line(1, unit_price="6oo"),
        line(1, discount_percent="10%"),
        bare(2, amount="1,000.00"),
        bare(3, discount_percent="101"),
        bare(4, currency="USDT"),
        bare(5, valid_until=yesterday),
        bare(6),
    )

    assert [(line, column) for line, column, _ in found.faults] == [
        (3, "unit_price"), (4, "discount_percent"), (5, "amount"), (6, "discount_percent"), (7, "currency"), (8, "valid_until"),
    ]  # fmt: skip
    assert found.counts == {"created": 1, "failed": 5}


async def test_the_same_file_again_changes_nothing_also_when_a_quote_went_on(deals: Deals) -> None:
    rows = [bare(1), line(2), line(2, description="More")]
    first = await take_quotes(deals.world, *rows)
    [quote, _] = await quotes_of(deals)
    changed = await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="31")})
    assert changed.status_code == 200, changed.text
    before = sizes(deals.world)

    again = await take_quotes(deals.world, *rows)

    assert (first.counts, again.counts) == ({"created": 2}, {"unchanged": 2})
    assert sizes(deals.world) == before


async def test_other_content_is_a_conflict_that_revises_nothing(deals: Deals) -> None:
    await take_quotes(deals.world, bare(1))
    before = await quotes_of(deals)

    found = await take_quotes(deals.world, bare(1, discount_percent="5"))

    assert found.counts == {"conflict": 1}
    assert "PATCH" in found.failed[0].faults[0].next_step
    assert await quotes_of(deals) == before


async def test_a_dry_run_names_the_same_faults_and_keeps_nothing(deals: Deals) -> None:
    rows = [bare(1), bare(2, amount="x"), bare(3, email="nobody@acme.com"), *(bare(4 + number) for number in range(BATCH_ROWS))]
    before = sizes(deals.world)

    dry = await take_quotes(deals.world, *rows, dry_run=True)
    nothing = sizes(deals.world)
    real = await take_quotes(deals.world, *rows)

    assert nothing == before
    assert dry.counts == {"created": 1 + BATCH_ROWS, "failed": 2}
    assert (real.counts, real.faults) == (dry.counts, dry.faults)
    assert count_of(deals.world, "quotes") == 1 + BATCH_ROWS
