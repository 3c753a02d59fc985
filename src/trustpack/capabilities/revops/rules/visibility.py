"""Who may read and who may sell (api.md, "Who is calling"). Guarantee: pure."""

from __future__ import annotations

from trustpack.kernel.actor import Actor, Role

_READS_ALL = frozenset({Role.MANAGER, Role.FINANCE, Role.AUDITOR, Role.ADMIN})
SELLING_ROLES = (Role.AE, Role.MANAGER, Role.ADMIN)


def reads_everything(actor: Actor) -> bool:
    """Say whether the actor reads every deal of the tenant: those who approve, audit or administer."""
    return bool(actor.roles & _READS_ALL)


def may_read(actor: Actor, *, people: frozenset[str], team_id: str | None) -> bool:
    """Say whether the actor may read a deal of these people and this team."""
    return reads_everything(actor) or actor.id in people or (team_id is not None and team_id in actor.team_ids)


def may_sell(actor: Actor) -> bool:
    """Say whether the actor may bring in leads and write quotes."""
    return not actor.roles.isdisjoint(SELLING_ROLES)
