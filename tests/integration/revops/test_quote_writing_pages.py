"""The pages on which quotes are written: nothing is stored before it is saved, and then once, on what was opened."""

from __future__ import annotations

import asyncio
import html as html_of
import re
from typing import Any

import httpx2
import pytest

from tests.support.browsers import Browser, browsing_as, code_of
from tests.support.clock import MovableClock
from tests.support.deals import PRICES, Deals, selling
from tests.support.page_forms import ReadPage
from tests.support.world import World
from tests.support.worlds import scripted_world
from trustpack.app.bootstrap import Container

QUOTES = "/switchboard/revops/quotes"
LINE = {"line-1-sku": "SEAT", "line-1-quantity": "50", "line-1-discount_percent": "10"}


@pytest.fixture
async def priced(deals: Deals) -> Deals:
    """A tenant that sells, with a price book."""
    await deals.import_prices(PRICES)
    return deals


def new_path(deals: Deals) -> str:
    return f"{QUOTES}/new?opportunity={deals.opportunity_id}"


def fields_of(html: str, path: str) -> dict[str, str]:
    """Return what stands in the form that is sent to a path."""
    return {name: text for name, text in ReadPage(html).form_to(path).filled({}).items() if name != "do"}


async def opened(browser: Browser, path: str) -> dict[str, str]:
    """Open a form and return what stands in it."""
    page = await browser.get(path)
    assert page.status_code == 200, page.text
    return fields_of(page.text, path)


async def sent(browser: Browser, path: str, fields: dict[str, str], **changes: str) -> httpx2.Response:
    """Fill a form in and send it; a change to nothing takes the field out."""
    return await browser.post(path, {**fields, "do": "save", **changes})


async def written(browser: Browser, deals: Deals, **changes: str) -> dict[str, str]:
    """Open the form of a new quote and fill one line in."""
    return {**await opened(browser, new_path(deals)), **LINE, **changes}


async def all_quotes(deals: Deals) -> list[dict[str, Any]]:
    return list((await deals.call("user-auditor", "GET", "/quotes")).json()["items"])


def text_of(page: httpx2.Response) -> str:
    return html_of.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


async def test_a_line_of_the_price_book_becomes_a_draft_with_its_price_and_its_name(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, title="First year", term_months="12", payment_days="30")
        answer = await sent(browser, new_path(priced), fields)

    [quote] = await all_quotes(priced)
    assert answer.headers["location"] == f"{QUOTES}/{quote['id']}"
    assert (quote["status"], quote["title"], quote["net_amount"], quote["pricing"]) == (
        "draft",
        "First year",
        "27000.00",
        "catalogued",
    )
    assert [line["description"] for line in quote["lines"]] == ["Seat per year"]
    assert (quote["term_months"], quote["payment_days"]) == (12, 30)


async def test_sending_the_form_twice_makes_one_quote(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced)
        answers = [await sent(browser, new_path(priced), fields) for _ in range(2)]
        both = await asyncio.gather(*(sent(browser.copy(), new_path(priced), fields) for _ in range(3)))

    assert len({answer.headers["location"] for answer in (*answers, *both)}) == 1
    assert len(await all_quotes(priced)) == 1


async def test_a_form_that_was_saved_is_not_saved_anew_with_other_content_unless_it_is_sent_once_more(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced)
        await sent(browser, new_path(priced), fields)
        other = await sent(browser, new_path(priced), fields, title="Another")
        again = await sent(browser, new_path(priced), fields_of(other.text, new_path(priced)))

    assert (other.status_code, again.status_code) == (409, 303)
    assert "saved before with other content" in other.text
    assert sorted(quote["title"] or "" for quote in await all_quotes(priced)) == ["", "Another"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("line-1-quantity", "1e9"),
        ("line-1-quantity", "١٢"),
        ("line-1-quantity", "0"),
        ("line-1-quantity", "1.5"),
        ("line-1-unit_price", "1,5"),
        ("line-1-unit_price", "1e9"),
        ("line-1-unit_price", "-1"),
        ("line-1-unit_price", "600.001"),
        ("line-1-unit_price", "NaN"),
        ("line-1-discount_percent", "20,5"),
        ("line-1-discount_percent", "100.1"),
        ("line-1-discount_percent", "٢٠"),
        ("line-1-description", "x" * 201),
        ("line-1-sku", "no such/sku"),
        ("currency", "USDX"),
        ("currency", "ZZZ"),
        ("valid_until", "tomorrow"),
        ("valid_until", "2020-01-01"),
        ("term_months", "241"),
        ("payment_days", "-1"),
        ("start_date", "2026-02-30"),
        ("title", "x" * 201),
    ],
)
async def test_a_field_that_cannot_be_read_is_named_and_everything_stays_as_it_was_written(priced: Deals, field: str, text: str):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, **{field: text})
        answer = await sent(browser, new_path(priced), fields)

    shown = fields_of(answer.text, new_path(priced))
    assert answer.status_code == 422
    assert f'id="field-{field}-fault"' in answer.text
    assert {name: shown[name] for name in fields if name != "key"} == {name: fields[name] for name in fields if name != "key"}
    assert await all_quotes(priced) == []


