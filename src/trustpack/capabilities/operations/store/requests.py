"""Requests in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from trustpack.capabilities.operations.model import HighRiskRequest, Status
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction

_SELECT: LiteralString = (
    "SELECT id, version, status, type, environment, target_id, target_name, scope, duration_seconds, justification, ticket,"
    " requester_id, requester_team_ids, effect, effect_digest, required_approvals, self_approvable, decision_id, created_at,"
    " approval_expires_at, use_by FROM trustpack.high_risk_requests"
)


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """What a list asks for. With `visible_to` set, only that person's own requests and those of the given teams."""

    status: str | None = None
    type: str | None = None
    requester_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before_id: str | None = None
    limit: int = 50
    visible_to: str | None = None
    team_ids: tuple[str, ...] = ()


async def insert_request(tx: Transaction, request: HighRiskRequest) -> None:
    """Store a new request."""
    await tx.write(
        "INSERT INTO trustpack.high_risk_requests (tenant_id, id, version, status, type, environment, target_id,"
        " target_name, scope,"
        " duration_seconds, justification, ticket, requester_id, requester_team_ids, effect, effect_digest, required_approvals,"
        " self_approvable, decision_id, created_at, approval_expires_at, use_by) VALUES (%(tenant)s, %(id)s,"
        " %(version)s, %(status)s,"
        " %(type)s, %(environment)s, %(target_id)s, %(target_name)s, %(scope)s, %(duration)s, %(justification)s, %(ticket)s,"
        " %(requester)s, %(teams)s, %(effect)s, %(effect_digest)s, %(required)s, %(self)s, %(decision)s, %(created)s, %(window)s,"
        " %(use_by)s)",
        {
            **_changing_values(tx, request),
            "type": request.type,
            "environment": request.environment,
            "target_id": request.target_id,
            "target_name": request.target_name,
            "scope": request.scope,
            "duration": request.duration_seconds,
            "justification": request.justification,
            "ticket": request.ticket,
            "requester": request.requester_id,
            "teams": list(request.requester_team_ids),
            "created": request.created_at,
        },
    )


async def update_request(tx: Transaction, request: HighRiskRequest) -> None:
    """Store a locked request's next version."""
    await tx.write(
        "UPDATE trustpack.high_risk_requests SET version = %(version)s, status = %(status)s, effect = %(effect)s,"
        " effect_digest = %(effect_digest)s, required_approvals = %(required)s, self_approvable = %(self)s,"
        " decision_id = %(decision)s,"
        " approval_expires_at = %(window)s, use_by = %(use_by)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        _changing_values(tx, request),
    )


async def find_request(tx: Transaction, request_id: str) -> HighRiskRequest | None:
    """Return a request, or None."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {"tenant": tx.tenant_id, "id": request_id},
    )
    return _request(row) if row is not None else None


async def lock_request(tx: Transaction, request_id: str) -> HighRiskRequest | None:
    """Return a request and hold its row until the transaction ends: one transition at a time."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
        {"tenant": tx.tenant_id, "id": request_id},
    )
    return _request(row) if row is not None else None


async def list_requests(tx: Transaction, wanted: RequestFilter) -> tuple[HighRiskRequest, ...]:
    """Return one page, newest first."""
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s"
        " AND (%(status)s::text IS NULL OR status = %(status)s) AND (%(type)s::text IS NULL OR type = %(type)s)"
        " AND (%(requester)s::text IS NULL OR requester_id = %(requester)s)"
        " AND (%(after)s::timestamptz IS NULL OR created_at >= %(after)s)"
        " AND (%(before)s::timestamptz IS NULL OR created_at < %(before)s)"
        " AND (%(before_id)s::text IS NULL OR id < %(before_id)s)"
        " AND (%(person)s::text IS NULL OR requester_id = %(person)s"
        " OR (cardinality(%(teams)s::text[]) > 0 AND requester_team_ids && %(teams)s::text[]))"
        " ORDER BY id DESC LIMIT %(limit)s",
        {
            "tenant": tx.tenant_id,
            "status": wanted.status,
            "type": wanted.type,
            "requester": wanted.requester_id,
            "after": wanted.created_after,
            "before": wanted.created_before,
            "before_id": wanted.before_id,
            "person": wanted.visible_to,
            "teams": list(wanted.team_ids),
            "limit": wanted.limit,
        },
        plan_anew=True,
    )
    return tuple(_request(row) for row in rows)


def _request(row: dict[str, Any]) -> HighRiskRequest:
    return HighRiskRequest(
        **{
            **row,
            "status": Status(row["status"]),
            "requester_team_ids": tuple(row["requester_team_ids"]),
            "required_approvals": tuple(Role(role) for role in row["required_approvals"]),
            "self_approvable": tuple(Role(role) for role in row["self_approvable"]),
        }
    )


def _changing_values(tx: Transaction, request: HighRiskRequest) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": request.id,
        "version": request.version,
        "status": request.status.value,
        "effect": request.effect,
        "effect_digest": request.effect_digest,
        "required": [role.value for role in request.required_approvals],
        "self": [role.value for role in request.self_approvable],
        "decision": request.decision_id,
        "window": request.approval_expires_at,
        "use_by": request.use_by,
    }
