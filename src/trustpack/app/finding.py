"""What the palette finds: a few objects of every capability that the viewer may read."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.capabilities import directory
from trustpack.capabilities.directory.pages.finding import find_people
from trustpack.capabilities.operations.pages.finding import find_requests, requests_of
from trustpack.capabilities.revops.pages.finding import find_deals, quotes_of
from trustpack.kernel.actor import ActorKind, Role
from trustpack.platform.unit_of_work import UnitOfWork
from trustpack.platform.web.pages import Find, Found, Viewer

MOST_OF_KIND = 5
_SELLERS = frozenset({Role.AE, Role.MANAGER, Role.ADMIN})


def finder_of(unit_of_work: UnitOfWork) -> Find:
    """Return the finding of requests, deals and people."""

    async def find(viewer: Viewer, text: str) -> Sequence[Found]:
        actor = viewer.actor
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            return [
                *await find_requests(tx, actor, text, most=MOST_OF_KIND),
                *await find_deals(tx, actor, text, most=MOST_OF_KIND),
                *await find_people(tx, text, _lists_of, most=MOST_OF_KIND),
            ]

    return find


def _lists_of(person: directory.Person) -> list[tuple[str, str]]:
    lists = [("Requests", requests_of(person.handle))] if person.kind == ActorKind.PERSON else []
    return [*lists, ("Quotes", quotes_of(person.handle))] if person.roles & _SELLERS else lists