async def test_an_item_without_a_price_in_the_currency_asks_for_one(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, currency="EUR")
        refused = await sent(browser, new_path(priced), fields)
        answer = await sent(browser, new_path(priced), fields, **{"line-1-unit_price": "550.00"})

    assert "The price book has no price of this in EUR: write one." in refused.text
    assert answer.status_code == 303


async def test_what_is_not_in_the_price_book_needs_a_description_and_a_price(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, **{"line-1-sku": "", "line-1-description": "Training"})
        refused = await sent(browser, new_path(priced), fields)
        await sent(browser, new_path(priced), fields, **{"line-1-unit_price": "250.00", "line-1-recurring": "yes"})

    assert 'id="field-line-1-unit_price-fault"' in refused.text
    [quote] = await all_quotes(priced)
    assert [(line["sku"], line["net_amount"], line["recurring"]) for line in quote["lines"]] == [(None, "11250.00", True)]


async def test_lines_come_and_go_without_scripts_and_nothing_is_stored(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, title="Kept")
        added = await sent(browser, new_path(priced), fields, do="add")
        two = fields_of(added.text, new_path(priced)) | {"line-2-description": "Training", "line-2-unit_price": "10.00"}
        removed = await sent(browser, new_path(priced), two, do="remove:1")
        emptied = await sent(browser, new_path(priced), fields_of(removed.text, new_path(priced)), do="remove:1")

    one = fields_of(removed.text, new_path(priced))
    assert (added.status_code, removed.status_code, two["line-1-sku"], two["title"]) == (200, 200, "SEAT", "Kept")
    assert (one["line-1-description"], one["line-1-unit_price"]) == ("Training", "10.00")
    assert "line-2-sku" not in one
    assert fields_of(emptied.text, new_path(priced))["line-1-description"] == ""
    assert await all_quotes(priced) == []


async def test_an_empty_line_is_not_meant_and_faults_stand_at_the_line_that_has_them(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, **{"line-1-sku": ""})
        nothing = await sent(browser, new_path(priced), fields)
        second = {"line-2-sku": "SEAT", "line-2-quantity": "1", "line-2-discount_percent": "?"}
        faulty = await sent(browser, new_path(priced), fields | second)

    assert (nothing.status_code, faulty.status_code) == (422, 422)
    assert "Write at least one line." in nothing.text
    assert 'id="field-line-2-discount_percent-fault"' in faulty.text


async def test_no_more_lines_than_a_form_can_send(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced)
        for number in range(2, 31):
            fields |= {f"line-{number}-{name}": text for name, text in (("sku", "SEAT"), ("description", ""), ("quantity", "1"))}
            fields |= {f"line-{number}-{name}": text for name, text in (("unit_price", ""), ("discount_percent", "0"))}
        full = await sent(browser, new_path(priced), fields, do="add")
        beyond = await sent(browser, new_path(priced), fields, **{"line-31-sku": "SEAT"})
        saved = await sent(browser, new_path(priced), fields)

    assert "line-31-sku" not in full.text
    assert "Add a line" not in full.text
    assert (beyond.status_code, saved.status_code) == (422, 303)


