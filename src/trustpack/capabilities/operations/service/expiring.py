"""End requests whose time for approval or for use is over."""

from __future__ import annotations

from trustpack.capabilities.operations.model import Command, Status
from trustpack.capabilities.operations.rules.transitions import allows
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.recording import advance
from trustpack.capabilities.operations.store import requests as store
from trustpack.kernel.actor import system_actor
from trustpack.platform import jobs
from trustpack.platform.jobs import Job


async def expire(operations: Operations, job: Job) -> None:
    """Job: expire a request that is still waiting. A later step that won the race leaves nothing to do."""
    async with operations.unit_of_work.transaction(job.tenant_id) as tx:
        request = await store.lock_request(tx, job.subject_id)
        if request is None or not allows(request.status, Command.EXPIRE):
            await jobs.finish(tx, job)
            return
        deadline = request.approval_expires_at if request.status == Status.PENDING_APPROVAL else request.use_by
        if deadline is not None and tx.now < deadline:
            await jobs.schedule(tx, kind=job.kind, subject_id=request.id, due_at=deadline)
            return
        await jobs.finish(tx, job)
        waited_for = "approvals" if request.status == Status.PENDING_APPROVAL else "execution"
        await advance(
            tx,
            request,
            Command.EXPIRE,
            actor=system_actor(tx.tenant_id, "expiry"),
            action="expired",
            payload={"waited_for": waited_for},
        )
