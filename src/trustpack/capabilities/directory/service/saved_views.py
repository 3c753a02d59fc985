"""Views of lists that people keep: a preference of one person, which nobody else sees and which decides nothing.

So it is no governed subject: it has no receipts, changes freely, and may be removed.
"""

from __future__ import annotations

from trustpack.capabilities.directory.model.saved_views import NameTaken, SavedView, TooManyViews
from trustpack.capabilities.directory.store import saved_views as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import InvalidInput, NotFound
from trustpack.platform.auth.redirects import local_path
from trustpack.platform.unit_of_work import Transaction

MOST_VIEWS = 20
_LONGEST_NAME = 40


async def saved_views(tx: Transaction, actor: Actor, path: str) -> tuple[SavedView, ...]:
    """Return what the actor keeps of a list, oldest first."""
    return await store.views_of(tx, actor.id, path)


async def save_view(tx: Transaction, actor: Actor, *, path: str, name: str, query: str) -> SavedView:
    """Keep a view; under a name that is there already it takes the place of the other. Raises `InvalidInput`, `TooManyViews`."""
    address = f"{path}?{query}"
    if not path.startswith("/switchboard/") or "?" in path or local_path(address) != address:
        raise InvalidInput("This is no list that could be kept.")
    view = SavedView(tx.new_id("viw"), path, _name(name), query)
    await store.lock_person(tx, actor.id)
    there = await store.views_of(tx, actor.id, path)
    if len(there) >= MOST_VIEWS and view.name not in {one.name for one in there}:
        raise TooManyViews
    await store.put_view(tx, actor.id, view)
    return view


async def rename_view(tx: Transaction, actor: Actor, view_id: str, *, name: str) -> SavedView:
    """Give one of the actor's views another name. Raises `NotFound`, `InvalidInput`, `NameTaken`."""
    await store.lock_person(tx, actor.id)
    view = await _own(tx, actor, view_id)
    wanted = _name(name)
    if any(one.name == wanted and one.id != view.id for one in await store.views_of(tx, actor.id, view.path)):
        raise NameTaken
    await store.rename_view(tx, view.id, wanted)
    return view


async def delete_view(tx: Transaction, actor: Actor, view_id: str) -> SavedView:
    """Remove one of the actor's views. Raises `NotFound`."""
    view = await _own(tx, actor, view_id)
    await store.delete_view(tx, view.id)
    return view


async def _own(tx: Transaction, actor: Actor, view_id: str) -> SavedView:
    view = await store.find_view(tx, actor.id, view_id)
    if view is None:
        raise NotFound
    return view


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"A view needs a name of at most {_LONGEST_NAME} letters.")
    return name
