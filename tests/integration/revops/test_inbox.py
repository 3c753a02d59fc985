"""Which quotes wait for somebody's yes: exactly those that it would get on, with own roles and with lent ones."""

from __future__ import annotations

import html
import random
import re
from contextlib import suppress

import pytest

from tests.support.browsers import browsing_as
from tests.support.deals import Deals, selling
from tests.support.delegating import DEPUTY, end, lend
from tests.support.world import World
from trustpack.capabilities import approvals, directory
from trustpack.capabilities.revops.model import Quote, QuoteStatus
from trustpack.capabilities.revops.service import voting, waiting
from trustpack.capabilities.revops.service.deciding import ballot_of
from trustpack.capabilities.revops.service.recording import find_readable
from trustpack.kernel.actor import Role
from trustpack.kernel.errors import TrustpackError

INBOX = "/switchboard/revops/inbox"
QUOTES = "/switchboard/revops/quotes"
VOTERS = ("user-manager", "user-finance", "user-manager-and-finance", "user-ae", "user-selling-manager", DEPUTY)


class RolledBackError(Exception):
    """Ends a transaction whose changes nobody wants."""


async def inbox_of(deals: Deals, handle: str) -> list[str]:
    """Return the ids of what waits for somebody."""
    async with deals.world.container.unit_of_work.transaction(deals.world.tenant_id) as tx:
        actor = await directory.actor_of(tx, handle)
        found = await waiting.needs_my_approval(tx, actor, limit=200)
        assert (await waiting.count_that_need_me(tx, actor) or 0) == len(found.views)
    return [view.quote.id for view in found.views]


async def would_get_on(deals: Deals, handle: str, quote_id: str) -> bool:
    """Try the real approval, for each role that may be named, say whether it filled an open one, and undo it."""
    return any([await _tried(deals, handle, quote_id, role) for role in (None, Role.MANAGER, Role.FINANCE)])


async def _tried(deals: Deals, handle: str, quote_id: str, role: Role | None) -> bool:
    revops, found = deals.world.container.revops, []
    with suppress(RolledBackError, TrustpackError):
        async with deals.world.container.unit_of_work.transaction(deals.world.tenant_id) as tx:
            actor = await directory.actor_of(tx, handle)
            quote = await find_readable(tx, actor, quote_id)
            before = await open_roles(tx, quote)
            outcome = await voting.approve(tx, revops, actor, quote_id, digest=quote.terms_digest, comment=None, role=role)
            if isinstance(outcome, Quote):
                found.append(outcome.status == QuoteStatus.APPROVED or await open_roles(tx, outcome) < before)
            undo()
    return any(found)


def revised(deals: Deals) -> dict:
    """Return the body that changes the terms of a quote."""
    return {"terms": deals.terms(discount_percent="35")}


def undo() -> None:
    """Have the transaction around the call rolled back."""
    raise RolledBackError


async def open_roles(tx, quote: Quote) -> int:
    """Return how many roles of a quote are open."""
    ballot = ballot_of(quote, required=quote.required_approvals, self_approvable=quote.self_approvable)
    votes = await approvals.votes_of_one(tx, quote.id)
    return len(approvals.decide_quorum(ballot.required, approvals.votes_with_roles_of_their_time(votes, ballot)).open)


async def live(deals: Deals, chance: random.Random, lent: list[dict]) -> None:
    """Let something happen, whether it is allowed or not."""
    quotes = (await deals.call("user-auditor", "GET", "/quotes")).json()["items"]
    quote = chance.choice(quotes)
    match chance.choice(("write", "submit", "submit", "approve", "approve", "recall", "revise", "lend", "end", "role")):
        case "write":
            await deals.quote(
                chance.choice(("user-ae", "user-selling-manager")), discount_percent=chance.choice(("10", "30", "45"))
            )
        case "submit":
            await deals.act(chance.choice(("user-ae", "user-selling-manager")), quote, "submit-for-approval")
        case "approve":
            await deals.act(chance.choice(VOTERS), quote, "approve", {"terms_digest": quote["terms_digest"]})
        case "recall" if chance.random() < 0.4:
            await deals.act("user-ae", quote, "recall")
        case "revise":
            await deals.call("user-manager", "PATCH", f"/quotes/{quote['id']}", revised(deals))
        case "lend" if not lent:
            lent.append(await lend(deals, chance.choice(("user-manager", "user-selling-manager"))))
        case "end" if lent:
            await end(deals, lent.pop(), "user-admin")
        case "role":
            await deals.world.change_role("user-finance", Role.FINANCE, grant=chance.random() < 0.6)


