"""The work of this capability that happens later: expire requests, carry orders out, take access back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from trustpack.capabilities.operations.service.carrying_out import carry_out
from trustpack.capabilities.operations.service.context import EXECUTE_JOB, EXPIRE_JOB, REVERT_JOB, Operations
from trustpack.capabilities.operations.service.expiring import expire
from trustpack.capabilities.operations.service.reverting import take_back
from trustpack.platform.jobs import Handler


def job_handlers(operations: Operations) -> Mapping[str, Handler]:
    """Return the handler of each job kind of this capability."""
    return {
        EXPIRE_JOB: partial(expire, operations),
        EXECUTE_JOB: partial(carry_out, operations),
        REVERT_JOB: partial(take_back, operations),
    }
