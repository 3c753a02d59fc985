"""The lists of quotes, leads and opportunities: who sees what, filters, orders, pages, and the lists as files."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.browsers import Browser, browsing_as
from tests.support.deals import LEAD, Deals
from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.app.console import present
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role

REVOPS = "/switchboard/revops"
QUOTES, LEADS, OPPORTUNITIES = f"{REVOPS}/quotes", f"{REVOPS}/leads", f"{REVOPS}/opportunities"
ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "created": lambda row: row["id"],
    "account": lambda row: (row["account"].lower(), row["id"]),
    "status": lambda row: (row["status"], row["id"]),
}
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@asynccontextmanager
async def looking(world: World, handle: str = "user-manager") -> AsyncIterator[Browser]:
    """Open a browser in which somebody has just signed in."""
    async with browsing_as(world, handle, show=present) as browser:
        yield browser


def ids_in(page: str) -> list[str]:
    return re.findall(r'<tr[^>]* id="row-(\w+_[0-9a-f]{32})"', page)


def link_in(page: str, label: str) -> str | None:
    match = re.search(rf'href="([^"]+)"[^>]*>(?:<svg(?:(?!</svg>).)*</svg>)?<span>{label}</span>', page)
    return html.unescape(match[1]) if match else None


async def listed(browser: Browser, path: str) -> list[str]:
    response = await browser.get(path)
    assert response.status_code == 200, response.text
    return ids_in(response.text)


async def lead(deals: Deals, person: str = "user-ae", **changes: Any) -> dict[str, Any]:
    """Bring a lead in and return it with its opportunity."""
    answer = await deals.call(person, "POST", "/leads", LEAD | changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_each_filter_of_quotes_lets_through_what_fits_it_alone(deals: Deals):
    other = await lead(deals, email="ann@nordwind.example", company="Nordwind Ödland AG")
    draft = (await deals.quote())["id"]
    foreign = (await deals.quote(opportunity_id=other["opportunity"]["id"]))["id"]
    waiting = (await deals.submitted())["id"]
    everything = [waiting, foreign, draft]
    async with looking(deals.world) as browser:
        found = {
            query: await listed(browser, f"{QUOTES}?{query}")
            for query in (
                "", "status=draft", "status=pending_approval", "owner=user-ae", "owner=me", "owner=nobody", "needs=finance",
                "account=acme.com", "account=nordwind.example", "q=nordwind", "q=NORDWIND%20%C3%96d", "q=acme.c", "q=cme",
                f"q={draft[-8:]}", "q=user-a", "q=acme&status=draft", "q=%25",
            )
        }  # fmt: skip
        refused = [(await browser.get(f"{QUOTES}?{query}")).status_code for query in ("status=x", "needs=x", "sort=account")]
        whole = await browser.get(f"{QUOTES}?q={draft}")

    assert found == {
        "": everything, "status=draft": [foreign, draft], "status=pending_approval": [waiting], "owner=user-ae": everything,
        "owner=me": [], "owner=nobody": [], "needs=finance": [waiting], "account=acme.com": [waiting, draft],
        "account=nordwind.example": [foreign], "q=nordwind": [foreign], "q=NORDWIND%20%C3%96d": [foreign],
        "q=acme.c": [waiting, draft], "q=cme": [], f"q={draft[-8:]}": [draft], "q=user-a": everything,
        "q=acme&status=draft": [draft], "q=%25": [],
    }  # fmt: skip
    assert refused == [422, 422, 422]
    assert whole.headers["location"] == f"{QUOTES}/{draft}"


async def test_a_row_says_account_total_and_discount_exactly(deals: Deals):
    quote = await deals.quote(amount="100000.01", discount_percent="33.333")
    async with looking(deals.world, "user-ae") as browser:
        page = html.unescape((await browser.get(QUOTES)).text)

    assert quote["account"] in page
    assert (quote["discount_percent"], quote["net_amount"]) == ("33.333", "66667.01")
    assert ">33.333 %<" in page
    assert "66,667.01 USD" in page


async def test_text_and_filters_hold_for_whoever_reads_a_part(deals: Deals, other_world: World):
    world = deals.world
    await world.add_person("user-ae-2", Role.AE)
    await world.add_person("user-ae-3", Role.AE)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.join_team(tx, world.operator, handle="user-ae-2", team="enterprise")
    quote = (await deals.quote())["id"]
    paths = [f"{QUOTES}?q={text}" for text in (quote[-8:], "acme", "user-ae")] + [QUOTES, f"{QUOTES}?status=draft&sort=status"]
    async with (
        looking(world, "user-ae-2") as teammate,
        looking(world, "user-ae-3") as stranger,
        looking(other_world, "user-admin") as far,
    ):
        seen = [[await listed(one, path) for path in paths] for one in (teammate, stranger, far)]
        leads = [await listed(one, f"{LEADS}?q=acme") for one in (teammate, stranger, far)]
        opportunities = [await listed(one, f"{OPPORTUNITIES}?q=acme") for one in (teammate, stranger, far)]
        files = [
            (await one.get(f"{path}/export/json")).json()["items"]
            for one in (stranger, far)
            for path in (QUOTES, LEADS, OPPORTUNITIES)
        ]

    assert seen == [[[quote]] * len(paths), [[]] * len(paths), [[]] * len(paths)]
    assert leads == [[deals.lead_id], [], []]
    assert opportunities == [[deals.opportunity_id], [], []]
    assert files == [[]] * 6


async def test_who_took_a_lead_in_finds_what_came_of_it_by_every_name_and_nothing_else(deals: Deals):
    world = deals.world
    made = await lead(deals, "user-manager", email="al@other.example", company="Other Ltd")
    taken_in, opportunity = made["lead"]["id"], made["opportunity"]["id"]
    quote = (await deals.quote(opportunity_id=opportunity))["id"]
    others = [deals.lead_id, deals.opportunity_id, (await deals.quote())["id"]]
    ends = [f"q={one[-8:]}" for one in (taken_in, opportunity, quote)]
    await world.change_role("user-manager", Role.AE, grant=True)
    await world.change_role("user-manager", Role.MANAGER, grant=False)
    async with looking(world) as browser:
        found = {
            query: [await listed(browser, f"{path}?{query}") for path in (LEADS, OPPORTUNITIES, QUOTES)]
            for query in ("", "q=other", "q=user-ae", "q=user-manager", "q=al%40other.example", "q=acme", "q=zz", *ends)
        }
        foreign = [
            await listed(browser, f"{path}?q={one[-8:]}")
            for path, one in zip((LEADS, OPPORTUNITIES, QUOTES), others, strict=True)
        ]

    assert found == {
        "": [[taken_in], [opportunity], [quote]], "q=other": [[taken_in], [opportunity], [quote]],
        "q=user-ae": [[], [opportunity], [quote]], "q=user-manager": [[taken_in], [], []],
        "q=al%40other.example": [[taken_in], [], []], "q=acme": [[], [], []], "q=zz": [[], [], []],
        ends[0]: [[taken_in], [], []], ends[1]: [[], [opportunity], []], ends[2]: [[], [], [quote]],
    }  # fmt: skip
    assert foreign == [[], [], []]


async def test_a_colleagues_handle_finds_all_of_theirs_that_may_be_read_in_every_order(deals: Deals):
    world = deals.world
    for handle in ("user-ae-2", "user-ae-3"):
        await world.add_person(handle, Role.AE)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.join_team(tx, world.operator, handle="user-ae-2", team="enterprise")
        await directory.add_team(tx, world.operator, name="mid-market")
    taken_in = (await lead(deals, "user-manager", email="al@other.example", company="Other Ltd"))["opportunity"]["id"]
    alone = (await lead(deals, "user-ae-3", email="bo@third.example", company="Third Ltd", segment="mid_market", employees=300))[
        "opportunity"
    ]["id"]
    for person, opportunity in (("user-ae", deals.opportunity_id), ("user-ae", taken_in), ("user-ae-3", alone)):
        await deals.quote(person, opportunity_id=opportunity)
        quote = await deals.quote(person, opportunity_id=opportunity)
        assert (await deals.act(person, quote, "submit-for-approval")).status_code == 200
    await world.change_role("user-manager", Role.AE, grant=True)
    await world.change_role("user-manager", Role.MANAGER, grant=False)
    found, expected = {}, {}
    for reader in ("user-ae", "user-ae-2", "user-ae-3", "user-manager", "user-finance"):
        items = (await deals.call(reader, "GET", "/quotes")).json()["items"]
        async with looking(world, reader) as browser:
            for handle in ("user-ae", "user-ae-3", "user-manager"):
                for query in (f"owner={handle}", f"q={handle}", f"q={handle}&owner=user-ae", f"q={handle}&status=draft"):
                    for order in ("-created", "status"):
                        found[reader, query, order] = await listed(browser, f"{QUOTES}?{query}&sort={order}")
                        theirs = [
                            item
                            for item in items
                            if (
                                item["owner"]["handle"] == handle
                                if query.startswith("owner")
                                else handle in item["owner"]["handle"]
                            )
                            and ("&owner" not in query or item["owner"]["handle"] == "user-ae")
                            and ("&status" not in query or item["status"] == "draft")
                        ]
                        theirs.sort(key=lambda item: (item["status"] if "status" in order else "", item["id"]))
                        expected[reader, query, order] = [item["id"] for item in theirs][:: -1 if order.startswith("-") else 1]

    assert found == expected
    seen = {reader: len(found[reader, "q=user-ae", "status"]) for reader, _, _ in found}
    assert seen == {"user-ae": 4, "user-ae-2": 4, "user-ae-3": 2, "user-manager": 2, "user-finance": 6}


async def test_a_colleagues_opportunities_and_leads_are_found_in_every_state_and_order(deals: Deals):
    world = deals.world
    for handle in ("user-ae-2", "user-ae-3"):
        await world.add_person(handle, Role.AE)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.join_team(tx, world.operator, handle="user-ae-2", team="enterprise")
        await directory.add_team(tx, world.operator, name="mid-market")
    small = {"segment": "mid_market", "employees": 300}
    await lead(deals, "user-manager", email="al@other.example", company="other Ltd")
    await lead(deals, "user-ae-2", email="di@able.example", company="Able Ltd")
    for number in range(2):
        await lead(deals, "user-ae-3", email=f"bo@third-{number}.example", company=f"Third {number} Ltd", **small)
    assert (await deals.act("user-ae", await deals.approved(), "activate")).status_code == 200
    await world.change_role("user-manager", Role.AE, grant=True)
    await world.change_role("user-manager", Role.MANAGER, grant=False)
    handles = ("user-ae", "user-ae-2", "user-ae-3", "user-manager")
    settings = world.container.settings
    people = {
        row["handle"]: row
        for row in rows_as_owner(
            settings, "SELECT handle, id, team_ids FROM trustpack.people WHERE tenant_id = %s", world.tenant_id
        )
    }
    rows = rows_as_owner(
        settings,
        "SELECT o.id, o.status, o.owner_id, o.team_id, o.account, l.id AS lead_id, l.created_by FROM trustpack.opportunities o"
        " JOIN trustpack.leads l ON l.tenant_id = o.tenant_id AND l.id = o.lead_id WHERE o.tenant_id = %s",
        world.tenant_id,
    )
    found, expected = {}, {}
    for reader in (*handles, "user-finance"):
        me = people[reader]
        seen = [
            row
            for row in rows
            if reader == "user-finance" or me["id"] in (row["owner_id"], row["created_by"]) or row["team_id"] in me["team_ids"]
        ]
        async with looking(world, reader) as browser:
            for handle in handles:
                theirs = [row for row in seen if row["owner_id"] == people[handle]["id"]]
                for status in ("", "open", "won"):
                    in_state = [row for row in theirs if status in ("", row["status"])]
                    for order in ("-created", "created", "account", "-account", "status", "-status"):
                        case = (reader, f"{OPPORTUNITIES}?owner={handle}&status={status}&sort={order}")
                        found[case] = await listed(browser, case[1])
                        in_order = sorted(in_state, key=ORDERS[order.strip("-")], reverse=order.startswith("-"))
                        expected[case] = [row["id"] for row in in_order]
                for order in ("-created", "created"):
                    case = (reader, f"{LEADS}?q={handle}&sort={order}")
                    found[case] = await listed(browser, case[1])
                    named = [people[one]["id"] for one in handles if handle in one]
                    brought = [row["lead_id"] for row in seen if row["created_by"] in named]
                    expected[case] = sorted(brought, reverse=order.startswith("-"))

    assert found == expected
    longest = {reader: max(len(ids) for case, ids in found.items() if case[0] == reader) for reader, _ in found}
    assert longest == {"user-ae": 2, "user-ae-2": 2, "user-ae-3": 2, "user-finance": 4, "user-manager": 1}


async def test_leads_are_found_by_mailbox_company_person_and_end_of_id(deals: Deals):
    await deals.world.add_person("user-ae-3", Role.AE)
    mine = (await lead(deals, "user-ae-3", email="ann+x@other.example", company="Other Ltd", segment="smb"))["lead"]["id"]
    both = [mine, deals.lead_id]
    async with looking(deals.world) as manager, looking(deals.world, "user-ae-3") as own:
        found = {
            query: await listed(manager, f"{LEADS}?{query}")
            for query in (
                "",
                "segment=smb",
                "by=user-ae-3",
                "q=Ann%40other.example",
                "q=other",
                f"q={mine[-8:]}",
                "q=user-ae",
                "q=zz",
            )
        }
        seen = await listed(own, f"{LEADS}?by=me")

    assert found == {
        "": both, "segment=smb": [mine], "by=user-ae-3": [mine], "q=Ann%40other.example": [mine], "q=other": [mine],
        f"q={mine[-8:]}": [mine], "q=user-ae": both, "q=zz": [],
    }  # fmt: skip
    assert seen == [mine]


async def test_opportunities_are_ordered_by_account_and_shown_to_owner_team_and_author(deals: Deals):
    await deals.world.add_person("user-ae-3", Role.AE)
    names = {"b@zeta.example": "zeta", "c@alpha.example": "Alpha", "d@oelberg.example": "Ölberg"}
    made = {
        company: (await lead(deals, "user-ae-3", email=email, company=company))["opportunity"]["id"]
        for email, company in names.items()
    }
    async with looking(deals.world) as manager, looking(deals.world, "user-ae-3") as own:
        up, down = await listed(manager, f"{OPPORTUNITIES}?sort=account"), await listed(manager, f"{OPPORTUNITIES}?sort=-account")
        opened = await listed(manager, f"{OPPORTUNITIES}?status=open&sort=status")
        won = await listed(manager, f"{OPPORTUNITIES}?status=won")
        mine = await listed(own, f"{OPPORTUNITIES}?owner=me")

    assert up == down[::-1]
    assert up.index(deals.opportunity_id) < up.index(made["Alpha"]) < up.index(made["zeta"])
    assert set(up) == set(opened) == {deals.opportunity_id, *made.values()}
    assert won == []
    assert mine == [made["Ölberg"], made["Alpha"], made["zeta"]]


@pytest.mark.parametrize(
    ("path", "module"),
    [
        (QUOTES, "lists"), (f"{QUOTES}?sort=status", "lists"), (f"{QUOTES}?q=user-ae", "lists"), (LEADS, "lists_of_leads"),
        (f"{LEADS}?q=user-ae", "lists_of_leads"), (OPPORTUNITIES, "lists_of_opportunities"),
        (f"{OPPORTUNITIES}?sort=-account", "lists_of_opportunities"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("person", ["user-manager", "user-ae"])
async def test_pages_go_on_and_back(deals: Deals, path: str, module: str, person: str, monkeypatch: pytest.MonkeyPatch):
    for number, company in enumerate(("Älpha", "beta", "Ärger", "BETA two")):
        made = await lead(deals, email=f"p{number}@c{number}.example", company=company)
        await deals.quote(opportunity_id=made["opportunity"]["id"])
    async with looking(deals.world, person) as browser:
        whole = await listed(browser, path)
        monkeypatch.setattr(f"trustpack.capabilities.revops.pages.{module}.PAGE_SIZE", 2)
        pages = [(await browser.get(path)).text]
        while (following := link_in(pages[-1], "Next")) and len(pages) < 9:
            pages.append((await browser.get(following)).text)
        back = [pages[-1]]
        while (previous := link_in(back[-1], "Previous")) and len(back) < 9:
            back.append((await browser.get(previous)).text)

    assert len(whole) in {4, 5}
    assert [row for page in pages for row in ids_in(page)] == whole
    assert [ids_in(page) for page in back[::-1]] == [ids_in(page) for page in pages]


async def test_the_files_hold_what_the_api_shows(deals: Deals):
    await deals.quote()
    await deals.submitted()
    await lead(deals, email="ann@other.example")
    quotes = (await deals.call("user-manager", "GET", "/quotes")).json()["items"]
    drafts = (await deals.call("user-manager", "GET", "/quotes?status=draft")).json()["items"]
    leads = (await deals.call("user-manager", "GET", "/leads")).json()["items"]
    opportunity = (await deals.call("user-manager", "GET", f"/opportunities/{deals.opportunity_id}")).json()["opportunity"]
    async with looking(deals.world) as browser:
        files = {path: (await browser.get(f"{path}/export/json")).json()["items"] for path in (QUOTES, LEADS, OPPORTUNITIES)}
        some = (await browser.get(f"{QUOTES}/export/json?status=draft")).json()["items"]
        tables = {
            path: list(csv.DictReader(io.StringIO((await browser.get(f"{path}/export/csv")).text, newline="")))
            for path in (QUOTES, LEADS, OPPORTUNITIES)
        }

    assert (files[QUOTES], files[LEADS], some) == (quotes, leads, drafts)
    assert files[OPPORTUNITIES][-1] == opportunity
    assert [row["net_amount"] for row in tables[QUOTES]] == [item["net_amount"] for item in quotes]
    assert [row["discount_percent"] for row in tables[QUOTES]] == [item["discount_percent"] for item in quotes]
    assert [row["id"] for row in tables[LEADS]] == [item["lead"]["id"] for item in leads]
    assert tables[OPPORTUNITIES][-1]["owner"] == "user-ae"


async def test_hostile_names_stay_text_and_no_formula(deals: Deals):
    made = await lead(deals, email="ann@other.example", company=HOSTILE)
    formula = await lead(deals, email="bob@third.example", company="=HYPERLINK(1)")
    await deals.quote(opportunity_id=made["opportunity"]["id"])
    async with looking(deals.world, "user-ae") as browser:
        pages = [
            (await browser.get(path)).text for path in (QUOTES, LEADS, OPPORTUNITIES, f"{QUOTES}?account=%3Cimg&q=%3Cimg%20src=x")
        ]
        table = (await browser.get(f"{LEADS}/export/csv")).text

    assert all("<img src=x" not in page and "<img&" not in page for page in pages)
    assert all("onerror=alert(1)&gt;{{7*7}}" in page for page in pages[:3])
    rows = {row["id"]: row["company"] for row in csv.DictReader(io.StringIO(table, newline=""))}
    assert rows[formula["lead"]["id"]] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("path", [QUOTES, LEADS, OPPORTUNITIES])
async def test_an_empty_list_says_so_and_a_filtered_one_how_to_see_more(world: World, path: str):
    async with looking(world, "user-admin") as browser:
        assert "yet</h2>" in (await browser.get(path)).text
        filtered = (await browser.get(f"{path}?q=zz")).text

    assert "Nothing fits these filters" in filtered
    assert f'href="{path}"' in filtered