async def test_the_preview_follows_the_discount_and_records_nothing(priced: Deals):
    path = new_path(priced).replace("?", "/preview?")
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced)
        before = await counted(priced)
        alone = await sent(browser, path, fields)
        asked = await sent(browser, path, fields, **{"line-1-discount_percent": "20.0001"})
        faulty = await sent(browser, path, fields, **{"line-1-discount_percent": "x"})
        whole = await sent(browser, new_path(priced), fields, do="preview", **{"line-1-discount_percent": "20.0001"})

    assert "The owner may approve this alone." in alone.text
    assert "Net in USD 27,000.00" in text_of(alone)
    assert "This needs the approval of manager and finance." in asked.text
    assert "20.0001 %" in asked.text
    assert "user-finance" in asked.text
    assert "<html" not in asked.text
    assert "Line 1, discount percent:" in text_of(faulty)
    assert (faulty.status_code, whole.status_code) == (200, 200)
    assert "This needs the approval of manager and finance." in whole.text
    assert await counted(priced) == before


async def counted(deals: Deals) -> dict[str, int]:
    """Return how many rows there are of everything that a preview could leave behind."""
    async with deals.world.container.unit_of_work.transaction(deals.world.tenant_id) as tx:
        row = await tx.fetch_one(
            "SELECT (SELECT count(*) FROM trustpack.receipts WHERE tenant_id = %(tenant)s) AS receipts,"
            " (SELECT count(*) FROM trustpack.policy_decisions WHERE tenant_id = %(tenant)s) AS decisions,"
            " (SELECT count(*) FROM trustpack.quotes WHERE tenant_id = %(tenant)s) AS quotes,"
            " (SELECT count(*) FROM trustpack.usage_events WHERE tenant_id = %(tenant)s) AS usage",
            {"tenant": deals.world.tenant_id},
        )
    return dict(row or {})


async def test_the_preview_of_a_change_counts_the_new_terms_and_the_offers_beside_them(deals: Deals):
    offered = await deals.submitted(discount_percent="40")
    draft = await deals.quote(discount_percent="10")
    path = f"{QUOTES}/{draft['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await opened(browser, path)
        before = await counted(deals)
        same = await sent(browser, f"{path}/preview", fields)
        other = await sent(browser, f"{path}/preview", fields, discount_percent="20")

    assert offered["list_amount"] == draft["list_amount"]
    assert "the terms that the quote has already" in same.text
    assert "With 1 other offer to this account in 30 days it comes to 25 %." in same.text
    assert "With 1 other offer to this account in 30 days it comes to 30 %." in other.text
    assert await counted(deals) == before


async def test_a_quote_opens_with_what_it_says_and_saving_it_unchanged_changes_nothing(priced: Deals):
    line = {"sku": "SEAT", "description": "Own words", "quantity": 3, "unit_price": "590.00", "discount_percent": "12.5"}
    quote = await priced.quote(amount=None, discount_percent=None, lines=[line], title="Named", payment_days=14)
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await opened(browser, path)
        answer = await sent(browser, path, fields)

    assert (fields["title"], fields["payment_days"], fields["line-1-sku"]) == ("Named", "14", "SEAT")
    assert (fields["line-1-description"], fields["line-1-unit_price"]) == ("Own words", "590.00")
    assert answer.headers["location"] == f"{QUOTES}/{quote['id']}"
    assert await priced.read(quote) == quote


@pytest.mark.adversarial(13)
async def test_saving_other_terms_voids_approvals_after_saying_whose(deals: Deals):
    quote = await deals.approved()
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        page = await browser.get(path)
        answer = await sent(browser, path, fields_of(page.text, path), discount_percent="31")
    shown = await deals.read(quote)

    assert "void the approvals given so far, by user-finance, user-manager" in page.text
    assert answer.status_code == 303
    assert (shown["status"], shown["revision"]) == ("draft", 2)
    assert {approval["status"] for approval in shown["approvals"]} == {"superseded"}


@pytest.mark.adversarial(14)
async def test_another_title_alone_keeps_the_approvals(deals: Deals):
    quote = await deals.approved()
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        await sent(browser, path, await opened(browser, path), title="Only a name")
    shown = await deals.read(quote)

    assert (shown["status"], shown["title"], shown["terms_digest"]) == ("approved", "Only a name", quote["terms_digest"])


