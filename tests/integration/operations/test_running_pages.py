"""Execute, credentials and revert on the pages: used as a browser does, on targets that do what the test says."""

from __future__ import annotations

import asyncio
import html
import re
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest

from tests.integration.operations.test_request_pages import looking
from tests.support.browsers import Browser, code_of
from tests.support.cases import settle
from tests.support.scripted_target import held_until, refused, unavailable
from tests.support.stored import counts, run_due, tables_holding
from tests.support.worlds import ScriptedWorld
from trustpack.capabilities.operations.model import OtherTeam

REQUESTS = "/switchboard/security/requests"
DECIDING = ("approve", "reject", "cancel", "execute", "credentials", "revert")


async def fields_of(browser: Browser, request_id: str, command: str) -> dict[str, str]:
    """Return the hidden fields of a form as the page without scripts shows it."""
    page = (await browser.get(f"{REQUESTS}/{request_id}?ask={command}")).text
    [form] = re.findall(rf'<form method="post" action="{REQUESTS}/{request_id}/{command}".*?</form>', page, re.DOTALL)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in hidden if name != "form_token"}


async def send(browser: Browser, request_id: str, command: str, **entered: str) -> httpx2.Response:
    """Open the form of a command, fill it in, and send it."""
    fields = await fields_of(browser, request_id, command)
    return await browser.post(f"{REQUESTS}/{request_id}/{command}", {**fields, **entered})


async def shown(browser: Browser, request_id: str, part: str = "") -> str:
    return (await browser.get(f"{REQUESTS}/{request_id}{part}")).text


async def status_of(world: ScriptedWorld, request_id: str) -> str:
    return str((await world.read(request_id))["status"])


