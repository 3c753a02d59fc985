"""The deals of the demo: what they come to, what proves them, and that they are told once, however often they are cut off."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.deal_figures import Figures, figures_of
from tests.support.server_process import PATIENT, wait_until
from tests.support.store import as_app, rows_as_owner, tables_of_tenants
from trustpack.app.bootstrap import Container
from trustpack.app.demo.deal_history import DealHistory, StoryClock, revops_at
from trustpack.app.demo.deals import BEGIN, DEALS
from trustpack.app.demo.seed import add_people, issue_tokens, seed_past
from trustpack.app.demo.sellers import IMPORTER, LEAVER, MANAGER_WHO_SELLS, ON_LEAVE, ROUTER, SELLERS, STAND_IN
from trustpack.kernel.clock import parse_time
from trustpack.platform.settings import Settings
from trustpack.proof.bundle import check_bundle
from trustpack.proof.receipt_chain import check_chain

ROOT = Path(__file__).resolve().parents[3]
ALDERGATE, BOREALIS = "aldergate", "borealis"
EXPECTED = Figures(
    leads=16,
    quotes=12,
    versions=15,
    needing_approval=(8, 9, 11),
    cycles=(7, Decimal("69.00"), Decimal("9.86"), Decimal("8.80"), Decimal("26.00")),
    manager=(11, Decimal("2.52")),
    finance=(9, Decimal("8.44")),
    contracts=8,
    activated=(Decimal("1806000.00"), Decimal("1357729.92")),
    all_current=(Decimal("3133000.00"), Decimal("2174229.92")),
    late_first_touches=1,
)
STATES = {
    "Q-1001": "activated",
    "Q-1002": "activated",
    "Q-1003": "activated",
    "Q-1004": "activated",
    "Q-1005": "activated",
    "Q-1006": "activated",
    "Q-1007": "activated",
    "Q-1008": "draft",
    "Q-1009": "activated",
    "Q-1010": "pending_approval",
    "Q-1011": "expired",
    "Q-1012": "rejected",
}


@dataclass(slots=True)
class Told:
    """A tenant in which the deals of the demo have happened."""

    tenant_id: str
    now: datetime
    tokens: Mapping[str, str]
    settings: Settings
    http: httpx2.AsyncClient

    async def get(self, path: str, person: str = "user-auditor") -> httpx2.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {self.tokens[person]}"})

    async def quote(self, name: str) -> dict[str, Any]:
        return (await self.get(f"/revops/quotes/{self.id_of(name)}")).json()

    def rows(self, query: str, *parameters: object) -> Sequence[Mapping[str, Any]]:
        return rows_as_owner(self.settings, query, self.tenant_id, *parameters)

    def id_of(self, name: str) -> str:
        [row] = self.rows("SELECT id FROM trustpack.quotes WHERE tenant_id = %s AND external_id = %s", name)
        return row["id"]

    def everything(self) -> dict[str, list[str]]:
        """Return every row of the tenant, by table."""
        return {
            table: [
                row["text"]
                for row in self.rows(f"SELECT t::text AS text FROM trustpack.{table} t WHERE tenant_id = %s ORDER BY t::text")
            ]
            for table in tables_of_tenants(self.settings)
        }


async def tell(container: Container, http: httpx2.AsyncClient, tenant_id: str) -> Told:
    now = container.unit_of_work.clock.now()
    await seed_past(container, tenant_id, name=tenant_id, with_deals=True)
    tokens = await issue_tokens(container, tenant_id)
    return Told(tenant_id, now, tokens, container.settings, http)


@pytest.fixture(scope="module")
async def told(container: Container, http: httpx2.AsyncClient) -> Told:
    return await tell(container, http, ALDERGATE)


@pytest.fixture(scope="module")
async def twin(container: Container, http: httpx2.AsyncClient) -> Told:
    return await tell(container, http, BOREALIS)


def test_the_store_gives_the_numbers_of_the_story(told: Told):
    assert figures_of(told.settings, told.tenant_id) == EXPECTED


def test_every_quote_ends_where_its_story_ends(told: Told):
    rows = told.rows("SELECT external_id, status FROM trustpack.quotes WHERE tenant_id = %s ORDER BY external_id")

    assert {row["external_id"]: row["status"] for row in rows} == STATES


def test_what_review_avoided_and_what_was_added_after_approval_follows_from_the_revisions(told: Told):
    rows = told.rows(
        "SELECT q.external_id, (second.net_minor - first.net_minor) / 100 AS gained FROM trustpack.quotes q"
        " JOIN trustpack.quote_revisions first ON (first.tenant_id, first.quote_id, first.revision) = (q.tenant_id, q.id, 1)"
        " JOIN trustpack.quote_revisions second ON (second.tenant_id, second.quote_id, second.revision) = (q.tenant_id, q.id, 2)"
        " WHERE q.tenant_id = %s"
    )

    assert {row["external_id"]: row["gained"] for row in rows} == {"Q-1005": 16_800, "Q-1006": -26_040, "Q-1007": 4_800}


def test_one_quote_waits_for_finance_and_its_end_is_still_to_come(told: Told):
    [waiting] = told.rows(
        "SELECT id, submitted_at, approval_expires_at FROM trustpack.quotes WHERE tenant_id = %s AND status = 'pending_approval'"
    )
    jobs = told.rows("SELECT subject_id, due_at FROM trustpack.jobs WHERE tenant_id = %s AND kind = 'revops.expire'")

    assert told.now - timedelta(minutes=1) < waiting["submitted_at"] + timedelta(hours=92) <= told.now
    assert [(job["subject_id"], job["due_at"]) for job in jobs] == [(waiting["id"], waiting["approval_expires_at"])]
    assert waiting["approval_expires_at"] == waiting["submitted_at"] + timedelta(days=14)


async def test_a_worker_finds_nothing_to_end(container: Container, told: Told):
    await container.worker.run_due()

    assert figures_of(told.settings, told.tenant_id) == EXPECTED
    assert (await told.quote("Q-1010"))["status"] == "pending_approval"


async def test_the_approval_that_nobody_used_was_ended_by_the_workers_job_at_its_time(told: Told):
    quote = await told.quote("Q-1011")
    receipts = (await told.get(f"/revops/quotes/{quote['id']}/receipts")).json()["items"]

    assert [receipt["action"] for receipt in receipts[2:]] == ["refused", "approved", "approved", "expired"]
    assert receipts[2]["payload"]["code"] == "revops.self_approval_forbidden"
    assert receipts[2]["actor"]["handle"] == MANAGER_WHO_SELLS
    assert receipts[-1]["actor"]["id"] == "system:expiry"
    assert receipts[-1]["payload"]["waited_for"] == "activation"
    assert parse_time(receipts[-1]["occurred_at"]) == parse_time(quote["use_by"])


async def test_the_quote_that_hides_a_deep_line_was_only_asked_about(told: Told):
    quote = await told.quote("Q-1008")
    decision = (await told.get(f"/policy/decisions/{quote['decisions'][0]}")).json()

    assert (quote["list_amount"], quote["net_amount"], quote["required_approvals"]) == ("221000.00", "180500.00", [])
    assert (quote["discount_percent"], quote["max_line_discount_percent"]) == ("18.325792", "45")
    assert quote["recurring_discount_percent"] == "21.774194"
    assert (decision["mode"], decision["required_approvals"]) == ("preview", ["manager", "finance"])
    assert {reason["measure"] for reason in decision["reasons"]} == {"declared", "largest_line", "recurring"}


async def test_a_vote_stands_although_its_voter_has_left_before_the_activation(told: Told):
    quote = await told.quote("Q-1003")
    [left] = told.rows(
        "SELECT r.occurred_at, p.status FROM trustpack.people p JOIN trustpack.receipts r"
        " ON r.tenant_id = p.tenant_id AND r.subject_id = p.id AND r.action = 'deactivated'"
        " WHERE p.tenant_id = %s AND p.handle = %s",
        LEAVER,
    )

    assert quote["approvals"][1]["approver"]["handle"] == LEAVER
    voted, activated = quote["approvals"][1]["created_at"], quote["contract"]["created_at"]
    assert parse_time(voted) < left["occurred_at"] < parse_time(activated)
    assert left["status"] == "deactivated"


async def test_a_stand_in_voted_by_a_delegation_of_the_manager_on_leave(told: Told):
    vote = (await told.quote("Q-1009"))["approvals"][0]
    delegation = (await told.get(f"/revops/delegations/{vote['delegation']['id']}")).json()

    assert vote["approver"]["handle"] == STAND_IN
    assert (delegation["from"]["handle"], delegation["to"]["handle"], delegation["role"]) == (ON_LEAVE, STAND_IN, "manager")
    assert delegation["from_date"] <= vote["created_at"][:10] <= delegation["until_date"]
    assert not delegation["in_force"]


def test_every_lead_was_routed_and_four_of_them_wait_for_a_first_touch(told: Told):
    rows = rows_as_owner(
        told.settings,
        "SELECT l.company, l.routing_rule, o.first_touch_due_at > %s AS in_time, o.team_id IS NOT NULL AS has_team,"
        " o.first_touched_at IS NULL AS waits FROM trustpack.leads l JOIN trustpack.opportunities o"
        " ON (o.tenant_id, o.id) = (l.tenant_id, l.opportunity_id) WHERE l.tenant_id = %s ORDER BY l.created_at",
        told.now,
        told.tenant_id,
    )

    assert all(row["has_team"] for row in rows)
    assert [(row["company"], row["routing_rule"], row["in_time"]) for row in rows if row["waits"]] == [
        ("Tidewater Logistics Inc.", "existing_account", True),
        ("Vesper Studio", "fallback", True),
        ("Bramble Books", "fallback", True),
        ("Parallax CPQ", "fallback", True),
    ]


def test_every_chain_of_receipts_holds_and_goes_forward_in_time(told: Told):
    kinds = rows_as_owner(told.settings, "SELECT kind, table_name FROM trustpack.governed_tables")
    subjects: dict[str, int] = {}
    for kind in kinds:
        found = told.rows(f"SELECT id, version FROM trustpack.{kind['table_name']} WHERE tenant_id = %s")
        subjects |= {row["id"]: row["version"] for row in found}
    chains: dict[str, list[bytes]] = {}
    for row in told.rows("SELECT subject_id, body FROM trustpack.receipts WHERE tenant_id = %s ORDER BY subject_id, seq"):
        chains.setdefault(row["subject_id"], []).append(bytes(row["body"]))

    assert chains.keys() == subjects.keys()
    for subject_id, bodies in chains.items():
        assert not check_chain(bodies, subject_id=subject_id, expected_count=subjects[subject_id])
        times = [json.loads(body)["occurred_at"] for body in bodies]
        assert times == sorted(times)


def test_policy_was_asked_at_every_step_that_it_decides_and_each_answer_was_counted(told: Told):
    steps = told.rows(
        "SELECT r.subject_kind, r.occurred_at = d.decided_at AS at_its_time, d.mode, d.allowed FROM trustpack.receipts r"
        " JOIN trustpack.policy_decisions d ON d.tenant_id = r.tenant_id AND d.subject_id = r.subject_id"
        " AND d.id IN (convert_from(r.body, 'UTF8')::jsonb #>> '{payload,decision_id}',"
        " convert_from(r.body, 'UTF8')::jsonb #>> '{payload,routing,decision_id}')"
        " WHERE r.tenant_id = %s AND r.action IN ('promoted', 'submitted', 'activated')"
    )
    usage = told.rows("SELECT type, count(*) AS number FROM trustpack.usage_events WHERE tenant_id = %s GROUP BY type")

    assert len(steps) == 16 + 14 + 8
    assert all(step["at_its_time"] and step["allowed"] and step["mode"] == "enforce" for step in steps)
    assert {row["type"]: row["number"] for row in usage} == {"policy_decision": 16 + 14 + 8, "workflow_run": 11}


def test_the_sales_organisation_is_complete(told: Told):
    rows = told.rows("SELECT handle, kind, status, roles FROM trustpack.people WHERE tenant_id = %s")
    people = {row["handle"]: row for row in rows}
    sellers = {handle for handle, row in people.items() if "ae" in row["roles"] and handle != STAND_IN}

    assert sellers >= {"user-ae", MANAGER_WHO_SELLS}
    assert len(sellers) == 6 + 1
    assert sum("manager" in row["roles"] and row["kind"] == "person" for row in rows) == 3 + 1
    assert sum("finance" in row["roles"] and row["status"] == "active" for row in rows) == 2
    assert {handle for handle, row in people.items() if row["kind"] == "bot"} == {ROUTER, IMPORTER}
    assert [handle for handle, row in people.items() if row["status"] == "deactivated"] == [LEAVER]


async def test_the_account_executive_of_the_cast_has_deals_to_look_at(told: Told):
    answer = await told.get("/revops/quotes", person="user-ae")

    own = {quote["external_id"] for quote in answer.json()["items"] if quote["owner"]["handle"] == "user-ae"}
    assert own == {"Q-1001", "Q-1007"}


async def test_told_again_nothing_changes(container: Container, told: Told):
    before = told.everything()

    await seed_past(container, told.tenant_id, name=told.tenant_id, with_deals=True)

    assert told.everything() == before


async def test_a_quote_that_somebody_touched_meanwhile_stays_as_it_is_and_the_others_go_on(
    container: Container, http: httpx2.AsyncClient
):
    tenant_id = "aldergate-touched"
    now = container.unit_of_work.clock.now().replace(microsecond=0)
    clock = StoppingClock(now - BEGIN, stops_at=now - timedelta(hours=220))
    revops = revops_at(container, clock)
    async with revops.unit_of_work.transaction(tenant_id) as tx:
        await add_people(tx, name=tenant_id, sells=True)
    clock.is_running = True
    with pytest.raises(Stopped):
        await DealHistory(revops, clock, tenant_id).live_through(now)
    cut = Told(tenant_id, now, await issue_tokens(container, tenant_id), container.settings, http)
    touched = cut.id_of("Q-1004")
    signed = {"Authorization": f"Bearer {cut.tokens['user-admin']}"}
    assert (await http.post(f"/revops/quotes/{touched}/preview-approvals", headers=signed)).status_code == 200
    before = await cut.quote("Q-1004")

    await seed_past(container, tenant_id, name=tenant_id, with_deals=True)

    rows = cut.rows("SELECT external_id, status FROM trustpack.quotes WHERE tenant_id = %s")
    assert before["status"] == "pending_approval"
    assert await cut.quote("Q-1004") == before
    assert {row["external_id"]: row["status"] for row in rows} == STATES | {"Q-1004": "pending_approval"}


@pytest.mark.slow
async def test_killed_and_started_again_it_is_told_to_its_end_and_once(container: Container, settings: Settings):
    tenant_id = "aldergate-killed"

    for wanted in (100, 160):
        killed = start_telling(settings, tenant_id)
        reached = partial(has_receipts, settings, tenant_id, wanted)
        await asyncio.to_thread(wait_until, reached, seconds=60, what=f"{wanted} receipts")
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL, "it was told to its end before it could be killed"
    await seed_past(container, tenant_id, name=tenant_id, with_deals=True)

    assert figures_of(settings, tenant_id) == EXPECTED
    rows = rows_as_owner(settings, "SELECT external_id, status FROM trustpack.quotes WHERE tenant_id = %s", tenant_id)
    assert {row["external_id"]: row["status"] for row in rows} == STATES


async def test_two_tenants_with_the_same_deals_never_meet(container: Container, told: Told, twin: Told):
    ids = {side.tenant_id: ids_of(side) for side in (told, twin)}

    assert names_of(told) == names_of(twin)
    assert not ids[told.tenant_id] & ids[twin.tenant_id]
    for side, other in ((told, twin), (twin, told)):
        seen = await visible_text(container, side)
        assert all(found in seen or found.encode().hex() in seen for found in ids[side.tenant_id])
        assert not [found for found in ids[other.tenant_id] if found in seen or found.encode().hex() in seen]
        for kind in ("quotes", "leads"):
            page = (await side.get(f"/revops/{kind}?limit=200")).json()["items"]
            listed = {entry["id"] if kind == "quotes" else entry["lead"]["id"] for entry in page}
            assert len(listed) == {"quotes": 12, "leads": 16}[kind]
            assert listed <= ids[side.tenant_id]


async def test_a_person_of_the_same_name_in_the_other_tenant_finds_and_does_nothing(told: Told, twin: Told):
    theirs = await twin.quote("Q-1010")
    before = twin.everything()

    quote = f"/revops/quotes/{theirs['id']}"
    decision = f"/policy/decisions/{theirs['decisions'][0]}"
    opportunity = f"/revops/opportunities/{theirs['opportunity_id']}"
    for path in (quote, f"{quote}/receipts", f"{quote}/revisions", decision, opportunity):
        assert (await told.get(path)).status_code == 404
        assert (await twin.get(path)).status_code == 200
    signed = {"Authorization": f"Bearer {told.tokens['user-finance']}"}
    vote = {"terms_digest": theirs["terms_digest"]}
    answer = await told.http.post(f"{quote}/approve", headers=signed, json=vote)

    assert answer.status_code == 404
    assert twin.everything() == before


class Stopped(Exception):
    """The story was cut off."""


@dataclass(slots=True)
class StoppingClock(StoryClock):
    """Stops whoever asks for the time once the story has reached a moment."""

    stops_at: datetime
    is_running: bool = False

    def now(self) -> datetime:
        if self.is_running and self.stops_at < self.moment < self.stops_at + timedelta(hours=200):
            raise Stopped
        return self.moment


def start_telling(settings: Settings, tenant_id: str) -> subprocess.Popen[bytes]:
    url = settings.database_url
    store = {"TRUSTPACK_DATABASE_URL": url.get_secret_value()} if url else {}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTPACK_")}
    environment = {**inherited, **PATIENT, **store, "TRUSTPACK_DATA_DIR": str(settings.data_dir)}
    return subprocess.Popen([sys.executable, "-m", "tests.support.seeding", tenant_id], cwd=ROOT, env=environment)


def has_receipts(settings: Settings, tenant_id: str, wanted: int) -> bool:
    query = "SELECT count(*) AS number FROM trustpack.receipts WHERE tenant_id = %s"
    return int(rows_as_owner(settings, query, tenant_id)[0]["number"]) >= wanted


def ids_of(side: Told) -> set[str]:
    """Return the ids of all that a tenant holds."""
    tables = rows_as_owner(
        side.settings,
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'trustpack' AND column_name = 'id'"
        " AND table_name IN (SELECT table_name FROM information_schema.columns WHERE table_schema = 'trustpack'"
        " AND column_name = 'tenant_id')",
    )
    return {
        row["id"] for table in tables for row in side.rows(f"SELECT id FROM trustpack.{table['table_name']} WHERE tenant_id = %s")
    }


def names_of(side: Told) -> set[str]:
    """Return the names by which people would know a tenant's leads, accounts, people, teams and quotes."""
    columns = (
        "SELECT email FROM trustpack.leads WHERE tenant_id = t.id UNION ALL"
        " SELECT account FROM trustpack.opportunities WHERE tenant_id = t.id UNION ALL"
        " SELECT handle FROM trustpack.people WHERE tenant_id = t.id UNION ALL"
        " SELECT name FROM trustpack.teams WHERE tenant_id = t.id UNION ALL"
        " SELECT external_id FROM trustpack.quotes WHERE tenant_id = t.id"
    )
    rows = side.rows(f"SELECT n.name FROM (SELECT %s AS id) AS t, LATERAL ({columns}) AS n (name)")
    assert len(rows) > 16 + 16 + len(SELLERS) + len(DEALS)
    return {row["name"] for row in rows}


async def visible_text(container: Container, side: Told) -> str:
    """Return all that the application's login sees in the tenant, as text."""
    lines: list[str] = []
    async with as_app(container, side.tenant_id) as connection:
        for table in tables_of_tenants(side.settings):
            cursor = await connection.execute(f"SELECT t::text AS text FROM trustpack.{table} t".encode())
            lines += [row["text"] for row in await cursor.fetchall()]
    return "\n".join(lines)


async def test_the_evidence_of_every_seeded_deal_agrees_with_itself(told: Told):
    for row in told.rows("SELECT id, opportunity_id FROM trustpack.quotes WHERE tenant_id = %s"):
        for deal in (row["id"], row["opportunity_id"]):
            answer = await told.get(f"/evidence/revops/deals/{deal}")
            assert answer.status_code == 200
            assert check_bundle(answer.content) == ()
