"""Streams of signals: who is told what, how soon, from where on, and when it ends."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.browsers import signed_in
from tests.support.deals import LEAD, Deals, selling
from tests.support.streams import EVENTS, Stream, listening, serving, until
from tests.support.world import World
from trustpack.app.http import build_app
from trustpack.app.signals import signals_of
from trustpack.app.subjects import readable_ones, require_readable
from trustpack.capabilities import directory
from trustpack.capabilities.directory.model.sessions import SessionEnd, SessionNeeded
from trustpack.capabilities.directory.service.sessions import actor_of, end_session, resume_session
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import NotFound
from trustpack.platform.auth.cookies import SESSION_COOKIE

REQUESTS = "requests-changed"
QUOTES = "quotes-changed"


@pytest.fixture
def app(container) -> FastAPI:
    """The application, as one process of several."""
    return build_app(container, with_worker=False)


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    """Where it is served."""
    async with serving(app) as address:
        yield address


async def position_of_page(url: str, text: str) -> tuple[str, str]:
    """Open a page and return from where on it has to be told what changes: its time, and its event."""
    async with httpx2.AsyncClient(base_url=url) as http:
        page = await http.get("/switchboard/security/requests", headers={"Cookie": f"{SESSION_COOKIE}={text}"})
    [address] = re.findall(r'hx-sse:connect="([^"]+)"', page.text)
    asked = parse_qs(urlsplit(html.unescape(address)).query)
    return asked["since"][0], asked["after"][0]


async def names_of_next(stream: Stream, count: int) -> list[str]:
    """Return the names of the next events."""
    events = [await stream.next() for _ in range(count)]
    return [event[0] for event in events if event is not None]


async def session_text(world: World, handle: str) -> str:
    return (await signed_in(world, handle)).text


async def test_a_change_that_another_process_wrote_is_told_by_its_id_alone(world: World, url: str):
    async with listening(url, await session_text(world, "user-team-lead")) as stream:
        await stream.settled()
        request = await world.ask()  # by the application of another process
        events = await stream.until(REQUESTS, request["id"])

    assert events[-1] == (REQUESTS, {"ids": [request["id"]]})
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    assert stream.response.headers["x-accel-buffering"] == "no"
    assert stream.response.headers["cache-control"] == "no-store"


async def test_nobody_is_told_of_what_they_may_not_read(world: World, other_world: World, url: str):
    deals = await selling(world)
    async with (
        listening(url, await session_text(world, "user-engineer-2")) as colleague,
        listening(url, await session_text(other_world, "user-admin")) as stranger,
        listening(url, await session_text(world, "user-admin")) as admin,
    ):
        for stream in (colleague, stranger, admin):
            await stream.settled()
        foreign = await world.ask("user-engineer")
        quote = await deals.quote()
        await admin.until(QUOTES, quote["id"])
        own = await world.ask("user-engineer-2")
        theirs = await other_world.ask()
        seen_by_colleague = await colleague.until(REQUESTS, own["id"])
        seen_by_stranger = await stranger.until(REQUESTS, theirs["id"])

    assert foreign["id"] not in str(seen_by_colleague)
    assert seen_by_colleague == [(REQUESTS, {"ids": [own["id"]]})]
    assert seen_by_stranger == [(REQUESTS, {"ids": [theirs["id"]]})]


async def test_a_list_of_subjects_is_readable_as_each_of_them_is(world: World):
    deals: Deals = await selling(world)
    quote, request = await deals.quote(), await world.ask()
    ids = {quote["id"], request["id"], deals.lead_id, deals.opportunity_id}
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        for person in world.people.values():
            [now] = await directory.people_with_ids(tx, [person.id])
            actor = actor_of(now, tenant_id=world.tenant_id, account_id="acc")
            one_by_one = set()
            for subject_id in ids:
                try:
                    await require_readable(tx, actor, subject_id)
                except NotFound:
                    continue
                one_by_one.add(subject_id)

            assert await readable_ones(tx, actor, ids) == one_by_one, person.handle


async def test_a_stream_goes_on_after_the_last_event_that_the_browser_got(world: World, url: str):
    text = await session_text(world, "user-team-lead")
    async with listening(url, text) as stream:
        await stream.settled()
        first = await world.ask()
        await stream.until(REQUESTS, first["id"])
        last_id = stream.last_id
    missed = await world.ask()
    async with listening(url, text, after=last_id) as stream:
        events = await stream.until(REQUESTS, missed["id"])

    assert events == [(REQUESTS, {"ids": [missed["id"]]})]


@pytest.mark.parametrize("after", ["", "0123456789abcdef-3", "nonsense", "0123456789abcdef-99999999999999999999", "'; --"])
async def test_a_stream_that_knows_not_where_to_go_on_begins_with_fetch_everything(world: World, url: str, after: str):
    async with listening(url, await session_text(world, "user-team-lead"), after=after) as stream:
        events = [await stream.next() for _ in range(4)]

    expected = ("leads-changed", "opportunities-changed", "quotes-changed", "requests-changed")
    assert events == [(name, {}) for name in expected]


async def test_what_changed_while_the_page_was_on_its_way_is_told_at_once(world: World, url: str):
    text = await session_text(world, "user-team-lead")
    async with listening(url, text) as other:
        await other.settled()
        await other.until(REQUESTS, (await world.ask())["id"])
        world.clock.advance(minutes=1)
        made_at = format_time(world.clock.now())
        request = await world.ask()
        await other.until(REQUESTS, request["id"])
        async with listening(url, text, since=made_at) as stream:
            events = await stream.until(REQUESTS, request["id"])

    assert events == [(REQUESTS, {"ids": [request["id"]]})]


async def test_a_page_hears_what_it_does_not_show_yet_and_nothing_else(world: World, url: str):
    text = await session_text(world, "user-team-lead")
    shown = await world.ask()
    since, after = await position_of_page(url, text)
    missed = await world.ask()
    async with listening(url, text, since=since, made_after=after) as stream:
        first = await stream.until(REQUESTS, missed["id"])
        later = await world.ask()
        events = [*first, *await stream.until(REQUESTS, later["id"])]

    assert shown["id"] not in str(events)
    assert all(data for name, data in events if name == REQUESTS), "it was told to fetch everything"


async def test_a_page_that_shows_everything_is_told_nothing_until_something_changes(world: World, url: str):
    text = await session_text(world, "user-team-lead")
    await world.ask()
    since, after = await position_of_page(url, text)
    async with listening(url, text, since=since, made_after=after) as stream:
        async with asyncio.timeout(20):
            await stream.placed.wait()
        later = await world.ask()
        events = await stream.until(REQUESTS, later["id"])

    assert events == [(REQUESTS, {"ids": [later["id"]]})]


async def test_whole_pages_are_told_once_of_all_that_changed_at_once_and_only_if_they_show_it(world: World, url: str):
    deals = await selling(world)
    text = await session_text(world, "user-admin")
    async with listening(url, text) as stream:
        await stream.settled()
        await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "al@other.example", "company": "Other"})
        of_lead = await names_of_next(stream, 3)
        await world.ask()
        of_request = await names_of_next(stream, 3)
    async with listening(url, text) as stream:
        of_all = await names_of_next(stream, 6)

    assert of_lead == ["leads-changed", "opportunities-changed", "pages-changed"]
    assert of_request == [REQUESTS, "pages-changed", "security-pages-changed"]
    assert of_all == ["leads-changed", "opportunities-changed", QUOTES, REQUESTS, "pages-changed", "security-pages-changed"]


async def test_a_stream_without_a_session_is_refused_without_a_body_and_leads_to_the_sign_in(url: str):
    async with httpx2.AsyncClient(base_url=url) as http:
        answer = await http.get(EVENTS, headers={"HX-Request": "true"})

    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["hx-redirect"] == "/switchboard/sign-in"


async def test_a_stream_ends_with_its_session_and_is_not_taken_up_again(world: World, url: str):
    text = await session_text(world, "user-team-lead")
    session = await resume_session(world.container.sign_in, text)
    async with listening(url, text) as stream:
        await stream.settled()
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await end_session(tx, session.actor, session.id, reason=SessionEnd.ENDED_BY_OWNER)
        while await stream.next() is not None:
            pass
    async with httpx2.AsyncClient(base_url=url) as http:
        again = await http.get(EVENTS, headers={"Cookie": f"{SESSION_COOKIE}={text}"})

    assert again.status_code == 401


async def test_a_session_that_runs_out_is_noticed_at_the_heartbeat_which_does_not_use_it(world: World, app: FastAPI):
    app.state.signals = signals_of(world.container, heartbeat_seconds=0.05)
    async with serving(app) as url:
        text = await session_text(world, "user-team-lead")
        async with listening(url, text) as stream:
            await stream.settled()
            world.clock.advance(minutes=31)
            while await stream.next() is not None:
                pass
    with pytest.raises(SessionNeeded):
        await resume_session(world.container.sign_in, text)


async def test_a_role_that_was_taken_ends_what_is_told(world: World, url: str):
    async with listening(url, await session_text(world, "user-team-lead")) as stream:
        await stream.settled()
        await stream.until(REQUESTS, (await world.ask())["id"])
        stream.placed.clear()
        await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
        await world.change_role("user-team-lead", Role.ENGINEER, grant=True)
        async with asyncio.timeout(20):
            await stream.placed.wait()
        foreign = await world.ask("user-engineer")
        own = await world.ask("user-team-lead")
        events = await stream.until(REQUESTS, own["id"])

    assert foreign["id"] not in str(events)


async def test_nobody_has_more_streams_than_allowed_and_a_closed_one_makes_room(world: World, app: FastAPI):
    few = replace(world.container, settings=world.container.settings.model_copy(update={"max_streams": 1}))
    app.state.signals = signals_of(few)
    async with serving(app) as url:
        first, second = await session_text(world, "user-team-lead"), await session_text(world, "user-auditor")
        headers = {"Cookie": f"{SESSION_COOKIE}={second}"}
        async with listening(url, first) as stream, httpx2.AsyncClient(base_url=url) as http:
            await stream.settled()
            refused = await http.get(EVENTS, headers=headers)
        await until(lambda: len(app.state.signals) == 0)
        async with listening(url, second) as stream:
            await stream.settled()
            taken = stream.response.status_code

    assert (refused.status_code, refused.content, taken) == (429, b"", 200)


async def test_streams_end_when_the_server_does(world: World, app: FastAPI, url: str):
    async with listening(url, await session_text(world, "user-team-lead")) as stream:
        await stream.settled()
        app.state.signals.end()
        while await stream.next() is not None:
            pass

    assert len(app.state.signals) == 0


async def test_nothing_is_asked_of_the_store_while_nobody_listens(world: World, app: FastAPI, url: str):
    async with listening(url, await session_text(world, "user-team-lead")) as stream:
        await stream.settled()
    await until(lambda: app.state.signals.is_idle)
