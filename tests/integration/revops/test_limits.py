"""What bounds a quote: the price book's word, the number of its receipts, its time, and votes that name what was shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.support.deals import PRICES, Deals
from tests.support.matrix import recorded_statements
from tests.support.store import rows_as_owner
from tests.support.stored import chain_faults
from trustpack.app.http import build_app
from trustpack.capabilities.revops.service import recording

SEATS: dict[str, Any] = {"sku": "SEAT", "description": "Seats", "quantity": 100, "unit_price": "480.00"}


@pytest.mark.deal_case(32)
async def test_whether_a_line_recurs_is_for_the_price_book_to_say(deals: Deals) -> None:
    await deals.import_prices(PRICES)

    quote = await deals.quote(amount=None, discount_percent=None, lines=[SEATS | {"recurring": False}])

    assert (quote["lines"][0]["recurring"], quote["recurring_discount_percent"]) == (True, "20")


@pytest.mark.deal_case(17)
async def test_a_copy_of_an_old_quote_is_measured_by_the_list_price_of_today(deals: Deals) -> None:
    await deals.import_prices(PRICES)
    old = await deals.quote(amount=None, discount_percent=None, lines=[SEATS])
    raised = deals.world.clock.now().date().isoformat()
    await deals.import_prices(PRICES + f"SEAT,USD,1000.00,{raised},Seat per year,true\n")

    clone = (await deals.act("user-ae", old, "clone")).json()
    submitted = (await deals.act("user-ae", clone, "submit-for-approval")).json()

    assert (old["discount_percent"], clone["discount_percent"]) == ("20", "52")
    assert (clone["net_amount"], submitted["required_approvals"]) == (old["net_amount"], ["manager", "finance"])


@pytest.mark.deal_case(17)
async def test_a_draft_that_was_kept_until_its_list_price_was_old_is_priced_anew_before_it_is_submitted(deals: Deals) -> None:
    await deals.import_prices(PRICES)
    terms = {"currency": "USD", "lines": [SEATS]}
    old = await deals.quote(amount=None, discount_percent=None, lines=[SEATS])
    raised = deals.world.clock.now().date().isoformat()
    await deals.import_prices(PRICES + f"SEAT,USD,1000.00,{raised},Seat per year,true\n")

    refused = [await deals.act("user-ae", old, command) for command in ("preview-approvals", "submit-for-approval")]
    written = (await deals.call("user-ae", "PATCH", f"/quotes/{old['id']}", {"terms": terms})).json()
    submitted = (await deals.act("user-ae", old, "submit-for-approval")).json()

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "revops.list_prices_changed")] * 2
    assert await deals.actions(old) == ["created", "refused", "refused", "revised", "submitted"]
    assert (old["discount_percent"], written["discount_percent"]) == ("20", "52")
    assert submitted["required_approvals"] == ["manager", "finance"]


@pytest.mark.deal_case(31)
async def test_a_new_list_price_leaves_what_was_submitted_by_the_old_one_as_it_was(deals: Deals) -> None:
    await deals.import_prices(PRICES)
    quote = await deals.submitted(amount=None, discount_percent=None, lines=[SEATS])
    raised = deals.world.clock.now().date().isoformat()
    await deals.import_prices(PRICES + f"SEAT,USD,1000.00,{raised},Seat per year,true\n")

    approved = await deals.act("user-ae", quote, "approve", {"terms_digest": quote["terms_digest"]})
    activated = await deals.act("user-ae", quote, "activate")

    assert (approved.status_code, activated.status_code) == (200, 200)
    assert activated.json()["quote"]["discount_percent"] == "20"


@pytest.mark.deal_case(34)
async def test_an_approval_that_was_not_used_in_time_is_over_although_the_offer_is_not(deals: Deals) -> None:
    today = deals.world.clock.now().date()
    quote = await deals.approved(valid_until=today.fromordinal(today.toordinal() + 90).isoformat())
    deals.world.clock.advance(days=31)

    late = await deals.act("user-ae", quote, "activate")

    assert (late.status_code, late.json()["code"]) == (409, "revops.approvals_expired")


async def test_a_quote_with_as_many_receipts_as_can_be_read_is_decided_about_but_not_changed(
    deals: Deals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_VERSIONS", 2)
    quote = await deals.submitted()
    path = f"/quotes/{quote['id']}"

    answers = [
        await deals.call("user-ae", "PATCH", path, {"terms": deals.terms(discount_percent="31")}),
        await deals.call("user-ae", "PATCH", path, {"title": "Renewal"}),
        await deals.act("user-ae", quote, "preview-approvals"),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, "revops.too_many_changes")}
    assert (await deals.act("user-manager", quote, "approve", {})).status_code == 200
    assert (await deals.act("user-ae", quote, "clone")).status_code == 201
    assert await chain_faults(deals.world, quote["id"], table="quotes") == ()


async def test_where_digests_are_demanded_a_vote_without_one_is_refused(deals: Deals) -> None:
    quote = await deals.submitted()
    container = deals.world.container
    strict = replace(container, revops=replace(container.revops, digest_required=True))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=build_app(strict, with_worker=False)), base_url="http://strict.test"
    ) as http:
        elsewhere = replace(deals, world=replace(deals.world, container=strict, http=http))
        without = await elsewhere.act("user-manager", quote, "approve", {})
        named = await elsewhere.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})

    assert (without.status_code, without.json()["code"]) == (422, "revops.digest_required")
    assert (named.status_code, named.json()["approvals"][0]["digest_confirmed"]) == (200, True)


@pytest.mark.deal_case(13)
async def test_a_superseded_approval_says_why_it_counts_no_more(deals: Deals) -> None:
    quote = await deals.approved()

    given = {vote["superseded_reason"] for vote in quote["approvals"]}
    changed = await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="31")})

    assert given == {None}
    assert {vote["superseded_reason"] for vote in changed.json()["approvals"]} == {"terms_changed"}


async def test_a_list_asks_the_store_no_more_often_for_many_quotes_than_for_one(
    deals: Deals, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = [await _statements_of_a_list(deals, monkeypatch)]
    for _ in range(4):
        await deals.approved()
    statements.append(await _statements_of_a_list(deals, monkeypatch))

    assert statements[0] == statements[1] > 0


async def _statements_of_a_list(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> int:
    await deals.approved()
    with recorded_statements(monkeypatch) as sent:
        answer = await deals.call("user-auditor", "GET", "/quotes")
    assert answer.status_code == 200
    return len(sent)


async def test_attempts_beyond_those_that_leave_a_receipt_leave_no_decision_and_no_usage_either(
    deals: Deals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_REFUSALS", 2)
    quote = await deals.quote()

    answers = [await deals.act("user-manager", quote, "submit-for-approval") for _ in range(4)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "policy.denied")] * 4
    assert await deals.actions(quote) == ["created", "refused", "refused"]
    assert len((await deals.read(quote))["decisions"]) == 2
    counted = rows_as_owner(
        deals.world.container.settings,
        "SELECT metadata ->> 'package' AS package, count(*) AS n FROM trustpack.usage_events WHERE tenant_id = %s GROUP BY 1",
        deals.world.tenant_id,
    )
    assert {row["package"]: row["n"] for row in counted} == {"revops.lead_routing": 1, "revops.discount_approvals": 2}
