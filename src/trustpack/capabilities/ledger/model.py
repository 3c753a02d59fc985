"""Receipts and the transitions that they record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.commitments import Disclosure


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one subject by one actor, about to be recorded.

    `version` and `state` are the subject's after the change. Values in `personal` never enter the receipt: a salted
    commitment stands in the payload under the same name (ADR-0012).
    """

    subject_kind: str
    subject_id: str
    version: int
    action: str
    state: str
    actor: Actor
    payload: JsonObject
    personal: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A stored receipt: `body` holds the canonical bytes that `digest` is of, everything else can be read from them."""

    id: str
    subject_id: str
    seq: int
    action: str
    state: str
    body: bytes
    digest: str
    prev_hash: str | None


@dataclass(frozen=True, slots=True)
class History:
    """The receipts of one subject in order, what opens their commitments by receipt, and the version that the subject has."""

    subject_id: str
    version: int
    receipts: tuple[Receipt, ...]
    disclosures: Mapping[str, tuple[Disclosure, ...]]

    def opened(self, receipt_id: str) -> dict[str, JsonValue]:
        """Return what people wrote in one receipt, by field; what was erased is left out."""
        return {entry.path: entry.value for entry in self.disclosures.get(receipt_id, ())}


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did something, by id, when, and why; the reason is empty where none was given, or where it was erased."""

    by: str
    at: datetime
    reason: str
