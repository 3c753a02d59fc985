"""Signing in over HTTP as a browser does it: cookies, forms, other sites, limits, and what a handler demands of a session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from tests.support.authenticator import Authenticator
from tests.support.browsers import SAME_ORIGIN, Browser, browsing, browsing_as, code_of, console_of, session_of, shown, signed_in
from tests.support.enrolling import PASSWORD, asked, invited, quick_passwords, with_passkey, with_password
from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.app.console import present
from trustpack.capabilities import directory
from trustpack.capabilities.directory.adapters.password import PasswordSignIn
from trustpack.capabilities.directory.pages.session import InSession, RecentlySignedIn, watching_session
from trustpack.platform.auth.cookies import CEREMONY_COOKIE, SESSION_COOKIE
from trustpack.platform.auth.csrf import FIELD, csrf_token

HANDLE = "user-team-lead"
SESSIONS = "/switchboard/profile/sessions"
ENDS_OTHERS = f"{SESSIONS}/end-others"
FLAGS = {"httponly", "secure", "samesite=lax", "path=/"}


def flags_of(response: httpx2.Response, name: str) -> set[str]:
    """Return the attributes of a cookie that an answer sets."""
    [line] = [line for line in response.headers.get_list("set-cookie") if line.startswith(f"{name}=")]
    return {part.strip().lower() for part in line.split(";")[1:]}


def with_passwords(world: World) -> World:
    """Return the world as it is where passwords are allowed."""
    passwords = quick_passwords()
    methods = {**world.container.sign_in.methods, "password": PasswordSignIn(world.container.unit_of_work, passwords)}
    sign_in = replace(world.container.sign_in, passwords=passwords, methods=methods)
    return replace(world, container=replace(world.container, sign_in=sign_in))


def receipts(world: World) -> int:
    query = "SELECT count(*) AS n FROM trustpack.receipts WHERE tenant_id = %s"
    return int(rows_as_owner(world.container.settings, query, world.tenant_id)[0]["n"])


async def enter(browser: Browser, device: Authenticator, **fields: str) -> httpx2.Response:
    """Sign in with a passkey, as the page's script does it."""
    begun = await browser.post("/switchboard/sign-in/passkey/begin")
    assert begun.status_code == 200, begun.text
    return await browser.post("/switchboard/sign-in/passkey", {"credential": device.get(begun.json()), **fields})


async def test_a_passkey_signs_in_and_comes_back_to_the_page(world: World):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with browsing(world) as browser:
        response = await enter(browser, device, next="/switchboard/security/requests?status=pending")
        mine = shown(await browser.get(SESSIONS))

    assert (response.status_code, response.headers["location"]) == (303, "/switchboard/security/requests?status=pending")
    assert mine["current"] in {session["id"] for session in mine["sessions"]}


async def test_the_cookies_are_for_this_host_and_out_of_reach_of_scripts(world: World):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with browsing(world) as browser:
        begun = await browser.post("/switchboard/sign-in/passkey/begin")
        entered = await browser.post("/switchboard/sign-in/passkey", {"credential": device.get(begun.json())})

    assert flags_of(begun, CEREMONY_COOKIE) == FLAGS
    assert flags_of(entered, SESSION_COOKIE) == FLAGS
    assert SESSION_COOKIE.startswith("__Host-")
    assert CEREMONY_COOKIE not in browser.cookies


async def test_a_sign_in_makes_a_new_session_and_ends_the_one_that_was_there(world: World):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with browsing_as(world, HANDLE) as browser:
        thief = browser.copy()
        await enter(browser, device)

        assert browser.session_text != thief.session_text
        assert [(await one.get(SESSIONS)).status_code for one in (browser, thief)] == [200, 401]


async def test_a_name_and_a_password_sign_in_without_scripts(world: World):
    world = with_passwords(world)
    name = f"lead@{world.tenant_id}"
    await with_password(world, world.container.sign_in, HANDLE, name=name)
    async with browsing(world) as browser:
        wrong = await browser.post(
            "/switchboard/sign-in/password", {"name": name, "password": "wrong guess", "next": "/switchboard/x"}
        )
        right = await browser.post(
            "/switchboard/sign-in/password", {"name": name, "password": PASSWORD, "next": "/switchboard/x"}
        )

    page = shown(wrong)
    assert (wrong.status_code, page["name"], page["next"]) == (401, name, "/switchboard/x")
    assert page["refusal"]
    assert "wrong guess" not in wrong.text
    assert (right.status_code, right.headers["location"]) == (303, "/switchboard/x")


