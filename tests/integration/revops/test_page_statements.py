"""What the pages of a deal ask the store: nothing twice, and no more for many quotes than for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.support.browsers import Browser, browsing_as
from tests.support.deals import Deals
from trustpack.capabilities.ledger import pages
from trustpack.proof.bundle import check_bundle
from trustpack.proof.canonical import digest_of

REVOPS = "/switchboard/revops"


@contextmanager
def recorded_questions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record every statement with its parameters."""
    sent: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def recording(cursor: psycopg.AsyncCursor[Any], query: Any, parameters: Any = None, **options: Any) -> Any:
        sent.append(f"{query} {sorted(parameters.items())}" if parameters else str(query))
        return await execute(cursor, query, parameters, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", recording)
        yield sent


def pages_of(deals: Deals, quote: dict[str, Any]) -> dict[str, str]:
    return {
        "lead": f"{REVOPS}/leads/{deals.lead_id}",
        "opportunity": f"{REVOPS}/opportunities/{deals.opportunity_id}",
        "quote": f"{REVOPS}/quotes/{quote['id']}/evidence",
    }


async def questions_of(browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a page asks in its one look; who is there and what waits for them is asked before and after it."""
    with recorded_questions(monkeypatch) as sent:
        assert (await browser.get(address)).status_code == 200
    [begin] = [place for place, asked in enumerate(sent) if "REPEATABLE READ" in asked]
    return sent[begin : sent.index("COMMIT", begin)]


@pytest.mark.parametrize("page", ["lead", "opportunity", "quote"])
async def test_a_page_of_a_deal_asks_nothing_twice(deals: Deals, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    quote = await deals.approved()
    async with browsing_as(deals.world, "user-ae") as browser:
        asked = await questions_of(browser, pages_of(deals, quote)[page], monkeypatch)

    assert [one for one in sorted(set(asked)) if asked.count(one) > 1] == []


@pytest.mark.parametrize("page", ["lead", "opportunity"])
async def test_a_page_of_a_deal_asks_no_more_often_for_four_quotes_than_for_one(
    deals: Deals, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    address = pages_of(deals, await deals.approved())[page]
    async with browsing_as(deals.world, "user-ae") as browser:
        numbers = [len(await questions_of(browser, address, monkeypatch))]
        for _ in range(3):
            await deals.approved()
        numbers.append(len(await questions_of(browser, address, monkeypatch)))

    assert numbers[0] == numbers[1] > 0


@pytest.mark.parametrize("page", ["lead", "opportunity", "quote"])
async def test_what_a_page_says_it_checked_are_the_bytes_that_are_sent(
    deals: Deals, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    checked: list[bytes] = []

    def checking(content: bytes) -> Any:
        checked.append(content)
        return check_bundle(content)

    monkeypatch.setattr(pages, "check_bundle", checking)
    quote = await deals.approved()
    case_id = quote["id"] if page == "quote" else deals.opportunity_id
    async with browsing_as(deals.world, "user-ae") as browser:
        shown = [await browser.get(pages_of(deals, quote)[page]) for _ in range(2)]
        sent = await browser.get(f"/switchboard/evidence/revops/deals/{case_id}")

    assert checked == [sent.content] * 2
    assert all(digest_of(sent.content).removeprefix("sha256:") in one.text for one in shown)
