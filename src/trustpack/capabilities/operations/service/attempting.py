"""Execute, hand out credentials and end access, each as one call does it from its beginning to its answer, whoever calls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from trustpack.capabilities.operations.model import HighRiskRequest, Refused, WrongState
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.credentials import (
    Credentials,
    claim_credentials,
    make_credentials,
    withdraw_credentials,
)
from trustpack.capabilities.operations.service.executing import Moved, Started, prepare_execution, start_execution
from trustpack.capabilities.operations.service.recording import require_as_shown
from trustpack.capabilities.operations.service.reverting import start_revert
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import TrustpackError
from trustpack.platform.jobs import Job, JobRunner
from trustpack.platform.unit_of_work import Transaction

_PREPARATIONS = 5
"""An execution is prepared again when the request moved meanwhile; more often than this means a fight, and a conflict."""


class Call(Protocol):
    """What a caller knows of its own earlier calls, and what it keeps of this one."""

    async def was_answered(self) -> bool:
        """Say, before any work is done, whether this very call was answered before."""

    async def begin(self, tx: Transaction) -> bool:
        """Claim the call in the transaction of the work; False where it was claimed before, and nothing is left to do."""

    async def forget(self, tx: Transaction) -> None:
        """Give the claim back, because nothing was done."""

    async def finish(self, tx: Transaction, outcome: HighRiskRequest | Refused) -> None:
        """Keep the outcome in the transaction that made it."""

    async def keep_secret(self, tx: Transaction) -> None:
        """Keep that the answer will hold a secret, and nothing of it."""


class SingleCall:
    """A call that nobody repeats: what is done twice is refused by the state that the first one left."""

    async def was_answered(self) -> bool:
        """Say no."""
        return False

    async def begin(self, tx: Transaction) -> bool:
        """Begin, always."""
        return True

    async def forget(self, tx: Transaction) -> None:
        """Keep nothing."""

    async def finish(self, tx: Transaction, outcome: HighRiskRequest | Refused) -> None:
        """Keep nothing."""

    async def keep_secret(self, tx: Transaction) -> None:
        """Keep nothing."""


async def execute(
    operations: Operations, runner: JobRunner, actor: Actor, request_id: str, call: Call, *, shown_digest: str | None = None
) -> HighRiskRequest | Refused | None:
    """Check everything once more, commit the intent, carry it out, and wait a while for how it goes.

    Returns None when the request itself says how it stands now, for a repeated call too; else what was refused, or the request
    that failed before the target was asked. Raises `NotFound`, `WrongState`, `WindowClosed`; with `shown_digest`, `StaleDigest`.
    """
    for _ in range(_PREPARATIONS):
        if await call.was_answered():
            return None
        prepared = await prepare_execution(operations, actor, request_id)
        async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
            if not await call.begin(tx):
                return None
            if shown_digest is not None:
                await require_as_shown(tx, actor, request_id, digest=shown_digest)
            outcome = await start_execution(tx, operations, actor, request_id, prepared)
            if isinstance(outcome, HighRiskRequest | Refused):
                await call.finish(tx, outcome)
                return outcome
            if isinstance(outcome, Moved):
                await call.forget(tx)
        if isinstance(outcome, Started):
            await _run(operations, runner, outcome.job)
            return None
    raise WrongState("The request keeps changing while it is being executed.")


async def hand_out_credentials(
    operations: Operations, actor: Actor, request_id: str, call: Call, *, rotate: bool
) -> Credentials | Refused | None:
    """Record that credentials are handed out, then make them; None for a repeated call.

    What the target would not take is withdrawn, and returned as refused. Raises as `claim_credentials`.
    """
    unit_of_work = operations.unit_of_work
    async with unit_of_work.transaction(actor.tenant_id) as tx:
        if not await call.begin(tx):
            return None
        claimed = await claim_credentials(tx, actor, request_id, rotate=rotate)
        if isinstance(claimed, Refused):
            await call.finish(tx, claimed)
            return claimed
        await call.keep_secret(tx)
    try:
        return await make_credentials(operations, claimed)
    except TrustpackError as error:
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            refused = await withdraw_credentials(tx, actor, claimed, error)
            await call.finish(tx, refused)
        return refused


async def revert(
    operations: Operations, runner: JobRunner, actor: Actor, request_id: str, call: Call, *, reason: str
) -> HighRiskRequest | Refused | None:
    """End access now, and wait a while for the proof; returns the request where somebody else is at work on it.

    Raises as `start_revert`.
    """
    async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
        if not await call.begin(tx):
            return None
        outcome = await start_revert(tx, actor, request_id, reason=reason)
        if isinstance(outcome, Refused):
            await call.finish(tx, outcome)
    if not isinstance(outcome, Job):
        return outcome
    await _run(operations, runner, outcome)
    return None


async def _run(operations: Operations, runner: JobRunner, job: Job) -> None:
    # Shielded: the job goes on when the wait, or the client, ends.
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(runner.start(job)), timeout=operations.limits.execute_wait_seconds)