async def test_an_unknown_name_is_answered_like_a_wrong_password(world: World):
    world = with_passwords(world)
    name = f"lead@{world.tenant_id}"
    await with_password(world, world.container.sign_in, HANDLE, name=name)
    async with browsing(world) as browser:
        answers = [
            await browser.post("/switchboard/sign-in/password", {"name": tried, "password": "wrong"})
            for tried in (name, f"nobody@{world.tenant_id}")
        ]

    known, unknown = ({**shown(answer), "name": "..."} for answer in answers)
    assert known == unknown
    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "/%2F%2Fevil.example", ""])
async def test_a_sign_in_leads_to_a_page_of_ours_whatever_the_link_said(world: World, target: str):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with browsing(world) as browser:
        page = shown(await browser.get(f"/switchboard/sign-in?next={target}"))
        response = await enter(browser, device, next=target)

    assert page["next"] == response.headers["location"] == "/switchboard"


async def test_signing_out_ends_the_session_and_clears_the_browser(world: World):
    async with browsing_as(world, HANDLE) as browser:
        thief = browser.copy()
        response = await browser.post("/switchboard/sign-out")

        assert (response.status_code, response.headers["location"]) == (303, "/switchboard/sign-in")
        assert response.headers["clear-site-data"] == '"cache", "cookies", "storage"'
        assert SESSION_COOKIE not in browser.cookies
        assert (await thief.get(SESSIONS)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [ENDS_OTHERS, "/switchboard/sign-out", "/switchboard/sign-in/passkey/begin"])
async def test_what_another_site_sends_changes_nothing(world: World, path: str, headers: dict[str, str]):
    async with browsing_as(world, HANDLE) as browser:
        await signed_in(world, HANDLE)
        before = receipts(world)

        response = await browser.send("POST", path, fields={FIELD: browser.csrf}, headers=headers)

        assert (response.status_code, code_of(response)) == (403, "auth.cross_site_request")
        assert receipts(world) == before
        assert (await browser.get(SESSIONS)).status_code == 200


async def test_an_old_browser_that_names_its_origin_is_let_in(world: World):
    async with browsing_as(world, HANDLE) as browser:
        fields, headers = {FIELD: browser.csrf}, {"Origin": "http://localhost:8000"}

        assert (await browser.send("POST", ENDS_OTHERS, fields=fields, headers=headers)).status_code == 303


async def test_a_form_without_the_token_of_this_very_session_changes_nothing(world: World):
    async with browsing_as(world, HANDLE) as browser:
        old = browser.csrf
        await browser.post("/switchboard/sign-out")
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text
        others = csrf_token((await signed_in(world, "user-engineer")).text)
        before = receipts(world)

        answers = [await browser.post(ENDS_OTHERS, csrf=token) for token in (None, "", old, others, browser.csrf + "A")]

        assert [(answer.status_code, code_of(answer)) for answer in answers] == [(403, "auth.csrf_refused")] * 5
        assert receipts(world) == before
        assert (await browser.post(ENDS_OTHERS)).status_code == 303


async def test_the_token_may_stand_in_a_header(world: World):
    async with browsing_as(world, HANDLE) as browser:
        right = await browser.send("POST", ENDS_OTHERS, headers={**SAME_ORIGIN, "X-CSRF-Token": browser.csrf})
        wrong = await browser.send(
            "POST", ENDS_OTHERS, fields={FIELD: browser.csrf}, headers={**SAME_ORIGIN, "X-CSRF-Token": "x"}
        )

    assert (right.status_code, wrong.status_code) == (303, 403)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_a_body_that_is_no_form_carries_no_token(world: World, content_type: str):
    async with browsing_as(world, HANDLE) as browser:
        response = await browser.http.post(
            ENDS_OTHERS,
            content=f"{FIELD}={browser.csrf}",
            headers={**SAME_ORIGIN, "Content-Type": content_type, "Cookie": f"{SESSION_COOKIE}={browser.session_text}"},
        )

    assert (response.status_code, code_of(response)) == (403, "auth.csrf_refused")


