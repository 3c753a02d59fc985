"""Receipts: the record of every transition of every governed subject.

Owns: receipts and their chain, the disclosures that open their commitments, the outbox of the tenant's log.
Does not own: what a subject is, whether a transition is allowed, or when it happens.
"""

from trustpack.capabilities.ledger.model import Deed, History, Receipt, Transition
from trustpack.capabilities.ledger.pages import EvidenceShown, FileShown, evidence_file, evidence_of
from trustpack.capabilities.ledger.rules import actors_of, last_deed
from trustpack.capabilities.ledger.service import (
    changes_since,
    count_receipts,
    disclosed_items,
    disclosed_values,
    disclosures_of,
    history_of,
    present_receipt,
    receipts_of,
    record,
)

__all__ = [
    "Deed",
    "EvidenceShown",
    "FileShown",
    "History",
    "Receipt",
    "Transition",
    "actors_of",
    "changes_since",
    "count_receipts",
    "disclosed_items",
    "disclosed_values",
    "disclosures_of",
    "evidence_file",
    "evidence_of",
    "history_of",
    "last_deed",
    "present_receipt",
    "receipts_of",
    "record",
]