@pytest.fixture
async def staffed(deals: Deals) -> Deals:
    """A tenant that sells, with the people whose votes are the difficult ones."""
    await deals.world.add_person("user-selling-manager", Role.AE, Role.MANAGER)
    await deals.world.add_person(DEPUTY)
    return deals


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_a_quote_waits_for_somebody_exactly_when_their_yes_would_get_it_on(staffed: Deals, seed: int):
    chance = random.Random(seed)
    lent: list[dict] = []
    for _ in range(3):
        await staffed.submitted(discount_percent=chance.choice(("30", "45")))
    for _ in range(3):
        for _ in range(12):
            await live(staffed, chance, lent)
        quotes = (await staffed.call("user-auditor", "GET", "/quotes?status=pending_approval")).json()["items"]
        for handle in (*VOTERS, "user-auditor", "user-engineer"):
            expected = {quote["id"] for quote in quotes if await would_get_on(staffed, handle, quote["id"])}
            assert set(await inbox_of(staffed, handle)) == expected, handle


async def expire(deals: Deals) -> None:
    """Let the time run out in which approvals count."""
    deals.world.clock.advance(days=15)
    await deals.world.container.worker.run_due()


@pytest.mark.parametrize("way", ["approved", "rejected", "recalled", "expired"])
async def test_a_quote_waits_from_its_submission_to_its_end_in_its_own_tenant_alone(staffed: Deals, other_world: World, way: str):
    elsewhere = await selling(other_world)
    drafted, theirs = await staffed.quote(), await elsewhere.submitted()
    as_draft = await inbox_of(staffed, "user-manager")
    quote = (await staffed.act("user-ae", drafted, "submit-for-approval")).json()
    before = [await inbox_of(deals, "user-manager") for deals in (staffed, elsewhere)]
    match way:
        case "approved":
            for handle in ("user-manager", "user-finance"):
                await staffed.act(handle, quote, "approve", {"terms_digest": quote["terms_digest"]})
        case "rejected":
            await staffed.act("user-finance", quote, "reject", {"reason": "No"})
        case "recalled":
            await staffed.act("user-ae", quote, "recall")
        case "expired":
            await expire(staffed)

    assert (await staffed.read(quote))["status"] == way
    assert (as_draft, before) == ([], [[quote["id"]], [theirs["id"]]])
    assert await inbox_of(staffed, "user-manager") == await inbox_of(staffed, "user-manager-and-finance") == []
    assert await inbox_of(elsewhere, "user-manager") == ([] if way == "expired" else [theirs["id"]])


async def test_a_quote_that_is_submitted_anew_waits_for_those_whom_its_new_terms_take(staffed: Deals):
    quote = await staffed.submitted(discount_percent="30")
    seen = [await waits_for(staffed)]
    for discount in ("15", "45"):
        await staffed.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": staffed.terms(discount_percent=discount)})
        seen.append(await waits_for(staffed))
        await staffed.act("user-ae", quote, "submit-for-approval")
        seen.append(await waits_for(staffed))

    approvers = {"user-manager", "user-finance", "user-manager-and-finance", "user-selling-manager"}
    assert seen == [approvers, set(), {"user-ae", "user-selling-manager"}, set(), approvers]


async def test_pages_hold_each_quote_once_in_the_order_of_their_ends_whichever_roles_they_take(staffed: Deals):
    made = []
    for discount in ("30", "15", "45", "10"):
        made.append((await staffed.submitted(discount_percent=discount))["id"])
        staffed.world.clock.advance(minutes=1)
    seen: list[str] = []
    after: str | None = None
    async with staffed.world.container.unit_of_work.transaction(staffed.world.tenant_id) as tx:
        actor = await directory.actor_of(tx, "user-selling-manager")
        while True:
            page = await waiting.needs_my_approval(tx, actor, limit=1, after_id=after)
            seen += [view.quote.id for view in page.views]
            after = page.goes_on_after
            if after is None:
                break

    assert seen == made


async def waits_for(deals: Deals) -> set[str]:
    """Return whom anything waits for."""
    return {handle for handle in VOTERS if await inbox_of(deals, handle)}


async def test_a_lent_role_brings_what_waits_for_it_until_it_is_ended(staffed: Deals):
    quote = await staffed.submitted()
    before = await inbox_of(staffed, DEPUTY)
    made = await lend(staffed)
    lent = await inbox_of(staffed, DEPUTY)
    await end(staffed, made)

    assert (before, lent) == ([], [quote["id"]])
    assert await inbox_of(staffed, DEPUTY) == []


async def test_nobody_with_a_part_in_a_quote_has_it_in_their_inbox(staffed: Deals):
    quote = await staffed.submitted()
    await staffed.call("user-selling-manager", "PATCH", f"/quotes/{quote['id']}", revised(staffed))
    await staffed.act("user-ae", quote, "submit-for-approval")

    assert await inbox_of(staffed, "user-manager") == [quote["id"]]
    assert await inbox_of(staffed, "user-selling-manager") == []
    assert await inbox_of(staffed, "user-ae") == []


