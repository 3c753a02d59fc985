"""End quotes whose time for approval, or for activation, is over."""

from __future__ import annotations

from trustpack.capabilities.revops.model import QuoteCommand, QuoteStatus
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.recording import advance
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import system_actor
from trustpack.platform import jobs
from trustpack.platform.jobs import Job


async def expire(revops: RevOps, job: Job) -> None:
    """Job: expire a quote that is still waiting. A later step that won the race leaves nothing to do."""
    async with revops.unit_of_work.transaction(job.tenant_id) as tx:
        quote = await store.lock_quote(tx, job.subject_id)
        if quote is None or quote.status not in {QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED}:
            await jobs.finish(tx, job)
            return
        waiting = quote.status == QuoteStatus.PENDING_APPROVAL
        deadline = quote.approval_expires_at if waiting else quote.use_by
        if deadline is not None and tx.now < deadline:
            await jobs.schedule(tx, kind=job.kind, subject_id=quote.id, due_at=deadline)
            return
        await jobs.finish(tx, job)
        waited_for = "approvals" if waiting else "activation"
        actor = system_actor(tx.tenant_id, "expiry")
        await advance(tx, quote, QuoteCommand.EXPIRE, actor=actor, action="expired", payload={"waited_for": waited_for})
