"""One click signs in as anybody, on a store of demo tenants and on no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.browsers import browsing, shown
from tests.support.clock import MovableClock
from tests.support.demo_stores import CAST, add_tenant, empty_store, world_of_demo
from tests.support.world import World
from trustpack.app.bootstrap import open_container
from trustpack.capabilities.directory.model.sessions import DemoSignInRefused
from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.settings import Settings


@pytest.fixture
async def demo_world(settings: Settings, clock: MovableClock) -> AsyncIterator[World]:
    async with world_of_demo(empty_store(settings, demo_sign_in=True), clock) as world:
        yield world


def click(world: World, handle: str = "user-engineer") -> dict[str, str]:
    return {"tenant": world.tenant_id, "handle": handle, "next": "/switchboard/security/requests"}


async def test_one_click_signs_in_as_anybody_of_the_cast(demo_world: World):
    async with browsing(demo_world) as browser:
        page = shown(await browser.get("/switchboard/sign-in"))
        response = await browser.post("/switchboard/sign-in/demo", click(demo_world))
        mine = shown(await browser.get("/switchboard/profile/sessions"))

    [door] = page["doors"]
    assert {person["handle"] for person in door["people"]} == set(CAST)
    assert (response.status_code, response.headers["location"]) == (303, "/switchboard/security/requests")
    assert [session["method"] for session in mine["sessions"]] == ["demo"]


async def test_a_tenant_that_is_no_demo_closes_the_click_at_once_and_the_next_start(demo_world: World, clock: MovableClock):
    await add_tenant(demo_world.container, "real-corp", is_demo=False)

    async with browsing(demo_world) as browser:
        responses = [
            await browser.post("/switchboard/sign-in/demo", click(demo_world)),
            await browser.post("/switchboard/sign-in/demo", {"tenant": "real-corp", "handle": "user-engineer"}),
        ]
    with pytest.raises(DemoSignInRefused):
        async with open_container(demo_world.container.settings, clock=clock):
            pytest.fail("the demo's click is open on a store that is no demo's")

    assert all(response.status_code in {401, 403} for response in responses)
    assert all("set-cookie" not in response.headers for response in responses)
    assert SESSION_COOKIE not in browser.cookies


async def test_a_store_with_a_tenant_that_is_no_demo_does_not_start_with_the_click(settings: Settings, clock: MovableClock):
    own = empty_store(settings)
    async with world_of_demo(own, clock) as world:
        await add_tenant(world.container, "real-corp", is_demo=False)

    with pytest.raises(DemoSignInRefused) as refusal:
        async with open_container(own.model_copy(update={"demo_sign_in": True}), clock=clock):
            pytest.fail("the demo's click is open on a store that is no demo's")
    assert "TRUSTPACK_DEMO_SIGN_IN" in refusal.value.next_step


async def test_without_the_setting_there_is_no_click(world: World):
    async with browsing(world) as browser:
        page = shown(await browser.get("/switchboard/sign-in"))
        response: Any = await browser.post("/switchboard/sign-in/demo", click(world))

    assert (page["methods"], page["doors"]) == (["passkey"], [])
    assert response.status_code == 404
    assert SESSION_COOKIE not in browser.cookies
