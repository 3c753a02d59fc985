"""The form for a new request: what it previews, what it keeps, and that it asks once."""

from __future__ import annotations

import asyncio
import html
import re

import httpx2

from tests.support.browsers import Browser, browsing_as
from tests.support.page_forms import ReadPage
from tests.support.store import rows_as_owner
from tests.support.world import RECORD_TARGET, World

REQUESTS = "/switchboard/security/requests"
NEW = f"{REQUESTS}/new"
HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"
SCOPED = {**RECORD_TARGET, "name": "orders-eu", "scopes": ["acme"]}
STAGING = {**RECORD_TARGET, "name": "orders-staging", "environment": "staging", "scopes": ["acme", "umbrella"]}


def text_of(response: httpx2.Response) -> str:
    """Return what a page says, without its marks."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text)))


def value_of(response: httpx2.Response, name: str) -> str:
    """Return what an input or a text area of a page holds."""
    found = re.search(rf'<input[^>]*(?:value="([^"]*)"[^>]*name="{name}"|name="{name}"[^>]*value="([^"]*)")', response.text)
    area = re.search(rf'<textarea[^>]*name="{name}"[^>]*>(.*?)</textarea>', response.text, re.DOTALL)
    select = re.search(rf'<select[^>]*name="{name}".*?<option value="([^"]*)" selected', response.text, re.DOTALL)
    match = found or area or select
    assert match is not None, response.text
    return html.unescape(next(group for group in match.groups() if group is not None))


async def filled(browser: Browser, **changes: str) -> dict[str, str]:
    """Return the fields of a fresh form, filled in."""
    fields = {
        "target": "orders-prod",
        "environment": "prod",
        "scope": "acme",
        "minutes": "60",
        "justification": "Investigate stuck refunds",
        "ticket": "INC-2041",
        "key": value_of(await browser.get(NEW), "key"),
        "step": "ask",
    }
    return {**fields, **changes}


def traces(world: World) -> dict[str, int]:
    """Return how much of each kind the tenant's store holds."""
    tables = ("high_risk_requests", "receipts", "policy_decisions", "usage_events", "idempotency_keys")
    query = " UNION ALL ".join(
        f"SELECT '{one}' AS kind, count(*) AS n FROM trustpack.{one} WHERE tenant_id = %s" for one in tables
    )
    return {row["kind"]: row["n"] for row in rows_as_owner(world.container.settings, query, *[world.tenant_id] * len(tables))}


async def requests_of(world: World) -> list[dict[str, object]]:
    return list((await world.call("user-auditor", "GET", "/high-risk-ops/requests")).json()["items"])


