"""Both tenants of the contract with their people and target. Idempotent: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from trustpack.app.bootstrap import Container
from trustpack.app.demo.target import DemoTarget
from trustpack.capabilities import directory
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.unit_of_work import Transaction

TENANTS: Mapping[str, str] = {"summit-internal": "Summit (internal)", "demo-external": "Demo design partner"}
CAST: Mapping[str, tuple[str, frozenset[Role]]] = {
    "user-engineer": ("Erin Engineer", frozenset({Role.ENGINEER})),
    "user-engineer-2": ("Emil Engineer", frozenset({Role.ENGINEER})),
    "user-team-lead": ("Tara Lead", frozenset({Role.TEAM_LEAD})),
    "user-security": ("Sam Security", frozenset({Role.SECURITY_OFFICER})),
    "user-lead-and-security": ("Lee Both", frozenset({Role.TEAM_LEAD, Role.SECURITY_OFFICER})),
    "user-ae": ("Ada Account", frozenset({Role.AE})),
    "user-manager": ("Max Manager", frozenset({Role.MANAGER})),
    "user-finance": ("Fay Finance", frozenset({Role.FINANCE})),
    "user-auditor": ("Avi Auditor", frozenset({Role.AUDITOR})),
    "user-admin": ("Alex Admin", frozenset({Role.ADMIN})),
}
TEAM = "payments"
TEAM_MEMBERS = ("user-engineer", "user-engineer-2", "user-team-lead")
TOKEN_LIFETIME = timedelta(days=7)


async def seed_tenant(container: Container, tenant_id: str) -> None:
    """Make one tenant of the demo with its people, team and target."""
    async with container.unit_of_work.transaction(tenant_id) as tx:
        await _people(tx, tenant_id)
    definition = parse_definition_file(DemoTarget(container.settings).definition_text)
    identity = await identify_target(container.operations, definition)
    async with container.unit_of_work.transaction(tenant_id) as tx:
        await put_target(tx, system_actor(tenant_id, "seed"), definition=definition, identity=identity)


async def issue_tokens(container: Container, tenant_id: str) -> dict[str, str]:
    """Make a fresh token for everybody in the cast: secrets are not kept, so every run hands out new ones."""
    async with container.unit_of_work.transaction(tenant_id) as tx:
        actor = system_actor(tenant_id, "seed")
        return {
            handle: (await directory.issue_token(tx, actor, handle=handle, label="demo", lifetime=TOKEN_LIFETIME)).secret
            for handle in CAST
        }


async def _people(tx: Transaction, tenant_id: str) -> None:
    actor = system_actor(tenant_id, "seed")
    if await directory.is_demo_tenant(tx) is None:
        await directory.create_tenant(tx, actor, name=TENANTS[tenant_id], is_demo=True)
        await directory.add_team(tx, actor, name=TEAM)
    for handle, (display_name, roles) in CAST.items():
        try:
            await directory.person_by_handle(tx, handle)
        except directory.UnknownName:
            await directory.add_person(tx, actor, handle=handle, display_name=display_name, roles=roles)
    for handle in TEAM_MEMBERS:
        await directory.join_team(tx, actor, handle=handle, team=TEAM)
