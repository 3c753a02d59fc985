"""Pages that show something are fetched anew after a change, by their own address; pages that are written in are left alone."""

from __future__ import annotations

import html
import re

import pytest

from tests.support.browsers import browsing_as
from tests.support.deals import selling
from tests.support.world import World

REQUESTS = "/switchboard/security/requests"
QUOTES = "/switchboard/revops/quotes"


async def fetched_anew(world: World, handle: str, path: str) -> str | None:
    """Return what a page fetches when something has changed, or None."""
    async with browsing_as(world, handle) as browser:
        answer = await browser.get(path)
    assert answer.status_code in {200, 404}, answer.text
    assert answer.text.count('id="fresh"') <= 1
    match = re.search(r'id="fresh" hx-get="([^"]*)"', answer.text)
    return html.unescape(match[1]) if match else None


@pytest.mark.parametrize("path", [REQUESTS, f"{REQUESTS}?status=active&q=%3Cb%3E%22%27", QUOTES, f"{QUOTES}?status=draft"])
async def test_a_list_is_fetched_anew_with_its_filters(world: World, path: str):
    assert await fetched_anew(world, "user-admin", path) == path


async def test_an_object_is_fetched_anew_with_its_part_and_a_question_about_it_is_not(world: World):
    request = await world.ask()
    own = f"{REQUESTS}/{request['id']}"

    assert await fetched_anew(world, "user-team-lead", f"{own}/approvals") == f"{own}/approvals"
    assert await fetched_anew(world, "user-team-lead", f"{own}?ask=approve") is None


async def test_what_is_being_written_is_left_alone(world: World):
    deals = await selling(world)
    offered = await deals.quote()
    forms = (f"{REQUESTS}/new", f"{QUOTES}/new?opportunity={deals.opportunity_id}", f"{QUOTES}/{offered['id']}/edit")

    assert [await fetched_anew(world, "user-ae", path) for path in forms] == [None] * 3
    assert await fetched_anew(world, "user-ae", f"{QUOTES}/{offered['id']}") is not None
    assert await fetched_anew(world, "user-ae", f"{QUOTES}/{offered['id']}?ask=submit") is None


async def test_an_error_and_a_page_outside_of_the_workspaces_are_left_alone(world: World):
    unknown = f"{REQUESTS}/hro_{'0' * 32}"

    assert [await fetched_anew(world, "user-ae", path) for path in (unknown, "/switchboard/profile/sessions")] == [None] * 2
