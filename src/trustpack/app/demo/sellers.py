"""Who sells, approves and watches in a tenant of the demo that has deals. Source: research/revops section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trustpack.kernel.actor import ActorKind, Role

ROUTED_TEAMS = ("enterprise", "mid-market")
"""The teams that the routing policy names: every tenant of the demo has them."""
OTHER_TEAMS = ("ent-americas", "ent-emea", "deal-desk", "finance", "revops", "audit")
ROUTER = "svc-lead-router"
IMPORTER = "svc-importer"
LEAVER = "lena-fischer"
MANAGER_WHO_SELLS = "jonas-berg"
ON_LEAVE = "mara-klein"
STAND_IN = "dina-haddad"
"""Who fills the role of the manager on leave for Q-1009, by a dated delegation."""


@dataclass(frozen=True, slots=True)
class Seller:
    """Somebody of the sales organisation; the usual cast of the demo stands beside them."""

    name: str
    roles: frozenset[Role]
    teams: tuple[str, ...]
    kind: ActorKind = ActorKind.PERSON


SELLERS: Mapping[str, Seller] = {
    "ana-ruiz": Seller("Ana Ruiz", frozenset({Role.AE}), ("enterprise", "ent-americas")),
    "ben-okafor": Seller("Ben Okafor", frozenset({Role.AE}), ("enterprise", "ent-emea")),
    "chloe-martin": Seller("Chloe Martin", frozenset({Role.AE}), ("enterprise", "ent-emea")),
    "dev-patel": Seller("Dev Patel", frozenset({Role.AE}), ("mid-market",)),
    "eva-lindqvist": Seller("Eva Lindqvist", frozenset({Role.AE}), ("enterprise", "ent-emea")),
    ON_LEAVE: Seller("Mara Klein", frozenset({Role.MANAGER}), ("ent-emea",)),
    MANAGER_WHO_SELLS: Seller("Jonas Berg", frozenset({Role.AE, Role.MANAGER}), ("ent-emea",)),
    "victor-stone": Seller("Victor Stone", frozenset({Role.MANAGER}), ()),
    "felix-wong": Seller("Felix Wong", frozenset({Role.FINANCE}), ("finance",)),
    LEAVER: Seller("Lena Fischer", frozenset({Role.FINANCE}), ("finance",)),
    STAND_IN: Seller("Dina Haddad", frozenset({Role.AE}), ("deal-desk",)),
    "rosa-nunes": Seller("Rosa Nunes", frozenset({Role.ADMIN}), ("revops",)),
    # Takes leads in for whoever is least busy: an account executive would own what it brings.
    ROUTER: Seller("Lead router", frozenset({Role.MANAGER}), (), ActorKind.BOT),
    IMPORTER: Seller("Importer", frozenset(), (), ActorKind.BOT),
}
TEAMS_OF_CAST: Mapping[str, tuple[str, ...]] = {
    "user-ae": ("enterprise", "ent-americas"),
    "user-manager": ("ent-americas",),
    "user-finance": ("finance",),
    "user-admin": ("revops",),
    "user-auditor": ("audit",),
}
SIGN_INS = (MANAGER_WHO_SELLS, "felix-wong")
"""Those whose tokens the demo prints too: a manager who may not approve the own deal, and one for whom a deal waits."""
