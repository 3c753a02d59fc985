"""One access from the question to its proof, by four people in four browsers, on a real target."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Visits, press_twice, ready
from tests.browser.test_signed_in import REQUESTS, Place, entered
from tests.support.axe import faults
from tests.support.clock import MovableClock
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.streams import serving_on
from tests.support.targets import prepare, require_version, running_cluster
from tests.support.worlds import container_with
from trustpack.app.http import build_app
from trustpack.capabilities.operations.rules.target_definition import definition_document
from trustpack.capabilities.operations.service.context import adapters_by_kind
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings
from trustpack.proof.bundle import check_bundle

VERSION = 18
TARGET = "shop-in-browsers"
SOME_DIALOG = "dialog[open]"


@pytest.fixture(scope="module")
async def place(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """The console before a customer's database that people can log in to."""
    require_version(VERSION)
    with (
        running_cluster(tmp_path_factory.mktemp("target"), VERSION) as cluster,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        target = prepare(cluster, version=VERSION, installed_by="superuser", name=TARGET)
        url = f"http://localhost:{listener.getsockname()[1]}"
        own = empty_store(settings, demo_sign_in=True, public_url=url)
        async with world_of_demo(own, MovableClock()) as world:
            adapter = target.adapter()
            operations = replace(world.container.operations, adapters=adapters_by_kind(record=adapter, postgres=adapter))
            world.container = container_with(world.container, operations)
            app = build_app(world.container, with_worker=False)
            await world.add_person("user-security", Role.SECURITY_OFFICER)
            await world.add_target(definition_document(target.definition))
            async with (
                httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=url) as world.http,
                serving_on(app, listener),
            ):
                yield Place(world, url)


@pytest.fixture
async def visits(chromium: Browser, place: Place) -> AsyncIterator[Visits]:
    """Windows whose pages may complain."""
    made = Visits(chromium, place.url)
    yield made
    await made.close()


async def asked(place: Place) -> dict[str, Any]:
    return await place.world.ask(target={"database": TARGET, "scope": {"tenant": "acme"}})


async def active(place: Place) -> dict[str, Any]:
    request = await asked(place)
    for handle in ("user-team-lead", "user-security"):
        await place.world.act(handle, request["id"], "approve", {"effect_digest": request["effect_digest"]})
    return dict((await place.world.act("user-engineer", request["id"], "execute")).json())


async def decide(page: Page, opener: str, send: str) -> None:
    """Open a dialog by its button and press the one that decides."""
    await page.locator(f"#opens-{opener}").click()
    await page.locator(SOME_DIALOG).get_by_role("button", name=send).click()


@pytest.mark.slow
async def test_access_is_approved_by_two_used_with_what_was_shown_once_and_proven_to_be_gone(visit, place: Place, tmp_path: Path):
    request = await asked(place)
    path = f"{REQUESTS}/{request['id']}"
    requester = await entered(await visit(path), "user-engineer")
    for handle in ("user-team-lead", "user-security"):
        approver = await entered(await visit(path), handle)
        await decide(approver, "approve", "Approve")
        await expect(approver.locator("#opens-approve")).to_have_count(0)

    await requester.reload()
    await decide(requester, "execute", "Execute")
    await expect(requester.get_by_role("timer")).to_be_visible()
    await decide(requester, "credentials", "Show them once")
    line = await requester.locator(".code", has_text="psql 'postgresql://").inner_text()
    uri = line.removeprefix("psql '").removesuffix("'")
    with psycopg.connect(uri) as connection:
        [(tenants,)] = connection.execute("SELECT count(DISTINCT tenant) FROM orders").fetchall()
    shown_at = requester.url
    await requester.reload()
    reloaded = await requester.content()

    assert tenants == 1
    assert uri not in shown_at
    assert uri.rpartition("@")[0].rpartition(":")[2] not in reloaded
    await expect(requester.get_by_role("heading", name="Replace the credentials?")).to_be_visible()

    await requester.locator("#opens-revert").click()
    dialog = requester.locator(SOME_DIALOG)
    await dialog.get_by_label("Type").fill(request["id"][-8:])
    await dialog.get_by_label("Reason").fill("Found the stuck refunds")
    await dialog.get_by_role("button", name="Revert now").click()
    await expect(requester.locator(".object-line")).to_contain_text("Reverted")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri)

    await requester.get_by_role("link", name="Access", exact=True).click()
    await expect(requester.get_by_text("The record is complete.")).to_be_visible()
    await expect(requester.get_by_text("SELECT count(DISTINCT tenant) FROM orders")).to_be_visible()
    await requester.get_by_label("Parts of this request").get_by_role("link", name="Evidence").click()
    await expect(requester.get_by_text("Verified")).to_be_visible()
    async with requester.expect_download() as downloading:
        await requester.get_by_role("link", name="Evidence JSON").click()
    download = await downloading.value
    await download.save_as(tmp_path / "evidence.json")
    content = (tmp_path / "evidence.json").read_bytes()

    assert download.suggested_filename == f"{request['id']}.evidence.json"
    assert check_bundle(content) == ()
    await expect(requester.locator(f'[data-copy="{hashlib.sha256(content).hexdigest()}"]')).to_have_count(1)