async def test_the_preview_says_who_would_be_needed_and_what_would_run_and_leaves_no_trace(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        fields = await filled(browser, scope="umbrella", justification="", key="")
        before = traces(world)
        shown = await browser.post(f"{NEW}/preview", fields)

    said = text_of(shown)
    assert shown.status_code == 200
    assert "once 2 different people have approved it" in said
    assert "could be user-lead-and-security or user-team-lead" in said
    assert "tenant umbrella" in said
    assert "user-engineer" not in said.replace("user-engineer-2", "")
    assert traces(world) == before


async def test_the_preview_says_the_same_as_the_one_of_the_api(world: World):
    body = {
        "type": "TEMP_DB_READ_ACCESS",
        "environment": "prod",
        "target": {"database": "orders-prod", "scope": {"tenant": "acme"}},
        "duration_minutes": 60,
        "justification": "x",
    }
    answer = (await world.call("user-engineer", "POST", "/high-risk-ops/requests/preview", body)).json()
    async with browsing_as(world, "user-engineer") as browser:
        said = text_of(await browser.post(f"{NEW}/preview", await filled(browser)))

    assert all(re.sub(r"\s+", " ", statement) in said for statement in answer["effect"]["statements"])
    assert {person["handle"] for people in answer["could_approve"].values() for person in people} <= set(
        re.findall(r"[\w-]+", said)
    )


async def test_the_preview_says_why_not(world: World):
    await world.add_target(SCOPED)
    async with browsing_as(world, "user-engineer") as engineer, browsing_as(world, "user-ae") as seller:
        long = text_of(await engineer.post(f"{NEW}/preview", await filled(engineer, minutes="600")))
        denied = text_of(await seller.post(f"{NEW}/preview", await filled(seller)))
        other = text_of(await engineer.post(f"{NEW}/preview", await filled(engineer, target="orders-eu", scope="x")))

    assert "Policy would deny this" in long
    assert "The duration may be at most" in long
    assert "The requester needs the role" in denied
    assert "Exactly what would run" not in denied
    assert "orders-eu offers no scope called 'x'" in other


async def test_choosing_a_target_chooses_its_environment_and_offers_its_scopes(world: World):
    await world.add_target(STAGING)
    async with browsing_as(world, "user-engineer") as browser:
        shown = await browser.post(f"{NEW}/preview", await filled(browser, target="orders-staging", scope="other"))

    assert (value_of(shown, "environment"), value_of(shown, "scope")) == ("staging", "acme")
    assert '<option value="umbrella">' in shown.text


async def test_faults_stand_beside_their_fields_and_nothing_typed_is_lost(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        fields = await filled(browser, minutes="soon", justification=" ", ticket="two words", scope=HOSTILE)
        shown = await browser.post(NEW, fields)

    faults = set(re.findall(r'id="field-(\w+)-fault"', shown.text))
    assert shown.status_code == 422
    assert faults == {"minutes", "justification", "ticket"}
    assert {name: value_of(shown, name) for name in ("minutes", "ticket", "scope")} == {
        "minutes": "soon",
        "ticket": "two words",
        "scope": HOSTILE,
    }
    assert HOSTILE not in shown.text
    assert await requests_of(world) == []


async def test_what_the_target_does_not_offer_is_said_and_the_next_try_goes_through(world: World):
    await world.add_target(SCOPED)
    async with browsing_as(world, "user-engineer") as browser:
        fields = await filled(browser, target="orders-eu", scope="x")
        refused, twice = await browser.post(NEW, fields), await browser.post(NEW, fields)
        sent = await browser.post(NEW, {**fields, "scope": "acme", "key": value_of(refused, "key")})

    assert (refused.status_code, twice.status_code) == (422, 422)
    assert "orders-eu offers no scope called 'x'" in text_of(refused)
    assert sent.status_code == 303
    assert len(await requests_of(world)) == 1


async def test_a_request_is_created_as_the_api_would_and_its_page_opens(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        sent = await browser.post(NEW, await filled(browser))
        shown = await browser.get(sent.headers["location"])
    [request] = await requests_of(world)

    assert sent.status_code == 303
    assert shown.status_code == 200
    assert sent.headers["location"].endswith(str(request["id"]))
    assert (request["duration_seconds"], request["justification"], request["ticket"]) == (
        3600,
        "Investigate stuck refunds",
        "INC-2041",
    )
    assert await world.actions(str(request["id"])) == ["requested"]


async def test_a_denied_request_becomes_its_page(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        sent = await browser.post(NEW, await filled(browser, minutes="600"))
        shown = await browser.get(sent.headers["location"])
    [request] = await requests_of(world)

    assert (sent.status_code, request["status"]) == (303, "denied")
    assert "Denied" in text_of(shown)


async def test_a_form_that_is_sent_again_asks_once(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        fields = await filled(browser)
        answers = await asyncio.gather(*(browser.copy().post(NEW, fields) for _ in range(4)))
        later = await browser.post(NEW, fields)

    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in (*answers, later)}) == 1
    assert len(await requests_of(world)) == 1


async def test_a_form_that_was_changed_after_it_was_sent_asks_before_it_asks_for_more(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        fields = await filled(browser)
        await browser.post(NEW, fields)
        changed = await browser.post(NEW, {**fields, "minutes": "30"})
        assert len(await requests_of(world)) == 1
        again = await browser.post(NEW, {**fields, "minutes": "30", "key": value_of(changed, "key")})

    assert changed.status_code == 409
    assert value_of(changed, "minutes") == "30"
    assert again.status_code == 303
    assert len(await requests_of(world)) == 2


async def test_the_preview_button_shows_the_page_again_and_creates_nothing(world: World):
    async with browsing_as(world, "user-engineer") as browser:
        fields = await filled(browser, justification="", step="preview")
        before = traces(world)
        shown = await browser.post(NEW, fields)

    assert shown.status_code == 200
    assert "once 2 different people have approved it" in text_of(shown)
    assert 'id="field-justification-fault"' not in shown.text
    assert traces(world) == before


async def test_a_form_that_was_refused_leads_back_to_the_list_that_it_was_opened_from(world: World):
    query = "?status=cancelled&requester=me"
    request = await world.ask()
    await world.act("user-engineer", request["id"], "cancel", {"reason": "No need any more"})
    async with browsing_as(world, "user-engineer") as browser:
        pages = [await browser.get(f"{REQUESTS}{path}{query}") for path in ("", f"/{request['id']}")]
        paths = {link for page in pages for link in ReadPage(page.text).links if link.startswith(NEW)}
        answers = {path: await browser.post(path, await filled(browser, minutes="none")) for path in paths}

    assert paths == {NEW + query, f"{NEW}?like={request['id']}&{query[1:]}"}
    assert {answer.status_code for answer in answers.values()} == {422}
    read = [ReadPage(answer.text) for answer in answers.values()]
    assert [REQUESTS + query in page.links for page in read] == [True] * 2
    assert [bool(page.form_to(NEW + query)) for page in read] == [True] * 2


async def test_asking_again_fills_the_form_with_what_was_asked_for(world: World):
    request = await world.ask(duration_minutes=45, justification=HOSTILE)
    async with browsing_as(world, "user-engineer") as own, browsing_as(world, "user-engineer-2") as other:
        shown = await own.get(f"{NEW}?like={request['id']}")
        hidden = await other.get(f"{NEW}?like={request['id']}")

    kept = {name: value_of(shown, name) for name in ("target", "environment", "scope", "minutes", "justification", "ticket")}
    assert kept == {
        "target": "orders-prod",
        "environment": "prod",
        "scope": "acme",
        "minutes": "45",
        "justification": HOSTILE,
        "ticket": "INC-2041",
    }
    assert hidden.status_code == 404
