"""Record transitions and read them back."""

from __future__ import annotations

import json
from typing import Any

from trustpack.capabilities.ledger import store
from trustpack.capabilities.ledger.model import History, Receipt, Transition
from trustpack.capabilities.ledger.rules import build_receipt
from trustpack.platform.telemetry import metrics
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import digest_of_value
from trustpack.proof.commitments import SALT_BYTES, Disclosure

changes_since = store.changes_since
count_receipts = store.count_receipts
disclosed_items = store.disclosed_items
disclosed_values = store.disclosed_values
disclosures_of = store.disclosures_of
receipts_of = store.receipts_of


async def record(tx: Transaction, transition: Transition) -> Receipt:
    """Write the receipt of a transition, its disclosures and its place in the outbox, in the caller's transaction.

    The subject's row must be locked (or new) in the same transaction, so that two transitions cannot take one version.
    """
    disclosures = tuple(
        Disclosure(path=path, value=value, salt=tx.ids.random_bytes(SALT_BYTES)) for path, value in transition.personal.items()
    )
    previous = transition.version - 1
    prev_hash = await store.head_digest(tx, subject_id=transition.subject_id, seq=previous) if previous else None
    receipt = build_receipt(
        transition,
        tenant_id=tx.tenant_id,
        receipt_id=tx.new_id("rcp"),
        prev_hash=prev_hash,
        occurred_at=tx.now,
        disclosures=disclosures,
    )
    await store.insert_receipt(tx, receipt, transition=transition, occurred_at=tx.now)
    if disclosures:
        await store.insert_disclosures(tx, receipt_id=receipt.id, disclosures=disclosures)
    metrics.TRANSITIONS.labels(kind=transition.subject_kind, action=transition.action).inc()
    return receipt


async def history_of(tx: Transaction, subject_id: str, *, version: int) -> History:
    """Return all receipts of a subject with what opens them; `version` is the one that the subject is known to have."""
    receipts = await store.receipts_of(tx, subject_id)
    return History(subject_id, version, receipts, await store.disclosures_of(tx, subject_id))


def present_receipt(receipt: Receipt, *, handles: dict[str, str]) -> dict[str, Any]:
    """Return the wire shape of a receipt; `handles` names the people by id."""
    body: dict[str, Any] = json.loads(receipt.body)
    actor = body["actor"]
    return {
        "id": receipt.id,
        "seq": receipt.seq,
        "action": receipt.action,
        "state": receipt.state,
        "actor": {**actor, "handle": handles.get(actor["id"], actor["id"])},
        "subject_id": receipt.subject_id,
        "occurred_at": body["occurred_at"],
        "payload": body["payload"],
        "payload_digest": digest_of_value(body["payload"]),
        "digest": receipt.digest,
        "prev_hash": receipt.prev_hash,
        "leaf_index": None,
    }
