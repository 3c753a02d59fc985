"""What every route of this capability shares: its collaborators, and how an outcome becomes an answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import Refused
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.idempotency import Reply, RequestKey, key_of, once, peek, request_key
from trustpack.platform.web.problems import PROBLEM_TYPE, problem_body, request_id_of

PREFIX = "/revops"
TAG = "revops"
Keyed = Annotated[tuple[Request, str | None], Depends(request_key)]
Outcome = tuple[int, JsonObject] | Refused
"""A status with what is answered, or a refusal whose receipt is committed."""


class Desk:
    """One signed-in caller with the flow's collaborators and the idempotency key of the request, if it has one."""

    def __init__(self, request: Request, actor: Actor, key: RequestKey | None) -> None:
        self.revops: RevOps = request.app.state.revops
        self.actor = actor
        self.key = key
        self._request_id = request_id_of(request)

    async def decide(self, work: Callable[[Transaction], Awaitable[Outcome]]) -> Response:
        """Do the work in one transaction, once per key, and answer with its outcome."""
        async with self.revops.unit_of_work.transaction(self.actor.tenant_id) as tx:

            async def reply() -> Reply:
                return self._reply(await work(tx))

            answer = await once(tx, self.key, reply)
        return answer_with(answer)

    async def read(self, work: Callable[[Transaction], Awaitable[JsonObject]]) -> Response:
        """Read in one transaction and answer with what was found."""
        async with self.revops.unit_of_work.transaction(self.actor.tenant_id) as tx:
            found = await work(tx)
        return answer_with(Reply(status=HTTPStatus.OK, body=encode(found)))

    async def kept(self) -> Reply | None:
        """Return the answer that is kept under the key, before any work is done for a repeated request."""
        if self.key is None:
            return None
        async with self.revops.unit_of_work.transaction(self.actor.tenant_id) as tx:
            return await peek(tx, self.key)

    def _reply(self, outcome: Outcome) -> Reply:
        if isinstance(outcome, Refused):
            status, body = problem_body(outcome.error, request_id=self._request_id)
            return Reply(status=status, body=body)
        status, value = outcome
        return Reply(status=int(status), body=encode(value))


async def _desk(request: Request, actor: SignedIn, keyed: Keyed) -> Desk:
    return Desk(request, actor, await key_of(keyed, actor_id=actor.id))


async def _desk_without_key(request: Request, actor: SignedIn) -> Desk:
    return Desk(request, actor, None)


AtDesk = Annotated[Desk, Depends(_desk)]
AtReadingDesk = Annotated[Desk, Depends(_desk_without_key)]
"""For what can be repeated as it is: reading, and a change that says how a quote shall be."""


def answer_with(reply: Reply) -> Response:
    """Return the HTTP response of a reply."""
    is_problem = reply.status >= HTTPStatus.BAD_REQUEST
    return Response(reply.body, reply.status, media_type=PROBLEM_TYPE if is_problem else "application/json")


def encode(value: Any) -> bytes:
    """Return JSON bytes for the wire."""
    return json.dumps(value, ensure_ascii=False).encode()
