"""What the flow asks of the outside system that carries a grant out. Two implementations, one contract suite.

Every call is idempotent by the grant's role name and may be repeated after a crash at any instruction. No call happens inside
a database transaction of ours (architecture section 3).
"""

from __future__ import annotations

from typing import Protocol

from trustpack.capabilities.operations.model import (
    ConnectionDetails,
    GrantOrder,
    LiveGrant,
    RevertOutcome,
    TargetDefinition,
    TargetIdentity,
)


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

        The target's own clock starts and ends the grant. Raises `TargetUnavailable` when it is unknown whether anything
        happened, `TargetRefused` when certainly nothing did.
        """
        ...

    async def set_verifier(self, definition: TargetDefinition, *, role_name: str, password: str) -> ConnectionDetails:
        """Replace the role's password by a SCRAM verifier made here; the password itself never leaves this process.

        Raises `TargetUnavailable`, `TargetRefused`.
        """
        ...

    async def revert(self, definition: TargetDefinition, *, role_name: str) -> RevertOutcome:
        """Take the grant back and prove that it is gone; continue wherever an earlier call stopped.

        A grant that never came to be is proven gone as well, and its name is burned: a grant that arrives later is refused.
        Raises `TargetUnavailable`, `TargetNotPrepared`; everything that could not be done
        or proven is named in the outcome, which then is not `proven`.
        """
        ...
