"""From the sign-in to a decision and out again, in a real Chromium on the real application."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Visits, ready
from tests.support.axe import faults
from tests.support.clock import MovableClock
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.streams import serving_on
from tests.support.world import World
from trustpack.app.http import build_app
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings

REQUESTS = "/switchboard/security/requests"
PAGES = (REQUESTS, *(f"/switchboard/{page}" for page in ("profile/sessions", "profile/tokens", "profile/passkeys", "tenant")))


@dataclass(slots=True)
class Place:
    """A tenant of the demo and the address at which its console is served."""

    world: World
    url: str


@pytest.fixture(scope="module")
async def place(settings: Settings, clock: MovableClock) -> AsyncIterator[Place]:
    """The console on a store of demo data."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://localhost:{listener.getsockname()[1]}"
        own = empty_store(settings, demo_sign_in=True, password_sign_in=True, public_url=url)
        async with world_of_demo(own, clock) as world:
            await world.add_person("user-security", Role.SECURITY_OFFICER)
            await world.add_target()
            async with serving_on(build_app(world.container, with_worker=False), listener):
                yield Place(world, url)


@pytest.fixture
async def visits(chromium: Browser, place: Place) -> AsyncIterator[Visits]:
    """Windows whose pages may complain."""
    made = Visits(chromium, place.url)
    yield made
    await made.close()


async def entered(page: Page, handle: str) -> Page:
    """Sign in by one click."""
    await page.locator(f'button[value="{handle}"]').click()
    await expect(page.locator(".whoami")).to_be_visible()
    await ready(page)
    return page


async def test_one_click_leads_to_the_page_that_was_asked_for_and_out_again(visit, place: Place):
    request = await place.world.ask()
    page = await entered(await visit(f"{REQUESTS}/{request['id']}/approvals"), "user-team-lead")

    await expect(page).to_have_url(f"{place.url}{REQUESTS}/{request['id']}/approvals")
    await expect(page.get_by_text("Demo data")).to_be_visible()
    await page.locator(".whoami summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    await page.goto(f"{place.url}{REQUESTS}")
    await expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


async def test_an_approval_is_given_in_a_dialog_and_appears_once_it_is_recorded(visit, place: Place):
    request = await place.world.ask()
    page = await entered(await visit(f"{REQUESTS}/{request['id']}"), "user-team-lead")

    await page.keyboard.press("a")
    await page.get_by_label("Comment").fill("Ticket checked")
    await page.locator("dialog[open]").get_by_role("button", name="Approve").click()

    await expect(page.get_by_label("Parts of this request")).to_contain_text("1/2")
    await expect(page.get_by_text("Ticket checked")).to_be_visible()
    assert [vote["comment"] for vote in (await place.world.read(request["id"]))["approvals"]] == ["Ticket checked"]


async def test_a_late_decision_is_confirmed_and_then_sent_with_what_was_entered(visits: Visits, place: Place):
    request = await place.world.ask()
    page = await entered(await visits.open(f"{REQUESTS}/{request['id']}"), "user-team-lead")
    place.world.clock.advance(minutes=11)

    await page.keyboard.press("d")
    await page.get_by_label("Reason").fill("Too wide")
    await page.locator("dialog[open]").get_by_role("button", name="Reject").click()
    await expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    brands = {"in place": await page.locator(".brand:visible").count()}
    await page.get_by_role("button", name="Confirm as user-team-lead").click()
    await expect(page.locator(".pairs")).to_contain_text("Reject request")
    brands["alone"] = await page.locator(".brand:visible").count()
    await expect(page.locator(".pairs")).to_contain_text("Too wide")
    await page.get_by_role("button", name="Send it now").click()

    await expect(page.locator(".object-line")).to_contain_text("Rejected")
    assert brands == {"in place": 1, "alone": 1}
    assert (await place.world.read(request["id"]))["status"] == "rejected"
    assert [complaint for complaint in visits.complaints if "401" not in complaint] == []


async def test_a_passkey_is_added_and_signs_in(visit, place: Place):
    page = await entered(await visit("/switchboard/profile/passkeys"), "user-engineer")
    devices = await page.context.new_cdp_session(page)
    await devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    automatic = {"isUserVerified": True, "automaticPresenceSimulation": True}
    await devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **automatic}})

    await page.get_by_label("What to call it").fill("Laptop")
    await page.get_by_role("button", name="Add a passkey").click()
    await expect(page.get_by_text("Laptop")).to_be_visible()
    await page.locator(".whoami summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Sign in with a passkey").click()

    await expect(page.locator(".whoami")).to_contain_text("user-engineer")


async def test_a_token_is_shown_once_and_revoked(visit, place: Place):
    page = await entered(await visit("/switchboard/profile/tokens"), "user-engineer")

    await page.get_by_label("What it is for").fill("A script")
    await page.get_by_role("button", name="Create the token").click()
    token = await page.locator(".padded .code").inner_text()
    answered = await place.world.http.get("/high-risk-ops/requests", headers={"Authorization": f"Bearer {token}"})
    await page.get_by_role("link", name="I have copied it").click()
    await expect(page.get_by_text(token)).to_have_count(0)
    await page.locator('form[aria-label^="Token A script"] button').click()
    await expect(page.get_by_text("Revoked")).to_be_visible()
    refused = await place.world.http.get("/high-risk-ops/requests", headers={"Authorization": f"Bearer {token}"})

    assert (answered.status_code, refused.status_code) == (200, 401)


@pytest.mark.parametrize(
    ("path", "labels"), [("sessions", ["Last seen", "Ends"]), ("tokens", ["Created", "Last used", "Expires"])]
)
async def test_on_a_phone_every_time_of_a_row_has_its_own_place_and_its_name(visit, place: Place, path: str, labels: list[str]):
    page = await entered(await visit(f"/switchboard/profile/{path}", width=390, height=844), "user-engineer")
    times = page.locator("tbody tr").first.locator(".cell-when")
    boxes = [await one.bounding_box() for one in await times.all()]
    names = await times.evaluate_all("all => all.map((one) => getComputedStyle(one, '::before').content)")

    assert [label in name for label, name in zip(labels, names, strict=True)] == [True] * len(labels)
    assert all(above["y"] + above["height"] <= below["y"] for above, below in pairwise(boxes))


async def test_a_session_is_told_by_its_browser(visit, place: Place):
    page = await entered(await visit("/switchboard/profile/sessions"), "user-engineer")
    here = page.locator("tr[aria-current] .cell-title")

    await expect(here).to_have_text("Chrome on Linux")
    await expect(here).to_have_attribute("title", re.compile(r"^Mozilla/5\.0 .*Chrome/"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
async def test_the_pages_have_no_fault_that_axe_can_find(visit, place: Place, width: int, scheme: str):
    request = await place.world.ask()
    page = await visit("/switchboard/sign-in", width=width, color_scheme=scheme)
    found = {"/switchboard/sign-in": await faults(page)}
    await entered(page, "user-team-lead")
    parts = tuple(f"{REQUESTS}/{request['id']}/{part}" for part in ("overview", "change", "approvals", "evidence"))
    for path in (*PAGES, *parts):
        await page.goto(f"{place.url}{path}")
        await ready(page)
        found[path] = await faults(page)

    assert {path: names for path, names in found.items() if names} == {}
