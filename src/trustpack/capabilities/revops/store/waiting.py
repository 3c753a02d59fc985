"""What waits for people, in PostgreSQL: quotes for somebody's yes, and quotes of their own that are not over."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.capabilities.revops.model import WaitingQuote
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction


async def waiting_quotes(
    tx: Transaction, *, person_id: str, roles: Sequence[Role], after_id: str | None, limit: int
) -> tuple[WaitingQuote, ...]:
    """Return quotes that wait for one of the roles and may wait for this person's yes, those that expire first in front.

    None that may is left out; some do not, which only their votes tell.
    """
    waited_for = await _roles_waited_for(tx, roles)
    if not waited_for:
        return ()
    rows = await tx.fetch_all(
        "SELECT found.id, terms_digest, required_approvals, self_approvable, owner_id, team_id, people, submitted_at"
        " FROM unnest(%(waited_for)s::text[]) AS one (required_roles) CROSS JOIN LATERAL (SELECT waiting.*"
        " FROM trustpack.quotes AS waiting WHERE tenant_id = %(tenant)s AND status = 'pending_approval'"
        " AND required_roles = one.required_roles AND approval_expires_at > %(now)s"
        " AND (CASE WHEN owner_id = %(person)s THEN self_approvable && %(roles)s::text[] ELSE %(person)s <> ALL(people) END)"
        " AND NOT EXISTS (SELECT 1 FROM trustpack.approvals AS own WHERE own.tenant_id = %(tenant)s"
        " AND own.subject_id = waiting.id AND own.digest = waiting.terms_digest AND own.person_id = %(person)s)"
        " AND (%(after)s::text IS NULL OR (approval_expires_at, id) > (SELECT last.approval_expires_at, last.id"
        " FROM trustpack.quotes AS last WHERE last.tenant_id = %(tenant)s AND last.id = %(after)s))"
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
        WaitingQuote(
            **{
                **row,
                "people": tuple(row["people"]),
                "required_approvals": tuple(Role(role) for role in row["required_approvals"]),
                "self_approvable": tuple(Role(role) for role in row["self_approvable"]),
            }
        )
        for row in rows
    )


async def open_quote_ids(tx: Transaction, owner_id: str, *, limit: int) -> tuple[str, ...]:
    """Return the ids of a person's quotes that are neither contracts nor over, newest first."""
    rows = await tx.fetch_all(
        "SELECT id FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s"
        " AND status IN ('draft', 'pending_approval', 'approved') ORDER BY id DESC LIMIT %(limit)s",
        {"tenant": tx.tenant_id, "owner": owner_id, "limit": limit},
        plan_anew=True,
    )
    return tuple(row["id"] for row in rows)


async def have_sold(tx: Transaction, owner_ids: Sequence[str]) -> bool:
    """Say whether a quote of any of these people has become a contract, by one walk along the index for each."""
    row = await tx.fetch_one(
        "SELECT 1 FROM unnest(%(owners)s::text[]) AS person (id) CROSS JOIN LATERAL (SELECT id FROM trustpack.quotes"
        " WHERE tenant_id = %(tenant)s AND owner_id = person.id AND status = 'activated' ORDER BY id LIMIT 1) AS sold LIMIT 1",
        {"tenant": tx.tenant_id, "owners": list(owner_ids)},
    )
    return row is not None


async def _roles_waited_for(tx: Transaction, roles: Sequence[Role]) -> list[str]:
    """Return the different `required_roles` of pending quotes that name one of the roles, by one step along the index each."""
    rows = await tx.fetch_all(
        "WITH RECURSIVE step (required_roles) AS ((SELECT required_roles FROM trustpack.quotes"
        " WHERE tenant_id = %(tenant)s AND status = 'pending_approval' ORDER BY required_roles LIMIT 1)"
        " UNION ALL SELECT following.required_roles FROM step CROSS JOIN LATERAL (SELECT required_roles"
        " FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND status = 'pending_approval'"
        " AND required_roles > step.required_roles ORDER BY required_roles LIMIT 1) AS following)"
        " SELECT required_roles FROM step",
        {"tenant": tx.tenant_id},
    )
    return [row["required_roles"] for row in rows if not set(row["required_roles"].split()).isdisjoint(roles)]
