"""Read a case and write its bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trustpack.capabilities import ledger, operations, policy
from trustpack.capabilities.evidence.rules import build_bundle
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.commitments import Disclosure


async def operation_bundle(tx: Transaction, actor: Actor, request_id: str) -> bytes:
    """Return the evidence bundle of a high-risk request, as of one consistent read. Raises `NotFound`. Source: story 1.8."""
    request = await operations.find_readable(tx, actor, request_id)
    view = operations.present(await operations.view_of(tx, request))
    decisions = await policy.decisions_of(tx, request.id)
    receipts = await ledger.receipts_of(tx, request.id)
    disclosures = await ledger.disclosures_of(tx, request.id)
    taken_apart = ("effect", "approvals", "execution", "grant", "decisions")
    sections: dict[str, JsonValue] = {
        "request": {name: value for name, value in view.items() if name not in taken_apart},
        "effect": operations.read_effect(request.effect),
        "approvals": view["approvals"],
        "execution": view["execution"],
        "grant": view["grant"],
        "decisions": [policy.present_decision(decision) for decision in decisions],
        "receipts": [_receipt(receipt, disclosures) for receipt in receipts],
    }
    return build_bundle(
        kind="high_risk_operation", tenant_id=tx.tenant_id, subject_id=request.id, version=request.version, sections=sections
    )


def _receipt(receipt: ledger.Receipt, disclosures: Mapping[str, tuple[Disclosure, ...]]) -> dict[str, Any]:
    """Return a receipt with the JSON whose RFC 8785 bytes its digest is of, and what opens its commitments."""
    return {
        "id": receipt.id,
        "seq": receipt.seq,
        "digest": receipt.digest,
        "body": json.loads(receipt.body),
        "disclosures": [
            {"path": entry.path, "value": entry.value, "salt": entry.salt.hex()} for entry in disclosures.get(receipt.id, ())
        ],
    }
