"""What waits for somebody: requests that their yes would get on, and what they asked for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trustpack.capabilities import approvals, directory
from trustpack.capabilities.operations.model import WaitingRequest
from trustpack.capabilities.operations.rules.policy_input import POLICY_PACKAGE
from trustpack.capabilities.operations.rules.visibility import may_read
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.reading import RequestView, views_of
from trustpack.capabilities.operations.service.voting import ballot_of, voters_among
from trustpack.capabilities.operations.store import requests as store
from trustpack.capabilities.operations.store import waiting as waiting_store
from trustpack.kernel.actor import Actor, Role
from trustpack.platform.unit_of_work import Transaction

MOST_COUNTED: Final = 100
"""More are not counted: nobody works through a hundred at once."""
_AT_ONCE: Final = MOST_COUNTED + 1
"""One look tells that more wait than are counted."""
_MOST_LOOKED_AT: Final = 5 * _AT_ONCE
"""Where hundreds wait for somebody else alone, a list goes on from where it stopped looking."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Requests that wait for somebody's yes, those that expire first in front; `goes_on_after` names where to look further."""

    views: tuple[RequestView, ...]
    goes_on_after: str | None


@dataclass(frozen=True, slots=True)
class FirstDeeds:
    """Whether any of some people has asked for something, and whether any has approved something."""

    asked: bool
    approved: bool


def roles_that_ask(operations: Operations) -> frozenset[Role]:
    """Return the roles of which policy wants a requester to have one."""
    return _roles_by_policy(operations, "requester_roles")


def roles_that_approve(operations: Operations) -> frozenset[Role]:
    """Return the roles whose approval policy wants."""
    return _roles_by_policy(operations, "required_approvals")


async def needs_my_approval(
    tx: Transaction, operations: Operations, actor: Actor, *, limit: int, after_id: str | None = None
) -> Inbox:
    """Return exactly those requests that the actor's yes would get on, as `voting.approve` would count it now."""
    found, goes_on_after = await _ids_that_need(tx, operations, actor, limit=limit, after_id=after_id)
    requests = {request.id: request for request in await store.requests_by_id(tx, found)}
    return Inbox(await views_of(tx, [requests[request_id] for request_id in found]), goes_on_after)


async def count_that_need_me(tx: Transaction, operations: Operations, actor: Actor) -> int:
    """Return how many `needs_my_approval` would return, up to `MOST_COUNTED`."""
    return len((await _ids_that_need(tx, operations, actor, limit=MOST_COUNTED, after_id=None))[0])


async def my_open_requests(tx: Transaction, actor: Actor, *, limit: int) -> tuple[RequestView, ...]:
    """Return what the actor asked for and what has not ended, newest first."""
    found = await waiting_store.open_request_ids(tx, actor.id, limit=limit)
    requests = {request.id: request for request in await store.requests_by_id(tx, found)}
    return await views_of(tx, [requests[request_id] for request_id in found])


async def first_deeds(tx: Transaction, person_ids: Sequence[str]) -> FirstDeeds:
    """Say what any of these people has done so far."""
    return FirstDeeds(asked=await waiting_store.has_asked(tx, person_ids), approved=await approvals.have_voted(tx, person_ids))


async def _ids_that_need(
    tx: Transaction, operations: Operations, actor: Actor, *, limit: int, after_id: str | None
) -> tuple[list[str], str | None]:
    voter = voters_among(await directory.people_with_ids(tx, [actor.id])).get(actor.id)
    if voter is None or not voter.roles:
        return [], None
    found: list[str] = []
    for _ in range(_MOST_LOOKED_AT // _AT_ONCE):
        batch = await waiting_store.waiting_requests(
            tx, person_id=actor.id, roles=sorted(voter.roles), after_id=after_id, limit=_AT_ONCE
        )
        if not batch:
            return found, None
        needing = await _that_need(tx, operations, actor, batch)
        if len(found) + len(needing) > limit:
            found += needing[: limit - len(found)]
            return found, found[-1]
        found += needing
        if len(batch) < _AT_ONCE:
            return found, None
        after_id = batch[-1].id
    return found, after_id


async def _that_need(tx: Transaction, operations: Operations, actor: Actor, requests: tuple[WaitingRequest, ...]) -> list[str]:
    votes = await approvals.votes_of(tx, [request.id for request in requests])
    people = {actor.id, *(vote.person_id for cast in votes.values() for vote in cast)}
    voters = voters_among(await directory.people_with_ids(tx, sorted(people)))

    def is_needed(request: WaitingRequest) -> bool:
        ballot, cast = ballot_of(request, operations), votes.get(request.id, ())
        if not may_read(actor, request) or approvals.refusal_of(voters[actor.id], ballot, claimed_role=None) is not None:
            return False
        before = approvals.standing_votes(cast, ballot, voters)
        has_voted = any((vote.person_id, vote.digest) == (actor.id, ballot.digest) for vote in cast)
        own = {} if has_voted else {actor.id: approvals.usable_roles(voters[actor.id], ballot)}
        return approvals.is_needed(ballot, before=before, after={**before, **own})

    return [request.id for request in requests if is_needed(request)]


def _roles_by_policy(operations: Operations, name: str) -> frozenset[Role]:
    named = operations.gate.parameters_for(POLICY_PACKAGE)[name]
    assert isinstance(named, list)  # as the schema of the parameters says
    return frozenset(Role(str(role)) for role in named)
