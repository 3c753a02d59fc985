"""The list of high-risk requests: who sees what, filters, orders, pages, and the list as a file."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from tests.support.browsers import Browser, browsing_as
from tests.support.world import RECORD_TARGET, World
from trustpack.app.console import present
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import exports

REQUESTS = "/switchboard/security/requests"
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@asynccontextmanager
async def looking(world: World, handle: str = "user-security") -> AsyncIterator[Browser]:
    """Open a browser in which somebody has just signed in."""
    async with browsing_as(world, handle, show=present) as browser:
        yield browser


def ids_in(page: str) -> list[str]:
    """Return the ids of the rows in their order."""
    return re.findall(r'<tr[^>]* id="row-(hro_[0-9a-f]{32})"', page)


def link_in(page: str, label: str) -> str | None:
    """Return where a button of the pager leads."""
    match = re.search(rf'href="([^"]+)"[^>]*>(?:<svg(?:(?!</svg>).)*</svg>)?<span>{label}</span>', page)
    return html.unescape(match[1]) if match else None


async def listed(browser: Browser, query: str = "") -> list[str]:
    response = await browser.get(f"{REQUESTS}?{query}")
    assert response.status_code == 200, response.text
    return ids_in(response.text)


async def asked(world: World, count: int, **changes: Any) -> list[str]:
    """Make requests and return their ids, newest first."""
    return [(await world.ask(**changes))["id"] for _ in range(count)][::-1]


async def add_targets(world: World, *names: str) -> None:
    for name in names:
        await world.add_target({**RECORD_TARGET, "name": name})


def at(database: str) -> dict[str, Any]:
    return {"target": {"database": database, "scope": {"tenant": "acme"}}}


async def test_each_filter_lets_through_what_fits_it_alone(world: World):
    await add_targets(world, "ledger-prod")
    [waiting] = await asked(world, 1)
    [elsewhere] = await asked(world, 1, handle="user-engineer-2", **at("ledger-prod"))
    active = (await world.active())["id"]
    [gone] = await asked(world, 1)
    await world.act("user-engineer", gone, "cancel")
    everything = [gone, active, elsewhere, waiting]
    async with looking(world) as browser:
        found = {
            query: await listed(browser, query)
            for query in (
                "", "show=active", "show=ended", "status=pending_approval", "status=active&show=active", "target=ledger-prod",
                "type=TEMP_DB_READ_ACCESS", "requester=user-engineer-2", "requester=me", "created=24h",
                "status=pending_approval&target=ledger-prod", "target=none-such", "requester=nobody",
            )
        }  # fmt: skip

    assert found == {
        "": everything,
        "show=active": [active],
        "show=ended": [gone],
        "status=pending_approval": [elsewhere, waiting],
        "status=active&show=active": [active],
        "target=ledger-prod": [elsewhere],
        "type=TEMP_DB_READ_ACCESS": everything,
        "requester=user-engineer-2": [elsewhere],
        "requester=me": [],
        "created=24h": everything,
        "status=pending_approval&target=ledger-prod": [elsewhere],
        "target=none-such": [],
        "requester=nobody": [],
    }


async def test_a_period_ends_where_it_says(world: World):
    [old] = await asked(world, 1)
    world.clock.advance(minutes=2 * 24 * 60)
    [new] = await asked(world, 1)
    async with looking(world) as browser:
        assert await listed(browser, "created=24h") == [new]
        assert await listed(browser, "created=7d") == [new, old]


@pytest.mark.parametrize(
    "query", ["status=whatever", "show=whatever", "type=X", "created=1d", "sort=requester", "after=x", "q=%00"]
)
async def test_what_the_list_does_not_know_is_said(world: World, query: str):
    async with looking(world) as browser:
        response = await browser.get(f"{REQUESTS}?{query}")

    assert response.status_code == 422
    assert "Traceback" not in response.text


async def test_a_text_finds_the_end_of_an_id_a_target_a_person_and_a_ticket(world: World):
    await add_targets(world, "ledger-prod")
    [plain] = await asked(world, 1)
    [other] = await asked(world, 1, handle="user-engineer-2", ticket="CHG-77", **at("ledger-prod"))
    async with looking(world) as browser:
        found = {
            text: await listed(browser, f"q={text}")
            for text in (
                plain[-8:],
                plain[-8:].upper(),
                "LEDGER",
                "engineer-2",
                "chg-77",
                "CHG-77",
                "CHG",
                "engineer",
                "zzz",
                "%25",
            )
        }
        narrowed = await listed(browser, "q=engineer&target=ledger-prod&status=pending_approval")

    both = [other, plain]
    assert found == {
        plain[-8:]: [plain], plain[-8:].upper(): [plain], "LEDGER": [other], "engineer-2": [other], "chg-77": [other],
        "CHG-77": [other], "CHG": [], "engineer": both, "zzz": [], "%25": [],
    }  # fmt: skip
    assert narrowed == [other]


async def test_a_colleagues_handle_finds_all_of_theirs_that_may_be_read_in_every_order(world: World):
    await add_targets(world, "ledger-prod")
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_team(tx, world.operator, name="payments")
        for handle in ("user-engineer", "user-engineer-2"):
            await directory.join_team(tx, world.operator, handle=handle, team="payments")
    await world.add_person("user-engineer-3", Role.ENGINEER)
    for handle in ("user-engineer", "user-engineer-2", "user-engineer-3"):
        [gone] = await asked(world, 1, handle=handle)
        await asked(world, 1, handle=handle, **at("ledger-prod"))
        await world.act(handle, gone, "cancel")
    found, expected = {}, {}
    for reader in ("user-engineer", "user-engineer-3", "user-security"):
        items = (await world.call(reader, "GET", "/high-risk-ops/requests")).json()["items"]
        async with looking(world, reader) as browser:
            for handle in ("user-engineer", "user-engineer-2", "user-engineer-3"):
                for query in (
                    f"requester={handle}",
                    f"q={handle}",
                    f"q=ledger&requester={handle}",
                    f"q={handle}&target=ledger-prod",
                ):
                    for order in ("-created", "status", "-target"):
                        found[reader, query, order] = await listed(browser, f"{query}&sort={order}")
                        theirs = [
                            item
                            for item in items
                            if (
                                item["requester"]["handle"] == handle
                                if "requester" in query
                                else handle in item["requester"]["handle"]
                            )
                            and ("ledger" not in query or item["target"]["database"] == "ledger-prod")
                        ]
                        values = {"status": lambda item: item["status"], "target": lambda item: item["target"]["database"]}
                        value = values.get(order.removeprefix("-"), lambda item: "")
                        theirs.sort(key=lambda item: (value(item), item["id"]))
                        expected[reader, query, order] = [item["id"] for item in theirs][:: -1 if order.startswith("-") else 1]

    assert found == expected
    seen = {reader: len(found[reader, "q=user-engineer", "status"]) for reader, _, _ in found}
    assert seen == {"user-engineer": 4, "user-engineer-3": 2, "user-security": 6}


async def test_nobody_finds_what_they_may_not_read(world: World, other_world: World):
    [request_id] = await asked(world, 1)
    queries = ("", f"q={request_id[-8:]}", "q=INC-2041", "q=orders", "q=engineer", "sort=target", "status=pending_approval")
    async with looking(world, "user-ae") as seller, looking(other_world) as stranger, looking(world, "user-engineer") as own:
        seen = {query: [await listed(one, query) for one in (seller, stranger, own)] for query in queries}
        export = [(await one.get(f"{REQUESTS}/export/json")).json()["items"] for one in (seller, stranger)]

    assert seen == {query: [[], [], [request_id]] for query in queries}
    assert export == [[], []]


async def test_the_list_is_ordered_by_target_and_by_status_both_ways(world: World):
    await add_targets(world, "a-prod", "z-prod")
    made = {name: (await asked(world, 1, **at(name)))[0] for name in ("z-prod", "a-prod", "orders-prod")}
    await world.act("user-engineer", made["z-prod"], "cancel")
    by_target = [made[name] for name in ("a-prod", "orders-prod", "z-prod")]
    async with looking(world) as browser:
        found = {sort: await listed(browser, f"sort={sort}") for sort in ("target", "-target", "status", "-status", "created")}

    assert found == {
        "target": by_target,
        "-target": by_target[::-1],
        "status": [made["z-prod"], made["a-prod"], made["orders-prod"]],
        "-status": [made["orders-prod"], made["a-prod"], made["z-prod"]],
        "created": list(made.values()),
    }


@pytest.mark.parametrize("query", ["", "sort=target", "q=engineer&sort=-target&status=pending_approval"])
async def test_pages_go_on_and_back_and_keep_their_place(world: World, query: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trustpack.capabilities.operations.pages.requests.PAGE_SIZE", 2)
    await add_targets(world, "a-prod")
    first = await asked(world, 3) + await asked(world, 2, **at("a-prod"))
    async with looking(world) as browser:
        expected = await everything(browser, query)
        middle = (await browser.get((await ways(browser, f"{REQUESTS}?{query}"))["Next"] or "")).text
        new = await asked(world, 1)
        again = await ways(browser, (link_in(middle, "Previous") or ""))
        detail = (await browser.get(f"{REQUESTS}/{ids_in(middle)[0]}?{(link_in(middle, 'Next') or '').partition('?')[2]}")).text

    assert sorted(expected) == sorted(first)
    assert len(expected) == 5
    assert ids_in(middle) == expected[2:4]
    assert again["ids"] == expected[:2]
    assert new[0] not in expected
    assert ids_in(detail)[:1] == expected[4:5]


async def everything(browser: Browser, query: str) -> list[str]:
    found, path = [], f"{REQUESTS}?{query}"
    while path:
        page = (await browser.get(path)).text
        assert not set(ids_in(page)) & set(found)
        found += ids_in(page)
        path = link_in(page, "Next") or ""
    return found


async def ways(browser: Browser, path: str) -> dict[str, Any]:
    page = (await browser.get(path)).text
    return {"ids": ids_in(page), "Next": link_in(page, "Next"), "Previous": link_in(page, "Previous")}


async def test_a_row_a_tab_and_the_way_back_keep_the_list_as_it_is(world: World):
    [request_id] = await asked(world, 1)
    query = "q=engineer&status=pending_approval&sort=target"
    async with looking(world) as browser:
        page = html.unescape((await browser.get(f"{REQUESTS}?{query}")).text)
        detail = html.unescape((await browser.get(f"{REQUESTS}/{request_id}?{query}&ask=approve")).text)

    assert f'href="{REQUESTS}/{request_id}?{query}"' in page
    assert f'href="{REQUESTS}?{query}" aria-label="Back to the list"' in detail
    assert f'href="{REQUESTS}/{request_id}/evidence?{query}"' in detail
    assert ids_in(detail) == [request_id]


async def test_what_people_wrote_stays_text(world: World):
    await world.ask(ticket=None, target={"database": "orders-prod", "scope": {"tenant": "acme"}})
    async with looking(world) as browser:
        page = (await browser.get(REQUESTS)).text
        filtered = (await browser.send("GET", f"{REQUESTS}?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E&target=%3Cb%3E")).text

    assert "Temporary DB read access" in page
    assert "<img src=x" not in filtered
    assert "<b>" not in filtered
    assert "Nothing fits these filters" in filtered


async def test_an_empty_list_says_what_will_stand_there(world: World):
    async with looking(world) as browser:
        assert "No requests yet" in (await browser.get(REQUESTS)).text


async def test_the_file_holds_what_the_list_of_the_api_shows(world: World):
    await asked(world, 3)
    await world.active()
    api = (await world.call("user-security", "GET", "/high-risk-ops/requests?limit=200")).json()["items"]
    pending = (await world.call("user-security", "GET", "/high-risk-ops/requests?status=pending_approval")).json()["items"]
    async with looking(world) as browser:
        everything_file = await browser.get(f"{REQUESTS}/export/json")
        filtered = await browser.get(f"{REQUESTS}/export/json?status=pending_approval&after=zzz")
        table = await browser.get(f"{REQUESTS}/export/csv?status=pending_approval")
        other = await browser.get(f"{REQUESTS}/export/xml")

    assert everything_file.json() == {"items": api, "truncated": False, "note": None}
    assert filtered.json()["items"] == pending
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["id"] for row in rows] == [item["id"] for item in pending]
    assert rows[0]["requester"] == "user-engineer"
    assert rows[0]["target"] == "orders-prod"
    assert rows[0]["created_at"] == pending[0]["created_at"]
    assert re.fullmatch(r'attachment; filename="high-risk-requests-\d{4}-\d\d-\d\d\.csv"', table.headers["content-disposition"])
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert table.headers["cache-control"] == "no-store"
    assert other.status_code == 422


async def test_a_file_is_cut_with_a_note_and_read_in_batches(world: World, monkeypatch: pytest.MonkeyPatch):
    made = await asked(world, 5)
    monkeypatch.setattr(exports, "BATCH", 2)
    async with looking(world) as browser:
        whole = (await browser.get(f"{REQUESTS}/export/json?sort=target")).json()
        monkeypatch.setattr(exports, "MOST_ROWS", 3)
        cut = (await browser.get(f"{REQUESTS}/export/json")).json()
        table = (await browser.get(f"{REQUESTS}/export/csv")).text.splitlines()
        monkeypatch.setattr(exports, "MOST_ROWS", 5)
        just = (await browser.get(f"{REQUESTS}/export/json")).json()

    assert sorted(item["id"] for item in whole["items"]) == sorted(made)
    assert ([item["id"] for item in cut["items"]], cut["truncated"]) == (made[:3], True)
    assert cut["note"] == "Cut after 3 rows. Filter the list to get the rest."
    assert (len(table), table[-1]) == (5, cut["note"])
    assert ([item["id"] for item in just["items"]], just["truncated"], just["note"]) == (made, False, None)


async def test_cells_that_a_spreadsheet_would_calculate_are_text(world: World):
    await world.ask(ticket="=cmd|'/c_calc'!A1")
    async with looking(world) as browser:
        table = (await browser.get(f"{REQUESTS}/export/csv")).text
        document = (await browser.get(f"{REQUESTS}/export/json")).json()

    [row] = csv.DictReader(io.StringIO(table, newline=""))
    assert row["ticket"] == "'=cmd|'/c_calc'!A1"
    assert document["items"][0]["ticket"] == "=cmd|'/c_calc'!A1"


async def test_the_log_says_who_took_how_much_and_not_what_was_looked_for(world: World):
    await asked(world, 2)
    async with looking(world) as browser:
        with structlog.testing.capture_logs() as lines:
            await browser.get(f"{REQUESTS}/export/csv?q=engineer&status=pending_approval")

    [line] = [line for line in lines if line["event"] == "list_exported"]
    assert (line["tenant_id"], line["person_id"]) == (world.tenant_id, world.people["user-security"].id)
    assert (line["list"], line["format"], line["rows"], line["complete"]) == (REQUESTS, "csv", 2, True)
    assert line["filters"] == ["q", "status"]
    assert "engineer" not in json.dumps(line)