async def test_a_quote_that_somebody_else_changed_meanwhile_is_not_overwritten_unseen(deals: Deals):
    quote = await deals.quote(discount_percent="10")
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await opened(browser, path)
        await deals.call("user-manager", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="15")})
        before = await deals.actions(quote)
        clash = await sent(browser, path, fields, discount_percent="12", title="Mine")
        kept = fields_of(clash.text, path)
        untouched = await deals.read(quote)
        anyway = await sent(browser, path, kept)

    assert clash.status_code == 409
    assert "Revised by user-manager" in text_of(clash)
    assert "removed: Amount: 1 at 100,000.00, less 10 %" in text_of(clash)
    assert "added: Amount: 1 at 100,000.00, less 15 %" in text_of(clash)
    assert (kept["discount_percent"], kept["title"]) == ("12", "Mine")
    assert (untouched["discount_percent"], await deals.actions(quote)) == ("15", [*before, "revised"])
    assert anyway.status_code == 303
    assert (await deals.read(quote))["discount_percent"] == "12"


async def test_a_change_that_was_refused_leads_back_to_the_list_that_the_quote_was_opened_from(deals: Deals):
    quote = await deals.quote(discount_percent="10")
    beside = f"{QUOTES}/{quote['id']}?status=draft&sort=-status"
    path = beside.replace("?", "/edit?")
    async with browsing_as(deals.world, "user-ae") as browser:
        shown = ReadPage((await browser.get(beside)).text)
        fields = await opened(browser, path)
        faulty = await sent(browser, path, fields, discount_percent="much")
        await deals.call("user-manager", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="15")})
        clash = await sent(browser, path, fields, discount_percent="12")
        saved = await sent(browser, path, fields_of(clash.text, path))

    assert path in shown.links
    assert [answer.status_code for answer in (faulty, clash)] == [422, 409]
    assert [beside in ReadPage(answer.text).links for answer in (faulty, clash)] == [True, True]
    assert path in ReadPage(clash.text).links
    assert (saved.status_code, saved.headers["location"]) == (303, beside)


async def test_a_new_quote_that_was_refused_leads_back_to_the_list_of_its_opportunity(deals: Deals):
    beside = f"/switchboard/revops/opportunities/{deals.opportunity_id}?status=open&sort=account"
    path = f"{new_path(deals)}&status=open&sort=account"
    async with browsing_as(deals.world, "user-ae") as browser:
        shown = ReadPage((await browser.get(beside)).text)
        answer = await sent(browser, path, await opened(browser, path))

    assert path in shown.links
    assert (answer.status_code, beside in ReadPage(answer.text).links) == (422, True)


async def test_an_approval_that_came_while_somebody_wrote_is_not_voided_unseen(deals: Deals):
    quote = await deals.submitted()
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await opened(browser, path)
        await deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})
        clash = await sent(browser, path, fields, discount_percent="31")

    assert clash.status_code == 409
    assert "Approved by user-manager" in text_of(clash)
    assert "The terms are still the ones that you opened." in clash.text
    assert (await deals.read(quote))["status"] == "pending_approval"


async def test_a_look_or_a_refused_attempt_in_between_is_no_conflict(deals: Deals):
    quote = await deals.quote(discount_percent="10")
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await opened(browser, path)
        await deals.act("user-ae", quote, "preview-approvals")
        answer = await sent(browser, path, fields, discount_percent="12")

    assert answer.status_code == 303


async def test_saving_a_change_twice_changes_once(deals: Deals):
    quote = await deals.quote(discount_percent="10")
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await opened(browser, path)
        answers = await asyncio.gather(*(sent(browser.copy(), path, fields, discount_percent="12") for _ in range(3)))

    assert [answer.status_code for answer in answers] == [303, 303, 303]
    assert (await deals.actions(quote)).count("revised") == 1


@pytest.mark.parametrize("opened_version", ["", "0", "999999", "1e3", "x"])
async def test_a_form_that_names_no_version_that_was_shown_changes_nothing(deals: Deals, opened_version: str):
    quote = await deals.quote()
    path = f"{QUOTES}/{quote['id']}/edit"
    async with browsing_as(deals.world, "user-ae") as browser:
        fields = await opened(browser, path)
        answer = await sent(browser, path, fields, opened_version=opened_version, discount_percent="12")

    assert answer.status_code in {409, 422}
    assert await deals.actions(quote) == ["created"]


async def test_an_amount_without_lines_is_written_and_turned_into_lines(priced: Deals):
    async with browsing_as(priced.world, "user-ae") as browser:
        bare = await sent(browser, new_path(priced), await opened(browser, new_path(priced)), do="as:amount")
        fields = fields_of(bare.text, new_path(priced)) | {"amount": "1000.00", "discount_percent": "12.5"}
        await sent(browser, new_path(priced), fields)
        back = await sent(browser, new_path(priced), fields, do="as:lines")

    [quote] = await all_quotes(priced)
    assert (quote["pricing"], quote["net_amount"]) == ("bare_amount", "875.00")
    assert "line-1-sku" in fields_of(back.text, new_path(priced))


