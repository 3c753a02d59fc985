"""Receipts: the record of every transition of every governed subject.

Owns: receipts and their chain, the disclosures that open their commitments, the outbox of the tenant's log.
Does not own: what a subject is, whether a transition is allowed, or when it happens.
"""

from trustpack.capabilities.ledger.model import Receipt, Transition
from trustpack.capabilities.ledger.service import (
    count_receipts,
    disclosed_items,
    disclosed_values,
    disclosures_of,
    present_receipt,
    receipts_of,
    record,
)

__all__ = [
    "Receipt",
    "Transition",
    "count_receipts",
    "disclosed_items",
    "disclosed_values",
    "disclosures_of",
    "present_receipt",
    "receipts_of",
    "record",
]
