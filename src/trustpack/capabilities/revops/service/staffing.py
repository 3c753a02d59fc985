"""Who takes a lead: the team that policy names, and the least busy of its account executives."""

from __future__ import annotations

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import NobodyToOwn
from trustpack.capabilities.revops.store import leads as store
from trustpack.platform.unit_of_work import Transaction


class Staff:
    """Teams and their sellers, read once in one transaction; who is given a lead is busier for the next one.

    `fallback` owns what no team has a seller for.
    """

    def __init__(self, tx: Transaction, *, fallback: str | None) -> None:
        self._tx = tx
        self._fallback = fallback
        self._teams: dict[str, str | None] = {}
        self._sellers: dict[str, tuple[str, ...]] = {}
        self._open: dict[str, int] = {}

    async def team_id(self, name: str) -> str | None:
        """Return the id of a team, or None if there is none of that name."""
        if name not in self._teams:
            try:
                self._teams[name] = (await directory.team_by_name(self._tx, name)).id
            except directory.UnknownName:
                self._teams[name] = None
        return self._teams[name]

    async def take_seller(self, team_id: str | None) -> str:
        """Return the account executive of a team with the fewest open opportunities, the first by id among equals.

        Raises `NobodyToOwn` where there is none and no fallback.
        """
        sellers = await self._sellers_of(team_id) if team_id is not None else ()
        if not sellers:
            if self._fallback is None:
                raise NobodyToOwn
            return self._fallback
        chosen = min(sellers, key=lambda seller: (self._open[seller], seller))
        self._open[chosen] += 1
        return chosen

    async def _sellers_of(self, team_id: str) -> tuple[str, ...]:
        if team_id not in self._sellers:
            found = await store.open_deals_of_sellers(self._tx, team_id)
            self._open = {**found, **self._open}
            self._sellers[team_id] = tuple(found)
        return self._sellers[team_id]
