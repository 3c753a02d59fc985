"""What people decide about a quote on its page: exactly what was shown, once, by whoever may, and otherwise nothing."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.support.browsers import Browser, browsing_as, code_of
from tests.support.deals import LEAD, Deals
from tests.support.delegating import lend
from tests.support.enrolling import with_passkey
from tests.support.page_forms import ReadPage
from tests.support.store import rows_as_owner, tables_of_tenants
from tests.support.world import World
from trustpack.app.console import present
from trustpack.capabilities import directory
from trustpack.kernel.actor import Role
from trustpack.platform.settings import Settings

QUOTES = "/switchboard/revops/quotes"
ANOTHER_DIGEST = "sha256:" + "0" * 64
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'
OBSERVATIONS = {"session_uses", "token_uses", "sessions", "api_tokens"}
"""What a sign-in and each reading leave, whatever is read."""
DECISIONS = ("approve", "reject", "recall", "activate", "clone", "submit")
SELLING = {
    "draft": {"submit", "clone", "edit"},
    "pending_approval": {"recall", "clone", "edit"},
    "approved": {"activate", "recall", "clone", "edit"},
    "activated": {"clone"},
    "rejected": {"clone", "edit"},
    "recalled": {"clone", "edit"},
    "expired": {"clone", "edit"},
}
MANAGING = SELLING | {"draft": {"clone", "edit"}, "approved": {"recall", "clone", "edit"}}
"""Policy lets account executives alone submit and activate."""
NOTHING: dict[str, set[str]] = {status: set() for status in SELLING}


@asynccontextmanager
async def looking(world: World, handle: str) -> AsyncIterator[Browser]:
    """Open a browser with the pages as people see them, in which somebody has just signed in."""
    async with browsing_as(world, handle, show=present) as browser:
        yield browser


def everything(world: World, settings: Settings) -> dict[str, list[str]]:
    """Return every row of the tenant, by table, but what reading leaves."""
    return {
        table: [
            row["text"]
            for row in rows_as_owner(
                settings,
                f"SELECT t::text AS text FROM trustpack.{table} t WHERE tenant_id = %s ORDER BY t::text",
                world.tenant_id,
            )
        ]
        for table in tables_of_tenants(settings)
        if table not in OBSERVATIONS
    }


def offered(page: str) -> set[str]:
    """Return what a page offers to do about its quote."""
    edit = {"edit"} if re.search(r'href="[^"]+/edit"', page) else set()
    return set(re.findall(r'data-opens="([a-z]+)"', page)) & set(DECISIONS) | edit


async def decide(browser: Browser, quote: dict[str, Any], name: str, **fields: str) -> httpx2.Response:
    """Send the form of a decision on the terms of a quote as it is given."""
    if name == "clone":
        fields.setdefault("key", "0" * 32)
    return await browser.post(f"{QUOTES}/{quote['id']}/{name}", {"digest": quote["terms_digest"], **fields})


async def in_every_state(deals: Deals) -> dict[str, dict[str, Any]]:
    """Return a quote of each state."""
    quotes = {"expired": await deals.submitted()}
    deals.world.clock.advance(days=15)
    await deals.world.container.worker.run_due()
    quotes |= {"draft": await deals.quote(), "pending_approval": await deals.submitted(), "approved": await deals.approved()}
    quotes |= {"activated": await deals.approved(), "rejected": await deals.submitted(), "recalled": await deals.submitted()}
    await deals.act("user-ae", quotes["activated"], "activate")
    await deals.act("user-manager", quotes["rejected"], "reject", {"reason": "Too deep"})
    await deals.act("user-ae", quotes["recalled"], "recall")
    found = {name: (await deals.read(quote))["status"] for name, quote in quotes.items()}
    assert found == {name: name for name in quotes}
    return quotes


async def test_everybody_is_offered_what_they_may_do_and_nothing_else(deals: Deals):
    await deals.world.add_person("user-ae-2", Role.AE)
    await deals.world.add_person("user-deputy")
    async with deals.world.container.unit_of_work.transaction(deals.world.tenant_id) as tx:
        await directory.join_team(tx, deals.world.operator, handle="user-ae-2", team="enterprise")
    quotes = await in_every_state(deals)
    await lend(deals, role="manager")
    voting = {"approve", "reject"}
    expected = {
        "user-ae": SELLING,
        "user-ae-2": SELLING,
        "user-manager": MANAGING | {"pending_approval": MANAGING["pending_approval"] | voting},
        "user-manager-and-finance": MANAGING | {"pending_approval": MANAGING["pending_approval"] | voting},
        "user-finance": NOTHING | {"pending_approval": voting},
        "user-deputy": NOTHING | {"pending_approval": voting},
        "user-auditor": NOTHING,
        "user-admin": MANAGING,
    }
    found: dict[str, dict[str, set[str]]] = {}
    for handle in expected:
        async with looking(deals.world, handle) as browser:
            found[handle] = {
                status: offered((await browser.get(f"{QUOTES}/{quote['id']}")).text) for status, quote in quotes.items()
            }

    assert found == expected


async def test_within_the_own_band_the_owner_is_offered_to_approve_and_a_manager_is_not(deals: Deals):
    quote = await deals.submitted(discount_percent="20")
    async with looking(deals.world, "user-ae") as owner, looking(deals.world, "user-manager") as manager:
        own = offered((await owner.get(f"{QUOTES}/{quote['id']}")).text)
        others = (await manager.get(f"{QUOTES}/{quote['id']}")).text
        given = await decide(owner, quote, "approve", text="Within my band")

    assert own == {"approve", "reject", "recall", "clone", "edit"}
    assert offered(others) == {"recall", "clone", "edit"}
    assert "It waits for account executive, which is no role of yours." in html.unescape(others)
    assert (given.status_code, (await deals.read(quote))["status"]) == (303, "approved")


async def test_once_somebody_has_voted_or_their_role_is_filled_they_are_told_so(deals: Deals):
    await deals.world.add_person("user-manager-2", Role.MANAGER)
    quote = await deals.submitted()
    async with looking(deals.world, "user-manager") as manager, looking(deals.world, "user-manager-2") as second:
        await decide(manager, quote, "approve")
        own = (await manager.get(f"{QUOTES}/{quote['id']}")).text
        late = (await second.get(f"{QUOTES}/{quote['id']}")).text

    assert "You have voted. It still waits for finance." in own
    assert offered(own) == {"recall", "clone", "edit"}
    assert "Your role has been filled already. It still waits for finance." in late
    assert offered(late) == {"reject", "recall", "clone", "edit"}


async def test_after_the_time_for_approvals_nobody_is_offered_to_vote(deals: Deals):
    quote = await deals.submitted()
    deals.world.clock.advance(days=15)
    async with looking(deals.world, "user-finance") as browser:
        page = (await browser.get(f"{QUOTES}/{quote['id']}")).text
        answer = await decide(browser, quote, "approve")

    assert offered(page) == set()
    assert "The time for approvals is over." in page
    assert (answer.status_code, refusal_in(answer)) == (409, "revops.approvals_expired")


async def test_from_draft_to_contract_by_the_forms_of_the_page(deals: Deals):
    quote = await deals.quote()
    async with (
        looking(deals.world, "user-ae") as seller,
        looking(deals.world, "user-manager") as manager,
        looking(deals.world, "user-finance") as finance,
    ):
        submitted = await decide(seller, quote, "submit")
        yes = await decide(manager, quote, "approve", text="Strategic")
        second = await decide(finance, quote, "approve", text="", role="finance")
        activated = await decide(seller, quote, "activate")

    after = await deals.read(quote)
    assert {answer.status_code for answer in (submitted, yes, second, activated)} == {303}
    assert submitted.headers["location"] == f"{QUOTES}/{quote['id']}"
    assert (after["status"], after["contract"]["terms_digest"]) == ("activated", quote["terms_digest"])
    assert [(vote["role"], vote["comment"], vote["digest_confirmed"]) for vote in after["approvals"]] == [
        (None, "Strategic", True),
        ("finance", None, True),
    ]


async def test_whoever_could_fill_several_roles_chooses_one(deals: Deals):
    quote = await deals.submitted()
    async with looking(deals.world, "user-manager-and-finance") as browser:
        page = (await browser.get(f"{QUOTES}/{quote['id']}")).text
        await decide(browser, quote, "approve", role="finance")
    async with looking(deals.world, "user-manager") as browser:
        other = (await browser.get(f"{QUOTES}/{quote['id']}")).text

    options = re.search(r'<select[^>]*name="role".*?</select>', page, re.DOTALL)
    assert options is not None
    assert re.findall(r'value="(\w*)"[^>]*>([^<]+)<', options[0]) == [
        ("", "whichever is needed"),
        ("manager", "as manager"),
        ("finance", "as finance"),
    ]
    assert 'name="role"' not in other
    assert (await deals.read(quote))["open_approvals"] == ["manager"]


@pytest.mark.parametrize(
    ("name", "status", "handle", "fields"),
    [
        ("approve", "pending_approval", "user-manager", {"text": "Fine"}),
        ("reject", "pending_approval", "user-manager", {"text": "Far too deep"}),
        ("recall", "approved", "user-ae", {"text": "Wrong product"}),
        ("activate", "approved", "user-ae", {}),
        ("submit", "draft", "user-ae", {}),
        ("clone", "approved", "user-ae", {}),
    ],
)
async def test_a_decision_on_terms_that_moved_shows_the_difference_and_records_nothing(
    deals: Deals, settings: Settings, name: str, status: str, handle: str, fields: dict[str, str]
):
    shown = await deals.in_state(status)
    changed = {"terms": deals.terms(discount_percent="35")}
    assert (await deals.call("user-ae", "PATCH", f"/quotes/{shown['id']}", changed)).status_code == 200
    async with looking(deals.world, handle) as browser:
        before = everything(deals.world, settings)
        answer = await decide(browser, shown, name, **fields)
        after = everything(deals.world, settings)
    page = html.unescape(answer.text)

    assert answer.status_code == 409
    assert {table for table in before if before[table] != after[table]} == set()
    assert "The terms changed since they were shown to you; nothing was recorded." in page
    assert "version 1 was shown, version 2 is there now" in page
    assert re.search(r"less 30 %.*less 35 %", page, re.DOTALL)
    assert re.search(r"70,000\.00 USD.*65,000\.00 USD", page, re.DOTALL)
    assert f'href="{QUOTES}/{shown["id"]}"' in page


@pytest.mark.parametrize(
    ("name", "fields", "kept"),
    [
        ("approve", {"text": HOSTILE}, [HOSTILE, HOSTILE]),
        ("reject", {"text": f" {HOSTILE}\n"}, [HOSTILE, HOSTILE]),
        ("recall", {"text": ""}, []),
        ("submit", {}, []),
    ],
)
async def test_what_was_written_with_a_decision_that_was_not_taken_is_given_back(
    deals: Deals, name: str, fields: dict[str, str], kept: list[str]
):
    quote = await deals.submitted()
    async with looking(deals.world, "user-manager") as browser:
        answer = await decide(browser, {**quote, "terms_digest": ANOTHER_DIGEST}, name, **fields)
    given_back = re.search(r'What you wrote</h2><p class="row"><span>([^<]*)</span><button[^>]*data-copy="([^"]*)"', answer.text)

    assert answer.status_code == 409
    assert [html.unescape(text) for text in (given_back.groups() if given_back else ())] == kept
    assert ("What you wrote" in answer.text) is bool(kept)
    assert "<img src=x" not in answer.text


@pytest.mark.parametrize("name", DECISIONS)
async def test_a_digest_that_this_quote_never_had_decides_nothing(deals: Deals, settings: Settings, name: str):
    quote = await deals.submitted()
    async with looking(deals.world, "user-manager") as browser:
        before = everything(deals.world, settings)
        fields = {"text": "Long enough"} if name in {"approve", "reject", "recall"} else {}
        answer = await decide(browser, {**quote, "terms_digest": ANOTHER_DIGEST}, name, **fields)
        after = everything(deals.world, settings)

    assert (answer.status_code, refusal_in(answer)) == (409, "revops.stale_terms")
    assert before == after
    assert "What changed" not in answer.text


@pytest.mark.parametrize("name", DECISIONS)
async def test_a_decision_needs_a_recent_sign_in_the_token_and_a_readable_quote(deals: Deals, other_world: World, name: str):
    quote = await deals.submitted()
    fields = {"text": "Long enough"} if name in {"approve", "reject", "recall"} else {}
    async with looking(other_world, "user-ae") as stranger, looking(deals.world, "user-manager") as browser:
        foreign = await decide(stranger, quote, name, **fields)
        path = f"{QUOTES}/{quote['id']}/{name}"
        forged = await browser.post(path, {"digest": quote["terms_digest"], **fields}, csrf=None)
        deals.world.clock.advance(minutes=11)
        late = await decide(browser, quote, name, **fields)

    assert (foreign.status_code, code_of(foreign)) == (404, "not_found")
    assert (forged.status_code, code_of(forged)) == (403, "auth.csrf_refused")
    assert (late.status_code, "Confirm that it is you" in late.text, 'name="kept"' in late.text) == (401, True, True)
    assert (await deals.read(quote))["version"] == quote["version"]


async def sent_too_late(world: World, handle: str, quote: dict[str, Any], name: str, keep: str = "", **fields: str) -> str:
    """Return what stands between the confirmation of a late decision, sent beside a list, and its being sent."""
    device = await with_passkey(world, world.container.sign_in, handle)
    async with looking(world, handle) as browser:
        world.clock.advance(minutes=11)
        late = await browser.post(f"{QUOTES}/{quote['id']}/{name}{keep}", {"digest": quote["terms_digest"], **fields})
        [kept] = re.findall(r'name="kept" value="([^"]+)"', late.text)[:1]
        begun = await browser.post("/switchboard/confirm/passkey/begin")
        answer = await browser.post("/switchboard/confirm/passkey", {"credential": device.get(begun.json()), "kept": kept})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_late_decision_says_what_would_be_sent_about_which_quote(deals: Deals):
    company = await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "al@other.example", "company": HOSTILE})
    quote = await deals.submitted(opportunity_id=company.json()["opportunity"]["id"])
    page = await sent_too_late(deals.world, "user-manager", quote, "reject", text=HOSTILE)
    pairs = re.findall(r"<dt>([^<]*)</dt><dd>(.*?)</dd>", page, re.DOTALL)
    said = {name: html.unescape(re.sub(r"<[^>]+>", "", value)) for name, value in pairs}

    assert list(said) == ["Action", "On", "Digest", "What you wrote"]
    assert (said["Action"], said["Digest"]) == ("Reject quote", quote["terms_digest"].removeprefix("sha256:")[:12])
    assert said["What you wrote"] == HOSTILE
    assert said["On"].startswith(f"{HOSTILE} Quote · {quote['id'][-8:]} · user-ae · Pending")
    assert page.count(f'href="{QUOTES}/{quote["id"]}"') == 2
    assert "<img src=x" not in page
    assert (await deals.read(quote))["status"] == "pending_approval"


async def test_a_late_decision_leads_back_to_the_list_that_it_was_sent_from(deals: Deals):
    quote = await deals.submitted()
    path, keep = f"{QUOTES}/{quote['id']}", "?q=acme&status=pending_approval"
    page = ReadPage(await sent_too_late(deals.world, "user-manager", quote, "approve", keep))
    async with looking(deals.world, "user-manager") as browser:
        form = page.form_to(f"{path}/approve{keep}")
        sent = await browser.post(form.action, form.filled({}))

    assert [link for link in page.links if link.startswith(path)] == [path + keep] * 2
    assert "Acme" in page.text
    assert (sent.status_code, sent.headers["location"]) == (303, path + keep)


async def test_a_late_decision_forgets_a_list_that_could_lead_elsewhere(deals: Deals):
    quote = await deals.submitted()
    page = ReadPage(await sent_too_late(deals.world, "user-manager", quote, "approve", "?q=%5C%5Cevil.example"))

    assert page.form_to(f"{QUOTES}/{quote['id']}/approve")


async def test_a_late_decision_about_a_quote_of_others_says_nothing_of_it(deals: Deals, other_world: World):
    quote = await deals.submitted()
    page = await sent_too_late(other_world, "user-admin", quote, "approve")

    assert "Approve quote" in page
    assert f">{quote['id'][-8:]}</a>" in page
    assert "Acme" not in page


@pytest.mark.parametrize(
    ("name", "status", "handle"),
    [
        ("submit", "draft", "user-ae"),
        ("approve", "pending_approval", "user-manager"),
        ("reject", "pending_approval", "user-manager"),
        ("recall", "approved", "user-ae"),
        ("activate", "approved", "user-ae"),
        ("clone", "approved", "user-ae"),
    ],
)
async def test_a_form_that_is_sent_twice_at_once_decides_once_and_is_no_mistake(
    deals: Deals, name: str, status: str, handle: str
):
    quote = await deals.in_state(status)
    before = len(await deals.receipts(quote))
    fields = {"text": "Far too deep"} if name == "reject" else {}
    async with looking(deals.world, handle) as browser, looking(deals.world, handle) as second:
        answers = await asyncio.gather(*(decide(each, quote, name, **fields) for each in (browser, second, browser, second)))

    assert [answer.status_code for answer in answers] == [303] * 4, [answer.text for answer in answers]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(await deals.receipts(quote)) == before + (0 if name == "clone" else 1)


async def test_a_no_needs_its_reason_and_what_was_written_stays(deals: Deals):
    quote = await deals.submitted()
    async with looking(deals.world, "user-manager") as browser:
        without = await decide(browser, quote, "reject", text="  ")
        short = await decide(browser, quote, "reject", text="No <b>")
        given = await decide(browser, quote, "reject", text="Far too deep")

    assert (without.status_code, short.status_code, given.status_code) == (422, 422, 303)
    assert "This needs at least 8 characters." in short.text
    assert "No &lt;b&gt;</textarea>" in short.text
    assert (await deals.read(quote))["approvals"][0]["comment"] == "Far too deep"


async def test_a_refusal_says_who_could_do_it_instead(deals: Deals):
    quote = await deals.submitted()
    async with looking(deals.world, "user-ae") as browser:
        answer = await decide(browser, quote, "approve")

    assert (answer.status_code, refusal_in(answer)) == (403, "revops.self_approval_forbidden")
    assert "Ask one of the people who could approve it." in answer.text
    assert {"user-manager", "user-finance", "user-manager-and-finance"} <= set(re.findall(r"user-[\w-]+", answer.text))
    assert (await deals.actions(quote))[-1] == "refused"


async def test_what_policy_refuses_is_said_in_its_words(deals: Deals):
    quote = await deals.quote()
    async with looking(deals.world, "user-manager") as browser:
        answer = await decide(browser, quote, "submit")

    assert (answer.status_code, refusal_in(answer)) == (403, "policy.denied")
    assert "The seller needs the role ae." in answer.text


async def test_nobody_who_could_approve_is_said_before_anybody_waits(deals: Deals):
    for handle in ("user-finance", "user-manager-and-finance"):
        await deals.world.change_role(handle, Role.FINANCE, grant=False)
    quote = await deals.quote()
    async with looking(deals.world, "user-ae") as browser:
        answer = await decide(browser, quote, "submit")

    assert (answer.status_code, refusal_in(answer)) == (409, "revops.nobody_can_approve")
    assert "Administrators: user-admin." in answer.text


@pytest.mark.parametrize(
    ("name", "status", "handle"),
    [
        ("approve", "pending_approval", "user-manager"),
        ("reject", "pending_approval", "user-finance"),
        ("submit", "draft", "user-ae"),
    ],
)
async def test_without_scripts_a_decision_is_asked_on_a_page(deals: Deals, name: str, status: str, handle: str):
    quote = await deals.in_state(status)
    async with looking(deals.world, handle) as browser:
        page = (await browser.get(f"{QUOTES}/{quote['id']}")).text
        asked = (await browser.get(f"{QUOTES}/{quote['id']}?ask={name}")).text
        sent_to = await browser.get(f"{QUOTES}/{quote['id']}/{name}")
        unasked = (await browser.get(f"{QUOTES}/{quote['id']}?ask=activate")).text

    assert sent_to.headers["location"] == f"{QUOTES}/{quote['id']}?ask={name}"
    assert f'href="{QUOTES}/{quote["id"]}?ask={name}"' in page
    assert f'action="{QUOTES}/{quote["id"]}/{name}"' in asked
    assert f'name="digest" value="{quote["terms_digest"]}"' in asked
    assert "<dialog id=" + f'"{name}"' not in asked
    assert 'action="' + f'{QUOTES}/{quote["id"]}/activate"' not in unasked


async def test_a_copy_has_no_approvals_is_made_once_and_is_where_the_form_leads(deals: Deals):
    quote = await deals.approved()
    async with looking(deals.world, "user-ae") as browser:
        shown = (await browser.get(f"{QUOTES}/{quote['id']}")).text
        key = re.search(r'name="key" value="([0-9a-f]{32})"', shown)
        assert key is not None
        answer, again = [await decide(browser, quote, "clone", key=key[1]) for _ in range(2)]
        later = await decide(browser, quote, "clone")
        page = await browser.get(answer.headers["location"])

    assert [each.status_code for each in (answer, again, later)] == [303] * 3
    assert again.headers["location"] == answer.headers["location"] != later.headers["location"]
    assert answer.headers["location"] != f"{QUOTES}/{quote['id']}"
    assert (page.status_code, offered(page.text)) == (200, {"submit", "clone", "edit"})


@pytest.mark.parametrize("field", [{"role": "emperor"}, {"text": "x" * 2001}, {"text": "\x07"}, {"digest": "x" * 101}])
async def test_what_no_form_of_ours_sends_decides_nothing(deals: Deals, field: dict[str, str]):
    quote = await deals.submitted()
    async with looking(deals.world, "user-manager") as browser:
        answer = await browser.post(f"{QUOTES}/{quote['id']}/approve", {"digest": quote["terms_digest"], **field})

    assert answer.status_code == 422
    assert (await deals.read(quote))["version"] == quote["version"]


def refusal_in(answer: httpx2.Response) -> str:
    """Return the code of the refusal that a page explains."""
    match = re.search(r'<small class="code">([\w.]+)</small>', answer.text)
    assert match is not None, answer.text
    return match[1]
