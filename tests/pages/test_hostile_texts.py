"""Texts that want to be more than text: in every field of every form, and on every page that shows what was written."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.hostile_texts import SHORT, TEXTS, alive_in
from tests.support.page_catalogue import CATALOGUE, FORMS, LOOKS, Entry, Look
from tests.support.page_forms import WRITTEN
from tests.support.page_stage import Stage
from trustpack.platform.auth.csrf import FIELD

BROWSER = {"Accept": "text/html", "User-Agent": SHORT}
REFUSED = 422


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.url} {look.state} {look.by}")
async def test_what_people_wrote_is_text_on_every_page(stage: Stage, look: Look):
    things = await stage.kept(look.about, look.state)
    browser = await stage.browser(look.by)

    answer = await browser.get(stage.named(look.url, things), **BROWSER)

    assert answer.status_code in {200, 303}
    assert answer.status_code == 303 or alive_in(answer.text) == []


async def written_fields(stage: Stage, entry: Entry) -> list[str]:
    """Return the names of the fields that somebody writes into, or that a page hides in the form for the server to read again."""
    form = await stage.read_form(entry, await stage.made(entry.about, entry.state))
    return [field.name for field in form.fields if field.kind in {*WRITTEN, "hidden"} and field.name != FIELD]


@pytest.mark.parametrize("route", FORMS)
async def test_a_form_takes_hostile_texts_as_text_or_refuses_them_in_words(stage: Stage, route: str):
    entry = CATALOGUE[route]
    wrong, written = {}, await written_fields(stage, entry)

    form: dict[str, str] | None = None
    for field, kind in product(written, TEXTS):
        if form is None:
            things = await stage.made(entry.about, entry.state)
            browser, form = await stage.browser(entry.by), await stage.form(entry, things)
        answer = await browser.post(stage.named(entry.url, things), form | {field: TEXTS[kind]}, **BROWSER)
        shown = answer
        while shown.status_code == 303:
            shown = await browser.get(shown.headers["location"], **BROWSER)
        if answer.status_code >= 500 or alive_in(shown.text):
            wrong[field, kind] = int(answer.status_code), alive_in(shown.text)
        if answer.status_code < 400:
            form = None

    assert wrong == {}


@pytest.mark.parametrize("route", FORMS)
async def test_a_form_with_what_cannot_be_stored_is_refused_and_changes_nothing(stage: Stage, route: str):
    entry = CATALOGUE[route]
    things = await stage.made(entry.about, entry.state)
    browser, form = await stage.browser(entry.by), await stage.form(entry, things)
    before = stage.stand()

    path = stage.named(entry.url, things)
    refused = {name: await browser.post(path, form | {name: f"{value}\x00"}, **BROWSER) for name, value in form.items()}
    refused["unknown"] = await browser.post(path, form | {"unkn\x00wn": "x"}, **BROWSER)

    assert {name: int(answer.status_code) for name, answer in refused.items()} == dict.fromkeys(refused, REFUSED)
    assert stage.stand() == before
