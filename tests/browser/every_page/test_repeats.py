"""Every form, pressed twice; then its page is loaded again, and left by the back button: sent once, a clear page each time."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Locator, Page, Request, expect

from tests.browser.conftest import back, press_twice, ready
from tests.browser.every_page.conftest import Windows
from tests.support.page_catalogue import CATALOGUE, FORMS, Entry
from tests.support.page_stage import Stage

WITH_A_DEVICE = {"POST /switchboard/profile/passkeys", "POST /switchboard/invitation/{text}/passkey"}
"""An authenticator asks its owner in between: `test_signed_in.py` has one."""

ANOTHER_WAY = {
    "POST /switchboard/invitation/{text}/password",  # its page is gone once it was used
    "POST /switchboard/profile/passkeys/{passkey_id}/remove",  # the last one stays
}
"""`tests/pages/test_repeats.py` sends these twice."""


async def filled(stage: Stage, page: Page, entry: Entry, things: dict[str, str]) -> Locator:
    """Fill the form of an entry in, with the dialog or menu around it open, and return its button."""
    form = page.locator(f'form[method=post][action="{stage.named(entry.url, things)}"]').last
    await expect(form).to_be_attached()
    menu, dialog = form.locator("xpath=ancestor::details"), form.locator("xpath=ancestor::dialog")
    if await menu.count():
        await menu.locator("summary").click()
    elif await dialog.count():
        await page.locator(f"#opens-{await dialog.get_attribute('id')}").first.click()
    values = await stage.form(entry, things)
    for name, value in values.items():
        field = form.locator(f'input[name="{name}"]:visible, textarea[name="{name}"]:visible')
        if await field.count():
            await field.fill(value)
    named = [form.locator(f'button[name="{name}"][value="{value}"]') for name, value in values.items()]
    buttons = [button for button in named if await button.count()]
    return buttons[0] if buttons else form.locator("button:not([type=button])").first


@pytest.mark.slow
@pytest.mark.parametrize("route", [route for route in FORMS if route not in WITH_A_DEVICE | ANOTHER_WAY])
async def test_a_form_is_sent_once_and_leaves_a_clear_page(quiet_windows: Windows, stage: Stage, route: str):
    entry = CATALOGUE[route]
    things = await stage.made(entry.about, entry.state)
    page = await quiet_windows.of(entry.by, stage.named(entry.form_on, things))
    posted: list[str] = []
    path = stage.named(entry.url, things)

    def note(request: Request) -> None:
        if request.method == "POST" and not urlsplit(request.url).path.endswith("/preview"):
            posted.append(request.url)

    page.on("request", note)
    button = await filled(stage, page, entry, things)

    async with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith(path)) as answered:
        await press_twice(page, button)
    answer = await answered.value
    await expect(page.locator("h1:visible")).to_have_count(1)
    await expect(page.locator("form[aria-busy=true]")).to_have_count(0)
    assert answer.status < 400
    assert posted == [answer.url]

    for leave in (page.reload, lambda: back(page)):
        await leave()
        await ready(page)
        await expect(page.locator("h1:visible")).to_have_count(1)
        await expect(page.locator("dialog[open], form[aria-busy=true]")).to_have_count(0)
    assert posted == [answer.url]
