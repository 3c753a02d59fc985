"""The transition table of a quote, as data. Guarantee: pure. Source: api.md, stories 2.3 and 2.7."""

from __future__ import annotations

from collections.abc import Mapping

from trustpack.capabilities.revops.model import QuoteCommand, QuoteStatus, WrongQuoteState

_OPEN = frozenset({QuoteStatus.DRAFT, QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED})
_REVISABLE = _OPEN | {QuoteStatus.REJECTED, QuoteStatus.RECALLED, QuoteStatus.EXPIRED}

_MOVES: Mapping[tuple[QuoteStatus, QuoteCommand], QuoteStatus] = {
    (QuoteStatus.DRAFT, QuoteCommand.SUBMIT): QuoteStatus.PENDING_APPROVAL,
    (QuoteStatus.PENDING_APPROVAL, QuoteCommand.APPROVE): QuoteStatus.PENDING_APPROVAL,
    (QuoteStatus.PENDING_APPROVAL, QuoteCommand.COMPLETE_APPROVALS): QuoteStatus.APPROVED,
    (QuoteStatus.PENDING_APPROVAL, QuoteCommand.REJECT): QuoteStatus.REJECTED,
    (QuoteStatus.PENDING_APPROVAL, QuoteCommand.RECALL): QuoteStatus.RECALLED,
    (QuoteStatus.APPROVED, QuoteCommand.RECALL): QuoteStatus.RECALLED,
    (QuoteStatus.APPROVED, QuoteCommand.ACTIVATE): QuoteStatus.ACTIVATED,
}
TRANSITIONS: Mapping[tuple[QuoteStatus, QuoteCommand], QuoteStatus] = {
    **_MOVES,
    # Any commercial change begins a new revision, which nobody has approved yet; a contract that stands is not touched.
    **{(status, QuoteCommand.REVISE): QuoteStatus.DRAFT for status in _REVISABLE},
    **{(status, QuoteCommand.RETITLE): status for status in QuoteStatus if status != QuoteStatus.ACTIVATED},
    **{(status, QuoteCommand.EXPIRE): QuoteStatus.EXPIRED for status in _OPEN},
    **{(status, QuoteCommand.PREVIEW): status for status in _REVISABLE},
    # A blocked attempt leaves a receipt and no change.
    **{(status, QuoteCommand.REFUSE): status for status in QuoteStatus},
}

_ANEW = "Change the terms, which begins a new revision in draft, or clone the quote."
_NEXT_STEPS: Mapping[QuoteStatus, str] = {
    QuoteStatus.DRAFT: "Submit the quote for approval first.",
    QuoteStatus.PENDING_APPROVAL: "Wait for the open approvals, or recall the quote, or change its terms.",
    QuoteStatus.APPROVED: "Activate the quote, or recall it, or change its terms.",
    QuoteStatus.ACTIVATED: "The contract stands; clone the quote to offer something else.",
    QuoteStatus.REJECTED: _ANEW,
    QuoteStatus.RECALLED: _ANEW,
    QuoteStatus.EXPIRED: _ANEW,
}


def next_status(status: QuoteStatus, command: QuoteCommand) -> QuoteStatus:
    """Return the state that a command leads to. Raises `WrongQuoteState` where it means nothing."""
    try:
        return TRANSITIONS[status, command]
    except KeyError:
        raise WrongQuoteState(
            f"`{command.value}` means nothing for a quote in the state `{status.value}`.",
            next_step=_NEXT_STEPS[status],
            quote_status=status.value,
        ) from None


def allows(status: QuoteStatus, command: QuoteCommand) -> bool:
    """Say whether the command means something in this state."""
    return (status, command) in TRANSITIONS
