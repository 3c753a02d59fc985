"""Votes in PostgreSQL: inserted, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from trustpack.capabilities.approvals.model import Verdict, Vote
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction


async def insert_vote(tx: Transaction, vote: Vote) -> None:
    """Store a vote; the unique key (tenant, subject, digest, person) refuses a second one."""
    await tx.write(
        "INSERT INTO trustpack.approvals (tenant_id, id, subject_id, seq, digest, digest_confirmed, person_id,"
        " account_id, claimed_role, verdict, created_at) VALUES (%(tenant)s, %(id)s, %(subject)s, %(seq)s, %(digest)s,"
        " %(confirmed)s, %(person)s, %(account)s, %(role)s, %(verdict)s, %(now)s)",
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
            "now": vote.created_at,
        },
    )


async def votes_of(tx: Transaction, subject_ids: Sequence[str]) -> dict[str, tuple[Vote, ...]]:
    """Return every vote on the given subjects, by subject, in the order of their receipts."""
    rows = await tx.fetch_all(
        "SELECT id, subject_id, seq, digest, digest_confirmed, person_id, account_id, claimed_role, verdict, created_at"
        " FROM trustpack.approvals WHERE tenant_id = %(tenant)s AND subject_id = ANY(%(subjects)s) ORDER BY subject_id, seq",
        {"tenant": tx.tenant_id, "subjects": list(subject_ids)},
    )
    found: dict[str, tuple[Vote, ...]] = {}
    for row in rows:
        claimed = Role(row["claimed_role"]) if row["claimed_role"] else None
        vote = Vote(**{**row, "claimed_role": claimed, "verdict": Verdict(row["verdict"])})
        found[vote.subject_id] = (*found.get(vote.subject_id, ()), vote)
    return found
