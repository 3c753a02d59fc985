"""A tenant with people, tokens and a target, and the calls that a test makes as one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2

from tests.support.clock import MovableClock
from trustpack.app.bootstrap import Container
from trustpack.capabilities import directory
from trustpack.capabilities.operations.rules.target_definition import parse_definition
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.kernel.actor import Actor, ActorKind, Role, system_actor

CAST: Mapping[str, frozenset[Role]] = {
    "user-engineer": frozenset({Role.ENGINEER}),
    "user-engineer-2": frozenset({Role.ENGINEER}),
    "user-team-lead": frozenset({Role.TEAM_LEAD}),
    "user-security": frozenset({Role.SECURITY_OFFICER}),
    "user-lead-and-security": frozenset({Role.TEAM_LEAD, Role.SECURITY_OFFICER}),
    "user-ae": frozenset({Role.AE}),
    "user-auditor": frozenset({Role.AUDITOR}),
    "user-admin": frozenset({Role.ADMIN}),
}
RECORD_TARGET: Mapping[str, Any] = {
    "name": "orders-prod",
    "environment": "prod",
    "adapter": "record",
    "max_duration_seconds": 7200,
    "connection_limit": 2,
    "tables": [{"table": "public.orders", "tenant_column": "tenant", "mask": {"email": "first_letter"}}],
}


@dataclass(slots=True)
class World:
    """One fresh tenant. `call` speaks HTTP to the real application as one of its people."""

    tenant_id: str
    container: Container
    clock: MovableClock
    http: httpx2.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)
    people: dict[str, directory.Person] = field(default_factory=dict)

    @property
    def operator(self) -> Actor:
        return system_actor(self.tenant_id, "operator")

    async def add_person(
        self, handle: str, *roles: Role, kind: ActorKind = ActorKind.PERSON, account_id: str | None = None, name: str = ""
    ) -> str:
        """Add somebody, whom people know by a name or else by the handle, and return their token."""
        async with self.container.unit_of_work.transaction(self.tenant_id) as tx:
            person = await directory.add_person(
                tx,
                self.operator,
                handle=handle,
                display_name=name or handle,
                kind=kind,
                roles=frozenset(roles),
                account_id=account_id,
            )
        self.people[handle] = person
        return await self.issue_token(handle)

    async def issue_token(self, handle: str, *, account_id: str | None = None) -> str:
        """Return a new token of a person, which `call` then uses for them."""
        async with self.container.unit_of_work.transaction(self.tenant_id) as tx:
            issued = await directory.issue_token(
                tx, self.operator, handle=handle, label="test", lifetime=timedelta(days=365), account_id=account_id
            )
        self.tokens[handle] = issued.secret
        return issued.secret

    async def change_role(self, handle: str, role: Role, *, grant: bool) -> None:
        """Give or take a role."""
        async with self.container.unit_of_work.transaction(self.tenant_id) as tx:
            await directory.change_role(tx, self.operator, handle=handle, role=role, grant=grant)

    async def add_target(self, document: Mapping[str, Any] = RECORD_TARGET) -> None:
        """Register a target."""
        definition = parse_definition(document)
        identity = await identify_target(self.container.operations, definition)
        async with self.container.unit_of_work.transaction(self.tenant_id) as tx:
            await put_target(tx, self.operator, definition=definition, identity=identity)

    async def call(
        self, handle: str | None, method: str, path: str, body: object = None, *, key: str | None = None, **headers: str
    ) -> httpx2.Response:
        """Send one request as `handle` (None: without a token) with a JSON body unless it is None."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if handle is not None:
            sent["Authorization"] = f"Bearer {self.tokens[handle]}"
        if key is not None:
            sent["Idempotency-Key"] = key
        return await self.http.request(method, path, json=body, headers=sent)

    async def ask(self, handle: str = "user-engineer", **changes: Any) -> dict[str, Any]:
        """Create a request and return it; `changes` replace fields of the body."""
        response = await self.call(handle, "POST", "/high-risk-ops/requests", request_body(**changes))
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def act(
        self, handle: str, request_id: str, command: str, body: object = None, *, key: str | None = None
    ) -> httpx2.Response:
        """Post a command to a request."""
        return await self.call(handle, "POST", f"/high-risk-ops/requests/{request_id}/{command}", body, key=key)

    async def approved(self, **changes: Any) -> dict[str, Any]:
        """Create a request and have both roles approve it."""
        request = await self.ask(**changes)
        for approver in ("user-team-lead", "user-security"):
            response = await self.act(approver, request["id"], "approve", {"effect_digest": request["effect_digest"]})
            assert response.status_code == 200, response.text
        return dict(response.json())

    async def active(self, **changes: Any) -> dict[str, Any]:
        """Create, approve and execute a request."""
        request = await self.approved(**changes)
        response = await self.act("user-engineer", request["id"], "execute")
        assert response.json()["status"] == "active", response.text
        return dict(response.json())

    async def read(self, request_id: str, handle: str = "user-auditor") -> dict[str, Any]:
        """Return a request as it stands."""
        return dict((await self.call(handle, "GET", f"/high-risk-ops/requests/{request_id}")).json())

    async def receipts(self, request_id: str) -> list[dict[str, Any]]:
        """Return a request's receipts."""
        response = await self.call("user-auditor", "GET", f"/high-risk-ops/requests/{request_id}/receipts")
        return list(response.json()["items"])

    async def actions(self, request_id: str) -> list[str]:
        """Return the actions of a request's receipts in order."""
        return [receipt["action"] for receipt in await self.receipts(request_id)]


def request_body(**changes: Any) -> dict[str, Any]:
    """Return a valid request body with `changes` in it; a change to None leaves the field out."""
    body = {
        "type": "TEMP_DB_READ_ACCESS",
        "environment": "prod",
        "target": {"database": "orders-prod", "scope": {"tenant": "acme"}},
        "duration_minutes": 60,
        "justification": "Investigate stuck refunds",
        "ticket": "INC-2041",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}
