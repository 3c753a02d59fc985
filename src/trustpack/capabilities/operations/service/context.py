"""What the use cases of this capability work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trustpack.capabilities.operations.model import AdapterKind, FlowLimits, Target
from trustpack.capabilities.operations.ports import TargetAdapter
from trustpack.capabilities.policy import PolicyGate
from trustpack.kernel.clock import Clock
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Pool, UnitOfWork

EXPIRE_JOB = "operations.expire"
EXECUTE_JOB = "operations.execute"
REVERT_JOB = "operations.revert"
RECONCILE_JOB = "operations.reconcile"
MOST_BLOCKERS = 20
"""A receipt stays small, however many objects a grantee left behind."""


@dataclass(frozen=True, slots=True)
class Operations:
    """The collaborators of the flow, given once by the composition root.

    `store_id` tells the grants of this store from those of another on the same target; `system_pool` finds due work and the
    grants of any tenant by their roles' names.
    """

    unit_of_work: UnitOfWork
    system_pool: Pool
    store_id: str
    gate: PolicyGate
    adapters: Mapping[AdapterKind, TargetAdapter]
    limits: FlowLimits

    @property
    def clock(self) -> Clock:
        return self.unit_of_work.clock

    def adapter_of(self, target: Target) -> TargetAdapter:
        """Return the adapter that operates this target."""
        return self.adapters[target.definition.adapter]


def adapters_by_kind(*, record: TargetAdapter, postgres: TargetAdapter) -> Mapping[AdapterKind, TargetAdapter]:
    """Return the adapters under the names that target definitions use."""
    return {AdapterKind.RECORD: record, AdapterKind.POSTGRES: postgres}


def limits_of(settings: Settings) -> FlowLimits:
    """Return the settings that shape the flow."""
    return FlowLimits(
        approval_window_seconds=settings.approval_window_seconds,
        approval_use_by_seconds=settings.approval_use_by_seconds,
        digest_required=settings.approval_digest_required,
        team_lead_same_team=settings.team_lead_same_team,
        execute_wait_seconds=settings.execute_wait_seconds,
    )


def reconcile_lane(target_id: str) -> str:
    """Return the lane of a target's reconciler: its own, so that a target that hangs holds up neither reverts nor others."""
    return f"reconcile:{target_id}"