@pytest.mark.parametrize("fields", [{"unknown": "x"}, {"pricing": "free"}, {"key": ""}, {"line-1-price": "1"}, {"do": "delete"}])
async def test_what_no_form_of_ours_sends_is_refused(priced: Deals, fields: dict[str, str]):
    async with browsing_as(priced.world, "user-ae") as browser:
        answer = await browser.post(new_path(priced), {**await written(browser, priced), **fields})

    assert (answer.status_code, code_of(answer)) == (422, "request.invalid")
    assert await all_quotes(priced) == []


async def test_people_who_do_not_sell_are_told_so_on_a_page(priced: Deals):
    quote = await priced.quote()
    async with browsing_as(priced.world, "user-finance") as browser:
        answers = [
            await browser.get(new_path(priced)),
            await browser.post(new_path(priced), {}),
            await browser.get(f"{QUOTES}/{quote['id']}/edit"),
            await browser.post(f"{QUOTES}/{quote['id']}/edit/preview", {}),
        ]

    assert {(answer.status_code, code_of(answer)) for answer in answers} == {(403, "revops.sellers_only")}


async def test_a_contract_that_stands_is_not_edited(deals: Deals):
    quote = await deals.approved()
    await deals.act("user-ae", quote, "activate")
    async with browsing_as(deals.world, "user-ae") as browser:
        page = await browser.get(f"{QUOTES}/{quote['id']}/edit")

    assert (page.status_code, code_of(page)) == (409, "revops.wrong_state")
    assert "clone the quote" in page.text


async def test_a_quote_of_more_lines_than_the_form_holds_is_left_to_the_api(priced: Deals):
    line = {"sku": "SEAT", "description": "Seat", "quantity": 1, "unit_price": "600.00"}
    quote = await priced.quote(amount=None, discount_percent=None, lines=[line] * 31)
    async with browsing_as(priced.world, "user-ae") as browser:
        page = await browser.get(f"{QUOTES}/{quote['id']}/edit")

    assert page.status_code == 422
    assert "the quote has 31" in page.text


async def test_the_quotes_of_others_are_not_there(deals: Deals, container: Container, clock: MovableClock):
    quote = await deals.quote()
    await deals.world.add_person("user-ae-2", *deals.world.people["user-ae"].roles)
    async with scripted_world(container, clock) as other_world, browsing_as(other_world, "user-admin") as stranger:
        await selling(other_world)
        paths = (f"{QUOTES}/{quote['id']}/edit", f"{QUOTES}/quo_{'0' * 32}/edit", f"{QUOTES}/x/edit")
        answers = [await stranger.get(path) for path in paths]
        unknown = await stranger.get(new_path(deals))
    async with browsing_as(deals.world, "user-ae-2") as colleague:
        answers.append(await colleague.get(f"{QUOTES}/{quote['id']}/edit"))
        answers.append(await colleague.post(f"{QUOTES}/{quote['id']}/edit", {}))

    assert {answer.status_code for answer in answers} == {404}
    assert (unknown.status_code, code_of(unknown)) == (422, "revops.unknown_opportunity")


async def test_hostile_words_stay_words(priced: Deals):
    hostile = '"><img src=x onerror=alert(1)><b hx-get="/x">'
    async with browsing_as(priced.world, "user-ae") as browser:
        fields = await written(browser, priced, title=hostile, **{"line-1-description": hostile})
        preview = await sent(browser, new_path(priced), fields, do="preview", currency=hostile[:30])
        answer = await sent(browser, new_path(priced), fields)
        edit = await browser.get(answer.headers["location"] + "/edit")

    for page in (preview, edit):
        assert "<img src=x" not in page.text
        assert "<b hx" not in page.text
    assert fields_of(edit.text, answer.headers["location"] + "/edit")["title"] == hostile


async def test_a_form_of_another_session_writes_nothing(priced: Deals, world: World):
    async with browsing_as(world, "user-ae") as browser:
        fields = await written(browser, priced)
        answers = [await browser.post(new_path(priced), fields, csrf=token) for token in (None, "x" * 43)]

    assert {answer.status_code for answer in answers} == {403}
    assert await all_quotes(priced) == []
