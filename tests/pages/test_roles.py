"""Every page for everybody: who sees it, who acts, for whom it does not exist; and the headers of each answer."""

from __future__ import annotations

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from tests.support.page_answers import faults_of
from tests.support.page_catalogue import CATALOGUE, COLUMNS, EXPECTED, GETS, NO_PAGES, NOBODY, OUTSIDER, POSTS
from tests.support.page_stage import Stage
from trustpack.app.http import build_app
from trustpack.platform.web.pages.frame import is_page_path

DONE = {200, 303}
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def test_every_page_has_its_row_in_the_catalogue(stage: Stage):
    served = {
        f"{method} {route.path}"
        for route in iter_route_contexts(build_app(stage.here.container, with_worker=False).routes)
        for method in (route.methods or set()) - {"HEAD"}
        if is_page_path(route.path or "")
    }

    assert served - NO_PAGES == CATALOGUE.keys() == EXPECTED.keys(), "a new page needs its row in tests/support/page_catalogue.py"


def test_every_row_has_everybody():
    assert {route for route, row in EXPECTED.items() if row.keys() != set(COLUMNS.values())} == set()


@pytest.mark.parametrize("route", GETS)
async def test_a_page_is_shown_to_those_who_may_see_it(stage: Stage, route: str):
    entry = CATALOGUE[route]
    things = await stage.kept(entry.about, entry.state)
    path = stage.named(entry.url, things)

    answers = {handle: await (await stage.browser(handle)).get(path, **BROWSER) for handle in EXPECTED[route]}

    assert {handle: int(answer.status_code) for handle, answer in answers.items()} == EXPECTED[route]
    assert {handle: faults for handle, answer in answers.items() if (faults := faults_of(answer))} == {}
    if entry.needs_session:
        assert answers[NOBODY].headers["location"].startswith("/switchboard/sign-in?next=%2Fswitchboard")
        assert foreign_words(stage, answers[OUTSIDER]) == []


def foreign_words(stage: Stage, answer: httpx2.Response) -> list[str]:
    """Return what an answer to the outsider tells of the tenant that is looked at."""
    things = [word for things in stage.standing.values() for word in things.values()]
    people = [person.id for person in stage.here.people.values()]
    return [word for word in (*things, *people) if word in answer.text]


@pytest.mark.parametrize("route", POSTS)
async def test_a_form_is_carried_out_for_those_who_may_send_it(stage: Stage, route: str):
    entry = CATALOGUE[route]
    answers: dict[str, int] = {}
    faults: dict[str, list[str]] = {}
    things: dict[str, str] = {}
    form: dict[str, str] | None = None

    for handle in EXPECTED[route]:
        if form is None:
            things = await stage.made(entry.about, entry.state)
            form = await stage.form(entry, things)
        browser = await stage.browser(handle)
        answer = await browser.post(stage.named(entry.url, things), form, **BROWSER)
        answers[handle], faults[handle] = int(answer.status_code), faults_of(answer)
        if answers[handle] in DONE:
            form = None

    assert answers == EXPECTED[route]
    assert {handle: found for handle, found in faults.items() if found} == {}
