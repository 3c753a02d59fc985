"""What every route of this capability shares: its collaborators, and how an outcome becomes an answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.operations.model import HighRiskRequest, Refused, Status
from trustpack.capabilities.operations.service import reading
from trustpack.capabilities.operations.service.context import Operations
from trustpack.kernel.actor import Actor
from trustpack.platform.jobs import JobRunner
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.idempotency import Reply, RequestKey, claim, forget, keep, key_of, once, peek, request_key
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
        self.runner: JobRunner = request.app.state.job_runner
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
            return await self.final(tx, await peek(tx, self.key), request_id)

    def call(self, request_id: str) -> KeyedCall:
        """Return this call as one about a request, known by its key."""
        return KeyedCall(self, request_id)

    async def final(self, tx: Transaction, kept: Reply | None, request_id: str | None) -> Reply | None:
        """Return what is kept as it is answered; a key without a status belongs to work under way: the request as it stands."""
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

    async def standing(self, tx: Transaction, request_id: str) -> Reply:
        """Return the request as it stands: 202 while the target is still being worked on."""
        view = await reading.read_request(tx, self.actor, request_id)
        status = HTTPStatus.ACCEPTED if view.request.status in _UNDER_WAY else HTTPStatus.OK
        return Reply(status=status, body=encode(reading.present(view)))


class KeyedCall:
    """One call about one request, in which the first answer under the key is given again (`service.attempting.Call`)."""

    def __init__(self, desk: Desk, request_id: str) -> None:
        self._desk = desk
        self._request_id = request_id
        self._reply: Reply | None = None

    async def was_answered(self) -> bool:
        """Say whether an answer is kept under the key."""
        self._reply = await self._desk.kept(self._request_id)
        return self._reply is not None

    async def begin(self, tx: Transaction) -> bool:
        """Claim the key; False where another call claimed it before."""
        if self._desk.key is not None:
            self._reply = await self._desk.final(tx, await claim(tx, self._desk.key), self._request_id)
        return self._reply is None

    async def forget(self, tx: Transaction) -> None:
        """Give the key back."""
        await forget(tx, self._desk.key)

    async def finish(self, tx: Transaction, outcome: HighRiskRequest | Refused) -> None:
        """Keep the answer to the outcome under the key."""
        self._reply = await self._desk.reply_to(tx, outcome)
        await keep(tx, self._desk.key, self._reply)

    async def keep_secret(self, tx: Transaction) -> None:
        """Keep under the key that there was a secret."""
        await keep(tx, self._desk.key, Reply(status=HTTPStatus.OK, body=b"", holds_secret=True))

    async def answer(self, outcome: HighRiskRequest | Refused | None) -> Response:
        """Answer with what was kept, else with how the request stands; after a job of one's own that is kept as well."""
        if self._reply is None:
            async with self._desk.operations.unit_of_work.transaction(self._desk.actor.tenant_id) as tx:
                self._reply = await self._desk.standing(tx, self._request_id)
                if outcome is None:
                    await keep(tx, self._desk.key, self._reply)
        return answer_with(self._reply)


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
