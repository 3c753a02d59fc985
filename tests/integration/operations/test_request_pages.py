"""The pages of high-risk requests, read and used as a browser does, on the real application."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.browsers import Browser, browsing, browsing_as, code_of
from tests.support.world import World
from trustpack.app.console import present

REQUESTS = "/switchboard/security/requests"
ANOTHER_DIGEST = "sha256:" + "0" * 64
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@asynccontextmanager
async def looking(world: World, handle: str) -> AsyncIterator[Browser]:
    """Open a browser with the pages as people see them, in which somebody has just signed in."""
    async with browsing_as(world, handle, show=present) as browser:
        yield browser


def digest_in(page: str) -> str:
    match = re.search(r'name="digest" value="([^"]+)"', page)
    assert match is not None
    return html.unescape(match[1])


async def test_without_a_session_a_request_leads_to_the_sign_in_and_back(world: World):
    request_id = (await world.ask())["id"]
    async with browsing(world, show=present) as browser:
        response = await browser.get(f"{REQUESTS}/{request_id}", Accept="text/html")

    assert response.status_code == 303
    assert response.headers["location"] == f"/switchboard/sign-in?next=%2Fswitchboard%2Fsecurity%2Frequests%2F{request_id}"


async def test_the_list_shows_what_the_viewer_may_read_and_no_other(world: World, other_world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-security") as officer, looking(world, "user-ae") as seller:
        seen, unseen = (await officer.get(REQUESTS)).text, (await seller.get(REQUESTS)).text
        hidden = await seller.get(f"{REQUESTS}/{request_id}")
    async with looking(other_world, "user-security") as stranger:
        foreign = await stranger.get(f"{REQUESTS}/{request_id}")

    assert f'href="{REQUESTS}/{request_id}"' in seen
    assert request_id not in unseen
    assert (hidden.status_code, foreign.status_code) == (404, 404)


async def test_the_list_is_filtered_by_status_and_by_who_asked(world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-security") as browser:
        found = {
            query: f"{REQUESTS}/{request_id}" in (await browser.get(f"{REQUESTS}?{query}")).text
            for query in ("status=pending_approval", "status=active", "q=user-engineer", "q=user-engineer-2", "status=&q=")
        }
        by_id = await browser.get(f"{REQUESTS}?q={request_id}")
        unknown = await browser.get(f"{REQUESTS}?status=whatever")

    assert found == {
        "status=pending_approval": True,
        "status=active": False,
        "q=user-engineer": True,
        "q=user-engineer-2": False,
        "status=&q=": True,
    }
    assert (by_id.status_code, by_id.headers["location"]) == (303, f"{REQUESTS}/{request_id}")
    assert unknown.status_code == 422


@pytest.mark.parametrize("part", ["", "/overview", "/change", "/approvals", "/access", "/evidence", "/related"])
async def test_every_part_of_a_request_is_shown_with_hostile_texts_as_text(world: World, part: str):
    request_id = (await world.ask(justification=HOSTILE))["id"]
    async with looking(world, "user-team-lead") as browser:
        response = await browser.get(f"{REQUESTS}/{request_id}{part}")

    assert response.status_code == 200
    assert "<img src=x" not in response.text
    assert "49" not in re.findall(r"<dd>(.*?)</dd>", response.text)


async def test_there_is_no_other_part(world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-team-lead") as browser:
        assert (await browser.get(f"{REQUESTS}/{request_id}/everything")).status_code == 404


async def test_an_approval_counts_for_exactly_what_was_shown(world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-team-lead") as browser:
        page = (await browser.get(f"{REQUESTS}/{request_id}")).text
        moved = await browser.post(f"{REQUESTS}/{request_id}/approve", {"digest": ANOTHER_DIGEST})
        after_moved = (await browser.get(f"{REQUESTS}/{request_id}/approvals")).text
        given = await browser.post(f"{REQUESTS}/{request_id}/approve", {"digest": digest_in(page), "text": "Checked"})
        after = (await browser.get(f"{REQUESTS}/{request_id}/approvals")).text

    assert moved.status_code == 409
    assert "0 of 2 needed approvals" in after_moved
    assert (given.status_code, given.headers["location"]) == (303, f"{REQUESTS}/{request_id}")
    assert "Checked" in after


async def test_a_rejection_says_why_and_ends_the_request(world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-team-lead") as browser:
        digest = digest_in((await browser.get(f"{REQUESTS}/{request_id}")).text)
        without = await browser.post(f"{REQUESTS}/{request_id}/reject", {"digest": digest, "text": "  "})
        moved = await browser.post(f"{REQUESTS}/{request_id}/reject", {"digest": ANOTHER_DIGEST, "text": "Too wide"})
        before = (await world.read(request_id))["status"]
        given = await browser.post(f"{REQUESTS}/{request_id}/reject", {"digest": digest, "text": "Too wide"})

    assert 'id="field-reject-text-fault"' in without.text
    assert (without.status_code, moved.status_code, before) == (422, 409, "pending_approval")
    assert (given.status_code, (await world.read(request_id))["status"]) == (303, "rejected")


async def test_a_requester_is_offered_to_cancel_and_nothing_else(world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-engineer") as browser:
        page = (await browser.get(f"{REQUESTS}/{request_id}")).text
        approved = await browser.post(f"{REQUESTS}/{request_id}/approve", {"digest": digest_in(page)})
        cancelled = await browser.post(f"{REQUESTS}/{request_id}/cancel", {"digest": digest_in(page)})

    assert 'id="opens-approve"' not in page
    assert 'id="opens-cancel"' in page
    assert approved.status_code == 403
    assert (cancelled.status_code, (await world.read(request_id))["status"]) == (303, "cancelled")


@pytest.mark.parametrize("command", ["approve", "reject", "cancel"])
async def test_a_decision_needs_a_recent_sign_in_and_keeps_what_was_entered(world: World, command: str):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-team-lead") as browser:
        digest = digest_in((await browser.get(f"{REQUESTS}/{request_id}")).text)
        world.clock.advance(minutes=11)
        response = await browser.post(f"{REQUESTS}/{request_id}/{command}", {"digest": digest, "text": "Kept words"})

    assert response.status_code == 401
    assert "Confirm that it is you" in response.text
    assert 'name="kept"' in response.text
    assert (await world.read(request_id))["status"] == "pending_approval"


@pytest.mark.parametrize("command", ["approve", "reject", "cancel"])
async def test_a_decision_without_the_token_of_the_session_is_refused(world: World, command: str):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-team-lead") as browser:
        digest = digest_in((await browser.get(f"{REQUESTS}/{request_id}")).text)
        fields = {"digest": digest, "text": "No token"}
        response = await browser.post(f"{REQUESTS}/{request_id}/{command}", fields, csrf=None)

    assert (response.status_code, code_of(response)) == (403, "auth.csrf_refused")
    assert (await world.read(request_id))["status"] == "pending_approval"


async def test_the_evidence_is_the_same_file_as_the_one_of_the_api(world: World):
    request_id = (await world.ask())["id"]
    async with looking(world, "user-auditor") as browser:
        page = await browser.get(f"/switchboard/evidence/high-risk-ops/{request_id}")
    api = await world.call("user-auditor", "GET", f"/evidence/high-risk-ops/{request_id}")

    assert page.content == api.content
    assert page.headers["content-disposition"] == f'attachment; filename="{request_id}.evidence.json"'
    assert page.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
