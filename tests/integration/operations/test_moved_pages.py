"""What a decision meets that is not what was on the screen: a page with the difference, and nothing of it on record."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.integration.operations.test_request_pages import looking
from tests.integration.operations.test_running_pages import REQUESTS, fields_of, send
from tests.support.stored import FLOW_TABLES, rows
from tests.support.worlds import ScriptedWorld
from trustpack.kernel.actor import Role

REASON = {"approve": {}, "reject": {"text": "Too wide for me"}, "cancel": {}, "execute": {}}


async def everything(world: ScriptedWorld) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return every row of the tenant that a decision could change."""
    tables = (*FLOW_TABLES, "jobs", "log_outbox")
    return {table: sorted(map(str, await rows(world, f"SELECT * FROM trustpack.{table}"))) for table in tables}


async def reopened(world: ScriptedWorld, request: dict[str, Any]) -> dict[str, Any]:
    """Have another installation answer, so that the execution of an approved request voids its approvals."""
    world.target.installation = "second"
    await world.act("user-engineer", request["id"], "execute")
    return await world.read(request["id"])


def lines_of(page: str, sign: str) -> list[str]:
    found = re.findall(rf'<li class="is-{sign}">.*?<span>([^<]*)</span></li>', page)
    return [html.unescape(line) for line in found]


@pytest.mark.parametrize(
    ("command", "handle"),
    [("approve", "user-team-lead"), ("reject", "user-team-lead"), ("cancel", "user-engineer"), ("execute", "user-engineer")],
)
async def test_what_was_not_on_the_screen_is_not_decided(scripted: ScriptedWorld, command: str, handle: str) -> None:
    request = await (scripted.approved() if command == "execute" else scripted.ask())
    async with looking(scripted, handle) as browser:
        fields = {**await fields_of(browser, request["id"], command), **REASON[command]}
        if command != "execute":
            for approver in ("user-lead-and-security", "user-security"):
                await scripted.act(approver, request["id"], "approve", {"effect_digest": request["effect_digest"]})
        await reopened(scripted, request)
        if command == "execute":
            again = (await scripted.read(request["id"]))["effect_digest"]
            for approver in ("user-team-lead", "user-security"):
                await scripted.act(approver, request["id"], "approve", {"effect_digest": again})
        before = await everything(scripted)
        answer = await browser.post(f"{REQUESTS}/{request['id']}/{command}", fields)
        after = await everything(scripted)

    assert answer.status_code == 409
    assert after == before
    identity = [line for line in lines_of(answer.text, "removed") if '"identity"' in line]
    assert len(identity) == 1
    assert [line for line in lines_of(answer.text, "added") if '"identity"' in line] != identity
    assert "Drift detected" in answer.text
    assert REASON[command].get("text", "") in answer.text
    assert request["effect_digest"][7:19] in answer.text


async def test_a_lost_role_shows_that_only_the_round_is_another(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    async with looking(scripted, "user-lead-and-security") as browser:
        await scripted.change_role("user-security", Role.SECURITY_OFFICER, grant=False)
        await scripted.act("user-engineer", request["id"], "execute")
        answer = await browser.post(f"{REQUESTS}/{request['id']}/approve", {"digest": request["effect_digest"], "version": "3"})

    assert lines_of(answer.text, "removed") == ['  "approval_round": 1,']
    assert lines_of(answer.text, "added") == ['  "approval_round": 2,']


async def test_an_execution_that_finds_the_target_changed_shows_what_changed(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.installation = "second"
    async with looking(scripted, "user-engineer") as browser:
        answer = await send(browser, request["id"], "execute")

    assert answer.status_code == 409
    assert "The approvals no longer hold" in answer.text
    assert [line for line in lines_of(answer.text, "added") if '"identity"' in line] != []
    assert scripted.target.roles == {}


@pytest.mark.parametrize(("command", "handle"), [("approve", "user-team-lead"), ("reject", "user-team-lead")])
async def test_somebody_who_decided_first_is_named(scripted: ScriptedWorld, command: str, handle: str) -> None:
    request = await scripted.ask()
    async with looking(scripted, handle) as browser:
        fields = {**await fields_of(browser, request["id"], command), **REASON[command]}
        await scripted.act("user-security", request["id"], "reject", {"reason": "Not today"})
        before = await everything(scripted)
        answer = await browser.post(f"{REQUESTS}/{request['id']}/{command}", fields)
        after = await everything(scripted)

    assert (answer.status_code, after == before) == (409, True)
    assert "Somebody decided first" in answer.text
    assert "The request is rejected now" in answer.text
    [happened] = re.findall(r'<ol class="timeline".*?</ol>', answer.text, re.DOTALL)
    assert "user-security" in happened
    assert "Rejected" in happened


async def test_another_vote_meanwhile_is_no_conflict(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    async with looking(scripted, "user-team-lead") as browser:
        fields = await fields_of(browser, request["id"], "approve")
        await scripted.act("user-security", request["id"], "approve", {"effect_digest": request["effect_digest"]})
        answer = await browser.post(f"{REQUESTS}/{request['id']}/approve", fields)

    assert (answer.status_code, (await scripted.read(request["id"]))["status"]) == (303, "approved")


@pytest.mark.parametrize("command", ["approve", "reject", "cancel"])
async def test_pressing_twice_decides_once_and_leads_to_the_request(scripted: ScriptedWorld, command: str) -> None:
    request = await scripted.ask()
    handle = "user-engineer" if command == "cancel" else "user-team-lead"
    async with looking(scripted, handle) as browser:
        fields = {**await fields_of(browser, request["id"], command), **REASON[command]}
        path = f"{REQUESTS}/{request['id']}/{command}"
        answers = await asyncio.gather(*(browser.copy().post(path, fields) for _ in range(4)))

    assert [answer.status_code for answer in answers] == [303] * 4
    assert len(await scripted.actions(request["id"])) == len(["requested", command])
    assert len((await scripted.read(request["id"]))["approvals"]) == (command != "cancel")


async def test_a_version_that_is_no_number_is_shown_as_a_fault(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    async with looking(scripted, "user-team-lead") as browser:
        fields = {"digest": request["effect_digest"], "version": "one"}
        answer = await browser.post(f"{REQUESTS}/{request['id']}/approve", fields)

    assert answer.status_code == 422
    assert await scripted.actions(request["id"]) == ["requested"]
