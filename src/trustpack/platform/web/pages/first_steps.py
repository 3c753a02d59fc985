"""The first steps of somebody in the console: whose deeds tick them, and whether they were put away."""

from __future__ import annotations

from typing import Final

from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.marks import has_mark, people_with_mark, put_mark
from trustpack.platform.web.pages.viewer import Viewer

_CAME_IN: Final = "came_in"
_EVIDENCE: Final = "evidence_seen"
_HIDDEN: Final = "first_steps_hidden"


async def people_of_steps(tx: Transaction, viewer: Viewer) -> tuple[str, ...]:
    """Return whose deeds count: the viewer's own; in a demo, where one visitor is many people, those of all who came in."""
    if not viewer.is_demo:
        return (viewer.actor.id,)
    return (viewer.actor.id, *(await people_with_mark(tx, _CAME_IN)))


async def note_visit(tx: Transaction, viewer: Viewer) -> None:
    """Keep that somebody came into a demo."""
    if viewer.is_demo:
        await put_mark(tx, viewer.actor.id, _CAME_IN)


async def note_evidence_seen(tx: Transaction, actor: Actor) -> None:
    """Keep that somebody has taken the evidence of a case."""
    await put_mark(tx, actor.id, _EVIDENCE)


async def has_seen_evidence(tx: Transaction, viewer: Viewer) -> bool:
    """Say whether anybody whose deeds count has taken the evidence of a case."""
    return await has_mark(tx, await people_of_steps(tx, viewer), _EVIDENCE)


async def hide_steps(tx: Transaction, actor: Actor) -> None:
    """Put the list of first steps away for good."""
    await put_mark(tx, actor.id, _HIDDEN)


async def has_hidden_steps(tx: Transaction, actor: Actor) -> bool:
    """Say whether somebody has put the list of first steps away."""
    return await has_mark(tx, (actor.id,), _HIDDEN)
