"""The page of one's own delegations: what was lent and borrowed, a form that lends once, and a button that withdraws."""

from __future__ import annotations

import asyncio
import html as html_of
import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.support.browsers import Browser, browsing_as, code_of, shown
from tests.support.deals import Deals, selling
from tests.support.delegating import DEPUTY, day, end, lend, receipts_of
from tests.support.page_forms import ReadPage
from tests.support.world import World
from trustpack.capabilities.revops.rules.delegating import MOST_AT_ONCE
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages.lists import PAGE_SIZE

PAGE = "/switchboard/profile/delegations"


@pytest.fixture
async def deals(world: World) -> Deals:
    """A tenant that sells, with somebody who holds no role."""
    await world.add_person(DEPUTY, name="Dev Patel")
    return await selling(world)


@pytest.fixture
async def manager(deals: Deals) -> AsyncIterator[Browser]:
    """The browser of somebody who may lend the role of a manager."""
    async with browsing_as(deals.world, "user-manager") as browser:
        yield browser


async def filled(deals: Deals, browser: Browser, **changes: str) -> dict[str, str]:
    """Open the form and fill it in."""
    form = ReadPage((await browser.get(PAGE)).text).form_to(PAGE).filled({})
    return {**form, "to": DEPUTY, "until_date": day(deals, 6), "reason": "Away until Monday", **changes}


def text_of(page: httpx2.Response) -> str:
    return html_of.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def part_of(page: httpx2.Response, title: str) -> str:
    """Return the text of one section of the page."""
    [section] = re.findall(rf'<section class="card" aria-label="{title}">(.*?)</section>', page.text, re.DOTALL)
    return " ".join(html_of.unescape(re.sub(r"<[^>]+>", " ", section)).split())


def faults_at(page: httpx2.Response) -> dict[str, str]:
    """Return what the form says is wrong, by field."""
    found = re.findall(r'<p class="fault" id="field-(\w+)-fault">(.*?)</p>', page.text, re.DOTALL)
    return {name: html_of.unescape(re.sub(r"<[^>]+>", "", said)).strip() for name, said in found}


async def count(deals: Deals) -> int:
    return len((await deals.call("user-auditor", "GET", "/delegations")).json()["items"])


async def test_a_role_is_lent_by_the_form_as_the_api_lends_it(deals: Deals, manager: Browser):
    answer = await manager.post(PAGE, await filled(deals, manager))
    page = await manager.get(answer.headers["location"])

    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    [made] = (await deals.call("user-manager", "GET", "/delegations")).json()["items"]
    assert (made["role"], made["from"]["handle"], made["to"]["handle"]) == ("manager", "user-manager", DEPUTY)
    assert (made["from_date"], made["until_date"], made["reason"]) == (day(deals, 0), day(deals, 6), "Away until Monday")
    assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created"]
    assert part_of(page, "What I lent").startswith("What I lent manager to Dev Patel In force From ")
    assert "Away until Monday" in part_of(page, "What I lent")
    assert part_of(page, "What was lent to me") == "What was lent to me Nobody has lent you a role."


async def test_the_borrower_reads_it_too_and_is_offered_no_button(deals: Deals):
    made = await lend(deals)
    async with browsing_as(deals.world, DEPUTY) as browser:
        page = await browser.get(PAGE)
        refused = await browser.post(f"{PAGE}/{made['id']}/withdraw")

    assert part_of(page, "What was lent to me").startswith("What was lent to me manager from user-manager In force")
    assert [form.action for form in ReadPage(page.text).forms if PAGE in form.action] == []
    assert (refused.status_code, code_of(refused)) == (403, "revops.not_your_delegation")
    assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created", "refused"]


async def test_whoever_reads_everything_sees_here_what_is_theirs_alone(deals: Deals):
    await lend(deals)
    async with browsing_as(deals.world, "user-finance") as browser:
        page = await browser.get(PAGE)

    assert "You have lent none of your roles." in part_of(page, "What I lent")
    assert DEPUTY not in part_of(page, "What was lent to me")


