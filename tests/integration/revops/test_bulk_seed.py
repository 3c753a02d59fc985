"""`trustpack seed --bulk`: hundreds of deals in seconds, and each of them as true as one that people made."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from psycopg.errors import ForeignKeyViolation

from tests.support.clock import MovableClock
from tests.support.stored import counts, rows
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.app.bulk import loading, seeding
from trustpack.app.bulk.capture import TABLES
from trustpack.capabilities import directory
from trustpack.capabilities.policy import DecisionMode, DecisionRequest
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.kernel.actor import Role, system_actor
from trustpack.kernel.ids import derive_id
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.bundle import check_bundle
from trustpack.proof.canonical import canonical_bytes, digest_of
from trustpack.proof.commitments import Disclosure, opens
from trustpack.proof.receipt_chain import check_chain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUOTES = 500
DEALS = QUOTES // 4
STORIES = 21
GOVERNED = ("leads", "opportunities", "quotes", "high_risk_requests")
OF_A_COPY = " IN (SELECT opportunity_id FROM trustpack.leads WHERE email_key LIKE 'buyer@bulk-0%%')"


async def fill(settings: Settings, tenant_id: str, *, quotes: int = QUOTES) -> list[int]:
    """Seed, and return how many deals were reported, step by step."""
    told: list[int] = []
    await seeding.seed_bulk(settings, tenant_id, quotes=quotes, report=lambda more, _: told.append(more))
    return told


@pytest.fixture(scope="module")
async def filled(container: Container, clock: MovableClock, http: httpx2.AsyncClient, settings: Settings) -> World:
    """A demo tenant with the set in it, filled in two runs of which the first was for fewer."""
    world = World(tenant_id="bulk-filled", container=container, clock=clock, http=http)
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.create_tenant(tx, system_actor(world.tenant_id, "operator"), name="Filled", is_demo=True)
    await world.add_person("user-auditor", Role.AUDITOR)
    await world.add_person("user-stranger", Role.AE)
    first = await fill(settings, world.tenant_id, quotes=40)
    second = await fill(settings, world.tenant_id)
    assert (first[0], sum(first), second[0], sum(second)) == (0, 10, 10, DEALS)
    return world


async def test_the_set_has_its_size(filled: World):
    found = await counts(filled, "quotes", "leads", "opportunities", "high_risk_requests")

    deals = DEALS + 2 * STORIES  # each of the two runs told its own stories
    assert found == {"quotes": 4 * deals, "leads": deals, "opportunities": deals, "high_risk_requests": 2 * deals}


async def test_every_chain_holds_and_ends_in_the_state_of_its_subject(filled: World):
    chains: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for receipt in await rows(filled, "SELECT * FROM trustpack.receipts ORDER BY subject_id, seq"):
        chains[receipt["subject_id"]].append(receipt)

    for table in GOVERNED:
        for subject in await rows(filled, f"SELECT id, version, status FROM trustpack.{table}"):
            chain = chains[subject["id"]]
            assert check_chain([r["body"] for r in chain], subject_id=subject["id"], expected_count=subject["version"]) == ()
            assert chain[-1]["state"] == subject["status"]
            assert [r["occurred_at"] for r in chain] == sorted(r["occurred_at"] for r in chain)


async def test_terms_digests_and_totals_of_a_quote_are_its_own(filled: World):
    for quote in await rows(filled, "SELECT * FROM trustpack.quotes"):
        terms, totals = read_terms(quote["terms"]), totals_of(read_terms(quote["terms"]).lines)
        assert (terms.quote_id, terms.revision, terms.valid_until) == (quote["id"], quote["revision"], quote["valid_until"])
        assert (totals.list_amount, totals.net_amount) == (quote["list_minor"], quote["net_minor"])
        assert quote["terms_digest"] == digest_of(canonical_bytes(json.loads(quote["terms"])))
    revisions = await rows(filled, "SELECT r.* FROM trustpack.quote_revisions r ORDER BY quote_id, revision")
    assert {json.loads(revision["terms"])["quote_id"] == revision["quote_id"] for revision in revisions} == {True}
    approved = await rows(
        filled, "SELECT a.digest = q.terms_digest AS same FROM trustpack.approvals a JOIN trustpack.contracts c"
        " ON c.quote_id = a.subject_id JOIN trustpack.quotes q ON q.id = c.quote_id WHERE a.verdict = 'approve'"
    )  # fmt: skip
    assert {row["same"] for row in approved} == {True}


async def test_policy_says_again_what_it_is_recorded_to_have_said(filled: World, container: Container):
    decisions = await rows(
        filled, "SELECT d.* FROM trustpack.policy_decisions d JOIN trustpack.quotes q ON q.id = d.subject_id"
        f" WHERE q.opportunity_id {OF_A_COPY} ORDER BY d.id DESC LIMIT 60"
    )  # fmt: skip

    for decision in decisions:
        asked = json.loads(decision["input"])
        assert decision["input_digest"] == digest_of(canonical_bytes(asked))
        assert asked["now"] == int(decision["decided_at"].timestamp())
        again = await container.gate.evaluate(
            DecisionRequest(
                id=decision["id"],
                tenant_id=filled.tenant_id,
                package=decision["package"],
                subject_id=decision["subject_id"],
                subject_version=decision["subject_version"],
                mode=DecisionMode.REPLAY,
                parameters=asked.pop("parameters"),
                input=asked,
            )
        )
        assert (again.result, again.input) == (decision["result"], decision["input"])
    assert len(decisions) == 60


async def test_commitments_open_and_no_two_salts_are_the_same(filled: World):
    disclosed = await rows(
        filled, "SELECT d.*, r.body FROM trustpack.disclosures d JOIN trustpack.receipts r ON r.id = d.receipt_id"
    )

    for row in disclosed:
        disclosure = Disclosure(path=row["path"], value=json.loads(row["value"]), salt=row["salt"])
        assert opens(disclosure, json.loads(row["body"])["payload"][row["path"]]["commitment"])
    assert len({row["salt"] for row in disclosed}) == len(disclosed) > DEALS


async def test_usage_is_counted_once_for_each_run_and_decision(filled: World):
    events = await rows(filled, "SELECT id, type, metadata FROM trustpack.usage_events")
    sources = [event["metadata"].get("decision_id") or event["metadata"]["subject_id"] for event in events]

    assert [event["id"] for event in events] == [
        derive_id("evt", source_id=source, purpose=event["type"]) for source, event in zip(sources, events, strict=True)
    ]
    decisions = await rows(filled, "SELECT id FROM trustpack.policy_decisions")
    assert {decision["id"] for decision in decisions} <= set(sources)


async def test_what_waits_is_still_in_time_and_has_its_timer(filled: World):
    waiting = await rows(
        filled, "SELECT w.id, j.due_at = w.until AS on_time, w.until > now() AS open FROM"
        " (SELECT id, coalesce(use_by, approval_expires_at) AS until FROM trustpack.quotes"
        " WHERE status IN ('pending_approval', 'approved')"
        " UNION ALL SELECT id, approval_expires_at FROM trustpack.high_risk_requests WHERE status = 'pending_approval') w"
        " LEFT JOIN trustpack.jobs j ON j.subject_id = w.id"
    )  # fmt: skip

    assert len(waiting) > DEALS // 10
    assert {(row["on_time"], row["open"]) for row in waiting} == {(True, True)}


async def test_everything_lies_in_the_last_60_days_and_nothing_in_the_future(filled: World):
    [span] = await rows(
        filled, "SELECT min(created_at) > now() - interval '61 days' AS begins, max(created_at) < now() AS ends,"
        " max(created_at) - min(created_at) > interval '50 days' AS spread FROM trustpack.quotes"
    )  # fmt: skip

    assert span == {"begins": True, "ends": True, "spread": True}


async def test_a_copy_is_read_as_any_quote_is(filled: World):
    [copy] = await rows(
        filled, f"SELECT id FROM trustpack.quotes WHERE status = 'activated' AND opportunity_id {OF_A_COPY} ORDER BY id LIMIT 1"
    )

    shown = (await filled.call("user-auditor", "GET", f"/revops/quotes/{copy['id']}")).json()
    receipts = (await filled.call("user-auditor", "GET", f"/revops/quotes/{copy['id']}/receipts")).json()["items"]
    assert shown["status"] == "activated"
    assert shown["contract"]["terms_digest"] == shown["terms_digest"]
    assert shown["owner"]["handle"].startswith("bulk-ae-")
    assert len(shown["linked"]["quotes"]) <= 3
    assert [receipt["action"] for receipt in receipts][-1] == "activated"
    assert len(receipts) == shown["version"]
    assert (await filled.call("user-stranger", "GET", f"/revops/quotes/{copy['id']}")).status_code == 404
    assert (await filled.call("user-stranger", "GET", "/revops/quotes")).json()["items"] == []


async def test_evidence_of_copied_requests_and_quotes_is_whole(filled: World):
    copies = await rows(
        filled,
        "(SELECT id, version FROM trustpack.high_risk_requests WHERE status = 'reverted' AND ticket LIKE 'bulk-0%%' LIMIT 3)"
        " UNION ALL (SELECT id, version FROM trustpack.quotes WHERE status = 'activated' ORDER BY id LIMIT 3)",
    )

    for copy in copies:
        flow = "high-risk-ops" if copy["id"].startswith("hro_") else "revops/deals"
        response = await filled.call("user-auditor", "GET", f"/evidence/{flow}/{copy['id']}")
        assert response.status_code == 200
        assert check_bundle(response.content) == ()
        own = [receipt for receipt in response.json()["receipts"] if receipt["body"]["subject"]["id"] == copy["id"]]
        assert len(own) == copy["version"]
    assert len(copies) == 6


async def test_the_same_again_adds_nothing(filled: World, settings: Settings):
    before = await everything(filled)

    assert await fill(settings, filled.tenant_id) == [DEALS]

    assert await everything(filled) == before


@pytest.mark.parametrize("is_demo", [False, None], ids=["real tenant", "no tenant"])
async def test_a_tenant_that_is_no_demo_is_refused(container: Container, settings: Settings, is_demo: bool | None):
    tenant_id = "bulk-real" if is_demo is False else "bulk-nowhere"
    if is_demo is False:
        async with container.unit_of_work.transaction(tenant_id) as tx:
            await directory.create_tenant(tx, system_actor(tenant_id, "operator"), name="Real", is_demo=is_demo)

    with pytest.raises(seeding.NotADemoTenant):
        await fill(settings, tenant_id)

    async with container.unit_of_work.transaction(tenant_id) as tx:
        assert await tx.fetch_all("SELECT id FROM trustpack.people", {}) == []


async def test_a_batch_that_fails_leaves_nothing_behind(filled: World, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    before = await counts(filled, "quotes", "leads", "policy_decisions", "receipts")

    async def load_wrongly(tx: Transaction, lines: Mapping[str, str]) -> None:
        await loading.load(tx, {**lines, "policy_decisions": ""})  # which shows at the end

    monkeypatch.setattr(seeding, "load", load_wrongly)
    with pytest.raises(ExceptionGroup) as caught:
        await fill(settings, filled.tenant_id, quotes=QUOTES + 40)

    assert caught.group_contains(ForeignKeyViolation, match="decision")
    after = await counts(filled, "quotes", "leads", "policy_decisions", "receipts")
    assert after["quotes"] - before["quotes"] == 4 * STORIES  # the stories that were told anew, and no copy of them


async def everything(world: World) -> dict[str, int]:
    """Return how many rows there are, people and tokens included."""
    return await counts(world, *TABLES, "people", "tokens", "teams", "price_book_entries", "targets")
