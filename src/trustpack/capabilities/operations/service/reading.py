"""Read requests as people may see them, and present them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trustpack.capabilities import approvals, directory, ledger, policy
from trustpack.capabilities.operations.model import WORKSPACE, Case, Execution, Grant, HighRiskRequest, NamedBy, RequestFilter
from trustpack.capabilities.operations.rules.access_records import STATEMENTS_PATH, present_access_document
from trustpack.capabilities.operations.rules.effects import approved_target, read_effect
from trustpack.capabilities.operations.rules.visibility import may_read, reads_everything
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import requests as store
from trustpack.capabilities.operations.store import targets as target_store
from trustpack.kernel.actor import Actor
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import NotFound
from trustpack.kernel.ids import require_id
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction

ID_END_LENGTH = 8
MOST_NAMES = 50


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request with everything that is shown beside it."""

    request: HighRiskRequest
    votes: tuple[approvals.Vote, ...] = ()
    comments: Mapping[int, str] = field(default_factory=dict)
    decision_ids: tuple[str, ...] = ()
    execution: Execution | None = None
    grant: Grant | None = None
    handles: Mapping[str, str] | None = None


async def find_readable(tx: Transaction, actor: Actor, request_id: str) -> HighRiskRequest:
    """Return a request that the actor may read. Raises `NotFound`."""
    request = await store.find_request(tx, require_id(request_id, prefix="hro"))
    if request is None or not may_read(actor, request):
        raise NotFound
    return request


async def readable_ones(tx: Transaction, actor: Actor, request_ids: Collection[str]) -> frozenset[str]:
    """Return those of some requests that the actor may read."""
    return frozenset(request.id for request in await store.requests_by_id(tx, request_ids) if may_read(actor, request))


async def read_request(tx: Transaction, actor: Actor, request_id: str) -> RequestView:
    """Return the view of one request. Raises `NotFound`."""
    return await view_of(tx, await find_readable(tx, actor, request_id))


async def list_requests(tx: Transaction, actor: Actor, wanted: RequestFilter) -> tuple[RequestView, ...]:
    """Return one page of what the actor may read; `requester_id` may also be a handle."""
    return await views_of(tx, await _find_requests(tx, actor, wanted))


async def list_rows(tx: Transaction, actor: Actor, wanted: RequestFilter) -> tuple[RequestView, ...]:
    """Return the page of `list_requests` with votes and names alone: the rest takes four statements, and no row shows it."""
    requests = await _find_requests(tx, actor, wanted)
    votes = await approvals.votes_of(tx, [request.id for request in requests])
    handles = await directory.handles_of(tx, [request.requester_id for request in requests])
    return tuple(RequestView(request=request, votes=votes.get(request.id, ()), handles=handles) for request in requests)


async def _find_requests(tx: Transaction, actor: Actor, wanted: RequestFilter) -> tuple[HighRiskRequest, ...]:
    if wanted.requester_id is not None and not wanted.requester_id.startswith("usr_"):
        try:
            wanted = replace(wanted, requester_id=(await directory.person_by_handle(tx, wanted.requester_id)).id)
        except directory.UnknownName:
            return ()
    if not reads_everything(actor):
        wanted = replace(wanted, visible_to=actor.id, team_ids=tuple(sorted(actor.team_ids)))
    return await store.list_requests(tx, wanted)


async def named_by(tx: Transaction, text: str) -> NamedBy:
    """Return what a text may mean when it stands for requests."""
    return NamedBy(
        id_end=text.lower()[-ID_END_LENGTH:],
        tickets=tuple({text, text.upper()}),
        targets=await target_store.names_of_targets(tx, holding=text, limit=MOST_NAMES),
        people=await directory.people_called(tx, text),
    )


async def names_of_targets(tx: Transaction) -> tuple[str, ...]:
    """Return the first names of targets, for choosing one."""
    return await target_store.names_of_targets(tx, holding="", limit=MOST_NAMES)


async def load_case(tx: Transaction, request: HighRiskRequest) -> Case:
    """Return a request with its target, execution and grant."""
    return Case(
        request=request,
        target=approved_target(request.effect),
        execution=(await grant_store.executions_of(tx, (request.id,))).get(request.id),
        grant=(await grant_store.grants_of(tx, (request.id,))).get(request.id),
    )


def first_view_of(request: HighRiskRequest, requester: Actor) -> RequestView:
    """Return the view of a request that was made just now: nothing but its first decision lies beside it yet."""
    return RequestView(request=request, decision_ids=(request.decision_id,), handles={requester.id: requester.handle})


async def view_of(tx: Transaction, request: HighRiskRequest) -> RequestView:
    """Return the view of one request."""
    return (await views_of(tx, (request,)))[0]


