"""The part Related: the people, the target, and what the same person asked of it at other times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from trustpack.capabilities.operations.model import RequestFilter
from trustpack.capabilities.operations.pages.views import REQUESTS, Row, name_of, row_of
from trustpack.capabilities.operations.rules.effects import approved_target
from trustpack.capabilities.operations.service import reading
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction

_LOOKED_THROUGH: Final = 50
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class RelatedShown:
    """What a request stands in relation to: (what it is to it, its name, where it is shown or "")."""

    people: tuple[tuple[str, str, str], ...]
    target: tuple[tuple[str, str], ...]
    others: tuple[Row, ...]
    all_path: str


async def related_shown(tx: Transaction, actor: Actor, view: RequestView) -> RelatedShown:
    """Return what the actor may see around a request."""
    request = view.request
    wanted = RequestFilter(requester_id=request.requester_id, limit=_LOOKED_THROUGH)
    of_person = await reading.list_rows(tx, actor, wanted)
    others = [row_of(one) for one in of_person if one.request.target_id == request.target_id and one.request.id != request.id]
    target = approved_target(request.effect)
    tables = ", ".join(f"{table.schema}.{table.name}" for table in target.definition.tables)
    return RelatedShown(
        people=(
            ("Requester", name_of(view, request.requester_id), _asked_by(name_of(view, request.requester_id))),
            *(
                ("Approver" if vote.verdict.value == "approve" else "Rejected it", name_of(view, vote.person_id), "")
                for vote in view.votes
            ),
        ),
        target=(("Name", request.target_name), ("Tables", tables or "none"), ("Id", request.target_id)),
        others=tuple(others[:_SHOWN]),
        all_path=_asked_by(name_of(view, request.requester_id)),
    )


def _asked_by(handle: str) -> str:
    return f"{REQUESTS}?{urlencode({'q': handle})}"
