"""What is shown when a decision met another request than the one on the screen: then, now, and what happened in between."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from typing import Any, Final

from trustpack.capabilities.operations.model import ApprovalsVoid, StaleDigest, Status, WrongState
from trustpack.capabilities.operations.pages.proofs import MARKS, tell
from trustpack.capabilities.operations.pages.views import CHIPS
from trustpack.capabilities.operations.pages.wording import plain
from trustpack.capabilities.operations.rules.effects import earlier_effect, read_effect
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Actor
from trustpack.kernel.clock import parse_time
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonObject

_CONTEXT: Final = 3
_KEPT_NOTHING: Final = "Nothing of what you sent was recorded."
_DID_NOTHING: Final = "Nothing was carried out, and the request waits for approvals again."
_NEXT_STEPS: Final[Mapping[type[TrustpackError], str]] = {
    StaleDigest: "Read the change as it is now, then decide on that.",
    WrongState: "Look at how the request stands now; if it still matters, talk to whoever decided.",
}
_DONE_BY: Final = {
    "approve": "approved",
    "reject": "rejected",
    "cancel": "cancelled",
    "execute": "execution_started",
    "revert": "revert_started",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """A receipt that was written after the page had been made."""

    action: str
    actor: str
    at: datetime
    drawing: str
    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class MovedShown:
    """A conflict in full. `is_known` says whether what was shown then is on record; `lines` is the difference."""

    command: str
    title: str
    said: str
    next_step: str
    written: str
    chip_then: tuple[str, str] | None
    digest_then: str
    is_same_effect: bool
    is_known: bool
    lines: tuple[tuple[str, str], ...]
    happened: tuple[Happened, ...]


def moved_shown(
    view: RequestView,
    receipts: Sequence[JsonObject],
    error: TrustpackError,
    *,
    command: str,
    digest: str,
    version: int,
    written: str,
) -> MovedShown:
    """Compare what a form was made from, its digest and version, with the request as it is now."""
    then = earlier_effect(receipts, digest)
    now = read_effect(view.request.effect)
    is_same = digest == view.request.effect_digest
    return MovedShown(
        command=command,
        title="Somebody decided first" if isinstance(error, WrongState) else error.title,
        said=f"{_said(error, view)} {_KEPT_NOTHING if not isinstance(error, ApprovalsVoid) else _DID_NOTHING}",
        next_step=_NEXT_STEPS.get(type(error), error.next_step),
        written=written,
        chip_then=_chip_at(receipts, version),
        digest_then=digest,
        is_same_effect=is_same,
        is_known=is_same or then is not None,
        lines=() if is_same or then is None else difference(then, now),
        happened=tuple(_happened(receipt) for receipt in _since(receipts, version)),
    )


def _said(error: TrustpackError, view: RequestView) -> str:
    if isinstance(error, StaleDigest):
        return "The change is another one than you were shown."
    if isinstance(error, WrongState):
        return f"The request is {CHIPS[view.request.status][1].lower()} now, so this means nothing any more."
    return error.detail


def was_done_already(receipts: Sequence[JsonObject], actor: Actor, *, command: str, version: int) -> bool:
    """Say whether the actor has done this very thing since the page was made, as by pressing a button twice."""
    return any(
        receipt["action"] == _DONE_BY.get(command) and _actor(receipt)["id"] == actor.id for receipt in _since(receipts, version)
    )


def difference(then: JsonObject, now: JsonObject) -> tuple[tuple[str, str], ...]:
    """Return two effects line by line: what went, what came, and a little of what stayed around it."""
    lines = list(unified_diff(_lines(then), _lines(now), lineterm="", n=_CONTEXT))[2:]
    return tuple((" ", "…") if line.startswith("@@") else (line[0], line[1:]) for line in lines)


def _lines(effect: JsonObject) -> list[str]:
    document: dict[str, Any] = dict(effect)
    statements = document.pop("statements")
    described = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).splitlines()
    return [*described[1:-1], *(line for statement in statements for line in statement.split("\n"))]


def _since(receipts: Sequence[JsonObject], version: int) -> list[JsonObject]:
    # Without a version nothing is known of when the page was made.
    return [receipt for receipt in receipts if version and int(str(receipt["seq"])) > version]


def _chip_at(receipts: Sequence[JsonObject], version: int) -> tuple[str, str] | None:
    found = [receipt["state"] for receipt in receipts if receipt["seq"] == version]
    return CHIPS[Status(str(found[0]))] if found else None


def _happened(receipt: JsonObject) -> Happened:
    shown: dict[str, Any] = dict(receipt)
    drawing, tone = MARKS.get(shown["action"], ("circle-dashed", "grey"))
    return Happened(
        action=plain(shown["action"]),
        actor=_actor(receipt)["handle"].removeprefix("system:"),
        at=parse_time(shown["occurred_at"]),
        drawing=drawing,
        tone=tone,
        text=tell(shown, {}),
    )


def _actor(receipt: JsonObject) -> dict[str, str]:
    found: Any = receipt["actor"]
    return dict(found)
