"""What pages show of receipts: a timeline, what a check of them found just now, and the file that can be checked elsewhere.

Whoever may read a subject is decided by its capability, which hands over the history.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trustpack.capabilities.ledger.model import History, Receipt
from trustpack.capabilities.ledger.rules import check_history
from trustpack.kernel.actor import Actor
from trustpack.kernel.clock import parse_time
from trustpack.kernel.errors import NotFound
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page
from trustpack.proof.bundle import check_bundle
from trustpack.proof.canonical import digest_of
from trustpack.proof.receipt_chain import ChainFault

_LINKS: Final = frozenset({"wrong_subject", "wrong_seq", "broken_link"})
_COUNT: Final = "wrong_count"
_SYSTEM: Final = "system:"
_PLAIN_MARK: Final = ("circle-dashed", "grey")
Marks = Mapping[str, tuple[str, str]]
"""The drawing and the tone of each action."""
Tell = Callable[[Mapping[str, Any], Mapping[str, Any]], str]
"""What a receipt says beyond its action, in a sentence: of its body, and of what its commitments open to."""
BundleOf = Callable[[Transaction, Actor, str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class EventShown:
    """One receipt as an event of a timeline; `stands` says whether it passed the check."""

    action: str
    actor: str
    at: datetime | None
    drawing: str
    tone: str
    text: str
    digest: str
    stands: str
    stands_tone: str


@dataclass(frozen=True, slots=True)
class VerdictShown:
    """What a check found; `checks` are (what, how it stands, whether it passed)."""

    state: str
    checked_at: datetime
    checks: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class FileShown:
    """An evidence file: where it is sent from, the digest of the very bytes that are sent, and the faults that it has."""

    path: str
    name: str
    sha256: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvidenceShown:
    """Everything that the component `evidence` shows; `file` is None for those who may not read all that it would hold."""

    verdict: VerdictShown
    events: tuple[EventShown, ...]
    file: FileShown | None


def evidence_of(
    history: History,
    *,
    file: FileShown | None,
    handles: Mapping[str, str],
    marks: Marks,
    tell: Tell,
    now: datetime,
) -> EvidenceShown:
    """Check a history and its file, and return both as they are shown. `handles` name people by id."""
    faults = check_history(history)
    return EvidenceShown(
        verdict=VerdictShown(_state(history, faults, file), now, _checks(history, faults, file)),
        events=_events(history, faults, handles=handles, marks=marks, tell=tell),
        file=file,
    )


async def evidence_file(page: Page, tx: Transaction, *, kind: str, case_id: str) -> FileShown | None:
    """Return the evidence file of a case as of this transaction, which is to be a consistent one.

    `kind` is the part of its address, such as `revops/deals`. None, where the viewer may not read all of the case.
    """
    bundles: Mapping[str, BundleOf] = page.request.app.state.bundles
    try:
        content = await bundles[kind](tx, page.viewer.actor, case_id)
    except NotFound:
        return None
    except (KeyError, TypeError, ValueError):
        # A receipt is no receipt any more: there is no file to speak of, and the check says where it shows.
        return FileShown(path="", name="", sha256="", faults=("cannot be made",))
    return FileShown(
        path=f"/switchboard/evidence/{kind}/{case_id}",
        name=f"{case_id}.evidence.json",
        sha256=digest_of(content).removeprefix("sha256:"),
        faults=tuple(f"{fault.code} ({fault.where})" for fault in check_bundle(content)),
    )


def _state(history: History, faults: Sequence[ChainFault], file: FileShown | None) -> str:
    if faults or (file is not None and file.faults):
        return "failed"
    return "verified" if history.receipts else "unrecorded"


def _checks(history: History, faults: Sequence[ChainFault], file: FileShown | None) -> tuple[tuple[str, str, bool], ...]:
    count, expected = len(history.receipts), history.version
    links = [fault.seq for fault in faults if fault.code in _LINKS]
    contents = {fault.seq for fault in faults if fault.code not in {*_LINKS, _COUNT}}
    own = (
        ("Receipts", f"{count} of {expected}", count == expected),
        ("Hash chain", f"broken at {min(links)}" if links else "unbroken", not links),
        ("Digests", f"{count - len(contents)} of {count}", not contents),
    )
    if file is None:
        return own
    return (*own, ("Evidence file", file.faults[0] if file.faults else "consistent", not file.faults))


def _events(
    history: History, faults: Sequence[ChainFault], *, handles: Mapping[str, str], marks: Marks, tell: Tell
) -> tuple[EventShown, ...]:
    wrong = {fault.seq for fault in faults}
    shown = []
    for place, receipt in enumerate(history.receipts, start=1):
        drawing, tone = marks.get(receipt.action, _PLAIN_MARK)
        actor, at, text = _said(receipt, history.opened(receipt.id), handles, tell)
        shown.append(
            EventShown(
                action=receipt.action.replace("_", " ").capitalize(),
                actor=actor,
                at=at,
                drawing=drawing,
                tone=tone,
                text=text,
                digest=receipt.digest,
                stands="Does not stand" if place in wrong else "Checked",
                stands_tone="red" if place in wrong else "green",
            )
        )
    return tuple(shown)


def _said(
    receipt: Receipt, opened: Mapping[str, Any], handles: Mapping[str, str], tell: Tell
) -> tuple[str, datetime | None, str]:
    try:
        body = json.loads(receipt.body)
        actor = str(body["actor"]["id"])
        return handles.get(actor, actor.removeprefix(_SYSTEM)), parse_time(body["occurred_at"]), tell(body, opened)
    except (KeyError, TypeError, ValueError):
        # Somebody wrote over it: the check says so, and the rest of the page must stand.
        return "", None, "What this receipt says cannot be read."
