"""A tenant to measure with: an engineer, a team lead, a security officer, and a target that records what it would do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from http_load import http_request

from trustpack.app.bootstrap import Container, open_container
from trustpack.capabilities import directory
from trustpack.capabilities.operations.rules.target_definition import parse_definition
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.settings import Settings

TENANT: Final = "bench"
ENGINEER: Final = "bench-engineer"
TEAM_LEAD: Final = "bench-team-lead"
SECURITY: Final = "bench-security"
REQUESTS_PATH: Final = "/high-risk-ops/requests"
_ROLES: Final = {ENGINEER: Role.ENGINEER, TEAM_LEAD: Role.TEAM_LEAD, SECURITY: Role.SECURITY_OFFICER}
_TARGET: Final[dict[str, Any]] = {
    "name": "orders-prod",
    "environment": "prod",
    "adapter": "record",
    "max_duration_seconds": 7200,
    "connection_limit": 2,
    "tables": [{"table": "public.orders", "tenant_column": "tenant", "mask": {"email": "first_letter"}}],
}
_REQUEST: Final[dict[str, Any]] = {
    "type": "TEMP_DB_READ_ACCESS",
    "environment": "prod",
    "target": {"database": "orders-prod", "scope": {"tenant": "acme"}},
    "duration_minutes": 60,
    "justification": "Investigate stuck refunds",
    "ticket": "INC-2041",
}


@dataclass(frozen=True, slots=True)
class BenchTenant:
    """The bearer tokens of the tenant's people by handle, and the requests that they send."""

    tokens: dict[str, str]

    def asking(self) -> str:
        """Return the HTTP request of the engineer who asks for access."""
        return http_request(REQUESTS_PATH, token=self.tokens[ENGINEER], body=_REQUEST)

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
        definition = parse_definition(_TARGET)
        identity = await identify_target(container.operations, definition)
        async with container.unit_of_work.transaction(TENANT) as tx:
            await put_target(tx, operator, definition=definition, identity=identity)
    return BenchTenant(tokens)


async def _add_person(container: Container, handle: str, role: Role) -> str:
    operator = system_actor(TENANT, "operator")
    async with container.unit_of_work.transaction(TENANT) as tx:
        await directory.add_person(tx, operator, handle=handle, display_name=handle, roles=frozenset({role}))
        return (await directory.issue_token(tx, operator, handle=handle, label="bench", lifetime=timedelta(days=1))).secret
