"""The work of this capability that happens later: expire requests, carry orders out, take access back, watch targets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from trustpack.capabilities.operations.service.carrying_out import carry_out
from trustpack.capabilities.operations.service.context import EXECUTE_JOB, EXPIRE_JOB, RECONCILE_JOB, REVERT_JOB, Operations
from trustpack.capabilities.operations.service.expiring import expire
from trustpack.capabilities.operations.service.reconciling import reconcile, watch_targets
from trustpack.capabilities.operations.service.reverting import take_back
from trustpack.platform.jobs import Handler


def job_handlers(operations: Operations) -> Mapping[str, Handler]:
    """Return the handler of each job kind of this capability."""
    return {
        EXPIRE_JOB: partial(expire, operations),
        EXECUTE_JOB: partial(carry_out, operations),
        REVERT_JOB: partial(take_back, operations),
        RECONCILE_JOB: partial(reconcile, operations),
    }


def most_of_kind() -> Mapping[str, int]:
    """Return how many jobs of a kind one worker runs at a time, where each target has a lane for it.

    Targets that hang must leave places to the reverts of others. Eight get through 96 a minute that do not accept a connection.
    """
    return {RECONCILE_JOB: 8}


class TargetWatch:
    """Has every target compared when a worker starts, and each minute those whose job somebody deleted."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._has_begun = False

    async def __call__(self) -> None:
        await watch_targets(self._operations, all_of_them=not self._has_begun)
        self._has_begun = True
