"""The work of this capability that happens later: expire quotes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from trustpack.capabilities.revops.service.context import EXPIRE_JOB, RevOps
from trustpack.capabilities.revops.service.expiring import expire
from trustpack.platform.jobs import Handler


def job_handlers(revops: RevOps) -> Mapping[str, Handler]:
    """Return the handler of each job kind of this capability."""
    return {EXPIRE_JOB: partial(expire, revops)}
