"""A form that arrives twice, as after a double click without scripts: one effect, and an answer that says how it is."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.page_catalogue import CATALOGUE, FORMS
from tests.support.page_forms import ReadPage
from tests.support.page_stage import Stage
from tests.support.store import rows_as_owner

BROWSER = {"Accept": "text/html"}
_WORK = {"jobs"}
"""Work that waits is no effect."""
OPENING = {"POST /switchboard/sign-in/{method}", "POST /switchboard/confirm/{method}", "POST /switchboard/tenant"}
"""Whoever enters twice has the session of the second time; the first one is ended."""
TOKENS = "/switchboard/profile/tokens"


@pytest.mark.parametrize("route", [route for route in FORMS if route not in OPENING])
async def test_a_form_that_arrives_twice_has_one_effect(stage: Stage, route: str):
    entry = CATALOGUE[route]
    things = await stage.made(entry.about, entry.state)
    browser, form, path = await stage.browser(entry.by), await stage.form(entry, things), stage.named(entry.url, things)
    same = browser.copy()
    before = stage.stand()

    first = await browser.post(path, form, **BROWSER)
    after_first = stage.stand()
    second = await same.post(path, form, **BROWSER)

    changed = [table for table, digest in stage.stand().items() if digest != after_first[table] and table not in _WORK]
    assert changed == []
    assert after_first != before or first.status_code >= 400
    assert second.status_code < 500
    assert second.text or second.status_code == 303


@pytest.mark.parametrize("changed", [{}, {"label": "Another program", "days": "7"}], ids=["the same", "changed"])
async def test_a_token_is_shown_once_and_its_form_says_so_the_second_time(stage: Stage, changed: dict[str, str]):
    entry = CATALOGUE[f"POST {TOKENS}"]
    browser, form = await stage.browser(entry.by), await stage.form(entry, {})

    first = await browser.post(TOKENS, form, **BROWSER)
    second = await browser.post(TOKENS, form | changed, **BROWSER)
    [secret] = [given["data-copy"] for tag, given in ReadPage(first.text).elements if tag == "button" and "data-copy" in given]
    [kept] = rows_as_owner(
        stage.here.container.settings,
        "SELECT convert_from(body, 'UTF8') AS body, holds_secret FROM trustpack.idempotency_keys WHERE key = %s",
        form["key"],
    )
    page = ReadPage(second.text)
    revoked = await browser.post(f"{TOKENS}/{kept['body']}/revoke", page.form_to(f"{TOKENS}/{kept['body']}/revoke").filled({}))

    assert (first.status_code, second.status_code, revoked.status_code) == (200, 409, 303)
    assert "its token was made then. It was shown once" in page.text
    assert secret not in second.text
    assert kept["body"].startswith("tok_")


async def test_of_two_forms_for_a_token_that_arrive_at_once_one_makes_it(stage: Stage):
    entry = CATALOGUE[f"POST {TOKENS}"]
    browser, form = await stage.browser(entry.by), await stage.form(entry, {})

    answers = await asyncio.gather(*(browser.copy().post(TOKENS, form, **BROWSER) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
