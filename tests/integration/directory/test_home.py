"""The first page: what waits, what is under way, and first steps that tick themselves and can be put away."""

from __future__ import annotations

import re

import pytest

from tests.support.browsers import Browser, browsing, browsing_as
from tests.support.clock import MovableClock
from tests.support.deals import selling
from tests.support.demo_stores import empty_store, world_of_demo
from tests.support.enrolling import with_passkey
from tests.support.world import CAST, World
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings

HOME = "/switchboard"
HOSTILE = "<img src=x onerror=alert(1)>"
ASK, APPROVE, EVIDENCE, SELL = "Ask for access", "Approve what somebody", "Download the evidence", "Turn a quote into"


@pytest.fixture
async def real(world: World) -> World:
    """A tenant that is not marked as demo."""
    made = World(tenant_id=f"real-{world.tenant_id}", container=world.container, clock=world.clock, http=world.http)
    async with made.container.unit_of_work.transaction(made.tenant_id) as tx:
        await directory.create_tenant(tx, made.operator, name="Acme", is_demo=False)
    for handle, roles in CAST.items():
        await made.add_person(handle, *roles)
    await made.add_target()
    return made


async def done(browser: Browser) -> list[str]:
    """Return the steps that are ticked, each by how it begins."""
    page = (await browser.get(HOME)).text
    ticked = re.findall(r'<li class="is-done">.*?<b>(.*?)</b>', page, re.DOTALL)
    known = ("Sign in with a passkey", "Come in with", ASK, APPROVE, EVIDENCE, SELL)
    return [next(begin for begin in known if text.startswith(begin)) for text in ticked]


async def steps_to_take(browser: Browser) -> dict[str, str]:
    """Return for each step that is not ticked, by how it begins, where it leads, or what is said instead."""
    page = (await browser.get(HOME)).text
    found = {}
    for item in re.findall(r'<ol class="checklist">(.*?)</ol>', page, re.DOTALL)[0].split("<li")[1:]:
        text = re.sub(r"<[^>]+>", "", item.partition(">")[2])
        link = re.search(r'<a [^>]*?href="([^"]+)"', item)
        said = re.search(r'<span class="hint">(.*?)</span>', item)
        begin = next((one for one in (ASK, APPROVE, EVIDENCE, SELL) if one in text), None)
        if begin is not None and "is-done" not in item:
            found[begin] = link[1] if link is not None else said[1]
    return found


def section(page: str, title: str) -> str:
    """Return the list of this title."""
    match = re.search(rf'<section class="card" aria-label="{title}">.*?</section>', page, re.DOTALL)
    assert match is not None, page
    return match[0]


async def test_it_shows_what_waits_for_the_viewer_and_what_they_have_under_way(world: World):
    deals = await selling(world)
    await world.active(justification=HOSTILE)
    request = await world.ask(justification=HOSTILE)
    quote = await deals.submitted()
    shown = {}
    for handle in ("user-engineer", "user-security", "user-ae", "user-manager"):
        async with browsing_as(world, handle) as browser:
            shown[handle] = (await browser.get(HOME)).text

    own = section(shown["user-engineer"], "My requests and access")
    assert own.count("<li>") == 2
    assert "Auto-reverts" in own
    assert f"/switchboard/security/requests/{request['id']}" in section(shown["user-security"], "Requests that need my approval")
    assert f"/switchboard/revops/quotes/{quote['id']}" in section(shown["user-manager"], "Quotes that need my approval")
    assert f"/switchboard/revops/quotes/{quote['id']}" in section(shown["user-ae"], "My quotes")
    assert "Quotes that need" not in shown["user-security"]
    assert "Requests that need" not in shown["user-ae"]
    assert all(HOSTILE not in page for page in shown.values())


