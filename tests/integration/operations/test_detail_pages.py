"""What the page of one request shows, part by part, and what it offers to whom in which state."""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.integration.operations.test_access_record import recorded, reverted_with
from tests.integration.operations.test_request_pages import looking
from tests.integration.operations.test_running_pages import REQUESTS, shown
from tests.support.cases import AT_REST, STATES, case_in, settle
from tests.support.world import World
from tests.support.worlds import ScriptedWorld
from trustpack.capabilities.operations.model import AccessRecord, RecordMode
from trustpack.kernel.actor import Role
from trustpack.platform.database import store_logins
from trustpack.proof.bundle import check_bundle

HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}</textarea>'
APPROVERS = ("user-team-lead", "user-security", "user-lead-and-security")
OFFERED: dict[str, dict[str, set[str]]] = {
    "pending_approval": {"user-engineer": {"cancel"}, **{key: {"approve", "reject"} for key in APPROVERS}},
    "approved": {"user-engineer": {"execute", "cancel"}},
    "active": {"user-engineer": {"credentials", "revert"}, **{key: {"revert"} for key in (*APPROVERS, "user-admin")}},
    "revert_failed": {key: {"revert"} for key in ("user-engineer", *APPROVERS, "user-admin")},
}
VIEWERS = ("user-engineer", *APPROVERS, "user-auditor", "user-admin")


def offered(page: str) -> set[str]:
    """Return what a page offers by a button, for each of which it must hold a dialog too."""
    buttons = set(re.findall(r'id="opens-(approve|reject|cancel|execute|credentials|revert)"', page))
    assert buttons == set(re.findall(r'<dialog id="(approve|reject|cancel|execute|credentials|revert)"', page))
    return buttons


@pytest.mark.parametrize("status", STATES)
async def test_a_page_offers_what_its_viewer_may_do_in_this_state(scripted: ScriptedWorld, status: str) -> None:
    release = asyncio.Event()
    request_id = await case_in(scripted, status, release)
    found, asked = {}, {}
    for handle in VIEWERS:
        async with looking(scripted, handle) as browser:
            found[handle] = offered(await shown(browser, request_id))
            asked[handle] = {
                command
                for command in ("approve", "reject", "cancel", "execute", "credentials", "revert")
                if 'aria-labelledby="asked"' in await shown(browser, request_id, f"?ask={command}")
            }
    async with looking(scripted, "user-engineer-2") as browser:
        unseen = (await browser.get(f"{REQUESTS}/{request_id}")).status_code
    release.set()
    await settle(scripted, request_id)

    assert found == {handle: OFFERED.get(status, {}).get(handle, set()) for handle in VIEWERS}
    assert asked == found
    assert unseen == 404