async def test_everything_can_be_decided_without_scripts(visits: Visits, place: Place):
    request = await asked(place)
    path = f"{REQUESTS}/{request['id']}"
    for handle, received in (("user-team-lead", "1/2"), ("user-security", "2/2")):
        page = await visits.open(path, scripts=False)
        await page.locator(f'button[value="{handle}"]').click()
        await page.get_by_role("link", name="Approve").click()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_label("Parts of this request")).to_contain_text(received)
    page = await visits.open(path, scripts=False)
    await page.locator('button[value="user-engineer"]').click()
    await page.get_by_role("link", name="Execute").click()
    await page.get_by_role("button", name="Execute").click()
    await page.get_by_role("link", name="Get credentials").click()
    await page.get_by_role("button", name="Show them once").click()
    await expect(page.get_by_text("psql 'postgresql://")).to_be_visible()
    await page.get_by_role("link", name="I have copied them").click()
    await page.get_by_role("link", name="Revert now").click()
    await page.get_by_role("textbox", name="to go on").fill(request["id"])
    await page.get_by_label("Reason").fill("Found the stuck refunds")
    await page.get_by_role("button", name="Revert now").click()

    await expect(page.locator(".object-line")).to_contain_text("Reverted")


async def test_pressing_a_decision_twice_gives_one_vote(visit, place: Place):
    request = await asked(place)
    page = await entered(await visit(f"{REQUESTS}/{request['id']}"), "user-team-lead")

    await page.locator("#opens-approve").click()
    await press_twice(page, page.locator(SOME_DIALOG).get_by_role("button", name="Approve"))

    await expect(page.get_by_label("Parts of this request")).to_contain_text("1/2")
    assert len((await place.world.read(request["id"]))["approvals"]) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 320])
async def test_no_part_and_no_dialog_has_a_fault_that_axe_can_find(visit, place: Place, width: int, scheme: str):
    request = await active(place)
    path = f"{REQUESTS}/{request['id']}"
    page = await entered(await visit(path, width=width, color_scheme=scheme), "user-engineer")
    found = {}
    for part in ("change", "approvals", "access", "evidence", "related", "?ask=revert"):
        await page.goto(f"{place.url}{path}{'' if part.startswith('?') else '/'}{part}")
        await ready(page)
        found[part] = await faults(page)
    await page.goto(f"{place.url}{path}")
    for dialog in ("revert", "credentials"):
        await page.locator(f"#opens-{dialog}").click()
        found[dialog] = await faults(page)
        await page.keyboard.press("Escape")
    await decide(page, "credentials", "Show them once")
    await expect(page.get_by_text("psql 'postgresql://")).to_be_visible()
    found["shown once"] = await faults(page)

    assert {where: names for where, names in found.items() if names} == {}
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
