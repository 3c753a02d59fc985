"""Who may read a subject of any kind, and what its change is called.

Its owner among the capabilities is asked, by the prefix of the id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from itertools import groupby
from typing import Final

from trustpack.capabilities import operations, revops
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction

EVENTS: Final[Mapping[str, str]] = {
    "high_risk_request": "requests-changed",
    "lead": "leads-changed",
    "opportunity": "opportunities-changed",
    "quote": "quotes-changed",
}
"""What pages are told when a subject of a kind changes; kinds that no page shows have no event."""
PAGES: Final[Mapping[str, frozenset[str]]] = {
    "pages-changed": frozenset(EVENTS.values()),
    "security-pages-changed": frozenset({"requests-changed", "quotes-changed"}),
}
"""What tells whole pages once of all that changed at once. Every page counts the requests and quotes that wait, in its rail."""
_OWNERS: Mapping[str, Callable[[Transaction, Actor, str], Awaitable[object]]] = {
    "hro": operations.find_readable,
    "lead": revops.require_readable,
    "opp": revops.require_readable,
    "quo": revops.require_readable,
}


async def require_readable(tx: Transaction, actor: Actor, subject_id: str) -> None:
    """Let somebody pass who may read the subject. Raises `NotFound`, also for a kind that nobody reads."""
    owner = _OWNERS.get(subject_id.partition("_")[0], operations.find_readable)
    await owner(tx, actor, subject_id)


_READABLE_ONES: Mapping[str, Callable[[Transaction, Actor, Collection[str]], Awaitable[frozenset[str]]]] = {
    "hro": operations.readable_ones,
    "lead": revops.readable_ones,
    "opp": revops.readable_ones,
    "quo": revops.readable_ones,
}


async def readable_ones(tx: Transaction, actor: Actor, subject_ids: Collection[str]) -> frozenset[str]:
    """Return those of some subjects of any kind that somebody may read, as `require_readable` would say one by one."""
    found: set[str] = set()
    for prefix, of_kind in groupby(sorted(subject_ids), key=lambda subject_id: subject_id.partition("_")[0]):
        found |= await _READABLE_ONES[prefix](tx, actor, list(of_kind))
    return frozenset(found)
