"""What the palette finds among people: lists of what they asked for or offered, by handle or name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from trustpack.capabilities.directory.model import Person
from trustpack.capabilities.directory.service import people_called, people_with_ids
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Found

Lists = Callable[[Person], Sequence[tuple[str, str]]]
"""What there is to see of somebody: the words for each list, and where it is."""


async def find_people(tx: Transaction, text: str, lists: Lists, *, most: int) -> Sequence[Found]:
    """Return lists of those who are called so; what a list then shows is what its reader may read."""
    return list(islice(_lists_of(await people_with_ids(tx, await people_called(tx, text)), lists), most))


def _lists_of(people: Sequence[Person], lists: Lists) -> Iterator[Found]:
    for person in people:
        for words, path in lists(person):
            yield Found(f"{words} of {person.display_name}", person.handle, "user", path)
