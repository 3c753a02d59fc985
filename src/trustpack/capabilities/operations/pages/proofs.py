"""The part Evidence: every receipt as an event in words, what a check of them finds, and what policy answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from trustpack.capabilities import directory, ledger, policy
from trustpack.capabilities.ledger import Deed, EvidenceShown, History
from trustpack.capabilities.operations.model import Status
from trustpack.capabilities.operations.pages.wording import listed, plain
from trustpack.capabilities.operations.rules.access_records import summarise
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.capabilities.policy import Decision, DecisionShown
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page

KIND: Final = "high-risk-ops"
MARKS: Final = {
    "requested": ("file-check", "grey"),
    "approved": ("check", "green"),
    "execution_started": ("zap", "grey"),
    "executed": ("zap", "violet"),
    "credentials_issued": ("key-round", "grey"),
    "credentials_rotated": ("key-round", "grey"),
    "revert_started": ("undo-2", "grey"),
    "reverted": ("undo-2", "green"),
    "rejected": ("x", "red"),
    "denied": ("x", "red"),
    "refused": ("x", "amber"),
    "cancelled": ("minus", "grey"),
    "expired": ("minus", "grey"),
    "execution_failed": ("triangle-alert", "alarm"),
    "revert_failed": ("triangle-alert", "alarm"),
    "drift_detected": ("triangle-alert", "amber"),
}
_WHY: Final = {
    "effect_changed": "The target, or what would be done on it, is no longer what was approved.",
    "target_not_prepared": "The system behind the target is not prepared as the approved one was.",
    "approver_lost_role": "Somebody who approved this no longer holds the role.",
}


@dataclass(frozen=True, slots=True)
class ProofShown:
    """What the part shows. `planned` is the end that is still to come."""

    evidence: EvidenceShown
    decisions: tuple[DecisionShown, ...]
    planned: datetime | None


async def proof_shown(page: Page, tx: Transaction, view: RequestView) -> ProofShown:
    """Check the receipts of a request and its evidence file now, in a consistent transaction."""
    request, grant = view.request, view.grant
    history = await ledger.history_of(tx, request.id, version=request.version)
    handles = await directory.handles_of(tx, [*_actors(history), request.requester_id])
    file = await ledger.evidence_file(page, tx, kind=KIND, case_id=request.id)
    shown = ledger.evidence_of(history, file=file, handles=handles, marks=MARKS, tell=tell, now=page.site.clock.now())
    decisions = await policy.decisions_of(tx, request.id)
    return ProofShown(
        evidence=shown,
        decisions=tuple(policy.shown_decision(one, asked=_asked(one)) for one in decisions),
        planned=grant.expires_at if grant is not None and grant.ended_at is None else None,
    )


async def cancellation_of(tx: Transaction, view: RequestView) -> Deed | None:
    """Return who cancelled a request, by the name that others know, when and why; None where nobody did."""
    request = view.request
    if request.status != Status.CANCELLED:
        return None
    deed = ledger.last_deed(await ledger.history_of(tx, request.id, version=request.version), "cancelled")
    if deed is None:
        return None
    handles = await directory.handles_of(tx, [deed.by])
    return replace(deed, by=handles.get(deed.by, deed.by))


def tell(body: Mapping[str, Any], opened: Mapping[str, Any]) -> str:
    """Say in a sentence what a receipt holds beyond its action."""
    said = next((f"“{opened[name]}”" for name in ("justification", "comment", "reason") if opened.get(name)), "")
    words = _TOLD.get(body["action"], _nothing)(body["payload"])
    return " · ".join(part for part in (said, words) if part)


def code_in_words(code: str) -> str:
    """Return the code of an error as people read it: `operations.self_approval_forbidden` as `self approval forbidden`."""
    return plain(code.rpartition(".")[2]).lower()


def _nothing(_: Mapping[str, Any]) -> str:
    return ""


def _reverted(payload: Mapping[str, Any]) -> str:
    record = payload.get("access_record")
    return f"Proven to be gone; {summarise(record)}" if record else "Proven to be gone"


_TOLD: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "requested": lambda payload: payload.get("ticket") or "",
    "approved": lambda payload: (
        f"still open: {listed(tuple(map(_role, payload['open'])), last='and')}" if payload["open"] else "the last that was needed"
    ),
    "refused": lambda payload: f"tried to {payload['attempted']}: {code_in_words(payload['code'])}",
    "execution_started": lambda payload: f"role {payload['role_name']}",
    "executed": lambda payload: f"role {payload['role_name']} lives on the target",
    "execution_failed": lambda payload: code_in_words(payload["code"]),
    "reverted": _reverted,
    "revert_failed": lambda payload: f"in the way: {', '.join(map(str, payload['blockers'])) or 'not known'}",
    "drift_detected": lambda payload: _WHY.get(payload.get("why", ""), ""),
    "expired": lambda payload: f"waited too long for {payload['waited_for']}",
}


def _role(name: str) -> str:
    return plain(name).lower()


def _asked(decision: Decision) -> str:
    return "Policy before execution" if decision.subject_version else "Policy at the request"


def _actors(history: History) -> Iterator[str]:
    for receipt in history.receipts:
        # What somebody wrote over a receipt is for the check to say.
        with suppress(KeyError, TypeError, ValueError):
            yield str(json.loads(receipt.body)["actor"]["id"])
