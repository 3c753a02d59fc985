"""The course of a quote as its receipts tell it: what was submitted, and what took the place of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Submission:
    """One revision of a quote that was sent to the people whose approval policy asked for.

    `filled` names by role who has filled it, `status` is the last of the quote in this revision; `ended_seq` is the receipt
    that rejected, recalled, expired or activated it.
    """

    quote_id: str
    revision: int
    terms_digest: str
    receipt_id: str
    decision_id: str
    submitted_by: str
    submitted_at: str
    required: tuple[str, ...]
    filled: Mapping[str, str]
    status: str
    ended_seq: int | None
    ended_at: str | None

    @property
    def open_roles(self) -> tuple[str, ...]:
        return tuple(role for role in self.required if role not in self.filled)


@dataclass(frozen=True, slots=True)
class Supersession:
    """What put another revision in the place of one, and how far that one had come."""

    by_revision: int
    receipt_id: str
    superseded_by: str
    superseded_at: str
    status_before: str
