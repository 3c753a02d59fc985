"""The pages of one quote, read as a browser does, on the real application: every part, for everybody who may see it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from markupsafe import escape

from tests.support.browsers import Browser, browsing_as
from tests.support.deals import LEAD, PRICES, Deals
from tests.support.delegating import lend
from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.app.console import present
from trustpack.kernel.actor import Role
from trustpack.proof.bundle import check_bundle
from trustpack.proof.canonical import digest_of

QUOTES = "/switchboard/revops/quotes"
PARTS = ("", "/overview", "/approvals", "/versions", "/contract", "/evidence", "/related")
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'
SEATS = {"sku": "SEAT", "description": "Seat per year", "quantity": 100, "unit_price": "600.00", "discount_percent": "20"}


@asynccontextmanager
async def looking(world: World, handle: str) -> AsyncIterator[Browser]:
    """Open a browser with the pages as people see them, in which somebody has just signed in."""
    async with browsing_as(world, handle, show=present) as browser:
        yield browser


async def read(world: World, handle: str, quote: dict[str, Any], part: str = "") -> str:
    """Return a part of a quote as its text reads to somebody."""
    return text_of(await page_of(world, handle, quote, part))


async def page_of(world: World, handle: str, quote: dict[str, Any], part: str = "") -> str:
    """Return a part of a quote with its markup, as somebody gets it."""
    async with looking(world, handle) as browser:
        response = await browser.get(f"{QUOTES}/{quote['id']}{part}")
    assert response.status_code == 200, response.text
    return response.text


def text_of(page: str) -> str:
    """Return what stands in the detail of a page, without markup."""
    detail = page[page.index('class="detail-pane"') :]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", detail)).split())


async def revised(deals: Deals, quote: dict[str, Any], person: str = "user-ae", **changes: Any) -> dict[str, Any]:
    """Change the terms of a quote."""
    answer = await deals.call(person, "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(**changes)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def rejected(deals: Deals, quote: dict[str, Any]) -> None:
    """End a submission by somebody's no."""
    assert (await deals.act("user-finance", quote, "reject", {"reason": "Far too deep"})).status_code == 200


async def recalled(deals: Deals, quote: dict[str, Any]) -> None:
    """Take a quote back."""
    assert (await deals.act("user-ae", quote, "recall")).status_code == 200


async def expired(deals: Deals, quote: dict[str, Any]) -> None:
    """Let the time of a quote run out."""
    deals.world.clock.advance(days=15)
    await deals.world.container.worker.run_due()
    assert (await deals.read(quote))["status"] == "expired"


async def test_every_part_is_shown_with_hostile_texts_as_text(deals: Deals):
    company = await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "al@other.example", "company": HOSTILE})
    line = SEATS | {"sku": None, "description": HOSTILE, "discount_percent": "30"}
    opportunity_id = company.json()["opportunity"]["id"]
    quote = await deals.submitted(opportunity_id=opportunity_id, title=HOSTILE, amount=None, discount_percent=None, lines=[line])
    given = {"terms_digest": quote["terms_digest"], "comment": HOSTILE}
    assert (await deals.act("user-manager", quote, "approve", given)).status_code == 200
    await revised(deals, quote, amount=None, discount_percent=None, lines=[line | {"quantity": 7}])
    async with looking(deals.world, "user-ae") as browser:
        pages = {part: (await browser.get(f"{QUOTES}/{quote['id']}{part}")) for part in PARTS}

    assert {part: page.status_code for part, page in pages.items()} == dict.fromkeys(PARTS, 200)
    assert {part for part, page in pages.items() if "<img src=x" in page.text} == set()
    assert {part for part, page in pages.items() if HOSTILE in text_of(page.text)} == set(PARTS)


async def test_there_is_no_other_part_and_nothing_of_other_teams_or_tenants(deals: Deals, other_world: World):
    quote = await deals.quote()
    await deals.world.add_person("user-ae-elsewhere", Role.AE)
    async with (
        looking(deals.world, "user-ae") as owner,
        looking(deals.world, "user-ae-elsewhere") as seller,
        looking(other_world, "user-admin") as stranger,
    ):
        unknown = (await owner.get(f"{QUOTES}/{quote['id']}/everything")).status_code
        hidden = {(await seller.get(f"{QUOTES}/{quote['id']}{part}")).status_code for part in PARTS}
        foreign = {(await stranger.get(f"{QUOTES}/{quote['id']}{part}")).status_code for part in PARTS}
        nowhere = (await owner.get(f"{QUOTES}/quo_{'0' * 32}")).status_code

    assert (unknown, hidden, foreign, nowhere) == (404, {404}, {404}, 404)


