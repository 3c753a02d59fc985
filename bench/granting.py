"""Bring requests to live grants through the product's own flow, and read back from the store how they ended."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Final

from bench_target import BenchTarget
from bench_tenant import ENGINEER, REQUESTS_PATH, TENANT, BenchTenant
from http_load import Outcome, Plan, apply_load
from server_process import ServerProcess
from store_counts import as_superuser, pending_requests

from trustpack.platform.settings import Settings

CONNECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class EndedGrant:
    """One grant as the store has it: its end on our clock and on the target's, when its revert was recorded, and the proof."""

    expires_at: datetime
    target_expires_at: datetime
    ended_at: datetime
    proof: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow of one tenant on one target, over HTTP."""

    settings: Settings
    tenant: BenchTenant
    server: ServerProcess
    target: BenchTarget

    def approve(self, durations: Sequence[int]) -> list[str]:
        """Have requests of so many seconds each approved and return their ids; nothing else may be pending."""
        asking = [self.tenant.asking(target=self.target.name, duration_seconds=duration) for duration in durations]
        self._send(asking).require_only(201)
        pending = pending_requests(self.settings)
        votes = [self.tenant.approving(request_id, effect_digest=digest) for request_id, digest in pending]
        for round_of_votes in zip(*votes, strict=True):
            self._send(round_of_votes).require_only(200)
        return [request_id for request_id, _ in pending]

    def execute(self, request_ids: Sequence[str], *, pace_seconds: float = 0) -> Outcome:
        """Carry approved requests out, one every `pace_seconds`, and return how that went; every one is then active."""
        outcome = self._send([self.tenant.executing(one) for one in request_ids], pace_seconds=pace_seconds)
        outcome.require_only(200)
        self.require_status(len(request_ids), "active")
        return outcome

    def credentials(self, request_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Hand out credentials for live grants and return them."""
        with closing(HTTPConnection("127.0.0.1", self.server.port)) as connection:
            return [self._post(connection, request_id, "credentials", {}) for request_id in request_ids]

    def revert_one_by_one(self, request_ids: Sequence[str]) -> list[float]:
        """Take live grants back, each when the one before is proven gone, and return how many seconds each took."""
        durations = []
        with closing(HTTPConnection("127.0.0.1", self.server.port)) as connection:
            for request_id in request_ids:
                started = time.perf_counter()
                found = self._post(connection, request_id, "revert", {"reason": "The work is done"})
                durations.append(time.perf_counter() - started)
                if found["status"] != "reverted":
                    raise SystemExit(f"{request_id} is not taken back: {found['grant']}")
        return durations

    def require_status(self, number: int, status: str) -> None:
        """End the program unless exactly so many requests on this target have the status."""
        found = self.count(status)
        if found != number:
            raise SystemExit(f"{number} requests on {self.target.name} should be {status}, but {found} are")

    def count(self, status: str) -> int:
        """Return how many requests on this target have the status."""
        with as_superuser(self.settings) as connection:
            row = connection.execute(
                "SELECT count(*) FROM trustpack.high_risk_requests"
                " WHERE tenant_id = %(tenant)s AND target_name = %(target)s AND status = %(status)s",
                {"tenant": TENANT, "target": self.target.name, "status": status},
            ).fetchone()
        assert row is not None  # a count
        return int(row[0])

    def ended_grants(self) -> list[EndedGrant]:
        """Return every grant of this target that was proven gone."""
        with as_superuser(self.settings) as connection:
            rows = connection.execute(
                "SELECT g.expires_at, g.target_expires_at, g.ended_at, g.proof FROM trustpack.grants g"
                " JOIN trustpack.high_risk_requests r ON r.tenant_id = g.tenant_id AND r.id = g.request_id"
                " WHERE g.tenant_id = %(tenant)s AND r.target_name = %(target)s AND g.status = 'reverted'",
                {"tenant": TENANT, "target": self.target.name},
            ).fetchall()
        return [EndedGrant(*times, json.loads(proof)) for *times, proof in rows]

    def _post(self, connection: HTTPConnection, request_id: str, command: str, body: object) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.tenant.tokens[ENGINEER]}", "Content-Type": "application/json"}
        connection.request("POST", f"{REQUESTS_PATH}/{request_id}/{command}", json.dumps(body), headers)
        answer = connection.getresponse()
        found: dict[str, Any] = json.load(answer)
        if answer.status != HTTPStatus.OK:
            raise SystemExit(f"{command} of {request_id} was answered {answer.status}: {found}")
        return found

    def _send(self, requests: Sequence[str], *, pace_seconds: float = 0) -> Outcome:
        shares = [tuple(requests[number::CONNECTIONS]) for number in range(CONNECTIONS)]
        connections = tuple(share for share in shares if share)
        return apply_load(Plan(port=self.server.port, connections=connections, pace_seconds=pace_seconds))