async def test_whoever_has_voted_or_came_too_late_is_asked_no_more(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    await scripted.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"]})
    async with looking(scripted, "user-team-lead") as voted, looking(scripted, "user-security") as other:
        pages = [offered(await shown(browser, request["id"])) for browser in (voted, other)]
    scripted.clock.advance(hours=25)
    async with looking(scripted, "user-security") as other:
        late = offered(await shown(other, request["id"]))

    assert (*pages, late) == (set(), {"approve", "reject"}, set())


async def test_overview_says_what_is_asked_in_words(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    async with looking(scripted, "user-team-lead") as browser:
        page = await shown(browser, request["id"])

    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert "Temporary database read access" in page
    assert (facts["Environment"], facts["Ticket"], facts["Window"]) == ("Production", "INC-2041", "1 h, then automatic revert")
    assert facts["Needs"] == "team lead and security officer"
    assert request["approval_expires_at"] in facts["Expires"]
    assert "Yours is 1 of 2" in page


async def test_change_shows_every_statement_to_the_letter_and_its_digest(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    async with looking(scripted, "user-team-lead") as browser:
        page = await shown(browser, request["id"], "/change")

    lines = [html.unescape(line) for line in re.findall(r'<li class="is-added">.*?<span>([^<]*)</span></li>', page)]
    assert lines == request["effect"]["statements"]
    assert f'data-copy="{request["effect_digest"]}"' in page


async def test_approvals_name_who_gave_them_and_who_still_could(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    said = {"effect_digest": request["effect_digest"], "comment": "Ticket checked"}
    async with looking(scripted, "user-auditor") as browser:
        before = await shown(browser, request["id"], "/approvals")
        await scripted.act("user-team-lead", request["id"], "approve", said)
        after = await shown(browser, request["id"], "/approvals")
        await scripted.change_role("user-security", Role.SECURITY_OFFICER, grant=False)
        await scripted.change_role("user-lead-and-security", Role.SECURITY_OFFICER, grant=False)
        nobody = await shown(browser, request["id"], "/approvals")

    assert before.count("could come from user-lead-and-security or user-team-lead") + before.count(
        "could come from user-team-lead or user-lead-and-security"
    )
    assert "1 of 2 needed approvals" in after
    assert "Ticket checked" in after
    assert "user-security" in after.partition("could come from")[2][:60]
    assert "nobody can give it" in nobody


@pytest.mark.parametrize(("status", "waiting"), [("pending_approval", 2), ("rejected", 0), ("cancelled", 0), ("expired", 0)])
async def test_a_role_is_waited_for_only_while_the_request_waits(scripted: ScriptedWorld, status: str, waiting: int) -> None:
    request_id = await AT_REST[status](scripted)
    async with looking(scripted, "user-auditor") as browser:
        overview, approvals = [await shown(browser, request_id, part) for part in ("", "/approvals")]

    assert [page.count('aria-label="waiting for"') for page in (overview, approvals)] == [waiting, waiting]
    assert overview.count('<span class="said">not given</span>') == 2 - waiting
    assert approvals.count("Nobody gave it.") == 2 - waiting


async def test_a_cancelled_request_says_who_cancelled_it_and_why(scripted: ScriptedWorld) -> None:
    await scripted.add_person("user-new", Role.ENGINEER, name="Nia New")
    request_id = (await scripted.ask("user-new"))["id"]
    async with looking(scripted, "user-auditor") as browser:
        before = await shown(browser, request_id)
        await scripted.act("user-new", request_id, "cancel", {"reason": HOSTILE})
        after = await shown(browser, request_id)
    receipts = await scripted.receipts(request_id)

    said = re.compile(r'([\w ]+) cancelled this request on <time datetime="([^"]+)">.*?</time>\. “(.*?)”')
    [(by, at, why)] = said.findall(after)
    assert (by, at, html.unescape(why)) == ("Nia New", receipts[-1]["occurred_at"], HOSTILE)
    assert "cancelled this request" not in before


async def test_sentences_name_people_as_others_know_them(scripted: ScriptedWorld) -> None:
    await scripted.add_person("user-new", Role.ENGINEER, name="Nia New")
    await scripted.add_person("user-guard", Role.SECURITY_OFFICER, name="Gil Guard")
    request = await scripted.ask("user-new")
    async with looking(scripted, "user-team-lead") as browser:
        approvals = await shown(browser, request["id"], "/approvals")
        related = await shown(browser, request["id"], "/related")
        home = (await browser.get("/switchboard")).text

    assert "Gil Guard" in approvals
    assert "user-guard" not in approvals
    assert "One no ends the request; Nia New can ask again." in approvals
    assert "of Nia New on" in related
    assert "All of Nia New" in related
    assert "Nia New: " in home


async def test_an_approval_of_somebody_who_lost_the_role_is_counted_no_more(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    await scripted.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"]})
    await scripted.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request["id"], "/approvals")

    assert "0 of 2 needed approvals" in page
    assert "user-team-lead" in page.partition("Also said")[2]


async def test_what_was_approved_keeps_its_approvals_when_roles_change_later(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    await scripted.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request["id"], "/approvals")

    assert "2 of 2 needed approvals" in page


async def test_votes_of_an_earlier_round_stand_apart(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()
    scripted.target.installation = "second"
    await scripted.act("user-engineer", request["id"], "execute")
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request["id"], "/approvals")
        listed = (await browser.get(REQUESTS)).text

    assert "0 of 2 needed approvals" in page
    assert "user-security" in page.partition("Counts no more")[2]
    assert '<span class="beside">0/2</span>' in listed


async def test_access_pages_through_what_was_done(scripted: ScriptedWorld) -> None:
    request_id = await reverted_with(scripted, recorded(51, text=f"select {HOSTILE!r}"))
    async with looking(scripted, "user-auditor") as browser:
        first = await shown(browser, request_id, "/access")
        [following] = re.findall(r'href="([^"]+)"[^>]*>.{0,200}?<span>Next</span>', first)
        second = (await browser.get(html.unescape(following))).text
        broken = await browser.get(f"{REQUESTS}/{request_id}/access?statements=nonsense")

    assert "51 statements touched the data" in first
    assert "The record is complete." in first
    assert [page.count("<b>Statement ") for page in (first, second)] == [50, 1]
    assert "<img src=x" not in first
    assert broken.status_code == 422


@pytest.mark.parametrize(
    ("accesses", "said"),
    [
        (None, "This target tells nothing"),
        (AccessRecord(mode=RecordMode.NONE), "Nothing was recorded"),
        (AccessRecord(mode=RecordMode.STATEMENTS, unavailable="the schema is gone"), "could not be read: the schema is gone"),
    ],
)
async def test_access_says_why_nothing_is_known(scripted: ScriptedWorld, accesses: AccessRecord | None, said: str) -> None:
    request_id = await reverted_with(scripted, accesses)
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request_id, "/access")

    assert "Cannot check" in page
    assert said in page


async def test_access_that_is_live_has_times_and_no_record_yet(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    async with looking(scripted, "user-engineer") as browser:
        page = await shown(browser, request["id"], "/access")

    assert "Not yet recorded" in page
    assert request["grant"]["expires_at"] in page
    assert request["grant"]["role_name"] in page


async def test_evidence_is_checked_told_and_downloadable_as_the_very_bytes(scripted: ScriptedWorld) -> None:
    request = await scripted.active(justification="Investigate “stuck” refunds")
    async with looking(scripted, "user-auditor") as browser:
        page = html.unescape(await shown(browser, request["id"], "/evidence"))
        [path] = re.findall(r'href="(/switchboard/evidence/[^"]+)"', page)
        content = (await browser.get(path)).content

    assert "Verified" in page
    assert check_bundle(content) == ()
    assert f'data-copy="{hashlib.sha256(content).hexdigest()}"' in page
    for receipt in await scripted.receipts(request["id"]):
        assert f'data-copy="{receipt["digest"]}"' in page
        assert receipt["occurred_at"] in page
    assert "“Investigate “stuck” refunds”" in page
    assert "Policy allowed this with the approval of team lead and security officer" in page
    [planned] = re.findall(r'<li class="is-planned">.*?</li>', page, re.DOTALL)
    assert request["grant"]["expires_at"] in planned
    assert page.index("is-planned") > page.rindex("Executed")


async def test_evidence_of_what_policy_denied_says_why(scripted: ScriptedWorld) -> None:
    request_id = await AT_REST["denied"](scripted)
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request_id, "/evidence")

    assert "Policy refused this." in page
    assert "This is possible in these environments only: prod." in page


@pytest.mark.parametrize("body", [b"broken {", b'{"action":"requested"}'])
async def test_a_receipt_that_somebody_wrote_over_fails_the_check(scripted: ScriptedWorld, body: bytes) -> None:
    request = await scripted.approved()
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    write_over(
        scripted,
        "UPDATE trustpack.receipts SET body = %s, digest = %s WHERE subject_id = %s AND seq = 1",
        body,
        digest,
        request["id"],
    )
    async with looking(scripted, "user-auditor") as browser:
        answer = await browser.get(f"{REQUESTS}/{request['id']}/evidence")

    assert answer.status_code == 200
    assert "Verification failed" in answer.text
    assert "Does not stand" in answer.text
    assert "What this receipt says cannot be read." in answer.text


async def test_a_reason_that_somebody_wrote_over_fails_the_check(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    [receipt] = await scripted.receipts(request["id"])
    write_over(scripted, "UPDATE trustpack.disclosures SET value = %s WHERE receipt_id = %s", b'"Forged"', receipt["id"])
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request["id"], "/evidence")

    assert "Verification failed" in page
    assert "Does not stand" in page


def write_over(world: World, statement: str, *values: Any) -> None:
    """Change one row as somebody who owns the store could."""
    owner = store_logins(world.container.settings).owner
    assert owner is not None
    with psycopg.connect(owner) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(sql.SQL("SET LOCAL trustpack.tenant = {}").format(sql.Literal(world.tenant_id)))
        assert connection.execute(statement.encode(), values).rowcount == 1


async def test_related_leads_to_the_other_requests_on_the_same_target(scripted: ScriptedWorld) -> None:
    first, second = await scripted.ask(), await scripted.ask()
    other = await scripted.ask("user-engineer-2")
    async with looking(scripted, "user-auditor") as browser:
        page = (await shown(browser, second["id"], "/related")).partition('aria-label="People"')[2]

    assert f'href="{REQUESTS}/{first["id"]}"' in page
    assert other["id"] not in page
    assert 'q=user-engineer"' in page


@pytest.mark.parametrize("part", ["", "/approvals", "/evidence", "/related"])
async def test_what_people_wrote_is_text_on_every_part(scripted: ScriptedWorld, part: str) -> None:
    request = await scripted.active(justification=HOSTILE)
    await scripted.act("user-security", request["id"], "revert", {"reason": HOSTILE})
    async with looking(scripted, "user-auditor") as browser:
        page = await shown(browser, request["id"], part)

    assert "<img src=x" not in page
    assert "alert(1)" in html.unescape(page) or part in {"/approvals", "/related"}


async def test_what_was_entered_is_shown_again_as_text(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    fields = {"digest": request["effect_digest"], "typed_id": HOSTILE, "text": HOSTILE}
    async with looking(scripted, "user-engineer") as browser:
        answer = await browser.post(f"{REQUESTS}/{request['id']}/revert", fields)

    assert answer.status_code == 422
    assert "<img src=x" not in answer.text


async def test_the_list_stays_as_it_was_asked_for_through_parts_and_decisions(scripted: ScriptedWorld) -> None:
    request = await scripted.ask()
    query = "?status=pending_approval&q=user-engineer"
    async with looking(scripted, "user-team-lead") as browser:
        page = html.unescape(await shown(browser, request["id"], query))
        [action] = set(re.findall(rf'action="({REQUESTS}/{request["id"]}/approve[^"]*)"', page))
        answer = await browser.post(action, {"digest": request["effect_digest"], "version": "1"})

    kept = {"status": "pending_approval", "q": "user-engineer"}
    parts = re.findall(rf'href="({REQUESTS}/{request["id"]}/[^"]+)"', page)
    assert {part.partition("?")[0].rpartition("/")[2] for part in parts} >= {
        "change",
        "approvals",
        "access",
        "evidence",
        "related",
    }
    assert all(dict(parse_qsl(urlsplit(path).query)) == kept for path in (*parts, action, answer.headers["location"]))
    assert f'data-copy="{REQUESTS}/{request["id"]}"' in page