async def test_the_overview_has_the_figures_of_the_api_and_the_limits_of_the_decision(deals: Deals):
    await deals.import_prices(PRICES)
    lines = [SEATS, SEATS | {"quantity": 3, "unit_price": "599.99", "discount_percent": "33.333333"}]
    quote = await deals.submitted(amount=None, discount_percent=None, lines=lines, title="Renewal", term_months=12)
    shown = await read(deals.world, "user-ae", quote)
    [decision] = [one for one in await decisions(deals, quote) if one["id"] == quote["decision_id"]]
    first, last = decision["input"]["parameters"]["matrix"]

    for line in quote["lines"]:
        list_amount, net_amount = (f"{Decimal(line[name]):,}" for name in ("list_amount", "net_amount"))
        figures = (line["description"], line["sku"], line["quantity"], list_amount)
        assert " ".join(str(one) for one in (*figures, line["effective_discount_percent"], "%", net_amount)) in shown
    list_amount, net_amount = (f"{Decimal(quote[name]):,}" for name in ("list_amount", "net_amount"))
    assert f"List in USD {list_amount} Discount {quote['discount_percent']} % Net in USD {net_amount}" in shown
    assert f"Up to {first['up_to']['numerator']} %: account executive, who may be the owner" in shown
    assert f"Up to {last['up_to']['numerator']} %: manager and finance" in shown
    assert "by the policy that decided" in shown
    assert f"Largest line {quote['max_line_discount_percent']} %" in shown
    assert "Segment enterprise" in shown
    assert "Title Renewal" in shown
    assert f"Valid until {quote['valid_until']}" in shown
    assert "Term 12 months" in shown


async def test_a_discount_reads_the_same_in_the_list_at_the_head_and_in_the_words_of_policy(deals: Deals):
    await deals.import_prices(PRICES)
    lines = [SEATS, SEATS | {"quantity": 1, "discount_percent": "21"}]
    quote = await deals.submitted(amount=None, discount_percent=None, lines=lines)
    discount = quote["discount_percent"]
    async with looking(deals.world, "user-ae") as browser:
        listed = (await browser.get(QUOTES)).text
    evidence = await read(deals.world, "user-ae", quote, "/evidence")

    assert discount == "20.009901"
    assert f">{discount} %<" in listed
    assert f"{discount} % off" in evidence
    assert f"The blended discount of {discount} % is above 20 %." in evidence