async def views_of(tx: Transaction, requests: Sequence[HighRiskRequest]) -> tuple[RequestView, ...]:
    """Return the views of several requests with a fixed number of statements."""
    ids = [request.id for request in requests]
    if not ids:
        return ()
    votes = await approvals.votes_of(tx, ids)
    written = await ledger.disclosed_values(tx, ids, paths=("comment", "reason"))
    decisions = await policy.decision_ids_of(tx, ids)
    executions = await grant_store.executions_of(tx, ids)
    grants = await grant_store.grants_of(tx, ids)
    people = [request.requester_id for request in requests] + [vote.person_id for cast in votes.values() for vote in cast]
    handles = await directory.handles_of(tx, people)
    return tuple(
        RequestView(
            request=request,
            votes=votes.get(request.id, ()),
            comments={seq: text for (subject_id, seq), text in written.items() if subject_id == request.id},
            decision_ids=decisions.get(request.id, ()),
            execution=executions.get(request.id),
            grant=grants.get(request.id),
            handles=handles,
        )
        for request in requests
    )


async def read_receipts(tx: Transaction, actor: Actor, request_id: str) -> list[JsonObject]:
    """Return the receipts of a request that the actor may read. Raises `NotFound`."""
    request = await find_readable(tx, actor, request_id)
    receipts = await ledger.receipts_of(tx, request.id)
    actors = [json.loads(receipt.body)["actor"]["id"] for receipt in receipts]
    handles = await directory.handles_of(tx, actors)
    return [ledger.present_receipt(receipt, handles=handles) for receipt in receipts]


async def list_statements(tx: Transaction, actor: Actor, request_id: str, *, after: int, limit: int) -> list[JsonObject]:
    """Return what the grantee of a request did, in order, after the first `after` statements. Raises `NotFound`.

    There is none before the end of the access, and none after an erasure.
    """
    request = await find_readable(tx, actor, request_id)
    return await ledger.disclosed_items(tx, request.id, path=STATEMENTS_PATH, after=after, limit=limit)


def present(view: RequestView) -> dict[str, Any]:
    """Return the wire shape of a request (api.md)."""
    request, handles = view.request, view.handles or {}
    effect = read_effect(request.effect)
    minutes, rest = divmod(request.duration_seconds, 60)
    return {
        "id": request.id,
        "type": request.type,
        "environment": request.environment,
        "target": {"id": request.target_id, "database": request.target_name, "scope": {"tenant": request.scope}},
        "duration_seconds": request.duration_seconds,
        "duration_minutes": minutes if rest == 0 else None,
        "justification": request.justification,
        "ticket": request.ticket,
        "status": request.status.value,
        "version": request.version,
        "workspace": WORKSPACE,
        "requester": _person(request.requester_id, handles),
        "effect": {"summary": effect["summary"], "statements": effect["statements"], "document": effect},
        "effect_digest": request.effect_digest,
        "required_approvals": [role.value for role in request.required_approvals],
        "approvals": [_present_vote(vote, view, handles) for vote in view.votes],
        "decisions": list(view.decision_ids),
        "execution": _present_execution(view.execution),
        "grant": _present_grant(view.grant),
        "created_at": format_time(request.created_at),
        "approval_expires_at": format_time(request.approval_expires_at),
        "use_by": format_time(request.use_by) if request.use_by else None,
    }


def _present_vote(vote: approvals.Vote, view: RequestView, handles: Mapping[str, str]) -> JsonObject:
    return {
        "id": vote.id,
        "approver": _person(vote.person_id, handles),
        "verdict": vote.verdict.value,
        "role": vote.claimed_role.value if vote.claimed_role else None,
        "status": "superseded" if vote.digest != view.request.effect_digest else "given",
        "effect_digest": vote.digest,
        "digest_confirmed": vote.digest_confirmed,
        "comment": view.comments.get(vote.seq),
        "created_at": format_time(vote.created_at),
    }


def _present_execution(execution: Execution | None) -> JsonObject | None:
    if execution is None:
        return None
    return {
        "id": execution.id,
        "status": execution.status.value,
        "success": {"started": None, "succeeded": True, "failed": False}[execution.status.value],
        "decision_id": execution.decision_id,
        "started_at": format_time(execution.started_at),
        "finished_at": format_time(execution.finished_at) if execution.finished_at else None,
        "error": {"code": execution.error_code, "detail": execution.error_detail} if execution.error_code else None,
    }


def _present_grant(grant: Grant | None) -> JsonObject | None:
    if grant is None:
        return None
    return {
        "id": grant.id,
        "status": grant.status.value,
        "role_name": grant.role_name,
        "granted_at": format_time(grant.granted_at) if grant.granted_at else None,
        "expires_at": format_time(grant.expires_at) if grant.expires_at else None,
        "target_expires_at": format_time(grant.target_expires_at) if grant.target_expires_at else None,
        "credentials_issued": grant.credentials_issued,
        "ended_at": format_time(grant.ended_at) if grant.ended_at else None,
        "revert_proof": json.loads(grant.proof) if grant.proof else None,
        "revert_blockers": list(grant.blockers),
        "access_record": present_access_document(json.loads(grant.access_record)) if grant.access_record else None,
    }


def _person(person_id: str, handles: Mapping[str, str]) -> JsonObject:
    return {"id": person_id, "handle": handles.get(person_id)}