async def test_the_count_beside_the_place_is_the_number_of_rows(staffed: Deals):
    quote, _ = await staffed.submitted(), await staffed.submitted(amount="5000.00")
    async with browsing_as(staffed.world, "user-finance") as browser, browsing_as(staffed.world, DEPUTY) as deputy:
        before = (await browser.get(INBOX)).text
        await staffed.act("user-finance", quote, "approve", {"terms_digest": quote["terms_digest"]})
        after = (await browser.get(INBOX)).text
        await lend(staffed)
        borrowed = (await deputy.get(INBOX)).text

    assert [len(re.findall(r'<tr id="row-', page)) for page in (before, after, borrowed)] == [2, 1, 2]
    assert [set(re.findall(r"waiting for you: </span>([^<]+)<", page)) for page in (before, after, borrowed)] == [
        {"2"},
        {"1"},
        {"2"},
    ]


async def test_what_opens_from_the_inbox_keeps_it_beside_through_parts_and_decisions(staffed: Deals):
    quote, other = await staffed.submitted(), await staffed.submitted(amount="5000.00")
    path = f"{QUOTES}/{quote['id']}"
    async with browsing_as(staffed.world, "user-manager") as browser:
        inbox = html.unescape((await browser.get(INBOX)).text)
        [opens] = re.findall(rf'href="({path}[^"]*)"', inbox)
        pages = {part: await browser.get(opens.replace(path, path + part)) for part in ("", "/approvals")}
        [action] = set(re.findall(rf'action="({path}/approve[^"]*)"', html.unescape(pages[""].text)))
        no_reason = await browser.post(action.replace("/approve", "/reject"), {"digest": quote["terms_digest"], "text": ""})
        stale = await browser.post(action, {"digest": "sha256:" + "0" * 64})
        given = await browser.post(action, {"digest": quote["terms_digest"]})
        after = await browser.get(given.headers["location"])

    shown = (*pages.values(), no_reason, stale, after)
    assert [answer.status_code for answer in shown] == [200, 200, 422, 409, 200]
    assert {place_of(answer.text) for answer in shown} == {("Needs my approval", INBOX)}
    assert [rows_of(answer.text) for answer in shown] == [{quote["id"], other["id"]}] * 4 + [{other["id"]}]


async def test_the_page_of_the_inbox_that_a_quote_was_opened_from_stays(staffed: Deals, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trustpack.capabilities.revops.pages.inbox.PAGE_SIZE", 1)
    first, second = await staffed.submitted(), await staffed.submitted()
    async with browsing_as(staffed.world, "user-manager") as browser:
        [further] = re.findall(rf'href="({INBOX}[^"]+)"', (await browser.get(INBOX)).text)
        page = html.unescape((await browser.get(further)).text)
        [opens] = re.findall(rf'href="({QUOTES}/{second["id"]}[^"]*)"', page)
        opened = (await browser.get(opens)).text
        broken = await browser.get(f"{QUOTES}/{first['id']}?beside=inbox&cursor=made-up")

    assert (rows_of(opened), place_of(opened)) == ({second["id"]}, ("Needs my approval", html.escape(further)))
    assert broken.status_code == 422


async def offered_to(deals: Deals, handle: str) -> tuple[bool, bool, bool]:
    """Return whether somebody is led to the inbox, whether their first page lists it, and whether it says why it is empty."""
    async with browsing_as(deals.world, handle) as browser:
        home, inbox = [html.unescape((await browser.get(path)).text) for path in ("/switchboard", INBOX)]
    why = "None of these roles is yours, and none is lent to you today that you may use." in inbox
    return f'href="{INBOX}"' in home, "Quotes that need my approval" in home, why


async def test_who_can_approve_no_quote_is_offered_no_inbox_and_told_why_it_is_empty(staffed: Deals):
    people = ("user-manager", "user-finance", "user-ae", "user-auditor", "user-admin", "user-without-role", DEPUTY)
    await staffed.world.add_person("user-without-role")
    alone = {handle: await offered_to(staffed, handle) for handle in people}
    await lend(staffed)
    lent = await offered_to(staffed, DEPUTY)

    able, unable = (True, True, False), (False, False, True)
    assert alone == dict.fromkeys(people[:2], able) | {"user-ae": (False,) * 3} | dict.fromkeys(people[3:], unable)
    assert lent == able


async def test_an_auditor_approves_nothing_by_a_loan_from_before(staffed: Deals):
    await lend(staffed)
    await staffed.world.change_role(DEPUTY, Role.AUDITOR, grant=True)

    assert await offered_to(staffed, DEPUTY) == (False, False, True)


def place_of(page: str) -> tuple[str, str]:
    """Return where a page with an open object says that the viewer is, and where its way back leads."""
    [place] = set(re.findall(r'aria-current="page"[^>]*>.*?<span(?: class="label")?>(.*?)</span>', page.partition("<main")[0]))
    [back] = re.findall(r'<a class="icon-button back" href="([^"]+)"', page)
    return place, back


def rows_of(page: str) -> set[str]:
    return set(re.findall(r'<tr[^>]* id="row-(\w+)"', page))
