"""What no page of ours sends, or somebody who is not to know of it: refused, and not a row of the tenant is another."""

from __future__ import annotations

import pytest

from tests.support.browsers import SAME_ORIGIN, Browser, code_of
from tests.support.page_answers import faults_of
from tests.support.page_catalogue import CATALOGUE, EXPECTED, NOBODY, OUTSIDER, POSTS
from tests.support.page_stage import Stage

BEHIND_SESSION = [route for route in POSTS if CATALOGUE[route].needs_session]
NAMING = [route for route in BEHIND_SESSION if CATALOGUE[route].about and "{" in CATALOGUE[route].url]
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}


@pytest.mark.parametrize("route", POSTS)
async def test_what_a_page_of_ours_does_not_send_is_refused_and_changes_nothing(stage: Stage, route: str):
    entry = CATALOGUE[route]
    things = await stage.made(entry.about, entry.state)
    path, form = stage.named(entry.url, things), await stage.form(entry, things)
    own, other, nobody = [await stage.browser(handle) for handle in (entry.by, "user-team-mate", NOBODY)]
    before = stage.stand()

    refused = {"cross-site": await own.post(path, form, **CROSS_SITE)}
    refused["without a word where from"] = await own.send("POST", path, fields=form)
    if entry.needs_session:
        refused["no token"] = await own.post(path, form, csrf=None)
        refused["somebody's token"] = await own.post(path, form, csrf=other.csrf)
        refused["no session"] = await nobody.post(path, form, csrf=own.csrf)

    told = {why: (int(answer.status_code), code_of(answer)) for why, answer in refused.items()}
    csrf, cross_site = (403, "auth.csrf_refused"), (403, "auth.cross_site_request")
    of_session = {"no token": csrf, "somebody's token": csrf, "no session": (401, "auth.session_needed")}
    everywhere = {"cross-site": cross_site, "without a word where from": cross_site}
    assert told == {**everywhere, **(of_session if entry.needs_session else {})}
    assert {why: faults for why, answer in refused.items() if (faults := faults_of(answer))} == {}
    assert stage.stand() == before


@pytest.mark.parametrize("route", NAMING)
async def test_another_tenants_form_finds_nothing_and_changes_nothing(stage: Stage, route: str):
    entry = CATALOGUE[route]
    things = await stage.made(entry.about, entry.state)
    unknown = {name: f"{text.split('_')[0]}_0190163d8694739b962b6e2b9f9d4f4c" for name, text in things.items()}
    form = await stage.form(entry, things)
    outsider = await stage.browser(OUTSIDER)
    before = stage.stand(), stage.stand(stage.matrix.there)

    foreign = await outsider.post(stage.named(entry.url, things), form)
    never_was = await outsider.post(stage.named(entry.url, unknown), form)

    assert (int(foreign.status_code), code_of(foreign)) == (int(never_was.status_code), code_of(never_was))
    assert foreign.status_code == EXPECTED[route][OUTSIDER]
    assert (stage.stand(), stage.stand(stage.matrix.there)) == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_no_page_is_asked_for_in_another_way(stage: Stage, method: str):
    browser = await stage.browser("user-admin")
    paths = {stage.named(entry.url, await stage.kept(entry.about, entry.state)) for entry in CATALOGUE.values()}
    before = stage.stand()

    answers = {path: await browser.send(method, path, headers=SAME_ORIGIN) for path in paths}

    assert {int(answer.status_code) for answer in answers.values()} == {405}
    assert {path: faults for path, answer in answers.items() if (faults := faults_of(answer))} == {}
    assert stage.stand() == before


async def send_large(browser: Browser, path: str) -> int:
    """Post far more than any form of ours holds, and return the status."""
    return int((await browser.post(path, {"text": "x" * 100_000})).status_code)


async def test_a_form_that_is_too_large_is_refused_everywhere(stage: Stage):
    browser = await stage.browser("user-admin")
    paths = {stage.named(entry.url, await stage.kept(entry.about, entry.state)) for entry in map(CATALOGUE.__getitem__, POSTS)}

    assert {path: status for path in paths if (status := await send_large(browser, path)) not in {413, 422}} == {}


async def test_what_is_not_there_stands_in_the_frame_of_whoever_is_signed_in_and_alone_for_others(stage: Stage):
    nowhere, unknown = "/switchboard/nowhere", "/switchboard/security/requests/hro_0190163d8694739b962b6e2b9f9d4f4c"
    posted_alone = "/switchboard/sign-out"
    leaving = await stage.browser(OUTSIDER)
    ended = leaving.copy()
    await leaving.post("/switchboard/sign-out")
    people = {handle: await stage.browser(handle) for handle in ("user-engineer", OUTSIDER, NOBODY)} | {"ended": ended}

    answers = {(who, path): await one.get(path) for who, one in people.items() for path in (nowhere, posted_alone)}
    answers |= {(who, unknown): await people[who].get(unknown) for who in ("user-engineer", OUTSIDER)}

    assert {path: int(answer.status_code) for (_, path), answer in answers.items()} == {
        nowhere: 404,
        unknown: 404,
        posted_alone: 405,
    }
    framed = {asked for asked, answer in answers.items() if 'aria-label="Workspaces"' in answer.text}
    assert framed == {(who, path) for who in ("user-engineer", OUTSIDER) for path in (nowhere, unknown, posted_alone)}
    assert [faults for answer in answers.values() if (faults := faults_of(answer))] == []


REFUSED = {
    "/switchboard/profile/sessions/ses_0190163d8694739b962b6e2b9f9d4f4c/end": 404,
    "/switchboard/profile/tokens": 422,
    "/switchboard/profile/tokens/tok_0190163d8694739b962b6e2b9f9d4f4c/revoke": 404,
    "/switchboard/profile/passkeys/key_0190163d8694739b962b6e2b9f9d4f4c/remove": 404,
    "/switchboard/tenant": 404,
    "/switchboard/security/requests/hro_0190163d8694739b962b6e2b9f9d4f4c/approve": 404,
}
"""Forms about oneself, whose handlers ask for the session alone, and one whose handler asks who looks."""


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
async def test_a_form_that_is_refused_is_answered_in_the_frame_of_whoever_sent_it(stage: Stage, headers: dict[str, str]):
    browser = await stage.browser("user-engineer")
    forms = {path: {"digest": "sha256:0"} if path.endswith("approve") else {} for path in REFUSED}

    answers = {path: await browser.post(path, form, **headers) for path, form in forms.items()}

    assert {path: int(answer.status_code) for path, answer in answers.items()} == REFUSED
    assert {path for path, answer in answers.items() if 'aria-label="Workspaces"' not in answer.text} == set()
    assert {path for path, answer in answers.items() if answer.text.count('id="page"') != 1} == set()
    assert [faults for answer in answers.values() if (faults := faults_of(answer))] == []
