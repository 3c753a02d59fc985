"""A tenant to measure with: an engineer, a team lead, a security officer, and a target that records what it would do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from http_load import http_read, http_request

from trustpack.app.bootstrap import Container, open_container
from trustpack.capabilities import directory
from trustpack.capabilities.operations.model import TargetDefinition
from trustpack.capabilities.operations.rules.target_definition import parse_definition
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.settings import Settings

TENANT: Final = "bench"
ENGINEER: Final = "bench-engineer"
NEWCOMER: Final = "bench-newcomer"
"""An engineer who has asked for nothing yet."""
TEAM_LEAD: Final = "bench-team-lead"
SECURITY: Final = "bench-security"
REQUESTS_PATH: Final = "/high-risk-ops/requests"
_ROLES: Final = {
    ENGINEER: Role.ENGINEER,
    NEWCOMER: Role.ENGINEER,
    TEAM_LEAD: Role.TEAM_LEAD,
    SECURITY: Role.SECURITY_OFFICER,
}
RECORD_TARGET: Final = "orders-prod"
SCOPE: Final = "acme"
_TARGET: Final[dict[str, Any]] = {
    "name": RECORD_TARGET,
    "environment": "prod",
    "adapter": "record",
    "max_duration_seconds": 7200,
    "connection_limit": 2,
    "tables": [{"table": "public.orders", "tenant_column": "tenant", "mask": {"email": "first_letter"}}],
}
_REQUEST: Final[dict[str, Any]] = {
    "type": "TEMP_DB_READ_ACCESS",
    "environment": "prod",
    "justification": "Investigate stuck refunds",
    "ticket": "INC-2041",
}


@dataclass(frozen=True, slots=True)
class BenchTenant:
    """The bearer tokens of the tenant's people by handle, and the requests that they send."""

    tokens: dict[str, str]

    def asking(self, *, target: str = RECORD_TARGET, duration_seconds: int = 3600) -> str:
        """Return the HTTP request of the engineer who asks for access."""
        body = {**_REQUEST, "target": {"database": target, "scope": {"tenant": SCOPE}}, "duration_seconds": duration_seconds}
        return http_request(REQUESTS_PATH, token=self.tokens[ENGINEER], body=body)

    def executing(self, request_id: str) -> str:
        """Return the HTTP request of the engineer who has an approved request carried out."""
        return http_request(f"{REQUESTS_PATH}/{request_id}/execute", token=self.tokens[ENGINEER], body=None)

    def reading(self, path: str = "", *, by: str) -> str:
        """Return the HTTP request of somebody who reads; `path` goes on after that of the requests."""
        return http_read(f"{REQUESTS_PATH}{path}", token=self.tokens[by])

    def approving(self, request_id: str, *, effect_digest: str) -> tuple[str, str]:
        """Return the HTTP requests of the team lead and of the security officer who approve a request."""
        path, body = f"{REQUESTS_PATH}/{request_id}/approve", {"effect_digest": effect_digest}
        return (
            http_request(path, token=self.tokens[TEAM_LEAD], body=body),
            http_request(path, token=self.tokens[SECURITY], body=body),
        )


def seed_store(settings: Settings) -> BenchTenant:
    """Put the tenant into a fresh store that runs."""
    return asyncio.run(_seed(settings))


async def _seed(settings: Settings) -> BenchTenant:
    operator = system_actor(TENANT, "operator")
    async with open_container(settings) as container:
        async with container.unit_of_work.transaction(TENANT) as tx:
            await directory.create_tenant(tx, operator, name="Bench", is_demo=False)
        tokens = {handle: await _add_person(container, handle, role) for handle, role in _ROLES.items()}
    await _register(settings, parse_definition(_TARGET))
    return BenchTenant(tokens)


def register_target(settings: Settings, definition: TargetDefinition) -> None:
    """Register a target with the tenant, after asking it who it is."""
    asyncio.run(_register(settings, definition))


async def _register(settings: Settings, definition: TargetDefinition) -> None:
    async with open_container(settings) as container:
        identity = await identify_target(container.operations, definition)
        async with container.unit_of_work.transaction(TENANT) as tx:
            await put_target(tx, system_actor(TENANT, "operator"), definition=definition, identity=identity)


async def _add_person(container: Container, handle: str, role: Role) -> str:
    operator = system_actor(TENANT, "operator")
    async with container.unit_of_work.transaction(TENANT) as tx:
        await directory.add_person(tx, operator, handle=handle, display_name=handle, roles=frozenset({role}))
        return (await directory.issue_token(tx, operator, handle=handle, label="bench", lifetime=timedelta(days=1))).secret
