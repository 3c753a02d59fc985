"""One's own delegations in a browser: lent and withdrawn without scripts, and what of them comes onto paper."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.browser.test_quote_writing import deals
from tests.browser.test_signed_in import Place, entered, place, visits
from tests.support.deals import Deals
from tests.support.delegating import DEPUTY, lend

__all__ = ["deals", "place", "visits"]

PAGE = "/switchboard/profile/delegations"


@pytest.fixture(scope="module")
async def borrower(place: Place, deals: Deals) -> str:
    """Somebody without a role, in a tenant that sells."""
    await place.world.add_person(DEPUTY)
    return DEPUTY


async def test_a_role_is_lent_and_withdrawn_without_scripts(visit, deals: Deals, borrower: str):
    page = await visit(PAGE, scripts=False)
    await page.locator('button[value="user-manager"]').click()
    last_day = (deals.world.clock.now() + timedelta(days=1)).date().isoformat()

    for name, text in {"To": borrower, "Last day": last_day, "Reason": "Away"}.items():
        await page.get_by_label(name, exact=True).fill(text)
    await page.get_by_role("button", name="Lend the role").click()
    await expect(page.get_by_label("What I lent")).to_contain_text(f"manager to {borrower}In force")
    await page.get_by_role("button", name="Withdraw").click()

    await expect(page.get_by_label("What I lent")).to_contain_text("Withdrawn by user-manager")
    await expect(page.get_by_role("button", name="Withdraw")).to_have_count(0)


async def test_paper_shows_what_was_lent_and_neither_form_nor_button(visit, deals: Deals, borrower: str):
    await lend(deals, to=borrower, reason="Printed")
    page = await entered(await visit(PAGE, color_scheme="dark"), "user-manager")
    await page.emulate_media(media="print")

    await expect(page.get_by_text("Printed")).to_be_visible()
    assert await page.locator("form:visible :is(input, select, textarea, button):visible").count() == 0
    assert await page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