@pytest.mark.parametrize(
    ("begins", "later", "state"), [(1, 0, "Upcoming"), (0, 0, "In force"), (0, 7, "Over")], ids=["before", "during", "after"]
)
async def test_a_delegation_says_how_it_stands_today(deals: Deals, begins: int, later: int, state: str):
    await lend(deals, begins=begins)
    deals.world.clock.advance(days=later)
    async with browsing_as(deals.world, "user-manager") as browser:
        page = await browser.get(PAGE)

    assert f"manager to Dev Patel {state} From" in part_of(page, "What I lent")
    assert ("/withdraw" in page.text) == (state != "Over")


async def test_what_a_lender_no_longer_holds_lends_nothing_and_says_so(deals: Deals):
    await lend(deals)
    await deals.world.change_role("user-manager", Role.MANAGER, grant=False)
    async with browsing_as(deals.world, DEPUTY) as browser:
        page = await browser.get(PAGE)

    assert "manager from user-manager Lends nothing" in part_of(page, "What was lent to me")


async def test_a_withdrawn_delegation_says_by_whom_and_cannot_be_withdrawn_again(deals: Deals, manager: Browser):
    made = await lend(deals)
    path = f"{PAGE}/{made['id']}/withdraw"
    form = ReadPage((await manager.get(PAGE)).text).form_to(path).filled({})

    first, second = await manager.post(path, form), await manager.post(path, form)
    page = await manager.get(PAGE)

    assert [(answer.status_code, answer.headers["location"]) for answer in (first, second)] == [(303, PAGE)] * 2
    assert [receipt["action"] for receipt in await receipts_of(deals, made)] == ["created", "ended"]
    assert "manager to Dev Patel Withdrawn" in part_of(page, "What I lent")
    assert "Withdrawn by user-manager, just now" in part_of(page, "What I lent")
    assert path not in page.text


async def test_what_an_administrator_made_and_ended_names_them(deals: Deals, manager: Browser):
    made = await lend(deals, "user-admin", **{"from": "user-manager"})
    await end(deals, made, DEPUTY)
    await end(deals, made, "user-admin")

    told = part_of(await manager.get(PAGE), "What I lent")

    assert "UTC; made by user-admin" in told
    assert "Withdrawn by user-admin" in told


async def test_the_same_form_lends_once_however_often_it_arrives(deals: Deals, manager: Browser):
    fields = await filled(deals, manager)

    answers = [await manager.post(PAGE, fields) for _ in range(2)]
    answers += await asyncio.gather(*(manager.copy().post(PAGE, fields) for _ in range(3)))
    other = await manager.post(PAGE, {**fields, "reason": "A longer leave"})
    anew = await manager.post(PAGE, ReadPage(other.text).form_to(PAGE).filled({}))

    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {(303, PAGE)}
    assert (other.status_code, anew.status_code, await count(deals)) == (409, 303, 2)
    assert "This form was sent before with other content" in text_of(other)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"to": "user-manager"}, "to", "Nobody delegates to themselves."),
        ({"to": "user-manager-and-finance"}, "to", "Holds the role manager already."),
        ({"to": "user-auditor"}, "to", "An auditor reads everything and decides nothing."),
        ({"to": "nobody-here"}, "to", "There is nobody of this handle or id."),
        ({"to": "Dev Patel"}, "to", "Write the handle of a colleague, such as dev-patel."),
        ({"to": ""}, "to", "Write the handle of a colleague, such as dev-patel."),
        ({"begins": -1}, "from_date", "Expected today or a later day, in UTC."),
        ({"ends": -1}, "until_date", "Expected the first day or a later one."),
        ({"ends": 90}, "until_date", "A delegation lasts 90 days at most."),
        ({"until_date": "Monday"}, "until_date", "Write a day such as 2026-11-23."),
        ({"reason": ""}, "reason", "Say why, in at most 4,096 bytes of visible text."),
        ({"role": "admin"}, "role", "Choose one of your roles that can be lent."),
    ],
    ids=str,
)
async def test_a_refusal_stands_at_its_field_and_what_was_written_stays(
    deals: Deals, manager: Browser, changes: dict[str, str | int], field: str, said: str
):
    days = {"begins": "from_date", "ends": "until_date"}
    written = {days.get(name, name): day(deals, value) if isinstance(value, int) else value for name, value in changes.items()}

    answer = await manager.post(PAGE, {**await filled(deals, manager, reason="Surgery <b>"), **written})

    kept = ReadPage(answer.text).form_to(PAGE).filled({})
    assert (answer.status_code, faults_at(answer)) == (422, {field: said})
    if field != "reason":
        assert kept["reason"] == "Surgery <b>"
    assert await count(deals) == 0


