"""What the use cases of this capability work with."""

from __future__ import annotations

from dataclasses import dataclass

from trustpack.capabilities.policy import PolicyGate
from trustpack.kernel.clock import Clock
from trustpack.platform.unit_of_work import UnitOfWork

PACK = "trust-and-proof"
EXPIRE_JOB = "revops.expire"
LINKED_DAYS = 30
"""Quotes for one account and currency within this time are looked at together (research/revops case 12)."""


@dataclass(frozen=True, slots=True)
class RevOps:
    """The collaborators of the flow, given once by the composition root."""

    unit_of_work: UnitOfWork
    gate: PolicyGate
    approval_window_seconds: int
    use_by_seconds: int
    digest_required: bool

    @property
    def clock(self) -> Clock:
        return self.unit_of_work.clock
