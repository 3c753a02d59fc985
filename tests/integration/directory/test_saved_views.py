"""Views of lists that people keep: their own alone, under names, above the list that they are of."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.browsers import Browser, browsing_as, code_of
from tests.support.world import World
from trustpack.app.console import present
from trustpack.capabilities.directory.service.saved_views import MOST_VIEWS

VIEWS = "/switchboard/views"
REQUESTS = "/switchboard/security/requests"
QUERY = "status=pending_approval&target=orders-prod"


@asynccontextmanager
async def looking(world: World, handle: str = "user-security") -> AsyncIterator[Browser]:
    async with browsing_as(world, handle, show=present) as browser:
        yield browser


def tabs_in(page: str) -> dict[str, str]:
    """Return the views above a list with where they lead."""
    [tabs] = re.findall(r'<nav class="tabs".*?</nav>', page, re.DOTALL)
    return {html.unescape(label): html.unescape(path) for path, label in re.findall(r'href="([^"]+)"[^>]*>([^<]*)</a>', tabs)}


def current_in(page: str) -> list[str]:
    [tabs] = re.findall(r'<nav class="tabs".*?</nav>', page, re.DOTALL)
    return [html.unescape(label) for label in re.findall(r'aria-current="page">([^<]*)</a>', tabs)]


async def save(browser: Browser, name: str, *, query: str = QUERY, path: str = REQUESTS) -> int:
    return (await browser.post(VIEWS, {"path": path, "query": query, "name": name})).status_code


async def ids_of(browser: Browser) -> list[str]:
    return re.findall(rf'action="{VIEWS}/(viw_[0-9a-f]{{32}})/rename"', (await browser.get(f"{VIEWS}?list={REQUESTS}")).text)


async def test_a_view_is_kept_by_what_the_list_offers_and_shown_above_it(world: World):
    async with looking(world) as browser:
        page = html.unescape((await browser.get(f"{REQUESTS}?{QUERY}&after=")).text)
        kept = re.findall(r'name="(path|query)" value="([^"]*)"', page)
        saved = await browser.post(VIEWS, {**dict(kept), "name": " Orders   that wait "})
        there = (await browser.get(saved.headers["location"])).text
        first = (await browser.get(REQUESTS)).text

    assert kept == [("path", REQUESTS), ("query", QUERY)]
    assert (saved.status_code, saved.headers["location"]) == (303, f"{REQUESTS}?{QUERY}")
    assert tabs_in(first)["Orders that wait"] == f"{REQUESTS}?{QUERY}"
    assert (current_in(there), current_in(first)) == (["Orders that wait"], ["All"])


async def test_a_view_belongs_to_one_person_one_list_and_one_tenant(world: World, other_world: World):
    async with looking(world) as owner, looking(world, "user-team-lead") as other, looking(other_world) as stranger:
        await save(owner, "Mine alone")
        [view_id] = await ids_of(owner)
        seen = ["Mine alone" in (await one.get(REQUESTS)).text for one in (owner, other, stranger)]
        elsewhere = "Mine alone" in (await owner.get("/switchboard/revops/quotes")).text
        refused = [
            (await one.post(f"{VIEWS}/{view_id}/{command}", fields)).status_code
            for one in (other, stranger)
            for command, fields in (("rename", {"name": "Taken"}), ("delete", {}))
        ]
        still = tabs_in((await owner.get(REQUESTS)).text)

    assert seen == [True, False, False]
    assert elsewhere is False
    assert refused == [404] * 4
    assert "Mine alone" in still


async def test_a_view_is_renamed_replaced_and_deleted(world: World):
    async with looking(world) as browser:
        await save(browser, "First")
        await save(browser, "Second", query="show=ended")
        first, second = await ids_of(browser)
        taken = await browser.post(f"{VIEWS}/{second}/rename", {"name": "First"})
        renamed = await browser.post(f"{VIEWS}/{first}/rename", {"name": "Third"})
        await save(browser, "Second", query="show=active")
        deleted = await browser.post(f"{VIEWS}/{first}/delete")
        again = await browser.post(f"{VIEWS}/{first}/delete")
        tabs = tabs_in((await browser.get(REQUESTS)).text)

    assert (taken.status_code, code_of(taken)) == (409, "directory.view_name_taken")
    assert (renamed.status_code, deleted.status_code, again.status_code) == (303, 303, 404)
    assert {name: path for name, path in tabs.items() if name not in {"All", "Active now", "Ended"}} == {
        "Second": f"{REQUESTS}?show=active"
    }


async def test_no_more_views_than_fit_above_a_list_also_at_once(world: World):
    async with looking(world) as browser:
        for number in range(MOST_VIEWS - 1):
            assert await save(browser, f"View {number}") == 303
        answers = await asyncio.gather(*(save(browser, f"At once {number}") for number in range(4)))
        replaced = await save(browser, "View 0", query="show=ended")
        elsewhere = await save(browser, "Another list", path="/switchboard/revops/quotes", query="")

        assert sorted(answers) == [303, 409, 409, 409]
        assert len(await ids_of(browser)) == MOST_VIEWS
    assert (replaced, elsewhere) == (303, 303)


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("https://evil.example", "", "x"), ("//evil.example/switchboard/", "", "x"), ("/switchboard/../", "%2f%2f\\", "x"),
        ("/elsewhere", "", "x"), ("/switchboard/x?y", "", "x"), ("/switchboard/x", "a b", "x"), (REQUESTS, "", " "),
        (REQUESTS, "", "x" * 41), (REQUESTS, "", "a\u202eb"), (REQUESTS, "q=" + "x" * 900, "x"),
    ],
)  # fmt: skip
async def test_what_is_no_list_of_ours_or_no_name_is_not_kept(world: World, path: str, query: str, name: str):
    async with looking(world) as browser:
        assert await save(browser, name, path=path, query=query) == 422
        assert await ids_of(browser) == []


async def test_a_hostile_name_stays_text(world: World):
    name = '"><img src=x onerror=alert(1)>{{7*7}}'
    async with looking(world) as browser:
        assert await save(browser, name) == 303
        pages = [
            (await browser.get(path)).text for path in (REQUESTS, f"{VIEWS}?list={REQUESTS}", f"{VIEWS}?list=//evil.example")
        ]

    assert all("<img src=x" not in page for page in pages)
    assert name in html.unescape(pages[0])
    assert "evil.example" not in re.findall(r'href="([^"]*)"', pages[2])
