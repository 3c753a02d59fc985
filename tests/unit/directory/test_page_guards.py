"""No page that changes something can be reached from another site, and hardly any without a session."""

from __future__ import annotations

import httpx2
from fastapi import FastAPI

from tests.support.browsers import code_of, present_plainly
from tests.support.console import build_console
from tests.support.page_guards import changing, guards_of
from trustpack.app.console import mount_capabilities
from trustpack.capabilities.directory.pages import invitations, profile, sign_in
from trustpack.capabilities.directory.pages.session import current_session, recent_session

WITHOUT_SESSION = {
    ("GET", "/switchboard/sign-in"),
    ("POST", "/switchboard/sign-in/{method}"),
    ("POST", "/switchboard/sign-in/{method}/begin"),
    ("GET", "/switchboard/invitation/{text}"),
    ("POST", "/switchboard/invitation/{text}/passkey"),
    ("POST", "/switchboard/invitation/{text}/passkey/begin"),
    ("POST", "/switchboard/invitation/{text}/password"),
}
RECENT = {
    f"/switchboard/profile/{path}"
    for path in ("tokens", "name", "passkeys", "passkeys/begin", "passkeys/{passkey_id}/remove", "password", "password/remove")
}


def console() -> FastAPI:
    app = FastAPI()
    for pages in (sign_in, invitations, profile):
        app.include_router(pages.build_router(present_plainly))
    return app


async def test_every_route_that_changes_something_asks_where_the_request_comes_from():
    app = build_console()
    mount_capabilities(app, show=present_plainly)
    routes = changing(guards_of(app))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        answers = {(route, code_of(await http.request(*route, headers={"Sec-Fetch-Site": "same-site"}))) for route in routes}

    assert answers == {(route, "auth.cross_site_request") for route in routes}
    assert len(routes) > 10


def test_every_route_but_those_to_a_session_needs_one():
    assert {route for route, guards in guards_of(console()).items() if current_session not in guards} == WITHOUT_SESSION


def test_what_lasts_longer_than_a_session_needs_a_recent_sign_in():
    assert {path for (_, path), guards in guards_of(console()).items() if recent_session in guards} == RECENT
