"""What waits for people, in PostgreSQL: requests for somebody's yes, and requests of their own that have not ended."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.capabilities.operations.model import WaitingRequest
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction


async def waiting_requests(
    tx: Transaction, *, person_id: str, roles: Sequence[Role], after_id: str | None, limit: int
) -> tuple[WaitingRequest, ...]:
    """Return requests that wait for one of the roles and may wait for this person's yes, those that expire first in front.

    None that may is left out; some do not, which only their votes tell. A second yes of the same person may count where the
    votes that are there are enough, but were not when they were given.
    """
    waited_for = await _roles_waited_for(tx, roles)
    if not waited_for:
        return ()
    rows = await tx.fetch_all(
        "SELECT found.id, effect_digest, required_approvals, self_approvable, requester_id, requester_team_ids"
        " FROM unnest(%(waited_for)s::text[]) AS one (required_roles) CROSS JOIN LATERAL (SELECT waiting.*"
        " FROM trustpack.high_risk_requests AS waiting WHERE tenant_id = %(tenant)s AND status = 'pending_approval'"
        " AND required_roles = one.required_roles AND approval_expires_at > %(now)s"
        " AND (requester_id <> %(person)s OR self_approvable && %(roles)s::text[])"
        " AND (NOT EXISTS (SELECT 1 FROM trustpack.approvals AS own WHERE own.tenant_id = %(tenant)s"
        " AND own.subject_id = waiting.id AND own.digest = waiting.effect_digest AND own.person_id = %(person)s)"
        " OR (SELECT count(*) FROM trustpack.approvals AS given WHERE given.tenant_id = %(tenant)s"
        " AND given.subject_id = waiting.id AND given.digest = waiting.effect_digest) >= cardinality(required_approvals))"
        " AND (%(after)s::text IS NULL OR (approval_expires_at, id) > (SELECT last.approval_expires_at, last.id"
        " FROM trustpack.high_risk_requests AS last WHERE last.tenant_id = %(tenant)s AND last.id = %(after)s))"
        " ORDER BY approval_expires_at, id LIMIT %(limit)s) AS found ORDER BY approval_expires_at, id LIMIT %(limit)s",
        {
            "tenant": tx.tenant_id,
            "person": person_id,
            "roles": [role.value for role in roles],
            "waited_for": waited_for,
            "now": tx.now,
            "after": after_id,
            "limit": limit,
        },
        plan_anew=True,
    )
    return tuple(
        WaitingRequest(
            **{
                **row,
                "requester_team_ids": tuple(row["requester_team_ids"]),
                "required_approvals": tuple(Role(role) for role in row["required_approvals"]),
                "self_approvable": tuple(Role(role) for role in row["self_approvable"]),
            }
        )
        for row in rows
    )


async def open_request_ids(tx: Transaction, person_id: str, *, limit: int) -> tuple[str, ...]:
    """Return the ids of what a person asked for and what has not ended, newest first."""
    rows = await tx.fetch_all(
        "SELECT id FROM trustpack.high_risk_requests WHERE tenant_id = %(tenant)s AND requester_id = %(person)s AND status IN"
        " ('pending_approval', 'approved', 'executing', 'active', 'reverting', 'revert_failed')"
        " ORDER BY id DESC LIMIT %(limit)s",
        {"tenant": tx.tenant_id, "person": person_id, "limit": limit},
        plan_anew=True,
    )
    return tuple(row["id"] for row in rows)


async def has_asked(tx: Transaction, person_ids: Sequence[str]) -> bool:
    """Say whether any of these people has ever asked for anything, by one look into the index for each."""
    row = await tx.fetch_one(
        "SELECT 1 FROM unnest(%(people)s::text[]) AS person (id) CROSS JOIN LATERAL (SELECT id FROM trustpack.high_risk_requests"
        " WHERE tenant_id = %(tenant)s AND requester_id = person.id ORDER BY id LIMIT 1) AS asked LIMIT 1",
        {"tenant": tx.tenant_id, "people": list(person_ids)},
    )
    return row is not None


async def _roles_waited_for(tx: Transaction, roles: Sequence[Role]) -> list[str]:
    """Return the different `required_roles` of pending requests that name one of the roles, by one step along the index each."""
    rows = await tx.fetch_all(
        "WITH RECURSIVE step (required_roles) AS ((SELECT required_roles FROM trustpack.high_risk_requests"
        " WHERE tenant_id = %(tenant)s AND status = 'pending_approval' ORDER BY required_roles LIMIT 1)"
        " UNION ALL SELECT following.required_roles FROM step CROSS JOIN LATERAL (SELECT required_roles"
        " FROM trustpack.high_risk_requests WHERE tenant_id = %(tenant)s AND status = 'pending_approval'"
        " AND required_roles > step.required_roles ORDER BY required_roles LIMIT 1) AS following)"
        " SELECT required_roles FROM step",
        {"tenant": tx.tenant_id},
    )
    return [row["required_roles"] for row in rows if not set(row["required_roles"].split()).isdisjoint(roles)]
