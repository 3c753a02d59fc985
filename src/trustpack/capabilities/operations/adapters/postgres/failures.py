"""What a failed conversation with a target means: unreachable, refused, or not prepared. Nothing secret passes through here."""

from __future__ import annotations

from typing import Final

import psycopg

from trustpack.capabilities.operations.model import TargetDrifted, TargetNotPrepared, TargetRefused, TargetUnavailable

_OUR_REFUSALS: Final = "TP"
"""Class of the SQLSTATEs that the installed functions raise; the transaction was rolled back."""
_DRIFTED: Final = "TP006"
_NOT_PREPARED: Final = frozenset({"3F000", "42883", "42P01", "42501", "42703", "P0002"})
"""Schema, function, table, right, column or settings row missing: not the installation that we call."""
_TRANSIENT_CLASSES: Final = frozenset({"08", "25", "40", "53", "57", "58", "XX"})
_TRANSIENT: Final = frozenset({"55P03"})
_READ_ONLY: Final = "25006"
"""A standby, or a server that takes no changes: it said no and surely changed nothing (adversarial case 34)."""


def failed_connection(error: Exception) -> TargetUnavailable:
    """Say that no session could be opened.

    A fault in the connection string is not quoted: libpq's message repeats parts of it, and a password is one of its parts.
    """
    if isinstance(error, psycopg.ProgrammingError):
        return TargetUnavailable(
            "The connection string of the target is not valid.", next_step="Correct the secret and try again."
        )
    if isinstance(error, psycopg.Error):
        return TargetUnavailable(reason=str(error).partition("\n")[0][:300])
    return TargetUnavailable(reason=type(error).__name__)


def failed_call(error: Exception) -> TargetUnavailable | TargetRefused | TargetNotPrepared | TargetDrifted:
    """Say what the failure of a call means: a refusal changed nothing, an unavailable target may have done anything.

    Only the server's primary message is kept: its context can repeat a statement with a password verifier.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return TargetUnavailable("The connection to the target broke.", reason=type(error).__name__)
    state = error.sqlstate
    reason = error.diag.message_primary or ""
    if state == _DRIFTED:
        return TargetDrifted(sqlstate=state)
    if state.startswith(_OUR_REFUSALS):
        return TargetRefused(f"The target refused: {reason}.", sqlstate=state)
    if state in _NOT_PREPARED:
        return TargetNotPrepared(sqlstate=state, reason=reason)
    if state != _READ_ONLY and (state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT):
        return TargetUnavailable("The target did not carry the call out.", sqlstate=state, reason=reason)
    return TargetRefused(f"The target refused: {reason}.", sqlstate=state)