async def test_a_page_is_asked_for_by_get_and_decides_nothing_by_it(world: World):
    async with browsing_as(world, HANDLE) as browser:
        answers = [await browser.get(path) for path in (ENDS_OTHERS, "/switchboard/sign-out", "/switchboard/confirm/passkey")]

    assert {answer.status_code for answer in answers} == {405}


async def test_without_a_session_every_page_asks_for_one(world: World):
    async with browsing(world) as browser:
        answers = [
            await browser.get(f"/switchboard/{page}")
            for page in ("confirm", "profile/sessions", "profile/tokens", "profile/passkeys")
        ]

    assert {(answer.status_code, code_of(answer)) for answer in answers} == {(401, "auth.session_needed")}


async def test_what_a_page_fetches_by_itself_does_not_keep_its_session_from_ending(world: World):
    async with browsing_as(world, HANDLE) as browser:
        world.clock.advance(minutes=29)
        by_itself = await browser.get(SESSIONS, X_Background="1")
        world.clock.advance(minutes=2)
        later = await browser.get(SESSIONS)

    assert (by_itself.status_code, later.status_code) == (200, 401)


async def test_a_bearer_token_opens_no_page_and_a_session_no_route_of_the_api(world: World):
    async with browsing_as(world, HANDLE) as browser:
        by_session = await browser.get("/high-risk-ops/requests")
        by_token = await browser.http.get(SESSIONS, headers={"Authorization": f"Bearer {world.tokens[HANDLE]}"})

    assert (by_session.status_code, by_token.status_code) == (401, 401)


NEEDS_RECENT = ["name", "tokens", "passkeys/begin", "passkeys", "passkeys/key_1/remove", "password", "password/remove"]


@pytest.mark.parametrize("path", NEEDS_RECENT)
async def test_what_lasts_longer_than_a_session_needs_a_recent_sign_in(world: World, path: str):
    async with browsing_as(world, HANDLE) as browser:
        world.clock.advance(minutes=11)
        before = receipts(world)

        response = await browser.post(f"/switchboard/profile/{path}", {"label": "x"})

    assert (response.status_code, shown(response)["page"]) == (401, "confirm")
    assert receipts(world) == before


@asynccontextmanager
async def deciding(world: World, **settings: Any) -> AsyncIterator[tuple[Browser, FastAPI]]:
    """Open a browser on an application with one decision, written as a capability writes it."""
    app = console_of(world, **settings)
    app.state.decided = []

    @app.post("/switchboard/decide")
    async def decide(request: Request, session: RecentlySignedIn) -> Response:
        app.state.decided.append(((await request.body()).decode(), session.actor.handle))
        return JSONResponse({})

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        yield Browser(http), app


async def test_a_decision_that_came_too_late_is_kept_through_the_confirmation_and_not_made_by_itself(world: World):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with deciding(world) as (browser, app):
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text
        thief = browser.copy()
        world.clock.advance(minutes=11)
        asked_again = await browser.post("/switchboard/decide", {"comment": "fine by <me>", "digest": "sha256:1"})
        begun = await browser.post("/switchboard/confirm/passkey/begin")
        fields = {"credential": device.get(begun.json()), "kept": shown(asked_again)["kept"]}
        page = shown(await browser.post("/switchboard/confirm/passkey", fields))
        before = list(app.state.decided)
        decided = await browser.post(page["path"], page["fields"], csrf=page["form_token"])

        assert before == []
        assert (page["path"], page["fields"]) == ("/switchboard/decide", {"comment": "fine by <me>", "digest": "sha256:1"})
        assert decided.status_code == 200
        assert [handle for _, handle in app.state.decided] == [HANDLE]
        assert (await thief.get(SESSIONS)).status_code == 401


async def test_a_decision_soon_after_the_sign_in_is_made(world: World):
    async with deciding(world) as (browser, app):
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text
        world.clock.advance(minutes=9)

        assert (await browser.post("/switchboard/decide", {"comment": "yes"})).status_code == 200
        assert len(app.state.decided) == 1


async def test_a_confirmation_that_fails_keeps_what_was_entered(world: World):
    async with deciding(world) as (browser, _):
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text
        world.clock.advance(minutes=11)
        kept = shown(await browser.post("/switchboard/decide", {"comment": "yes"}))["kept"]

        response = await browser.post("/switchboard/confirm/passkey", {"credential": "{}", "kept": kept})

    assert response.status_code == 401
    assert shown(response)["kept"] == kept


