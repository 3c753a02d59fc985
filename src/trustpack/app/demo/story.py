"""The golden path of a high-risk operation, told on the terminal and checked at every step.

Each step is done the way a user does it: over HTTP, and with a real PostgreSQL session on the credentials handed out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from trustpack.app.demo.target import DemoTarget, rows_by_tenant
from trustpack.app.demo.terminal import StepFailed, Telling
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.proof.bundle import check_bundle

TENANT = "summit-internal"
SCOPE = "acme"
ACCESS_SECONDS = 6
"""Long enough to look around, short enough to watch it end."""
REVERT_DEADLINE_SECONDS = 5.0
_POLL_SECONDS = 0.1
_GLANCE_SECONDS = 0.01
"""The views end the access on the target's clock, the revert a few tens of milliseconds later; both are to be seen."""
_CONNECTION_LOST = psycopg.OperationalError
_BY_ITSELF = "0 rows, by the database's own clock"


@dataclass(slots=True, kw_only=True)
class Story(Telling):
    """Walks through one high-risk operation on the demo's target; the evidence is left in `evidence_dir`."""

    target: DemoTarget
    evidence_dir: Path

    async def tell(self) -> Path:
        """Walk the golden path and return the path of the evidence file. Raises `StepFailed` at the first step that fails."""
        async with self.client() as http:
            request = await self._ask(http)
            await self._approve(http, request)
            await self._execute(http, request)
            credentials = await self._credentials(http, request)
            session = await self._look_around(credentials)
            await self._watch_it_end(session, credentials)
            await self._wait_for_proof(http, request["id"])
            await self._show_what_was_done(http, request["id"])
            await self._login_is_refused(credentials)
            return await self._evidence(http, request["id"])

    async def _ask(self, http: httpx2.AsyncClient) -> dict[str, Any]:
        self.headline("user-engineer asks for temporary read access to one tenant's rows")
        body = {
            "type": "TEMP_DB_READ_ACCESS",
            "environment": "prod",
            "target": {"database": "orders-prod", "scope": {"tenant": SCOPE}},
            "duration_seconds": ACCESS_SECONDS,
            "justification": "Investigate stuck refunds",
            "ticket": "INC-2041",
        }
        request = await self.post(http, "user-engineer", "/high-risk-ops/requests", body, expect=201)
        self.check(request["status"] == "pending_approval", f"request {request['id']} waits for its approvals")
        self.check(
            request["required_approvals"] == ["team_lead", "security_officer"], "policy asks for team_lead and security_officer"
        )
        self.console.print(f"    {request['effect']['summary']}", style="dim", soft_wrap=True)
        return request

    async def _approve(self, http: httpx2.AsyncClient, request: Mapping[str, Any]) -> None:
        self.headline("two different people approve exactly what they were shown")
        path, vote = f"/high-risk-ops/requests/{request['id']}/approve", {"effect_digest": request["effect_digest"]}
        refused = await self.post(http, "user-engineer", path, vote, expect=403)
        self.check(refused["code"] == "operations.self_approval_forbidden", "user-engineer may not approve the own request")
        after_lead = await self.post(http, "user-team-lead", path, vote, expect=200)
        self.check(after_lead["status"] == "pending_approval", "user-team-lead approved; one role is still open")
        after_security = await self.post(http, "user-security", path, vote, expect=200)
        self.check(after_security["status"] == "approved", "user-security approved; the request is approved")

    async def _execute(self, http: httpx2.AsyncClient, request: Mapping[str, Any]) -> None:
        self.headline("the grant is carried out on a real PostgreSQL")
        active = await self.post(http, "user-engineer", f"/high-risk-ops/requests/{request['id']}/execute", None, expect=200)
        self.check(active["status"] == "active", f"role {active.get('grant', {}).get('role_name')} is active")
        self.console.print(f"    it ends at {active['grant']['expires_at']} by itself", style="dim")

    async def _credentials(self, http: httpx2.AsyncClient, request: Mapping[str, Any]) -> dict[str, Any]:
        self.headline("user-engineer gets credentials, once")
        path = f"/high-risk-ops/requests/{request['id']}/credentials"
        credentials = await self.post(http, "user-engineer", path, {}, expect=200)
        self.check(bool(credentials.get("uri")), "the credentials were shown")
        again = await self.post(http, "user-engineer", path, {}, expect=409)
        self.check(again["code"] == "operations.credentials_already_shown", "a second call does not show them again")
        return credentials

    async def _look_around(self, credentials: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
        self.headline("a psql session with these credentials sees the rows of one tenant only")
        truth = await asyncio.to_thread(rows_by_tenant, self.target)
        session = await psycopg.AsyncConnection.connect(credentials["uri"], autocommit=True)
        seen = dict(await _rows(session, "SELECT tenant, count(*) FROM orders GROUP BY tenant"))
        self.check(
            seen == {SCOPE: truth[SCOPE]},
            f"{seen.get(SCOPE)} orders of {SCOPE}; of the others ({sum(truth.values())} in all) none",
        )
        async with session.transaction(force_rollback=True):
            await _rows(session, "SELECT count(*) FROM refunds")
        email = (await _rows(session, "SELECT email FROM customers LIMIT 1"))[0][0]
        self.check(email.endswith("***"), f"e-mail addresses are masked: {email}")
        for attempt in ("SELECT * FROM public.orders", "SELECT tax_id FROM customers", "CREATE ROLE more"):
            self.check(await _is_refused(session, attempt), f"refused: {attempt}")
        return session

    async def _watch_it_end(self, session: psycopg.AsyncConnection[Any], credentials: Mapping[str, Any]) -> None:
        self.headline("the access ends by itself, in the middle of the session")
        started = monotonic_seconds()
        seen: list[str] = []
        with Progress(
            TextColumn("    waiting for the end"), BarColumn(), TimeRemainingColumn(), console=self.console, transient=True
        ) as bar:
            task = bar.add_task("access", total=ACCESS_SECONDS)
            while not session.closed and monotonic_seconds() - started < ACCESS_SECONDS + REVERT_DEADLINE_SECONDS:
                bar.update(task, completed=monotonic_seconds() - started)
                sight = await _what_it_sees(session)
                if sight is not None and sight not in seen:
                    seen.append(sight)
                await asyncio.sleep(_GLANCE_SECONDS)
        self.check(_BY_ITSELF in seen, f"the same session sees nothing after {credentials['expires_at']}: {', then '.join(seen)}")
        self.check(session.closed, "and it was ended by the revert")

    async def _wait_for_proof(self, http: httpx2.AsyncClient, request_id: str) -> None:
        self.headline("the revert is proven, not assumed")
        reverted = await self._until(http, request_id, lambda request: request["status"] == "reverted")
        proof = reverted["grant"]["revert_proof"]
        self.check(bool(proof), f"the receipt holds the proof, {len(json.dumps(proof))} bytes of it:")
        for name, fact in sorted(_leaves(proof)):
            self.console.print(f"      {name}: {fact}", style="dim", highlight=False, soft_wrap=True)

    async def _show_what_was_done(self, http: httpx2.AsyncClient, request_id: str) -> None:
        self.headline("the database itself kept a record of every read, which nobody could shorten")
        request = (await http.get(f"/high-risk-ops/requests/{request_id}", headers=self.sign("user-auditor"))).json()
        record = request["grant"]["access_record"]
        path = f"/high-risk-ops/requests/{request_id}/statements?limit=1"
        first = (await http.get(path, headers=self.sign("user-auditor"))).json()["items"][0]
        self.check(record["rolled_back"] >= 1, record["summary"])
        self.check(first["number"] == 1, f"the first of them: {first['statement']}")

    async def _login_is_refused(self, credentials: Mapping[str, Any]) -> None:
        said = "let in"
        try:
            leftover = await psycopg.AsyncConnection.connect(credentials["uri"])
            await leftover.close()
        except _CONNECTION_LOST as refusal:
            said = str(refusal)
        # libpq gives no SQLSTATE for a failed login; what counts is that the server answered, and what it said.
        self.check("password authentication failed" in said, "a new login with the same credentials is refused by the server")

    async def _evidence(self, http: httpx2.AsyncClient, request_id: str) -> Path:
        self.headline("anyone can be handed one file that tells the whole case")
        path = f"/evidence/high-risk-ops/{request_id}"
        first = await http.get(path, headers=self.sign("user-auditor"))
        second = await http.get(path, headers=self.sign("user-auditor"))
        self.check(first.status_code == 200 and first.content == second.content, "the bundle has the same bytes every time")  # noqa: PLR2004
        self._check_bundle(first.content)
        self.evidence_dir.mkdir(parents=True, exist_ok=True)
        file = self.evidence_dir / f"{request_id}.evidence.json"
        file.write_bytes(first.content)
        self.console.print(f"    evidence: [bold]{file}[/bold]", soft_wrap=True)
        return file

    def _check_bundle(self, content: bytes) -> None:
        receipts = json.loads(content)["receipts"]
        actions = ", ".join(receipt["body"]["action"] for receipt in receipts)
        whole = check_bundle(content) == ()
        self.check(whole, f"every digest in it is right, and its {len(receipts)} receipts form one unbroken chain: {actions}")
        disclosed = {entry["path"] for receipt in receipts for entry in receipt["disclosures"]}
        self.check(disclosed, f"what people wrote opens its commitments: {', '.join(sorted(disclosed))}")

    async def _until(
        self, http: httpx2.AsyncClient, request_id: str, reached: Callable[[Mapping[str, Any]], bool]
    ) -> dict[str, Any]:
        started = monotonic_seconds()
        while True:
            response = await http.get(f"/high-risk-ops/requests/{request_id}", headers=self.sign("user-auditor"))
            request: dict[str, Any] = response.json()
            if reached(request):
                return request
            if monotonic_seconds() - started > REVERT_DEADLINE_SECONDS:
                raise StepFailed(f"the request is still {request.get('status')}")
            await asyncio.sleep(_POLL_SECONDS)


async def _rows(session: psycopg.AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    cursor = await session.execute(query.encode())
    return await cursor.fetchall()


async def _is_refused(session: psycopg.AsyncConnection[Any], query: str) -> bool:
    try:
        await session.execute(query.encode())
    except psycopg.errors.ProgrammingError:  # insufficient privilege, or a column that the view does not have
        return True
    return False


async def _what_it_sees(session: psycopg.AsyncConnection[Any]) -> str | None:
    """Return why the session sees no row, or None while it still does."""
    try:
        (count,) = (await _rows(session, "SELECT count(*) FROM orders"))[0]
    except _CONNECTION_LOST:
        return "the connection was terminated"
    except psycopg.errors.ProgrammingError:
        return "its membership in the reading group is gone, and with it the sight of every view"
    return _BY_ITSELF if count == 0 else None


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _leaves(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item