async def decisions(deals: Deals, quote: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the stored decisions about a quote."""
    bundle = (await deals.world.call("user-auditor", "GET", f"/evidence/revops/deals/{quote['id']}")).json()
    return list(bundle["decisions"])


async def test_lines_outside_of_the_price_book_are_said_to_be_why_it_needs_more(deals: Deals):
    quote = await deals.quote(amount=None, discount_percent=None, lines=[SEATS | {"sku": None, "discount_percent": "5"}])

    shown = await read(deals.world, "user-ae", quote)

    assert "by the policy in force now" in shown
    assert "It needs manager and finance, as not all of its lines are in the price book." in shown


async def test_the_approvals_say_who_gave_what_by_which_loan_and_who_could_still(deals: Deals):
    await deals.world.add_person("user-deputy")
    await lend(deals, "user-finance", role="finance")
    quote = await deals.submitted()
    given = {"terms_digest": quote["terms_digest"], "comment": "Fits the budget"}
    assert (await deals.act("user-deputy", quote, "approve", given)).status_code == 200
    shown = await read(deals.world, "user-auditor", quote, "/approvals")
    own = await read(deals.world, "user-ae", quote, "/approvals")

    assert "It waits for manager." in shown
    assert "Needed 1/2 received" in shown
    assert "user-deputy for finance, lent by user-finance · “Fits the budget”" in shown
    assert "Who could still approve Manager UM user-manager UF user-manager-and-finance" in shown
    assert "You own this quote or had a part in it, so it takes other people: it waits for manager." in own


@pytest.mark.parametrize("ends", [rejected, recalled, expired])
async def test_a_quote_whose_submission_has_ended_waits_for_nobody(deals: Deals, ends: Callable[..., Awaitable[None]]):
    quote = await deals.submitted()
    assert (await deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})).status_code == 200
    before = await page_of(deals.world, "user-ae", quote, "/approvals")
    await ends(deals, quote)
    after = await page_of(deals.world, "user-ae", quote, "/approvals")

    assert [page.count('aria-label="waiting for"') for page in (before, after)] == [1, 0]
    assert ["Finance not given" in text_of(page) for page in (before, after)] == [False, True]
    assert "Manager not given" not in text_of(after)
    assert "counts for nothing now" in text_of(after)


async def test_a_rejected_quote_says_whose_no_it_was_until_its_terms_change(deals: Deals):
    quote = await deals.submitted()
    await rejected(deals, quote)
    [vote] = (await deals.read(quote))["approvals"]
    pages = [await page_of(deals.world, "user-ae", quote, part) for part in ("", "/approvals")]
    await revised(deals, quote, discount_percent="25")
    later = [await page_of(deals.world, "user-ae", quote, part) for part in ("", "/approvals")]

    said = re.compile(r'([\w-]+) said no on <time datetime="([^"]+)">.*?</time>, which ended .*? “(.*?)”')
    assert [said.findall(page) for page in pages] == [[("user-finance", vote["created_at"], "Far too deep")]] * 2
    assert [page.count("said no") for page in later] == [0, 0]


async def test_a_recalled_quote_says_who_took_it_back_and_why_until_its_terms_change(deals: Deals):
    quote = await deals.submitted()
    before = await page_of(deals.world, "user-ae", quote)
    assert (await deals.act("user-admin", quote, "recall", {"reason": HOSTILE})).status_code == 200
    assert (await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"title": "Kept for later"})).status_code == 200
    [receipt] = [each for each in await deals.receipts(quote) if each["action"] == "recalled"]
    after = await page_of(deals.world, "user-auditor", quote)
    await revised(deals, quote, discount_percent="25")
    later = await page_of(deals.world, "user-ae", quote)

    said = re.compile(r'([\w-]+) recalled this quote on <time datetime="([^"]+)">.*?</time>\. “(.*?)”')
    assert said.findall(after) == [("user-admin", receipt["occurred_at"], str(escape(HOSTILE)))]
    assert [page.count("recalled this quote") for page in (before, later)] == [0, 0]


async def test_a_role_that_nobody_could_fill_any_more_is_said_to_be_one(deals: Deals):
    quote = await deals.submitted()
    for handle in ("user-finance", "user-manager-and-finance"):
        await deals.world.change_role(handle, Role.FINANCE, grant=False)

    assert "Finance Nobody could give it today." in await read(deals.world, "user-ae", quote, "/approvals")


async def test_the_joint_discount_names_the_quotes_that_it_is_made_of(deals: Deals):
    other = await deals.submitted(discount_percent="10")
    quote = await deals.submitted(discount_percent="30")
    joint = (await deals.read(quote))["linked"]["joint_discount_percent"]
    shown = await read(deals.world, "user-finance", quote, "/approvals")
    related = await read(deals.world, "user-finance", quote, "/related")

    assert f"{joint} % together with what else was offered to this account within 30 days" in shown
    assert other["id"][-8:] in related[related.index("Looked at together with") :]


async def test_the_versions_tell_what_changed_by_whom_and_whose_approval_it_voided(deals: Deals):
    await deals.import_prices(PRICES)
    lines = [SEATS | {"discount_percent": "25"}, SEATS | {"sku": "OLD", "description": "Old thing"}]
    quote = await deals.submitted(amount=None, discount_percent=None, lines=lines)
    assert (await deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})).status_code == 200
    changed = [lines[0] | {"quantity": 120}, SEATS | {"sku": "NEW", "description": "New thing"}]
    after = await revised(deals, quote, "user-admin", amount=None, discount_percent=None, lines=changed)
    async with looking(deals.world, "user-ae") as browser:
        page = (await browser.get(f"{QUOTES}/{quote['id']}/versions")).text
    shown = text_of(page)
    items = re.findall(r'<li class="is-(added|removed)">(.*?)</li>', page)
    signed = [(sign, re.sub(r"<[^>]+>", "", line).partition(": ")[2]) for sign, line in items]

    assert shown.index("Version 2 as it is now") < shown.index("Version 1")
    assert "user-admin" in shown[: shown.index("Version 1")].split("Version 2 as it is now")[1]
    assert "1 line changed, 1 line added, 1 line removed. The one before it was pending." in shown
    assert "It voided the approval of user-manager." in shown
    for label, name in (("List", "list_amount"), ("Net", "net_amount")):
        assert f"{label} {Decimal(quote[name]):,} USD {Decimal(after[name]):,} USD" in shown
    assert signed == [
        ("removed", "SEAT Seat per year: 100 at 600.00, less 25 %"),
        ("added", "SEAT Seat per year: 120 at 600.00, less 25 %"),
        ("removed", "OLD Old thing: 100 at 600.00, less 20 %, once"),
        ("added", "NEW New thing: 100 at 600.00, less 20 %, once"),
    ]


async def test_a_change_after_the_end_of_a_submission_voids_nothing(deals: Deals):
    quote = await deals.submitted()
    assert (await deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})).status_code == 200
    assert (await deals.act("user-ae", quote, "recall")).status_code == 200
    await revised(deals, quote, discount_percent="31")

    shown = await read(deals.world, "user-ae", quote, "/versions")

    assert "The one before it was recalled." in shown
    assert "voided" not in shown


async def test_the_contract_is_shown_once_there_is_one(deals: Deals):
    quote = await deals.approved()
    before = await read(deals.world, "user-ae", quote, "/contract")
    contract = (await deals.act("user-ae", quote, "activate")).json()
    page = await page_of(deals.world, "user-ae", quote, "/contract")
    after = text_of(page)

    assert "No contract yet" in before
    assert {f'data-copy="{contract[name]}"' in page for name in ("id", "decision_id", "terms_digest")} == {True}
    assert f"contract {contract['id'][-8:]}" in after
    assert f"decision {contract['decision_id'][-8:]}" in after
    assert "Status Activated Activated by user-ae Activated" in after
    assert f'datetime="{contract["created_at"]}"' in page[page.index(">Activated by<") :]
    assert contract["terms_digest"].removeprefix("sha256:")[:16] in after
    assert "The contract holds exactly the terms that were approved." in after


async def test_the_contract_shows_the_terms_of_its_own_row(deals: Deals):
    lines = [SEATS | {"discount_percent": "30"}, SEATS | {"sku": None, "description": HOSTILE, "quantity": 1}]
    starts = (deals.world.clock.now() + timedelta(days=9)).date().isoformat()
    agreed = {"term_months": 12, "payment_days": 45, "start_date": starts}
    quote = await deals.approved(amount=None, discount_percent=None, lines=lines, **agreed)
    await deals.act("user-ae", quote, "activate")
    shown = await read(deals.world, "user-ae", quote, "/contract")
    figures = [f"{Decimal(quote[name]):,}" for name in ("list_amount", "net_amount")]

    assert f"{HOSTILE} no SKU 1 600.00 20 % 480.00" in shown
    assert f"List in USD {figures[0]} Discount {quote['discount_percent']} % Net in USD {figures[1]}" in shown
    assert f"Account {quote['account']} Version 1 Valid until {quote['valid_until']}, the whole day in UTC" in shown
    assert f"Term 12 months Payment within 45 days Starts {starts}" in shown

    settings = deals.world.container.settings
    [row] = rows_as_owner(settings, "SELECT id, terms FROM trustpack.contracts WHERE quote_id = %s", quote["id"])
    forged = bytes(row["terms"]).replace(b'"quantity":100', b'"quantity":107')
    rows_as_owner(
        settings,
        "WITH changed AS (SELECT set_config('session_replication_role', 'replica', true))"
        " UPDATE trustpack.contracts SET terms = %s, terms_digest = %s FROM changed WHERE id = %s RETURNING id",
        forged,
        digest_of(forged),
        row["id"],
    )
    other = await read(deals.world, "user-ae", quote, "/contract")

    assert "Seat per year SEAT 100 60,000.00 30 % 42,000.00" in shown
    assert "Seat per year SEAT 107 64,200.00 30 % 44,940.00" in other
    assert "The contract's terms are not those of the quote. Tell an administrator." in other


async def test_the_evidence_is_checked_told_and_the_file_is_the_one_whose_digest_is_shown(deals: Deals):
    quote = await deals.approved()
    await deals.act("user-ae", quote, "approve", {"terms_digest": quote["terms_digest"]})
    async with looking(deals.world, "user-auditor") as browser:
        page = (await browser.get(f"{QUOTES}/{quote['id']}/evidence")).text
        file = await browser.get(f"/switchboard/evidence/revops/deals/{quote['id']}")
    api = await deals.world.call("user-auditor", "GET", f"/evidence/revops/deals/{quote['id']}")
    receipts = await deals.receipts(quote)
    shown = text_of(page)

    assert "Verified checked at" in shown
    assert f"Receipts {len(receipts)} of {len(receipts)}" in shown
    assert shown.count(" Checked ") == len(receipts)
    assert [receipt["digest"] in page for receipt in receipts] == [True] * len(receipts)
    assert "Policy allowed this with the approval of manager and finance; nobody may approve their own." in shown
    assert "The blended discount of 30 % is above 20 %." in shown
    assert file.content == api.content
    assert check_bundle(file.content) == ()
    assert f'data-copy="{sha256(file.content).hexdigest()}"' in page
    assert file.headers["content-disposition"] == f'attachment; filename="{quote["id"]}.evidence.json"'
    assert file.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


async def test_a_receipt_that_somebody_wrote_over_is_shown_as_one(deals: Deals):
    quote = await deals.approved()
    [row] = rows_as_owner(
        deals.world.container.settings,
        "SELECT id, body FROM trustpack.receipts WHERE subject_id = %s AND seq = 2",
        quote["id"],
    )
    forged = bytes(row["body"]).replace(b'"pending_approval"', b'"approved"')
    rows_as_owner(
        deals.world.container.settings,
        "WITH changed AS (SELECT set_config('session_replication_role', 'replica', true))"
        " UPDATE trustpack.receipts SET body = %s, digest = %s FROM changed WHERE id = %s RETURNING id",
        forged,
        digest_of(forged),
        row["id"],
    )

    shown = await read(deals.world, "user-ae", quote, "/evidence")

    assert "Verification failed" in shown
    assert "Does not stand" in shown


async def test_whoever_is_lent_a_role_reads_the_quote_but_gets_no_file_of_the_deal(deals: Deals):
    await deals.world.add_person("user-deputy")
    await lend(deals)
    quote = await deals.submitted()

    shown = await read(deals.world, "user-deputy", quote, "/evidence")
    related = await read(deals.world, "user-deputy", quote, "/related")

    assert "The evidence file holds more than you may read" in shown
    assert "Verified" in shown
    assert "Its lead and opportunity are not yours to read." in related


async def test_what_is_related_can_be_opened(deals: Deals):
    first = await deals.quote()
    copy = (await deals.act("user-ae", first, "clone")).json()
    async with looking(deals.world, "user-ae") as browser:
        page = (await browser.get(f"{QUOTES}/{copy['id']}/related")).text
    detail = page[page.index('class="detail-pane"') :]

    assert f'href="/switchboard/revops/leads/{deals.lead_id}"' in detail
    assert f'href="/switchboard/revops/opportunities/{deals.opportunity_id}"' in detail
    assert f'A copy of <a href="{QUOTES}/{first["id"]}"' in detail
    assert detail.count(f'href="{QUOTES}/{first["id"]}"') == 2


async def test_the_list_beside_a_quote_stays_as_it_was_filtered(deals: Deals):
    quote, draft = await deals.submitted(), await deals.quote()
    async with looking(deals.world, "user-ae") as browser:
        page = (await browser.get(f"{QUOTES}/{quote['id']}?status=pending_approval")).text
        form = f"{QUOTES}/{quote['id']}/recall?status=pending_approval"
        recalled = await browser.post(form, {"digest": quote["terms_digest"]})

    assert draft["id"] not in page
    assert f'href="{QUOTES}/{quote["id"]}/versions?status=pending_approval"' in page
    assert f'class="icon-button back" href="{QUOTES}?status=pending_approval"' in page
    assert f'href="{QUOTES}/{quote["id"]}?status=pending_approval&amp;ask=recall"' in page
    assert recalled.headers["location"] == f"{QUOTES}/{quote['id']}?status=pending_approval"