async def test_a_form_that_another_session_kept_is_not_shown(world: World):
    async with deciding(world) as (browser, _):
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, "user-engineer")).text
        world.clock.advance(minutes=11)
        kept = shown(await browser.post("/switchboard/decide", {"comment": "yes"}))["kept"]
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text

        response = await browser.post("/switchboard/confirm/passkey", {"credential": "{}", "kept": kept})

    assert response.status_code == 422


SLOW = {"failed_sign_ins_per_minute": 0.6, "failed_sign_in_burst": 3}


async def test_an_address_that_fails_too_often_waits(world: World):
    world = with_passwords(world)
    name = f"lead@{world.tenant_id}"
    await with_password(world, world.container.sign_in, HANDLE, name=name)
    async with browsing(world, **SLOW) as browser:
        failed = [
            await browser.post("/switchboard/sign-in/password", {"name": f"n{number}", "password": "x"}) for number in range(3)
        ]
        refused = await browser.post("/switchboard/sign-in/password", {"name": name, "password": PASSWORD})

    assert {answer.status_code for answer in failed} == {401}
    assert (refused.status_code, code_of(refused)) == (429, "auth.too_many_attempts")
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert SESSION_COOKIE not in browser.cookies


async def test_many_attempts_at_once_are_limited_like_one_after_another(world: World):
    world = with_passwords(world)
    async with browsing(world, **SLOW) as browser:
        answers = await asyncio.gather(
            *(
                browser.copy().post("/switchboard/sign-in/password", {"name": f"n{number}", "password": "x"})
                for number in range(12)
            )
        )

    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 9


async def test_who_succeeds_is_not_counted(world: World):
    world = with_passwords(world)
    name = f"lead@{world.tenant_id}"
    await with_password(world, world.container.sign_in, HANDLE, name=name)
    async with browsing(world, **SLOW) as browser:
        answers = [await browser.post("/switchboard/sign-in/password", {"name": name, "password": PASSWORD}) for _ in range(6)]

    assert {answer.status_code for answer in answers} == {303}


async def test_guessed_invitations_are_limited(world: World):
    text = await invited(world, HANDLE)
    async with browsing(world, **SLOW) as browser:
        answers = [await browser.get(f"/switchboard/invitation/{world.tenant_id}_{number:043d}") for number in range(4)]
        right = await browser.get(f"/switchboard/invitation/{text}")

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert right.status_code == 429


async def test_a_session_has_the_budget_of_a_token(world: World):
    async with browsing_as(world, HANDLE, token_requests_per_second=0.01, token_request_burst=3) as browser:
        statuses = [(await browser.get(SESSIONS)).status_code for _ in range(5)]
        browser.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text
        other = (await browser.get(SESSIONS)).status_code

    assert (statuses, other) == ([200, 200, 200, 429, 429], 200)


async def test_a_session_that_has_ended_keeps_nobody_out(world: World):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with browsing(world, **SLOW) as browser:
        stale = browser.copy()
        stale.cookies[SESSION_COOKIE] = f"{world.tenant_id}_{'a' * 43}"
        statuses = {(await stale.get(SESSIONS)).status_code for _ in range(8)}

        assert (statuses, (await enter(browser, device)).status_code) == ({401}, 303)


async def test_an_invitation_is_accepted_in_a_browser_by_a_new_passkey(world: World):
    device, text = Authenticator(), await invited(world, HANDLE)
    async with browsing(world) as browser:
        page = shown(await browser.get(f"/switchboard/invitation/{text}"))
        begun = await browser.post(f"/switchboard/invitation/{text}/passkey/begin")
        accepted = await browser.post(
            f"/switchboard/invitation/{text}/passkey", {"credential": device.create(begun.json()), "label": "Laptop"}
        )
        keys = shown(await browser.get("/switchboard/profile/passkeys"))
        again = await browser.get(f"/switchboard/invitation/{text}")

    assert page["invited"]["handle"] == HANDLE
    assert (accepted.status_code, accepted.headers["location"]) == (303, "/switchboard")
    assert [key["label"] for key in keys["ways_in"]["passkeys"]] == ["Laptop"]
    assert (again.status_code, code_of(again)) == (404, "auth.invitation_not_open")