async def test_the_steps_tick_themselves_by_what_the_person_has_done(real: World):
    world = real
    deals = await selling(world)
    async with browsing_as(world, "user-engineer") as engineer, browsing_as(world, "user-security") as officer:
        before = await done(engineer)
        request = await world.ask()
        await world.act("user-security", request["id"], "approve", {"effect_digest": request["effect_digest"]})
        asked, approved = await done(engineer), await done(officer)
        await engineer.get(f"/switchboard/evidence/high-risk-ops/{request['id']}")
        downloaded = await done(engineer)
    await deals.act("user-ae", await deals.approved(), "activate")
    async with browsing_as(world, "user-ae") as seller:
        sold = await done(seller)

    assert (before, asked, approved) == ([], [ASK], [APPROVE])
    assert downloaded == [ASK, EVIDENCE]
    assert sold == [SELL]


async def test_a_step_leads_on_whoever_can_take_it_and_tells_others_which_role_it_takes(real: World):
    await selling(real)
    leads_to = {ASK: f"{HOME}/security/requests/new", APPROVE: f"{HOME}/security/inbox", SELL: f"{HOME}/revops/quotes"}
    takes = {
        ASK: "Takes the role engineer.",
        APPROVE: "Takes the role security officer or team lead.",
        SELL: "Takes the role account executive.",
    }
    can = {"user-engineer": {ASK}, "user-security": {APPROVE}, "user-ae": {SELL}, "user-manager": set(), "user-auditor": set()}

    told = {}
    for handle in can:
        async with browsing_as(real, handle) as browser:
            told[handle] = await steps_to_take(browser)

    everybody = {EVIDENCE: f"{HOME}/security/requests"}
    assert told == {
        handle: everybody | {step: leads_to[step] if step in steps else takes[step] for step in leads_to}
        for handle, steps in can.items()
    }


async def test_the_first_step_is_a_passkey_of_ones_own(real: World):
    await with_passkey(real, real.container.sign_in, "user-engineer")
    async with browsing_as(real, "user-engineer") as with_one, browsing_as(real, "user-ae") as without:
        assert (await done(with_one), await done(without)) == (["Sign in with a passkey"], [])


async def test_hidden_steps_stay_hidden_for_this_person_alone_in_every_browser(world: World):
    async with browsing_as(world, "user-engineer") as browser, browsing_as(world, "user-ae") as other:
        answers = [await browser.post(f"{HOME}/first-steps/hide") for _ in range(2)]
        mine, theirs = (await browser.get(HOME)).text, (await other.get(HOME)).text
    async with browsing_as(world, "user-engineer") as later:
        still = (await later.get(HOME)).text

    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, HOME)] * 2
    assert "First steps" in theirs
    assert "First steps" not in mine + still


async def test_a_form_of_another_session_hides_nothing(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        refused = await browser.post(f"{HOME}/first-steps/hide", csrf=None)
        page = (await browser.get(HOME)).text
    async with browsing(world) as stranger:
        turned_away = await stranger.get(HOME, Accept="text/html")

    assert (refused.status_code, turned_away.status_code) == (403, 303)
    assert "First steps" in page


@pytest.mark.slow
async def test_in_a_demo_what_anybody_did_who_came_in_counts_and_the_words_say_so(settings: Settings, clock: MovableClock):
    async with world_of_demo(empty_store(settings, demo_sign_in=True), clock) as world:
        await world.add_person("user-security", Role.SECURITY_OFFICER)
        await world.add_target()
        await world.ask()
        async with browsing_as(world, "user-auditor") as visitor:
            before = await visitor.get(HOME)
            async with browsing_as(world, "user-engineer") as engineer:
                await engineer.get(HOME)
                after = await visitor.get(HOME)

    assert "This is demo data" in before.text
    assert "Demo data" in re.sub(r"<[^>]+>", "", before.text)
    assert [len(re.findall('<li class="is-done">', page.text)) for page in (before, after)] == [1, 2]
    assert "<b>Come in as an engineer, and ask for access</b>" in after.text
