"""Move a locked request to its next state and record it: the only way in which a request changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trustpack.capabilities import ledger
from trustpack.capabilities.operations.model import (
    SUBJECT_KIND,
    Command,
    HighRiskRequest,
    Refused,
    StaleDigest,
    TooManyRefusals,
)
from trustpack.capabilities.operations.rules.transitions import allows, next_status
from trustpack.capabilities.operations.rules.visibility import may_read
from trustpack.capabilities.operations.store import requests as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import NotFound, TrustpackError
from trustpack.kernel.ids import require_id
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction

REFUSED_ACTION = "refused"
MOST_REFUSALS = 20
"""Receipts of refused attempts that one person may leave on one request."""


async def lock_readable(tx: Transaction, actor: Actor, request_id: str) -> HighRiskRequest:
    """Return a request that the actor may read, holding its row. Raises `NotFound`."""
    request = await store.lock_request(tx, require_id(request_id, prefix="hro"))
    if request is None or not may_read(actor, request):
        raise NotFound
    return request


async def require_as_shown(tx: Transaction, actor: Actor, request_id: str, *, digest: str) -> None:
    """Hold a request, whose effect must be the one that was shown. Raises `NotFound`; `StaleDigest`, which leaves no receipt."""
    request = await lock_readable(tx, actor, request_id)
    if request.effect_digest != digest:
        raise StaleDigest(shown_digest=digest, effect_digest=request.effect_digest)


async def advance(
    tx: Transaction,
    request: HighRiskRequest,
    command: Command,
    *,
    actor: Actor,
    action: str,
    payload: JsonObject,
    personal: JsonObject | None = None,
    **changes: Any,
) -> HighRiskRequest:
    """Carry a command out on a locked request: next state, next version, its receipt. Raises `WrongState`."""
    changed = replace(request, status=next_status(request.status, command), version=request.version + 1, **changes)
    await store.update_request(tx, changed)
    await record(tx, changed, actor=actor, action=action, payload=payload, personal=personal)
    return changed


async def record(
    tx: Transaction,
    request: HighRiskRequest,
    *,
    actor: Actor,
    action: str,
    payload: JsonObject,
    personal: JsonObject | None = None,
) -> None:
    """Write the receipt of the request's current version."""
    transition = ledger.Transition(
        subject_kind=SUBJECT_KIND,
        subject_id=request.id,
        version=request.version,
        action=action,
        state=request.status.value,
        actor=actor,
        payload=payload,
        personal=personal or {},
    )
    await ledger.record(tx, transition)


async def refuse(tx: Transaction, request: HighRiskRequest, error: TrustpackError, *, actor: Actor, attempted: str) -> Refused:
    """Keep a blocked attempt with a receipt, while the case is open, and hand the error back to be answered after the commit.

    Once one person has left `MOST_REFUSALS` of them the answer is `TooManyRefusals` and there is no further receipt: nobody
    fills a case with receipts.
    """
    if not allows(request.status, Command.REFUSE):
        return Refused(error)
    left = await ledger.count_receipts(tx, subject_id=request.id, actor_id=actor.id, action=REFUSED_ACTION)
    if left >= MOST_REFUSALS:
        return Refused(TooManyRefusals())
    await record_refusal(tx, request, error, actor=actor, attempted=attempted)
    return Refused(error)


async def record_refusal(
    tx: Transaction, request: HighRiskRequest, error: TrustpackError, *, actor: Actor, attempted: str
) -> HighRiskRequest:
    """Write the receipt of an attempt that came to nothing, in an open case."""
    payload: dict[str, Any] = {"attempted": attempted, "code": error.code}
    if "decision_id" in error.data:
        payload["decision_id"] = error.data["decision_id"]
    return await advance(tx, request, Command.REFUSE, actor=actor, action=REFUSED_ACTION, payload=payload)
