"""Votes in PostgreSQL: inserted, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.capabilities.approvals.model import Loan, Verdict, Vote
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction


async def insert_vote(tx: Transaction, vote: Vote) -> None:
    """Store a vote; the unique key (tenant, subject, digest, person) refuses a second one."""
    await tx.write(
        "INSERT INTO trustpack.approvals (tenant_id, id, subject_id, seq, digest, digest_confirmed, person_id,"
        " account_id, claimed_role, verdict, roles, delegation_id, delegation_is_newer, created_at) VALUES (%(tenant)s, %(id)s,"
        " %(subject)s, %(seq)s, %(digest)s, %(confirmed)s, %(person)s, %(account)s, %(role)s, %(verdict)s, %(roles)s,"
        " %(delegation)s, %(is_newer)s, %(now)s)",
        {
            "tenant": tx.tenant_id,
            "id": vote.id,
            "subject": vote.subject_id,
            "seq": vote.seq,
            "digest": vote.digest,
            "confirmed": vote.digest_confirmed,
            "person": vote.person_id,
            "account": vote.account_id,
            "role": vote.claimed_role,
            "verdict": vote.verdict,
            "roles": None if vote.roles is None else [role.value for role in vote.roles],
            "delegation": None if vote.loan is None else vote.loan.delegation_id,
            "is_newer": vote.loan is not None and vote.loan.is_newer,
            "now": vote.created_at,
        },
    )


async def votes_of(tx: Transaction, subject_ids: Sequence[str]) -> dict[str, tuple[Vote, ...]]:
    """Return every vote on the given subjects, by subject, in the order of their receipts."""
    rows = await tx.fetch_all(
        "SELECT id, subject_id, seq, digest, digest_confirmed, person_id, account_id, claimed_role, verdict, created_at, roles,"
        " delegation_id, delegation_is_newer FROM trustpack.approvals"
        " WHERE tenant_id = %(tenant)s AND subject_id = ANY(%(subjects)s) ORDER BY subject_id, seq",
        {"tenant": tx.tenant_id, "subjects": list(subject_ids)},
    )
    found: dict[str, tuple[Vote, ...]] = {}
    for row in rows:
        delegation_id, is_newer = row.pop("delegation_id"), row.pop("delegation_is_newer")
        claimed = Role(row["claimed_role"]) if row["claimed_role"] else None
        roles = None if row["roles"] is None else tuple(Role(role) for role in row["roles"])
        loan = None if delegation_id is None else Loan(delegation_id, is_newer)
        vote = Vote(**{**row, "claimed_role": claimed, "verdict": Verdict(row["verdict"]), "roles": roles, "loan": loan})
        found[vote.subject_id] = (*found.get(vote.subject_id, ()), vote)
    return found


async def have_voted(tx: Transaction, person_ids: Sequence[str]) -> bool:
    """Say whether any of these people has ever said yes to anything, by one look into the index for each."""
    row = await tx.fetch_one(
        "SELECT 1 FROM unnest(%(people)s::text[]) AS person (id) CROSS JOIN LATERAL (SELECT id FROM trustpack.approvals"
        " WHERE tenant_id = %(tenant)s AND person_id = person.id AND verdict = 'approve' ORDER BY id LIMIT 1) AS given LIMIT 1",
        {"tenant": tx.tenant_id, "people": list(person_ids)},
    )
    return row is not None
