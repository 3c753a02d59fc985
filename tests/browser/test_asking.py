"""Asking for access in a real Chromium: the preview follows what is typed, by keyboard alone, and without scripts."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import back, press_twice
from tests.browser.test_signed_in import Place, entered, place, visits
from tests.support.axe import faults
from tests.support.world import RECORD_TARGET

__all__ = ["place", "visits"]

NEW = "/switchboard/security/requests/new"
HOSTILE = "<img src=x onerror=alert(1)>"
STAGING = {**RECORD_TARGET, "name": "orders-staging", "environment": "staging", "scopes": ["acme", "umbrella"]}


async def count(place: Place) -> int:
    """Return how many requests there are."""
    return len((await place.world.call("user-auditor", "GET", "/high-risk-ops/requests?limit=200")).json()["items"])


async def test_the_preview_follows_what_is_typed(visit, place: Place):
    before = await count(place)
    page = await entered(await visit(NEW), "user-engineer")
    preview = page.locator("#ask-preview")

    await page.get_by_label("Whose rows").fill(HOSTILE)
    await expect(preview).to_contain_text("once 2 different people have approved it")
    await expect(preview).to_contain_text(f"tenant {HOSTILE}")
    await page.get_by_label("For how many minutes").fill("600")
    await expect(preview).to_contain_text("Policy would deny this")
    await page.get_by_label("For how many minutes").fill("")
    await expect(preview).to_contain_text("whole number from 1 on")

    await expect(page.get_by_label("Whose rows")).to_have_value(HOSTILE)
    await expect(page.get_by_label("For how many minutes")).to_be_focused()
    assert await count(place) == before


async def test_choosing_a_target_changes_what_can_be_chosen_after_it(visit, place: Place):
    await place.world.add_target(STAGING)
    page = await entered(await visit(NEW), "user-engineer")

    await page.get_by_label("Justification").fill("Stuck refunds")
    await page.get_by_label("Target").select_option("orders-staging")

    await expect(page.get_by_label("Environment")).to_have_value("staging")
    await expect(page.get_by_label("Whose rows").locator("option")).to_have_text(["acme", "umbrella"])
    await expect(page.locator("#ask-preview")).to_contain_text("Policy would deny this")
    await expect(page.get_by_label("Justification")).to_have_value("Stuck refunds")


async def test_a_request_is_asked_for_by_keyboard_alone_and_reload_and_back_repeat_nothing(visit, place: Place):
    before = await count(place)
    page = await entered(await visit(NEW), "user-engineer")

    await page.goto(f"{place.url}{NEW}")
    await expect(page.get_by_label("Target")).to_be_focused()
    for text in ("", "", "acme", "", "Stuck refunds"):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await expect(page.get_by_label("Ticket")).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(page.locator(".object-line")).to_contain_text("Pending", timeout=20_000)
    address = page.url
    await page.reload()
    await back(page)
    await page.goto(address)
    await expect(page.locator(".object-line")).to_contain_text("Pending")
    assert await count(place) == before + 1


async def test_a_double_click_asks_once(visit, place: Place):
    before = await count(place)
    page = await entered(await visit(NEW), "user-engineer")

    await page.get_by_label("Whose rows").fill("acme")
    await page.get_by_label("Justification").fill("Stuck refunds")
    await press_twice(page, page.get_by_role("button", name="Send the request"))

    await expect(page.locator(".object-line")).to_contain_text("Pending")
    assert await count(place) == before + 1


async def test_without_scripts_the_preview_has_a_button_and_the_form_is_sent(visit, place: Place):
    before = await count(place)
    page = await visit(NEW, scripts=False)
    await page.locator('button[value="user-engineer"]').click()

    await page.get_by_label("Whose rows").fill("acme")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#ask-preview")).to_contain_text("once 2 different people have approved it")
    assert await count(place) == before
    await page.get_by_label("Justification").fill("Stuck refunds")
    await page.get_by_role("button", name="Send the request").click()

    await expect(page.locator(".object-line")).to_contain_text("Pending")
    assert await count(place) == before + 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
async def test_the_form_has_no_fault_that_axe_can_find(visit, place: Place, width: int, scheme: str):
    page = await entered(await visit(NEW, width=width, color_scheme=scheme), "user-engineer")
    found = {"fresh": await faults(page)}
    await page.get_by_label("Whose rows").fill("acme")
    await expect(page.locator("#ask-preview")).to_contain_text("once 2 different people have approved it")
    found["previewed"] = await faults(page)

    assert {state: names for state, names in found.items() if names} == {}
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
