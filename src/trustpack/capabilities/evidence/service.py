"""Read a case and write its bundle: one form for every flow, whose parts come from the capabilities that own them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trustpack.capabilities import ledger, operations, policy, revops
from trustpack.capabilities.evidence.rules import build_bundle, heads_of, present_receipt
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.unit_of_work import Transaction

_AMOUNTS: Final = ("currency", "list_amount", "net_amount", "discount_percent", "terms_digest")
_DEAL_FIGURES: Final[Mapping[str, Sequence[str]]] = {
    "quotes": ("revision", "status", *_AMOUNTS, "max_line_discount_percent", "recurring_discount_percent", "approvals"),
    "contracts": ("quote_id", *_AMOUNTS),
}
"""What the manifest of a deal repeats of each quote and contract (story 2.8: "summarizes amounts, discount, approvals")."""


@dataclass(frozen=True, slots=True)
class _Case:
    """What a bundle is about: its subjects in order with their versions, their receipts, and what the flow says about them."""

    kind: str
    subject_id: str
    versions: Mapping[str, int]
    receipts: Sequence[ledger.Receipt]
    sections: Mapping[str, JsonValue]
    figures: Mapping[str, Sequence[str]] = field(default_factory=dict)


async def operation_bundle(tx: Transaction, actor: Actor, request_id: str) -> bytes:
    """Return the evidence bundle of a high-risk request, as of one consistent read. Raises `NotFound`. Source: story 1.8."""
    request = await operations.find_readable(tx, actor, request_id)
    view = operations.present(await operations.view_of(tx, request))
    taken_apart = ("effect", "approvals", "execution", "grant", "decisions")
    sections: dict[str, JsonValue] = {
        "request": {name: value for name, value in view.items() if name not in taken_apart},
        "effect": operations.read_effect(request.effect),
        "approvals": view["approvals"],
        "execution": view["execution"],
        "grant": view["grant"],
    }
    receipts = await ledger.receipts_of(tx, request.id)
    case = _Case("high_risk_operation", request.id, {request.id: request.version}, receipts, sections)
    return await _bundle(tx, case)


async def deal_bundle(tx: Transaction, actor: Actor, deal_id: str) -> bytes:
    """Return the evidence bundle of an opportunity with all its quotes, or of one quote, as of one consistent read.

    It is whole or not at all: whoever may not read a subject in it does not get it. Raises `NotFound`. Source: story 2.8.
    """
    deal = await revops.find_deal(tx, actor, deal_id)
    receipts = await ledger.receipts_of(tx, *deal.versions)
    sections = revops.present_deal(deal, receipts)
    return await _bundle(tx, _Case("deal", deal.id, deal.versions, receipts, sections, _DEAL_FIGURES))


async def _bundle(tx: Transaction, case: _Case) -> bytes:
    decisions = await policy.decisions_of(tx, *case.versions)
    disclosures = await ledger.disclosures_of(tx, *case.versions)
    return build_bundle(
        kind=case.kind,
        tenant_id=tx.tenant_id,
        subject_id=case.subject_id,
        subjects=heads_of(case.versions, case.receipts),
        sections={
            **case.sections,
            "decisions": [policy.present_decision(decision) for decision in decisions],
            "receipts": [present_receipt(receipt, disclosures.get(receipt.id, ())) for receipt in case.receipts],
        },
        figures=case.figures,
    )
