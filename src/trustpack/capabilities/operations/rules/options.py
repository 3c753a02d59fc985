"""What somebody may try about a request as it stands: what pages offer. Guarantee: pure.

The use cases decide by the same rules again; an option is never a promise.
"""

from __future__ import annotations

from datetime import datetime

from trustpack.capabilities.operations.model import Command, Grant, HighRiskRequest, Status
from trustpack.capabilities.operations.rules.transitions import allows
from trustpack.capabilities.operations.rules.visibility import may_revert
from trustpack.kernel.actor import Actor


def options_of(
    request: HighRiskRequest, grant: Grant | None, actor: Actor, *, may_vote: bool, now: datetime
) -> frozenset[Command]:
    """Return what the actor may try; `may_vote` says that their vote would count and is not given yet."""
    options = set()
    if may_vote and now < request.approval_expires_at and allows(request.status, Command.APPROVE):
        options |= {Command.APPROVE, Command.REJECT}
    if actor.id == request.requester_id:
        options |= _of_requester(request, grant, now)
    if request.status in {Status.ACTIVE, Status.REVERT_FAILED} and may_revert(actor, request):
        options.add(Command.START_REVERT)
    return frozenset(options)


def _of_requester(request: HighRiskRequest, grant: Grant | None, now: datetime) -> set[Command]:
    options = set()
    if allows(request.status, Command.CANCEL):
        options.add(Command.CANCEL)
    is_in_time = request.use_by is None or now < request.use_by
    if is_in_time and allows(request.status, Command.START_EXECUTION):
        options.add(Command.START_EXECUTION)
    is_live = grant is not None and grant.expires_at is not None and now < grant.expires_at
    if is_live and allows(request.status, Command.ISSUE_CREDENTIALS):
        options.add(Command.ISSUE_CREDENTIALS)
    return options