async def test_a_second_passkey_is_added_and_the_first_removed(world: World):
    first = await with_passkey(world, world.container.sign_in, HANDLE)
    second = Authenticator()
    async with browsing(world) as browser:
        await enter(browser, first)
        begun = await browser.post("/switchboard/profile/passkeys/begin")
        await browser.post("/switchboard/profile/passkeys", {"credential": second.create(begun.json()), "label": "Key 2"})
        keys = shown(await browser.get("/switchboard/profile/passkeys"))["ways_in"]["passkeys"]
        removed = await browser.post(f"/switchboard/profile/passkeys/{keys[0]['id']}/remove")
        last = await browser.post(f"/switchboard/profile/passkeys/{keys[1]['id']}/remove")

        assert [key["label"] for key in keys] == ["Key", "Key 2"]
        assert (removed.status_code, last.status_code, code_of(last)) == (303, 409, "auth.last_way_in")
        assert (await enter(browser, first)).status_code == 401
        assert (await enter(browser, second)).status_code == 303


async def test_my_sessions_are_listed_and_ended_one_by_one_and_all(world: World):
    async with browsing_as(world, HANDLE) as browser:
        others = [await session_of(world, HANDLE) for _ in range(3)]
        listed = shown(await browser.get(SESSIONS))["sessions"]
        await browser.post(f"{SESSIONS}/{others[0].id}/end")
        after_one = shown(await browser.get(SESSIONS))["sessions"]
        await browser.post(ENDS_OTHERS)
        after_all = shown(await browser.get(SESSIONS))

    assert len(listed) == 4
    assert {session["id"] for session in listed} - {session["id"] for session in after_one} == {others[0].id}
    assert [session["id"] for session in after_all["sessions"]] == [after_all["current"]]


async def test_the_session_of_somebody_else_is_not_found(world: World, other_world: World):
    strangers = [await session_of(world, "user-engineer"), await session_of(other_world, HANDLE)]
    async with browsing_as(world, HANDLE) as browser:
        answers = [await browser.post(f"{SESSIONS}/{session.id}/end") for session in strangers]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_token_is_made_shown_once_used_and_revoked(world: World):
    async with browsing_as(world, HANDLE) as browser:
        key = shown(await browser.get("/switchboard/profile/tokens"))["key"]
        created = shown(await browser.post("/switchboard/profile/tokens", {"label": "laptop", "days": "7", "key": key}))
        bearer = {"Authorization": f"Bearer {created['secret']}"}
        used = await browser.http.get("/high-risk-ops/requests", headers=bearer)
        page = await browser.get("/switchboard/profile/tokens")
        [listed] = [token for token in shown(page)["tokens"] if token["id"] == created["id"]]
        revoked = await browser.post(f"/switchboard/profile/tokens/{created['id']}/revoke")
        dead = await browser.http.get("/high-risk-ops/requests", headers=bearer)

    assert (used.status_code, revoked.status_code, dead.status_code) == (200, 303, 401)
    assert (listed["label"], bool(listed["last_used_at"])) == ("laptop", True)
    assert created["secret"] not in page.text


async def test_the_page_of_a_new_token_is_not_compressed_and_others_are(world: World):
    async with browsing_as(world, HANDLE, show=present) as browser:
        listed = await browser.get("/switchboard/profile/tokens", **SAME_ORIGIN)
        [key] = re.findall(r'name="key" value="(\w+)"', listed.text)
        made = await browser.post("/switchboard/profile/tokens", {"label": "laptop", "days": "7", "key": key})

    assert re.search(r'<span class="code">[^<]{40,}</span>', made.text)
    assert "content-encoding" not in made.headers
    assert listed.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("days", ["0", "366", "-1", "1.5", "x", "9" * 30, "000000001" + "9" * 30, "1" * 4_400])
async def test_a_token_lives_from_a_day_to_a_year(world: World, days: str):
    async with browsing_as(world, HANDLE) as browser:
        key = shown(await browser.get("/switchboard/profile/tokens"))["key"]
        answers = [await browser.post("/switchboard/profile/tokens", {"days": text, "key": key}) for text in (days, "1")]

    assert [answer.status_code for answer in answers] == [422, 200]