async def test_an_approved_request_is_executed_and_counts_down(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    async with looking(scripted, "user-engineer") as browser:
        answer = await send(browser, request["id"], "execute")
        page = await shown(browser, request["id"])

    assert (answer.status_code, answer.headers["location"]) == (303, f"{REQUESTS}/{request['id']}")
    assert await status_of(scripted, request["id"]) == "active"
    [until] = re.findall(r'role="timer" aria-live="off" data-until="([^"]+)"', page)
    assert until == (await scripted.read(request["id"]))["grant"]["expires_at"]


async def test_a_target_that_takes_its_time_is_shown_as_executing(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    release = asyncio.Event()
    scripted.target.script("grant", held_until(release))
    async with looking(scripted, "user-engineer") as browser:
        answer = await send(browser, request["id"], "execute")
        waiting = await shown(browser, request["id"])
        release.set()
        await settle(scripted, request["id"])
        done = await shown(browser, request["id"])

    assert answer.status_code == 303
    assert "Executing…" in waiting
    assert f'href="{REQUESTS}/{request["id"]}"' in re.findall(r'<div class="notice.*?</div>', waiting, re.DOTALL)[0]
    assert "data-until" in done


async def test_an_execution_that_the_target_refuses_says_why(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.script("grant", refused)
    async with looking(scripted, "user-engineer") as browser:
        await send(browser, request["id"], "execute")
        page = await shown(browser, request["id"])

    assert "Failed because" in page
    assert "The target is read-only." in page


async def test_executing_twice_makes_one_grant_and_leads_back_to_the_request(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    async with looking(scripted, "user-engineer") as browser:
        fields = await fields_of(browser, request["id"], "execute")
        answers = [await browser.post(f"{REQUESTS}/{request['id']}/execute", fields) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert await counts(scripted, "executions", "grants") == {"executions": 1, "grants": 1}


async def test_credentials_are_shown_once_and_stand_in_no_other_answer(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    async with looking(scripted, "user-engineer") as browser:
        fields = await fields_of(browser, request["id"], "credentials")
        answer = await browser.post(f"{REQUESTS}/{request['id']}/credentials", fields)
        [password] = scripted.target.passwords
        again = await browser.post(f"{REQUESTS}/{request['id']}/credentials", fields)
        others = [await shown(browser, request["id"], part) for part in ("", "/access", "/evidence", "/credentials")]

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers
    assert "content-encoding" not in answer.headers
    [line] = re.findall(r'<span class="code secret">(psql .*?)</span>', answer.text)
    role = request["grant"]["role_name"]
    assert html.unescape(line) == f"psql 'postgresql://{role}:{password}@127.0.0.1:5432/orders'"
    assert again.status_code == 409
    assert 'name="rotate" value="yes"' in again.text
    assert all(password not in text for text in (again.text, *others))
    assert tables_holding(scripted, password) == []


async def test_the_address_of_credentials_leads_to_the_question(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    async with looking(scripted, "user-engineer") as browser:
        answer = await browser.get(f"{REQUESTS}/{request['id']}/credentials")

    assert (answer.status_code, answer.headers["location"]) == (303, f"{REQUESTS}/{request['id']}?ask=credentials")


async def test_credentials_are_replaced_by_those_who_ask_for_it(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    async with looking(scripted, "user-engineer") as browser:
        await send(browser, request["id"], "credentials")
        [first] = scripted.target.passwords
        answer = await send(browser, request["id"], "credentials")

    assert answer.status_code == 200
    assert scripted.target.passwords != [first]
    assert (await scripted.actions(request["id"]))[-2:] == ["credentials_issued", "credentials_rotated"]


async def test_credentials_that_the_target_did_not_take_are_no_page_with_a_secret(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("set_verifier", unavailable)
    async with looking(scripted, "user-engineer") as browser:
        failed = await send(browser, request["id"], "credentials")
        then = await send(browser, request["id"], "credentials")

    assert (failed.status_code, code_of(failed), then.status_code) == (503, "operations.target_unavailable", 200)


@pytest.mark.parametrize("typed", ["short", "whole"])
async def test_access_is_ended_by_somebody_who_types_which(scripted: ScriptedWorld, typed: str) -> None:
    request = await scripted.active()
    text = request["id"] if typed == "whole" else request["id"][-8:].upper()
    async with looking(scripted, "user-security") as browser:
        wrong = await send(browser, request["id"], "revert", typed_id="another", text="Found the cause")
        before = await status_of(scripted, request["id"])
        hasty = await send(browser, request["id"], "revert", typed_id=text, text="done")
        answer = await send(browser, request["id"], "revert", typed_id=text, text="Found the cause")
        page = await shown(browser, request["id"], "/evidence")

    assert (wrong.status_code, hasty.status_code, before) == (422, 422, "active")
    assert 'id="field-revert-typed_id-fault"' in wrong.text
    assert ">Found the cause</textarea>" in wrong.text
    assert (answer.status_code, await status_of(scripted, request["id"])) == (303, "reverted")
    assert "“Found the cause”" in html.unescape(page)


async def test_a_revert_that_is_not_proven_offers_to_try_again(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("revert", unavailable)
    async with looking(scripted, "user-admin") as browser:
        await send(browser, request["id"], "revert", typed_id=request["id"], text="Found the cause")
        stuck = await shown(browser, request["id"])
        await send(browser, request["id"], "revert", typed_id=request["id"], text="Found the cause")

    assert "is not proven yet" in stuck
    assert "Try to revert now" in stuck
    assert await status_of(scripted, request["id"]) == "reverted"


@pytest.mark.parametrize("command", ["execute", "credentials", "revert"])
async def test_what_is_not_offered_is_refused_as_the_api_refuses_it(scripted: ScriptedWorld, command: str) -> None:
    request = await (scripted.approved() if command == "execute" else scripted.active())
    entered = {"typed_id": request["id"], "text": "Found the cause"} if command == "revert" else {}
    async with looking(scripted, "user-auditor") as browser:
        answer = await browser.post(f"{REQUESTS}/{request['id']}/{command}", {"digest": request["effect_digest"], **entered})

    expected = "operations.revert_forbidden" if command == "revert" else "operations.requester_only"
    assert (answer.status_code, code_of(answer)) == (403, expected)
    assert await status_of(scripted, request["id"]) == request["status"]


@pytest.mark.parametrize(
    ("command", "handle", "code"),
    [
        ("approve", "user-engineer", "operations.self_approval_forbidden"),
        ("approve", "user-auditor", "operations.role_not_required"),
        ("reject", "user-auditor", "operations.role_not_required"),
        ("cancel", "user-team-lead", "operations.requester_only"),
        ("revert", "user-auditor", "operations.revert_forbidden"),
    ],
)
async def test_what_was_written_with_a_decision_that_is_not_theirs_is_given_back_beside_the_list(
    scripted: ScriptedWorld, command: str, handle: str, code: str
) -> None:
    request = await (scripted.active() if command == "revert" else scripted.ask())
    query, text = f"?status={request['status']}", '"><img src=x onerror=alert(1)>{{7*7}}'
    entered = {"typed_id": request["id"]} if command == "revert" else {}
    fields = {"digest": request["effect_digest"], "text": f" {text}\n", **entered}
    async with looking(scripted, handle) as browser:
        answer = await browser.post(f"{REQUESTS}/{request['id']}/{command}{query}", fields)

    given_back = re.search(r'What you wrote</h2><p class="row"><span>([^<]*)</span><button[^>]*data-copy="([^"]*)"', answer.text)
    assert (answer.status_code, code_of(answer)) == (403, code)
    assert [html.unescape(one) for one in (given_back.groups() if given_back else ())] == [text, text]
    assert f'href="{REQUESTS}{query}" aria-label="Back to the list"' in answer.text
    assert await status_of(scripted, request["id"]) == request["status"]


async def test_what_was_written_with_a_decision_that_is_still_theirs_stands_in_its_form(
    scripted: ScriptedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await scripted.ask()
    refused_once = AsyncMock(side_effect=OtherTeam)
    async with looking(scripted, "user-team-lead") as browser:
        fields = await fields_of(browser, request["id"], "approve")
        monkeypatch.setattr("trustpack.capabilities.operations.service.voting.approve", refused_once)
        answer = await browser.post(f"{REQUESTS}/{request['id']}/approve", {**fields, "text": "Checked by hand"})

    assert (answer.status_code, OtherTeam.title in html.unescape(answer.text)) == (403, True)
    assert ">Checked by hand</textarea>" in answer.text
    assert "What you wrote" not in answer.text


@pytest.mark.parametrize("command", DECIDING)
async def test_nobody_of_another_tenant_reaches_a_decision(scripted: ScriptedWorld, world: Any, command: str) -> None:
    request = await scripted.active()
    fields = {"digest": request["effect_digest"], "text": "From elsewhere"}
    async with looking(world, "user-admin") as stranger:
        asked = await stranger.get(f"{REQUESTS}/{request['id']}?ask={command}")
        typed = {"typed_id": request["id"]} if command == "revert" else {}
        posted = await stranger.post(f"{REQUESTS}/{request['id']}/{command}", {**fields, **typed})

    assert (asked.status_code, posted.status_code) == (404, 404)


@pytest.mark.parametrize("command", ["execute", "credentials", "revert"])
async def test_what_runs_on_the_target_needs_the_token_and_a_recent_sign_in(scripted: ScriptedWorld, command: str) -> None:
    request = await (scripted.approved() if command == "execute" else scripted.active())
    entered = {"typed_id": request["id"], "text": "Found the cause"} if command == "revert" else {}
    fields = {"digest": request["effect_digest"], **entered}
    async with looking(scripted, "user-engineer") as browser:
        forged = await browser.post(f"{REQUESTS}/{request['id']}/{command}", fields, csrf=None)
        scripted.clock.advance(minutes=11)
        late = await browser.post(f"{REQUESTS}/{request['id']}/{command}", fields)

    assert (forged.status_code, code_of(forged), late.status_code) == (403, "auth.csrf_refused", 401)
    assert "Confirm that it is you" in late.text
    assert await status_of(scripted, request["id"]) == request["status"]
    assert scripted.target.passwords == []
    await run_due(scripted)
