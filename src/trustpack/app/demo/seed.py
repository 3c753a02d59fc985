"""The tenants of the demo with their people, deals and target. Idempotent: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from trustpack.app.bootstrap import Container
from trustpack.app.demo.deal_history import DealHistory, StoryClock, revops_at
from trustpack.app.demo.deals import BEGIN, price_file
from trustpack.app.demo.sellers import IMPORTER, OTHER_TEAMS, ROUTED_TEAMS, SELLERS, TEAMS_OF_CAST, Seller
from trustpack.app.demo.target import DemoTarget
from trustpack.capabilities import directory
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.capabilities.revops.service.price_book import import_price_file
from trustpack.kernel.actor import Actor, Role, system_actor
from trustpack.platform.unit_of_work import Transaction

TENANTS: Mapping[str, str] = {"summit-internal": "Summit (internal)", "demo-external": "Demo design partner"}
TWIN = "demo-twin"
"""The same deals, people and addresses once more in a tenant of its own: whoever mixes tenants up is seen at once."""
NAMES: Mapping[str, str] = {**TENANTS, TWIN: "Borealis Systems"}
WITH_DEALS = frozenset({"demo-external", TWIN})
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
    """Make one tenant of the demo with its people, deals and target."""
    await seed_past(container, tenant_id, name=NAMES[tenant_id], with_deals=tenant_id in WITH_DEALS)
    definition = parse_definition_file(DemoTarget(container.settings).definition_text)
    identity = await identify_target(container.operations, definition)
    async with container.unit_of_work.transaction(tenant_id) as tx:
        await put_target(tx, system_actor(tenant_id, "seed"), definition=definition, identity=identity)


async def seed_past(container: Container, tenant_id: str, *, name: str, with_deals: bool) -> None:
    """Make a tenant with its people and price book, and have its deals happen if it has some, as of the past days.

    What a tenant of earlier lacks of its people is added as of now. Raises `PolicyError` before anything is written if the
    policy engine cannot be asked.
    """
    await container.gate.engine.health()
    now = container.unit_of_work.clock.now().replace(microsecond=0)
    async with container.unit_of_work.transaction(tenant_id) as tx:
        is_new = await directory.is_demo_tenant(tx) is None
    clock = StoryClock(now - BEGIN if is_new else now)
    revops = revops_at(container, clock)
    async with revops.unit_of_work.transaction(tenant_id) as tx:
        await add_people(tx, name=name, sells=with_deals)
    if with_deals:
        await DealHistory(revops, clock, tenant_id).live_through(now)


async def issue_tokens(container: Container, tenant_id: str, *, also: Sequence[str] = ()) -> dict[str, str]:
    """Make a fresh token for everybody in the cast, and some others: secrets are not kept, so every run hands out new ones."""
    async with container.unit_of_work.transaction(tenant_id) as tx:
        actor = system_actor(tenant_id, "seed")
        return {
            handle: (await directory.issue_token(tx, actor, handle=handle, label="demo", lifetime=TOKEN_LIFETIME)).secret
            for handle in (*CAST, *also)
        }


def roles_of(handle: str) -> frozenset[Role]:
    """Return the roles that somebody of the demo begins with."""
    return CAST[handle][1] if handle in CAST else SELLERS[handle].roles


async def add_people(tx: Transaction, *, name: str, sells: bool) -> None:
    """Make the transaction's tenant with its teams, people and price book."""
    actor = system_actor(tx.tenant_id, "seed")
    if await directory.is_demo_tenant(tx) is None:
        await directory.create_tenant(tx, actor, name=name, is_demo=True)
    for team in (TEAM, *ROUTED_TEAMS, *(OTHER_TEAMS if sells else ())):
        await _team(tx, actor, team)
    for handle, (display_name, roles) in CAST.items():
        engineering = (TEAM,) if handle in TEAM_MEMBERS else ()
        selling = TEAMS_OF_CAST.get(handle, ())
        teams = (*engineering, *(team for team in selling if sells or team in ROUTED_TEAMS))
        await _person(tx, actor, handle, Seller(display_name, roles, teams))
    for handle, seller in SELLERS.items() if sells else ():
        await _person(tx, actor, handle, seller)
    importer = await directory.actor_of(tx, IMPORTER) if sells else actor
    await import_price_file(tx, importer, price_file())


async def _team(tx: Transaction, actor: Actor, name: str) -> None:
    try:
        await directory.team_by_name(tx, name)
    except directory.UnknownName:
        await directory.add_team(tx, actor, name=name)


async def _person(tx: Transaction, actor: Actor, handle: str, person: Seller) -> None:
    try:
        await directory.person_by_handle(tx, handle)
    except directory.UnknownName:
        await directory.add_person(tx, actor, handle=handle, display_name=person.name, kind=person.kind, roles=person.roles)
    for team in person.teams:
        await directory.join_team(tx, actor, handle=handle, team=team)
