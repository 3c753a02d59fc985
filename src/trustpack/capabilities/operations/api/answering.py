"""What every route of this capability shares: its collaborators, and how an outcome becomes an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.operations.model import HighRiskRequest, Refused, Status
from trustpack.capabilities.operations.service import reading
from trustpack.capabilities.operations.service.context import Operations
from trustpack.kernel.actor import Actor
from trustpack.platform.jobs import Job, JobRunner
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.idempotency import Reply, RequestKey, claim, keep, key_of, once, peek, request_key
from trustpack.platform.web.problems import PROBLEM_TYPE, problem_body, request_id_of

PREFIX = "/high-risk-ops"
TAG = "high-risk operations"
Keyed = Annotated[tuple[Request, str | None], Depends(request_key)]
_UNDER_WAY = frozenset({Status.EXECUTING, Status.REVERTING, Status.REVERT_FAILED})


class Desk:
    """One signed-in caller with the flow's collaborators and the idempotency key of the request, if it has one."""

    def __init__(self, request: Request, actor: Actor, key: RequestKey | None) -> None:
        self.operations: Operations = request.app.state.operations
        self.actor = actor
        self.key = key
        self._runner: JobRunner = request.app.state.job_runner
        self._request_id = request_id_of(request)

    async def decide(
        self, work: Callable[[Transaction], Awaitable[HighRiskRequest | Refused]], *, status: int = HTTPStatus.OK
    ) -> Response:
        """Do the work in one transaction, once per key, and answer with the request or the refusal."""
        async with self.operations.unit_of_work.transaction(self.actor.tenant_id) as tx:

            async def reply() -> Reply:
                return await self.reply_to(tx, await work(tx), status=status)

            answer = await once(tx, self.key, reply)
        return answer_with(answer)

    async def kept(self, request_id: str | None = None) -> Reply | None:
        """Return the answer that is kept under the key, before any work is done for a repeated request."""
        if self.key is None:
            return None
        async with self.operations.unit_of_work.transaction(self.actor.tenant_id) as tx:
            return await self._final(tx, await peek(tx, self.key), request_id)

    async def begin(self, tx: Transaction, request_id: str) -> Reply | None:
        """Claim the key for this transaction, or return the answer to the request that claimed it before."""
        return await self._final(tx, await claim(tx, self.key), request_id) if self.key is not None else None

    async def finish(self, tx: Transaction, outcome: HighRiskRequest | Refused) -> Reply:
        """Return the answer to an outcome, and keep it under the key."""
        reply = await self.reply_to(tx, outcome)
        await keep(tx, self.key, reply)
        return reply

    async def _final(self, tx: Transaction, kept: Reply | None, request_id: str | None) -> Reply | None:
        # A key without a status belongs to work under way: its answer is how the request stands now.
        if kept is None or kept.status or request_id is None:
            return kept
        return await self.standing(tx, request_id)

    async def reply_to(self, tx: Transaction, outcome: HighRiskRequest | Refused, *, status: int = HTTPStatus.OK) -> Reply:
        """Return the answer to an outcome, as it is kept and sent."""
        if isinstance(outcome, Refused):
            refused_status, body = problem_body(outcome.error, request_id=self._request_id)
            return Reply(status=refused_status, body=body)
        is_new = outcome.version == 1
        view = reading.first_view_of(outcome, self.actor) if is_new else await reading.view_of(tx, outcome)
        return Reply(status=status, body=encode(reading.present(view)))

    async def run(self, job: Job, request_id: str) -> Response:
        """Run a claimed job, wait for it a while, and answer with how the request stands then."""
        # Shielded: the job goes on when the wait, or the client, ends.
        running = self._runner.start(job)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), timeout=self.operations.limits.execute_wait_seconds)
        async with self.operations.unit_of_work.transaction(self.actor.tenant_id) as tx:
            reply = await self.standing(tx, request_id)
            await keep(tx, self.key, reply)
        return answer_with(reply)

    async def standing(self, tx: Transaction, request_id: str) -> Reply:
        """Return the request as it stands: 202 while the target is still being worked on."""
        view = await reading.read_request(tx, self.actor, request_id)
        status = HTTPStatus.ACCEPTED if view.request.status in _UNDER_WAY else HTTPStatus.OK
        return Reply(status=status, body=encode(reading.present(view)))


async def _desk(request: Request, actor: SignedIn, keyed: Keyed) -> Desk:
    return Desk(request, actor, await key_of(keyed, actor_id=actor.id))


AtDesk = Annotated[Desk, Depends(_desk)]


def answer_with(reply: Reply) -> Response:
    """Return the HTTP response of a reply."""
    is_problem = reply.status >= HTTPStatus.BAD_REQUEST
    return Response(reply.body, reply.status, media_type=PROBLEM_TYPE if is_problem else "application/json")


def encode(value: Any) -> bytes:
    """Return JSON bytes for the wire."""
    return json.dumps(value, ensure_ascii=False).encode()


def answer_json(value: Any) -> Response:
    """Return a value as the HTTP response."""
    return Response(encode(value), media_type="application/json")
