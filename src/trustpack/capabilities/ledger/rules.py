"""Build the bytes of a receipt from a transition, and check receipts that were stored. Guarantee: pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from trustpack.capabilities.ledger.model import Deed, History, Receipt, Transition
from trustpack.kernel.clock import format_time, parse_time
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.canonical import canonical_bytes, digest_of
from trustpack.proof.commitments import Disclosure, commitment_to, opens
from trustpack.proof.receipt_chain import ChainFault, check_chain

RECEIPT_FORMAT = "trustpack/receipt/v1"


def build_receipt(
    transition: Transition,
    *,
    tenant_id: str,
    receipt_id: str,
    prev_hash: str | None,
    occurred_at: datetime,
    disclosures: tuple[Disclosure, ...],
) -> Receipt:
    """Return the receipt of a transition; `disclosures` must open every personal value that the transition names."""
    actor: JsonObject = {"id": transition.actor.id, "kind": transition.actor.kind.value, "account": transition.actor.account_id}
    committed: dict[str, JsonValue] = {entry.path: {"commitment": commitment_to(entry)} for entry in disclosures}
    body = canonical_bytes(
        {
            "format": RECEIPT_FORMAT,
            "id": receipt_id,
            "tenant": tenant_id,
            "subject": {"kind": transition.subject_kind, "id": transition.subject_id},
            "seq": transition.version,
            "action": transition.action,
            "state": transition.state,
            "actor": actor,
            "occurred_at": format_time(occurred_at),
            "payload": {**transition.payload, **committed},
            "prev_hash": prev_hash,
        }
    )
    return Receipt(
        id=receipt_id,
        subject_id=transition.subject_id,
        seq=transition.version,
        action=transition.action,
        state=transition.state,
        body=body,
        digest=digest_of(body),
        prev_hash=prev_hash,
    )


def check_history(history: History) -> tuple[ChainFault, ...]:
    """Return every fault of a subject's receipts, each with its place; an empty answer means that all of them stand.

    Beside those of `check_chain`: `wrong_digest` where what is stored beside a body is not what the body says or has as its
    digest, and `wrong_disclosure` where what people wrote does not open the commitment that stands for it.
    """
    bodies = [receipt.body for receipt in history.receipts]
    faults = check_chain(bodies, subject_id=history.subject_id, expected_count=history.version)
    unreadable = {fault.seq for fault in faults if fault.code == "unreadable"}
    own = (
        ChainFault(code, place)
        for place, receipt in enumerate(history.receipts, start=1)
        if place not in unreadable
        for code in _faults_of(receipt, history.disclosures.get(receipt.id, ()))
    )
    return (*faults, *own)


def actors_of(history: History) -> list[str]:
    """Return who did what is recorded, by id; receipts that cannot be read are left out."""
    found = []
    for receipt in history.receipts:
        with suppress(KeyError, TypeError, ValueError):
            found.append(str(json.loads(receipt.body)["actor"]["id"]))
    return found


def last_deed(history: History, action: str) -> Deed | None:
    """Return what was done last of what receipts call `action`; None where nobody did, or where its receipt cannot be read."""
    receipt = next((each for each in reversed(history.receipts) if each.action == action), None)
    if receipt is None:
        return None
    with suppress(KeyError, TypeError, ValueError):
        body = json.loads(receipt.body)
        reason = history.opened(receipt.id).get("reason", "")
        return Deed(str(body["actor"]["id"]), parse_time(body["occurred_at"]), str(reason))
    return None


def _faults_of(receipt: Receipt, disclosures: tuple[Disclosure, ...]) -> Iterator[str]:
    body: dict[str, Any] = json.loads(receipt.body)
    stored = (receipt.id, receipt.seq, receipt.action, receipt.state, receipt.prev_hash, receipt.digest)
    said = tuple(body.get(name) for name in ("id", "seq", "action", "state", "prev_hash"))
    if stored != (*said, digest_of(receipt.body)):
        yield "wrong_digest"
    payload = body.get("payload")
    if not all(_opens(entry, payload) for entry in disclosures):
        yield "wrong_disclosure"


def _opens(entry: Disclosure, payload: object) -> bool:
    committed = payload.get(entry.path) if isinstance(payload, Mapping) else None
    return isinstance(committed, Mapping) and opens(entry, str(committed.get("commitment")))
