"""Build the bytes of a receipt from a transition. Guarantee: pure."""

from __future__ import annotations

from datetime import datetime

from trustpack.capabilities.ledger.model import Receipt, Transition
from trustpack.kernel.clock import format_time
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.canonical import canonical_bytes, digest_of
from trustpack.proof.commitments import Disclosure, commitment_to

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
