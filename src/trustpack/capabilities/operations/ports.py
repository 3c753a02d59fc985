"""What the flow asks of the outside system that carries a grant out. Two implementations, one contract suite.

Every call is idempotent by the grant's role name and may be repeated after a crash at any instruction. No call happens inside
a database transaction of ours (architecture section 3).
"""

from __future__ import annotations

from typing import Protocol

from trustpack.capabilities.operations.model import (
    ConnectionDetails,
    GrantMark,
    GrantOrder,
    LiveGrant,
    RevertOutcome,
    TargetDefinition,
    TargetIdentity,
)
from trustpack.capabilities.operations.model.drift import Drift, TargetInventory


class TargetAdapter(Protocol):
    """Carries grants out on one kind of target and takes them back."""

    def statements(self, definition: TargetDefinition, order: GrantOrder) -> tuple[str, ...]:
        """Say in SQL what `grant` will do, with no secret in it: this is what people approve. Guarantee: pure."""
        ...

    async def identify(self, definition: TargetDefinition) -> TargetIdentity:
        """Say which system really stands behind the connection, and the digest of what we installed in it.

        Raises `TargetUnavailable`, `TargetNotPrepared`.
        """
        ...

    async def grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        """Create the role of the order, or adopt it when an earlier call already did.

        The target's own clock starts and ends the grant. The identity is checked by the same session that grants. Raises
        `TargetUnavailable` when it is unknown whether anything happened; `TargetRefused`, and `TargetDrifted` when the
        identity is not the one of the order, when certainly nothing did.
        """
        ...

    async def set_verifier(
        self, definition: TargetDefinition, grant: GrantMark, *, password: str, generation: int
    ) -> ConnectionDetails:
        """Replace the role's password by a SCRAM verifier made here; the password itself never leaves this process.

        `generation` counts the credentials of the grant; the target refuses one that is not later than the last, so that of
        two calls at once the later one wins. Raises `TargetUnavailable`, `TargetRefused`, `TargetDrifted`.
        """
        ...

    async def revert(self, definition: TargetDefinition, grant: GrantMark) -> RevertOutcome:
        """Take the grant back and prove that it is gone; continue wherever an earlier call stopped.

        Nothing is proven by a system that the grant was not ordered on, nor by one that does not know a role which it is
        known to have made: that is a blocker. A grant that never came to be is proven gone, and its name is burned: one that
        arrives later is refused. Raises `TargetUnavailable`, `TargetNotPrepared`; everything that could not be done or proven
        is named in the outcome, which then is not `proven`.
        """
        ...

    async def inventory(self, definition: TargetDefinition) -> TargetInventory:
        """Report every temporary role that the target has or should have, and whether it is as it was installed.

        Guarantee: nothing is changed. Another version's installation, or none, is told, not raised. Raises `TargetUnavailable`.
        """
        ...

    async def prune(self, definition: TargetDefinition, *, system: str) -> None:
        """Delete what was kept of accesses for longer than the target keeps it; some of it, what is left at the next call.

        Raises `TargetUnavailable`, `TargetRefused`, `TargetNotPrepared`; `TargetDrifted` on another system than `system`.
        """
        ...

    async def repair(self, definition: TargetDefinition, drift: Drift, *, system: str) -> tuple[str, ...]:
        """Do what the drift's repair asks of the target; return what stands in the way, nothing when the catalogue shows it done.

        Idempotent. What is no repair of the target's own (`revert_grant`, `end_access`, `schedule_again`) changes nothing. Raises
        `TargetUnavailable`, `TargetRefused`, `TargetNotPrepared`; `TargetDrifted` on another system than `system`.
        """
        ...
