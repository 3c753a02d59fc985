"""The part Access: what was done with an access, as the target recorded it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trustpack.capabilities.operations.model import GrantStatus, RecordMode
from trustpack.capabilities.operations.pages.details import Fact, Paths, grant_facts
from trustpack.capabilities.operations.rules.access_records import summarise
from trustpack.capabilities.operations.rules.effects import approved_target
from trustpack.capabilities.operations.service import reading
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Actor
from trustpack.kernel.clock import parse_time
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pagination import DEFAULT_PAGE, decode_place, encode_place

_WHERE: Final = {
    RecordMode.STATEMENTS: "on the target itself, by views that the grantee cannot change; fetched when the access ends",
    RecordMode.COUNTER: "on the target itself, as a number without texts; fetched when the access ends",
    RecordMode.NONE: "nowhere: this target was registered without a record",
}
_OVER: Final = frozenset({GrantStatus.REVERTED, GrantStatus.VOID})


@dataclass(frozen=True, slots=True)
class StatementShown:
    """One recorded statement."""

    number: int
    at: datetime
    client: str
    text: str


@dataclass(frozen=True, slots=True)
class AccessShown:
    """What was done with an access. `state` is one of a verdict; `said` says it in words."""

    facts: tuple[Fact, ...]
    state: str
    said: str
    statements: tuple[StatementShown, ...]
    shown: str
    previous_path: str
    next_path: str


async def access_shown(tx: Transaction, actor: Actor, view: RequestView, paths: Paths, *, cursor: str) -> AccessShown:
    """Return a page of what was done, oldest first. Raises `InvalidInput` for a cursor that is none."""
    after = decode_place(cursor or None)
    items = await reading.list_statements(tx, actor, view.request.id, after=after, limit=DEFAULT_PAGE + 1)
    shown = tuple(_statement(item) for item in items[:DEFAULT_PAGE])
    state, said = _state(view)
    where = _WHERE[approved_target(view.request.effect).definition.record]
    before = max(after - DEFAULT_PAGE, 0)
    return AccessShown(
        facts=(*grant_facts(view), *((("Recorded", where),) if state != "unknown" else ())),
        state=state,
        said=said,
        statements=shown,
        shown=f"{after + 1} to {after + len(shown)}" if shown else "None on this page",
        previous_path=paths.statements(encode_place(before) if before else "") if after else "",
        next_path=paths.statements(encode_place(after + DEFAULT_PAGE)) if len(items) > DEFAULT_PAGE else "",
    )


def _state(view: RequestView) -> tuple[str, str]:
    grant = view.grant
    if grant is None:
        return "unrecorded", "There was no access yet."
    if grant.access_record is None:
        if grant.status == GrantStatus.VOID:
            return "unrecorded", "The access never came to be."
        if grant.status in _OVER:
            return "unknown", "This target tells nothing of what was done."
        return "unrecorded", "The record is fetched from the target when the access ends."
    record: dict[str, Any] = json.loads(grant.access_record)
    said = f"{summarise(record).capitalize()}."
    if record["unavailable"] is not None or record["mode"] == RecordMode.NONE:
        return "unknown", said
    if record["mode"] == RecordMode.STATEMENTS and not record["not_kept"]:
        return "verified", f"{said} The record is complete."
    return "verified", said


def _statement(item: Any) -> StatementShown:
    return StatementShown(
        item["number"], parse_time(item["at"]), f"{item['application_name'] or 'unnamed'} · {item['pid']}", item["statement"]
    )
