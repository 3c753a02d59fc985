"""The palette finds what its viewer may read: by id, ticket, target, account and person, and nothing by hostile text."""

from __future__ import annotations

import html
from urllib.parse import quote

import pytest

from tests.support.browsers import browsing_as
from tests.support.deals import Deals, selling
from tests.support.world import World

REQUESTS = "/switchboard/security/requests"
QUOTES = "/switchboard/revops/quotes"
OPPORTUNITIES = "/switchboard/revops/opportunities"
LEADS = "/switchboard/revops/leads"
MOST = 5


async def found(world: World, handle: str, text: str) -> str:
    """Return what the palette shows somebody for a text, as HTML."""
    async with browsing_as(world, handle) as browser:
        answer = await browser.get(f"/switchboard/find/list?q={quote(text)}")
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{id}", id="whole id"),
        pytest.param("{end}", id="end of the id"),
        pytest.param("INC-2041", id="ticket"),
        pytest.param("inc-2041", id="ticket in small letters"),
        pytest.param("orders-p", id="target"),
        pytest.param("user-engineer", id="handle"),
        pytest.param(" USER-ENG ", id="name in other letters"),
    ],
)
async def test_a_request_is_found(world: World, text: str):
    request = await world.ask()

    shown = await found(world, "user-team-lead", text.format(id=request["id"], end=request["id"][-8:]))

    assert f'href="{REQUESTS}/{request["id"]}"' in shown


@pytest.mark.parametrize("text", ["{quote}", "{quote_end}", "{lead}", "{opportunity}", "acm", "ACME", "user-ae"])
async def test_a_deal_is_found(world: World, text: str):
    deals = await selling(world)
    offered = await deals.quote()
    ids = {"quote": offered["id"], "quote_end": offered["id"][-8:], "lead": deals.lead_id, "opportunity": deals.opportunity_id}

    shown = await found(world, "user-manager", text.format(**ids))

    paths = {
        "{quote}": [f"{QUOTES}/{offered['id']}"],
        "{quote_end}": [f"{QUOTES}/{offered['id']}"],
        "{lead}": [f"{LEADS}/{deals.lead_id}"],
        "{opportunity}": [f"{OPPORTUNITIES}/{deals.opportunity_id}"],
    }.get(text, [f"{QUOTES}/{offered['id']}", f"{OPPORTUNITIES}/{deals.opportunity_id}"])
    assert [path for path in paths if f'href="{path}"' not in shown] == []


async def test_a_person_leads_to_what_they_asked_for_and_what_they_offered(world: World):
    engineer, seller = [await found(world, "user-auditor", text) for text in ("user-engineer-2", "user-ae")]

    assert f'href="{REQUESTS}?requester=user-engineer-2"' in engineer
    assert f"{QUOTES}?owner" not in engineer
    assert f'href="{QUOTES}?owner=user-ae"' in seller


async def test_nothing_is_found_that_may_not_be_read(world: World, other_world: World):
    deals: Deals = await selling(world)
    request, offered = await world.ask(), await deals.quote()
    subjects = (request["id"], offered["id"], deals.lead_id, deals.opportunity_id)
    for reader, handle in ((world, "user-engineer-2"), (other_world, "user-admin")):
        for text in (*subjects, *(subject[-8:] for subject in subjects), "INC-2041", "orders-prod", "acme", "user-engineer"):
            shown = await found(reader, handle, text)
            assert [subject for subject in subjects if subject in shown] == [], (handle, text)


async def test_a_seller_finds_the_own_deals_alone(world: World):
    deals = await selling(world)
    offered = await deals.quote()

    own = await found(world, "user-ae", "acme")
    foreign = await found(world, "user-engineer", "acme")

    assert offered["id"] in own
    assert offered["id"] not in foreign


async def test_of_each_sort_no_more_than_a_few_are_shown(world: World):
    for _ in range(MOST + 2):
        await world.ask()

    shown = await found(world, "user-team-lead", "orders-prod")

    assert shown.count(f'href="{REQUESTS}/') == MOST


@pytest.mark.parametrize(
    "text",
    ["%", "_", "\\", "'; DROP TABLE x; --", "\x00", "a\x00b", "<img src=x onerror=alert(1)>", "\ud7ff", "\U0010ffff", "ﬃ",
     "İ" * 150, "[]", "hro_", "hro_%", "quo_" + "0" * 32, "*", "{}", "\u202e"],
)  # fmt: skip
async def test_hostile_text_finds_nothing_and_breaks_nothing(world: World, text: str):
    deals = await selling(world)
    request, offered = await world.ask(), await deals.quote()

    shown = html.unescape(await found(world, "user-admin", text))

    assert request["id"] not in shown
    assert offered["id"] not in shown
