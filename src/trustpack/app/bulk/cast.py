"""The people, the team, the prices and the target of the bulk set. Idempotent: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from trustpack.app.bootstrap import Container
from trustpack.capabilities import directory, operations, revops
from trustpack.capabilities.directory.service import accounts_of, revoke_token
from trustpack.capabilities.operations.service.targets import identify_target, put_target
from trustpack.capabilities.revops.service.price_book import import_prices
from trustpack.kernel.actor import Actor, Role, system_actor
from trustpack.platform.unit_of_work import Transaction

TARGET: Final = "bulk-orders"
_TARGET_DEFINITION: Final = f"""
name: {TARGET}
environment: prod
adapter: record
max_duration_seconds: 7200
connection_limit: 2
tables: [{{table: public.orders, tenant_column: tenant}}]
"""
_TEAM: Final = "enterprise"
_UNDERSTUDIES: Final[Mapping[Role, tuple[str, int]]] = {
    Role.AE: ("Seller", 8),
    Role.MANAGER: ("Manager", 3),
    Role.FINANCE: ("Finance", 3),
    Role.ENGINEER: ("Engineer", 8),
    Role.TEAM_LEAD: ("Team lead", 2),
    Role.SECURITY_OFFICER: ("Security", 2),
}
"""How many people play each role; the first of each tells the stories, copies are played by all in turn."""
_IN_TEAM: Final = 4
"""So many of the sellers are in the team; the others see their own deals alone."""
PLATFORM: Final = "BULK-PLATFORM"
SEAT: Final = "BULK-SEAT"
PRICES: Final = tuple(
    revops.ListPrice(sku, "USD", date(2020, 1, 1), price, description, recurring=True)
    for sku, price, description in ((PLATFORM, 48_000_00, "Platform per year"), (SEAT, 600_00, "Seat per year"))
)


@dataclass(frozen=True, slots=True)
class Player:
    """One person of the cast, with the account that they act by."""

    handle: str
    id: str
    account_id: str


Cast = Mapping[Role, tuple[Player, ...]]


async def engage(container: Container, tenant_id: str) -> Cast:
    """Have everybody and everything there that the stories are told with, and return the people by role."""
    actor = system_actor(tenant_id, "seed")
    async with container.unit_of_work.transaction(tenant_id) as tx:
        try:
            await directory.team_by_name(tx, _TEAM)
        except directory.UnknownName:
            await directory.add_team(tx, actor, name=_TEAM)
        cast = {
            role: tuple([await _player(tx, actor, role, number) for number in range(1, many + 1)])
            for role, (_, many) in _UNDERSTUDIES.items()
        }
        for player in cast[Role.AE][:_IN_TEAM]:
            await directory.join_team(tx, actor, handle=player.handle, team=_TEAM)
        await import_prices(tx, actor, PRICES, dry_run=False)
    definition = operations.parse_definition_file(_TARGET_DEFINITION)
    identity = await identify_target(container.operations, definition)
    async with container.unit_of_work.transaction(tenant_id) as tx:
        await put_target(tx, actor, definition=definition, identity=identity)
    return cast


async def lend_tokens(container: Container, tenant_id: str, cast: Cast) -> dict[Role, directory.IssuedToken]:
    """Make a token for the first of each role."""
    actor = system_actor(tenant_id, "seed")
    async with container.unit_of_work.transaction(tenant_id) as tx:
        return {
            role: await directory.issue_token(
                tx, actor, handle=players[0].handle, label="bulk stories", lifetime=timedelta(days=90)
            )
            for role, players in cast.items()
        }


async def end_tokens(container: Container, tenant_id: str, tokens: Mapping[Role, directory.IssuedToken]) -> None:
    """End what was lent."""
    async with container.unit_of_work.transaction(tenant_id) as tx:
        for token in tokens.values():
            await revoke_token(tx, system_actor(tenant_id, "seed"), token_id=token.id)


async def _player(tx: Transaction, actor: Actor, role: Role, number: int) -> Player:
    handle = f"bulk-{role.value.replace('_', '-')}-{number}"
    try:
        person = await directory.person_by_handle(tx, handle)
    except directory.UnknownName:
        name = f"{_UNDERSTUDIES[role][0]} {number}"
        person = await directory.add_person(tx, actor, handle=handle, display_name=name, roles=frozenset({role}))
    return Player(handle, person.id, (await accounts_of(tx, person.id))[0])
