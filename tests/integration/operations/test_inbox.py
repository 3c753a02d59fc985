"""What waits for somebody's yes: exactly what that yes would get on, counted and listed alike."""

from __future__ import annotations

import html
import random
import re
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from tests.support.browsers import browsing_as
from tests.support.stored import run_due
from tests.support.world import World
from trustpack.capabilities import approvals, directory
from trustpack.capabilities.operations.model import HighRiskRequest, Status
from trustpack.capabilities.operations.service import reading, voting, waiting
from trustpack.kernel.actor import Role
from trustpack.kernel.errors import TrustpackError

INBOX = "/switchboard/security/inbox"
REQUESTS = "/switchboard/security/requests"
REQUESTS = "/switchboard/security/requests"
VOTERS = ("user-team-lead", "user-team-lead-2", "user-security", "user-lead-and-security", "user-asking-lead", "user-finance")
LOSABLE = (("user-team-lead", Role.TEAM_LEAD), ("user-security", Role.SECURITY_OFFICER), ("user-finance", Role.TEAM_LEAD))


class RolledBackError(Exception):
    """Ends a transaction whose changes nobody wants."""


async def inbox_of(world: World, handle: str, *, limit: int = 200) -> list[str]:
    """Return the ids of what waits for somebody."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        actor = await directory.actor_of(tx, handle)
        found = await waiting.needs_my_approval(tx, world.container.operations, actor, limit=limit)
        assert await waiting.count_that_need_me(tx, world.container.operations, actor) == min(
            len(found.views), waiting.MOST_COUNTED
        )
    return [view.request.id for view in found.views]


async def would_get_on(world: World, handle: str, request_id: str) -> bool:
    """Try the real approval, say whether it filled an open role or completed the request, and undo it."""
    operations, found = world.container.operations, []
    with suppress(RolledBackError, TrustpackError):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            actor = await directory.actor_of(tx, handle)
            request = await reading.find_readable(tx, actor, request_id)
            before = await open_roles(world, tx, request)
            digest = request.effect_digest
            outcome = await voting.approve(tx, operations, actor, request_id, digest=digest, comment=None, role=None)
            if isinstance(outcome, HighRiskRequest):
                found.append(outcome.status == Status.APPROVED or await open_roles(world, tx, outcome) < before)
            undo()
    return any(found)


def undo() -> None:
    """Have the transaction around the call rolled back."""
    raise RolledBackError


async def open_roles(world: World, tx, request: HighRiskRequest) -> int:
    """Return how many roles of a request are open."""
    votes = await approvals.votes_of_one(tx, request.id)
    voters = await voting.voters_now(tx, [vote.person_id for vote in votes])
    ballot = voting.ballot_of(request, world.container.operations)
    return len(approvals.decide_quorum(ballot.required, approvals.standing_votes(votes, ballot, voters)).open)


async def live(world: World, chance: random.Random) -> None:
    """Let something happen, whether it is allowed or not."""
    requests = (await world.call("user-auditor", "GET", "/high-risk-ops/requests")).json()["items"]
    match chance.choice(("ask", "approve", "approve", "approve", "reject", "cancel", "role", "role", "wait")):
        case "ask":
            await world.ask(chance.choice(("user-engineer", "user-engineer-2", "user-asking-lead")))
        case "approve" if requests:
            request = chance.choice(requests)
            await world.act(chance.choice(VOTERS), request["id"], "approve", {"effect_digest": request["effect_digest"]})
        case "reject" if requests and chance.random() < 0.3:
            await world.act(chance.choice(VOTERS), chance.choice(requests)["id"], "reject", {"reason": "No"})
        case "cancel" if requests and chance.random() < 0.3:
            await world.act("user-engineer", chance.choice(requests)["id"], "cancel")
        case "role":
            handle, role = chance.choice(LOSABLE)
            await world.change_role(handle, role, grant=chance.random() < 0.6)
        case "wait":
            world.clock.advance(minutes=chance.choice((5, 60)))


async def peopled(world: World) -> None:
    """Add the people whose votes are the difficult ones."""
    await world.add_person("user-team-lead-2", Role.TEAM_LEAD)
    await world.add_person("user-asking-lead", Role.ENGINEER, Role.TEAM_LEAD)
    await world.add_person("user-finance", Role.FINANCE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_a_request_waits_for_somebody_exactly_when_their_yes_would_get_it_on(world: World, seed: int):
    chance = random.Random(seed)
    await peopled(world)
    for _ in range(5):
        await world.ask(chance.choice(("user-engineer", "user-asking-lead")))
    for _ in range(3):
        for _ in range(12):
            await live(world, chance)
        requests = (await world.call("user-auditor", "GET", "/high-risk-ops/requests")).json()["items"]
        for handle in (*VOTERS, "user-engineer", "user-auditor"):
            expected = {request["id"] for request in requests if await would_get_on(world, handle, request["id"])}
            assert set(await inbox_of(world, handle)) == expected, handle


async def test_it_waits_for_whoever_has_not_voted_and_for_nobody_whose_role_is_filled(world: World):
    await peopled(world)
    request = await world.ask("user-asking-lead")
    waits_for = {handle for handle in VOTERS if await inbox_of(world, handle)}
    await world.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"]})
    after = {handle for handle in VOTERS if await inbox_of(world, handle)}

    assert waits_for == {"user-team-lead", "user-team-lead-2", "user-security", "user-lead-and-security"}
    assert after == {"user-security", "user-lead-and-security"}


async def end(world: World, request: dict[str, Any], way: str) -> None:
    """Lead a request out of waiting."""
    match way:
        case "approved":
            for handle in ("user-team-lead", "user-security"):
                await world.act(handle, request["id"], "approve", {"effect_digest": request["effect_digest"]})
        case "rejected":
            await world.act("user-team-lead", request["id"], "reject", {"reason": "No"})
        case "cancelled":
            await world.act("user-engineer", request["id"], "cancel")
        case "expired":
            world.clock.advance(hours=24)
            await run_due(world)
    assert (await world.read(request["id"]))["status"] == way


@pytest.mark.parametrize("way", ["approved", "rejected", "cancelled", "expired"])
async def test_a_request_waits_from_its_beginning_to_its_end_in_its_own_tenant_alone(world: World, other_world: World, way: str):
    request, elsewhere = await world.ask(), await other_world.ask()
    before = [await inbox_of(tenant, "user-security") for tenant in (world, other_world)]
    await end(world, request, way)
    later = await other_world.ask()

    assert before == [[request["id"]], [elsewhere["id"]]]
    assert await inbox_of(world, "user-security") == await inbox_of(world, "user-lead-and-security") == []
    assert (await inbox_of(other_world, "user-security"))[-1] == later["id"]


async def test_a_request_that_is_sent_back_waits_again_for_everybody(world: World):
    request = await world.approved()
    approved = await inbox_of(world, "user-security")
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await world.act("user-engineer", request["id"], "execute")

    assert approved == []
    assert await inbox_of(world, "user-security") == await inbox_of(world, "user-lead-and-security") == [request["id"]]
    assert await inbox_of(world, "user-team-lead") == []


async def test_a_second_yes_is_asked_for_where_votes_that_stand_again_are_enough(world: World):
    request = await world.ask()
    approve = {"effect_digest": request["effect_digest"]}
    await world.act("user-team-lead", request["id"], "approve", approve)
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await world.act("user-security", request["id"], "approve", approve)
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=True)

    assert await inbox_of(world, "user-security") == [request["id"]]
    assert (await world.act("user-security", request["id"], "approve", approve)).json()["status"] == "approved"
    assert await inbox_of(world, "user-security") == []


async def test_what_expires_first_stands_in_front_and_what_has_expired_is_gone(world: World):
    first = await world.ask()
    world.clock.advance(minutes=1)
    second = await world.ask()
    window = timedelta(seconds=world.container.operations.limits.approval_window_seconds)

    assert await inbox_of(world, "user-security") == [first["id"], second["id"]]
    world.clock.advance(seconds=window.total_seconds() - 60)
    assert await inbox_of(world, "user-security") == [second["id"]]


async def test_pages_of_the_inbox_hold_each_request_once(world: World):
    made = [(await world.ask())["id"] for _ in range(5)]
    seen: list[str] = []
    after: str | None = None
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        actor = await directory.actor_of(tx, "user-security")
        while True:
            page = await waiting.needs_my_approval(tx, world.container.operations, actor, limit=2, after_id=after)
            seen += [view.request.id for view in page.views]
            after = page.goes_on_after
            if after is None:
                break

    assert seen == made


async def test_the_count_beside_the_place_is_the_number_of_rows(world: World):
    request = await world.ask()
    await world.ask()
    async with browsing_as(world, "user-security") as browser:
        before = (await browser.get(INBOX)).text
        await world.act("user-security", request["id"], "approve", {"effect_digest": request["effect_digest"]})
        after = (await browser.get(INBOX)).text

    assert [len(re.findall(r'<tr id="row-', page)) for page in (before, after)] == [2, 1]
    assert [set(re.findall(r"waiting for you: </span>([^<]+)<", page)) for page in (before, after)] == [{"2"}, {"1"}]


@pytest.mark.slow
async def test_more_than_a_hundred_are_shown_as_so_many(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "_AT_ONCE", 40)
    for _ in range(101):
        await world.ask()
    async with browsing_as(world, "user-security") as browser:
        page = (await browser.get(INBOX)).text

    assert set(re.findall(r"waiting for you: </span>([^<]+)<", page)) == {"99+"}


async def test_an_inbox_without_anything_says_so_and_is_of_one_tenant(world: World, other_world: World):
    await other_world.ask()
    async with browsing_as(world, "user-security") as browser:
        page = (await browser.get(INBOX)).text

    assert "Nothing waits for you" in page
    assert "waiting for you: " not in page


async def test_people_see_the_workspaces_that_are_of_use_to_them(world: World):
    shown = {}
    for handle in ("user-engineer", "user-security", "user-ae", "user-auditor"):
        async with browsing_as(world, handle) as browser:
            page = (await browser.get("/switchboard/find?q=")).text
        shown[handle] = set(re.findall(r'<a href="/switchboard/(\w+/\w+)"', page.partition("</nav>")[0]))

    security, sales = {"security/requests"}, {"revops/quotes"}
    assert {handle: places & (security | sales) for handle, places in shown.items()} == {
        "user-engineer": security,
        "user-security": security,
        "user-ae": sales,
        "user-auditor": security | sales,
    }
    assert "security/inbox" in shown["user-security"]
    assert "security/inbox" not in shown["user-engineer"] | shown["user-ae"] | shown["user-auditor"]


@pytest.mark.parametrize("handle", ["user-auditor", "user-admin", "user-engineer", "user-ae"])
async def test_who_can_approve_no_request_is_offered_no_inbox_and_told_why_it_is_empty(world: World, handle: str):
    async with browsing_as(world, handle) as browser, browsing_as(world, "user-team-lead") as lead:
        homes = [(await one.get("/switchboard")).text for one in (browser, lead)]
        inboxes = [(await one.get(INBOX)).text for one in (browser, lead)]

    assert [f'href="{INBOX}"' in home for home in homes] == [False, True]
    assert ["Requests that need my approval" in home for home in homes] == [False, True]
    why = "Requests wait for security officer or team lead, and none of these roles is yours."
    assert [why in inbox for inbox in inboxes] == [True, False]


async def test_what_opens_from_the_inbox_keeps_it_beside_through_parts_and_decisions(world: World):
    request, other = await world.ask(), await world.ask()
    path = f"{REQUESTS}/{request['id']}"
    async with browsing_as(world, "user-security") as browser:
        inbox = html.unescape((await browser.get(INBOX)).text)
        [opens] = re.findall(rf'href="({path}[^"]*)"', inbox)
        pages = {part: await browser.get(opens.replace(path, path + part)) for part in ("", "/approvals")}
        [action] = set(re.findall(rf'action="({path}/approve[^"]*)"', html.unescape(pages[""].text)))
        digest = request["effect_digest"]
        no_reason = await browser.post(action.replace("/approve", "/reject"), {"digest": digest, "text": ""})
        stale = await browser.post(action, {"digest": "sha256:" + "0" * 64})
        given = await browser.post(action, {"digest": digest})
        after = await browser.get(given.headers["location"])

    shown = (*pages.values(), no_reason, stale, after)
    assert [answer.status_code for answer in shown] == [200, 200, 422, 409, 200]
    waiting_beside = [set(re.findall(r'<tr[^>]* id="row-(\w+)"', answer.text)) for answer in shown]
    assert waiting_beside == [{request["id"], other["id"]}] * 4 + [{other["id"]}]
    frames = [answer.text.partition("<main")[0] for answer in shown]
    assert {place for frame in frames for place in re.findall(r'href="([^"]+)"[^>]* aria-current="page"', frame)} == {INBOX}