async def test_a_role_of_others_is_refused_at_its_field(deals: Deals, manager: Browser):
    answer = await manager.post(PAGE, await filled(deals, manager, role="finance"))

    told = "Nobody lends a role that they do not hold themselves, here finance."
    assert (answer.status_code, faults_at(answer)) == (403, {"role": told})
    assert ReadPage(answer.text).form_to(PAGE).filled({})["to"] == DEPUTY


async def test_a_borrowed_role_is_offered_to_nobody_to_be_lent_on(deals: Deals, manager: Browser):
    await lend(deals)
    fields = await filled(deals, manager, to="user-engineer")
    async with browsing_as(deals.world, DEPUTY) as browser:
        page = await browser.get(PAGE)
        onward = await browser.post(PAGE, fields)

    assert "You hold neither." in text_of(page)
    assert (onward.status_code, code_of(onward)) == (403, "revops.delegation_forbidden")
    assert await count(deals) == 1


async def test_one_who_lends_too_often_hears_so_and_keeps_what_was_written(deals: Deals, manager: Browser):
    for _ in range(MOST_AT_ONCE):
        await lend(deals)

    answer = await manager.post(PAGE, await filled(deals, manager))

    assert answer.status_code == 409
    assert f"One person has {MOST_AT_ONCE} delegations at most that are not over." in text_of(answer)
    assert ReadPage(answer.text).form_to(PAGE).filled({})["reason"] == "Away until Monday"


async def test_the_field_suggests_by_name_whoever_could_borrow(deals: Deals, manager: Browser):
    page = await manager.get(PAGE)

    suggested = dict(re.findall(r'<option value="([\w-]+)">([^<]*)</option>', page.text.partition("<datalist")[2]))
    assert suggested[DEPUTY] == "Dev Patel"
    assert {"user-finance", "user-admin", "user-ae"} <= suggested.keys()
    assert suggested.keys().isdisjoint({"user-manager", "user-manager-and-finance", "user-auditor"})


async def test_older_ones_are_a_page_away(deals: Deals, manager: Browser):
    first = await lend(deals)
    for _ in range(PAGE_SIZE):
        await end(deals, first)
        last, first = first, await lend(deals)

    newest = await manager.get(PAGE)
    [older] = [link for link in ReadPage(newest.text).links if "before=" in link]
    rest = await manager.get(older)

    assert newest.text.count("Dev Patel</span>") == PAGE_SIZE
    assert rest.text.count("Dev Patel</span>") == 1
    assert (await manager.get(f"{PAGE}?before=x")).status_code == 404
    assert last["id"] != first["id"]


async def test_a_decision_needs_a_recent_sign_in_and_keeps_what_was_written(deals: Deals, manager: Browser):
    made, fields = await lend(deals, begins=1), await filled(deals, manager)
    deals.world.clock.advance(minutes=11)

    answers = [await manager.post(PAGE, fields), await manager.post(f"{PAGE}/{made['id']}/withdraw")]

    assert [(answer.status_code, shown(answer)["page"]) for answer in answers] == [(401, "confirm")] * 2
    assert all(shown(answer)["kept"] for answer in answers)
    assert await count(deals) == 1


async def test_the_page_is_in_the_menu_of_ones_account(manager: Browser):
    assert PAGE in ReadPage((await manager.get("/switchboard")).text).links
