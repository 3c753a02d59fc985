"""The transition table of a high-risk request, as data. Guarantee: pure. Source: api.md, stories 1.2, 1.3."""

from __future__ import annotations

from collections.abc import Mapping

from trustpack.capabilities.operations.model import Command, Status, WrongState

ENDS = frozenset({Status.DENIED, Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.FAILED, Status.REVERTED})

_MOVES: Mapping[tuple[Status, Command], Status] = {
    (Status.PENDING_APPROVAL, Command.APPROVE): Status.PENDING_APPROVAL,
    (Status.PENDING_APPROVAL, Command.COMPLETE_APPROVALS): Status.APPROVED,
    (Status.PENDING_APPROVAL, Command.REJECT): Status.REJECTED,
    (Status.PENDING_APPROVAL, Command.CANCEL): Status.CANCELLED,
    (Status.PENDING_APPROVAL, Command.EXPIRE): Status.EXPIRED,
    (Status.APPROVED, Command.CANCEL): Status.CANCELLED,
    (Status.APPROVED, Command.EXPIRE): Status.EXPIRED,
    (Status.APPROVED, Command.REOPEN): Status.PENDING_APPROVAL,
    (Status.APPROVED, Command.START_EXECUTION): Status.EXECUTING,
    (Status.EXECUTING, Command.SUCCEED_EXECUTION): Status.ACTIVE,
    (Status.EXECUTING, Command.FAIL_EXECUTION): Status.FAILED,
    (Status.EXECUTING, Command.ABANDON_EXECUTION): Status.REVERT_FAILED,
    (Status.ACTIVE, Command.ISSUE_CREDENTIALS): Status.ACTIVE,
    (Status.ACTIVE, Command.START_REVERT): Status.REVERTING,
    (Status.REVERTING, Command.FINISH_REVERT): Status.REVERTED,
    (Status.REVERTING, Command.FAIL_REVERT): Status.REVERT_FAILED,
    (Status.REVERT_FAILED, Command.FINISH_REVERT): Status.REVERTED,
    (Status.REVERT_FAILED, Command.FAIL_REVERT): Status.REVERT_FAILED,
}
_MAY_HAVE_A_ROLE = frozenset(
    {Status.EXECUTING, Status.ACTIVE, Status.REVERTING, Status.REVERT_FAILED, Status.REVERTED, Status.FAILED}
)
TRANSITIONS: Mapping[tuple[Status, Command], Status] = {
    **_MOVES,
    # A blocked attempt leaves a receipt and no change, as long as the case is open.
    **{(status, Command.REFUSE): status for status in Status if status not in ENDS},
    # A role can be tampered with while it lives, and come back with a backup when the case has ended.
    **{(status, Command.DETECT_DRIFT): status for status in _MAY_HAVE_A_ROLE},
}


def next_status(status: Status, command: Command) -> Status:
    """Return the state that a command leads to. Raises `WrongState` where it means nothing."""
    try:
        return TRANSITIONS[status, command]
    except KeyError:
        verb = command.value.replace("_", " ")
        raise WrongState(f"A request that is {status.value} cannot {verb}.", request_status=status.value) from None


def allows(status: Status, command: Command) -> bool:
    """Say whether the command means something in this state."""
    return (status, command) in TRANSITIONS