async def test_a_form_for_a_token_that_no_page_showed_makes_none(world: World):
    async with browsing_as(world, HANDLE) as browser:
        answers = [await browser.post("/switchboard/profile/tokens", {"label": "x"} | key) for key in ({}, {"key": "guess"})]
        listed = shown(await browser.get("/switchboard/profile/tokens"))["tokens"]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert "x" not in {token["label"] for token in listed}


async def test_somebody_of_two_tenants_changes_between_them(world: World, other_world: World):
    session = await session_of(world, HANDLE)
    async with other_world.container.unit_of_work.transaction(other_world.tenant_id) as tx:
        await directory.link_account(tx, other_world.operator, handle="user-engineer", account_id=session.actor.account_id)
    async with browsing_as(world, HANDLE) as browser:
        before, offered = browser.copy(), shown(await browser.get("/switchboard/tenant"))["tenants"]
        response = await browser.post("/switchboard/tenant", {"tenant": other_world.tenant_id})
        elsewhere = await browser.post("/switchboard/tenant", {"tenant": "nobody-knows"})

        assert {tenant["tenant_id"] for tenant in offered} == {world.tenant_id, other_world.tenant_id}
        assert (response.status_code, elsewhere.status_code) == (303, 404)
        assert browser.session_text.startswith(f"{other_world.tenant_id}_")
        assert (await before.get(SESSIONS)).status_code == 401


async def test_an_old_form_from_before_a_change_of_tenant_does_nothing_in_the_new_one(world: World, other_world: World):
    session = await session_of(world, HANDLE)
    async with other_world.container.unit_of_work.transaction(other_world.tenant_id) as tx:
        await directory.link_account(tx, other_world.operator, handle=HANDLE, account_id=session.actor.account_id)
    async with browsing_as(world, HANDLE) as browser:
        old = browser.csrf
        await browser.post("/switchboard/tenant", {"tenant": other_world.tenant_id})

        assert (await browser.post(ENDS_OTHERS, csrf=old)).status_code == 403


async def test_what_a_browser_calls_itself_is_shown_to_its_owner_and_kept_short(world: World):
    device = await with_passkey(world, world.container.sign_in, HANDLE)
    async with browsing(world) as browser:
        begun = await browser.post("/switchboard/sign-in/passkey/begin")
        await browser.post(
            "/switchboard/sign-in/passkey", {"credential": device.get(asked(begun.json()))}, User_Agent="<b>" * 200
        )
        page = shown(await browser.get(SESSIONS))

    [session] = [session for session in page["sessions"] if session["id"] == page["current"]]
    assert session["client"] == ("<b>" * 200)[:200]


async def test_a_name_and_a_password_are_set_and_end_the_other_sessions(world: World):
    world = with_passwords(world)
    name = f"lead@{world.tenant_id}"
    async with browsing_as(world, HANDLE) as browser:
        other = browser.copy()
        other.cookies[SESSION_COOKIE] = (await signed_in(world, HANDLE)).text
        answers = [
            await browser.post("/switchboard/profile/name", {"name": name}),
            await browser.post("/switchboard/profile/password", {"password": PASSWORD}),
            await browser.post("/switchboard/profile/password", {"password": "short"}),
            await browser.post("/switchboard/profile/password/remove"),
        ]
        ways_in = shown(await browser.get("/switchboard/profile/passkeys"))["ways_in"]
        ended = await other.get(SESSIONS)
        entered = await browser.post("/switchboard/sign-in/password", {"name": name, "password": PASSWORD})

    assert [answer.status_code for answer in answers] == [303, 303, 422, 409]
    assert ways_in == {"passkeys": [], "sign_in_name": name, "has_password": True}
    assert (ended.status_code, entered.status_code) == (401, 303)


async def test_a_stream_learns_that_its_session_has_ended_and_does_not_keep_it_open(world: World):
    app = console_of(world)

    @app.get("/switchboard/heartbeat")
    async def heartbeat(request: Request, session: InSession) -> Response:
        looks = [await watching_session(request) == session]
        for minutes in (20, 11):
            world.clock.advance(minutes=minutes)
            looks.append(await watching_session(request) == session)
        return JSONResponse(looks)

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        browser = Browser(http, {SESSION_COOKIE: (await signed_in(world, HANDLE)).text})

        assert (await browser.get("/switchboard/heartbeat")).json() == [True, True, False]
