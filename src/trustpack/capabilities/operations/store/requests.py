"""Requests in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, LiteralString

from trustpack.capabilities.operations.model import HighRiskRequest, RequestFilter, Status
from trustpack.kernel.actor import Role
from trustpack.platform.keyset_sql import order_sql, page_sql, page_values
from trustpack.platform.unit_of_work import Transaction

_SELECT: LiteralString = (
    "SELECT id, version, status, type, environment, target_id, target_name, scope, duration_seconds, justification, ticket,"
    " requester_id, requester_team_ids, effect, effect_digest, required_approvals, self_approvable, decision_id, created_at,"
    " approval_expires_at, use_by FROM trustpack.high_risk_requests"
)

_OF_TENANT: LiteralString = " WHERE tenant_id = %(tenant)s"
_FILTERS: LiteralString = (
    " AND (%(wanted)s::text[] IS NULL OR high_risk_requests.status = ANY(%(wanted)s))"
    " AND (%(type)s::text IS NULL OR high_risk_requests.type = %(type)s)"
    " AND (%(target)s::text IS NULL OR high_risk_requests.target_name = %(target)s)"
    " AND (%(requester)s::text IS NULL OR high_risk_requests.requester_id = %(requester)s)"
    " AND (%(after)s::timestamptz IS NULL OR high_risk_requests.created_at >= %(after)s)"
    " AND (%(before)s::timestamptz IS NULL OR high_risk_requests.created_at < %(before)s)"
)
_IDS: LiteralString = "SELECT found.id FROM (("
_FOUND: LiteralString = "SELECT found.id, found.status, found.target_name FROM"
_COLUMNS_FOUND: LiteralString = (
    " LATERAL (SELECT high_risk_requests.id, high_risk_requests.status, high_risk_requests.target_name"
    " FROM trustpack.high_risk_requests"
)
_ROWS: LiteralString = _COLUMNS_FOUND + " WHERE tenant_id = %(tenant)s"
_ROWS_OF_TEAM: LiteralString = _COLUMNS_FOUND + (
    " JOIN trustpack.request_teams AS part ON part.tenant_id = high_risk_requests.tenant_id"
    " AND part.request_id = high_risk_requests.id WHERE part.tenant_id = %(tenant)s AND part.team_id = my.team"
)
_EACH_STATUS: LiteralString = " unnest(%(statuses)s::text[]) AS each (status) CROSS JOIN"
_EACH_PERSON: LiteralString = " unnest(%(people)s::text[]) AS one (name) CROSS JOIN"
_EACH_TARGET: LiteralString = " unnest(%(targets)s::text[]) AS one (name) CROSS JOIN"
_EACH_TEAM: LiteralString = " unnest(%(teams)s::text[]) AS my (team) CROSS JOIN"
_OF_STATUS: LiteralString = " AND high_risk_requests.status = each.status"
_OF_REQUESTER: LiteralString = " AND high_risk_requests.requester_id = one.name"
_OF_REQUESTER_IN_TEAM: LiteralString = _OF_REQUESTER + (
    " AND part.requester_id = one.name AND EXISTS (SELECT FROM trustpack.request_teams AS first"
    " WHERE first.tenant_id = %(tenant)s AND first.team_id = my.team AND first.requester_id = one.name)"
)
_OF_TARGET: LiteralString = " AND high_risk_requests.target_name = one.name"
_OF_TARGETS: LiteralString = " AND high_risk_requests.target_name = ANY(%(targets)s)"
_OWN: LiteralString = " AND requester_id = %(person)s"
_BY_ID_END: LiteralString = _ROWS + " AND id_end = %(id_end)s"
_BY_TICKET: LiteralString = " unnest(%(tickets)s::text[]) AS one (name) CROSS JOIN" + _ROWS + " AND ticket = one.name"
_VISIBLE: LiteralString = " AND (requester_id = %(person)s OR requester_team_ids && %(teams)s::text[])"
_COLUMNS: Mapping[str, LiteralString] = {"created": "id", "target": "target_name", "status": "status"}
"""The columns that order the list, each with an index."""


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


async def requests_by_id(tx: Transaction, request_ids: Collection[str]) -> tuple[HighRiskRequest, ...]:
    """Return several requests; those that are not there are left out."""
    rows = await tx.fetch_all(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)", {"tenant": tx.tenant_id, "ids": list(request_ids)}
    )
    return tuple(_request(row) for row in rows)


async def lock_request(tx: Transaction, request_id: str) -> HighRiskRequest | None:
    """Return a request and hold its row until the transaction ends: one transition at a time."""
    row = await tx.fetch_one(
        _SELECT + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
        {"tenant": tx.tenant_id, "id": request_id},
    )
    return _request(row) if row is not None else None


async def list_requests(tx: Transaction, wanted: RequestFilter) -> tuple[HighRiskRequest, ...]:
    """Return one page."""
    named_by = wanted.named_by
    rows = await tx.fetch_all(
        _list_statement(wanted),
        {
            "tenant": tx.tenant_id,
            "wanted": list(wanted.statuses) or None,
            "statuses": list(wanted.statuses) or [status.value for status in Status],
            "type": wanted.type,
            "target": wanted.target,
            "requester": wanted.requester_id,
            "after": wanted.created_after,
            "before": wanted.created_before,
            "person": wanted.visible_to,
            "teams": list(wanted.team_ids),
            "id_end": named_by.id_end if named_by else None,
            "tickets": list(named_by.tickets) if named_by else [],
            "targets": list(named_by.targets) if named_by else [],
            "people": [wanted.requester_id] if wanted.requester_id else list(named_by.people) if named_by else [],
            **page_values(wanted.keyset, limit=wanted.limit),
        },
        plan_anew=True,
    )
    return tuple(_request(row) for row in rows)


def _list_statement(wanted: RequestFilter) -> LiteralString:
    """Return one walk along an index for each way in which a request may be meant: conditions joined would have none.

    An id or a ticket has few requests, so what may be read of them is picked out. Targets and people have many: theirs are walked
    along for each way of being readable too. What the walks find is no more than where to look; each row says who may read it.
    """
    column, descending = _COLUMNS[wanted.keyset.column], wanted.keyset.descending
    page = page_sql("high_risk_requests", column, descending=descending)
    if wanted.named_by is None and wanted.requester_id is None and wanted.visible_to is None:
        return _SELECT + _OF_TENANT + _FILTERS + page
    visible: LiteralString = "" if wanted.visible_to is None else _VISIBLE
    walks: list[LiteralString] = []
    if wanted.named_by is not None:
        walks += [_BY_ID_END + visible, _BY_TICKET + visible]
    walks += [*_walks_of_people(wanted), *_walks_of_targets(wanted)]
    if wanted.named_by is None and wanted.requester_id is None:
        walks += [_rows_of_people(wanted) + _OWN, _EACH_TEAM + _rows_of_team(wanted)]
    found = ") UNION (".join([_FOUND + walk + _FILTERS + page + ") AS found" for walk in walks])
    first = order_sql("found", column, descending=descending)
    ids = _IDS + found + ")) AS found" + first
    return _SELECT + _OF_TENANT + " AND id = ANY(ARRAY(" + ids + "))" + visible + _FILTERS + page


def _walks_of_people(wanted: RequestFilter) -> Iterator[LiteralString]:
    """Yield what the people have asked for who are meant by a filter, by a text, or by both."""
    named_by, person = wanted.named_by, wanted.requester_id
    called = named_by.people if named_by is not None else ()
    if not (person or called):
        return
    narrowed: LiteralString = "" if named_by is None or person is None or person in called else _OF_TARGETS
    if wanted.visible_to is None:
        yield _EACH_PERSON + _rows_of_people(wanted) + _OF_REQUESTER + narrowed
        return
    yield _EACH_PERSON + _EACH_TEAM + _rows_of_team(wanted) + _OF_REQUESTER_IN_TEAM + narrowed
    if wanted.visible_to in ((person,) if person else called):
        yield _rows_of_people(wanted) + _OWN + narrowed


def _walks_of_targets(wanted: RequestFilter) -> Iterator[LiteralString]:
    """Yield what was asked for on targets that a text means, where nobody's requests are meant alone."""
    if wanted.named_by is None or wanted.requester_id is not None or not wanted.named_by.targets:
        return
    if wanted.visible_to is None:
        yield _EACH_TARGET + _EACH_STATUS + _ROWS + _OF_STATUS + _OF_TARGET
        return
    yield _EACH_TARGET + _rows_of_people(wanted) + _OWN + _OF_TARGET
    yield _EACH_TARGET + _EACH_TEAM + _rows_of_team(wanted) + _OF_TARGET


def _rows_of_people(wanted: RequestFilter) -> LiteralString:
    """Return requests to be told by who asked: there is a walk in each status, and one along the targets."""
    if wanted.keyset.column == "target" or (wanted.keyset.column == "created" and wanted.target is not None):
        return _ROWS
    return _EACH_STATUS + _ROWS + _OF_STATUS


def _rows_of_team(wanted: RequestFilter) -> LiteralString:
    """Return a team's requests. In the order of the ids a walk along them ends soon; by status there is one for each."""
    if wanted.keyset.column == "status" or wanted.statuses:
        return _EACH_STATUS + _ROWS_OF_TEAM + _OF_STATUS
    return _ROWS_OF_TEAM


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
