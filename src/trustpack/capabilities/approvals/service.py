"""Cast votes and read them back."""

from __future__ import annotations

from psycopg.errors import UniqueViolation

from trustpack.capabilities.approvals import store
from trustpack.capabilities.approvals.model import AlreadyVoted, Vote
from trustpack.platform.unit_of_work import Transaction

have_voted = store.have_voted
votes_of = store.votes_of


async def cast_vote(tx: Transaction, vote: Vote) -> None:
    """Store a vote in the caller's transaction, which holds the subject's row. Raises `AlreadyVoted`."""
    try:
        await store.insert_vote(tx, vote)
        await tx.flush()
    except UniqueViolation as violation:
        raise AlreadyVoted from violation


async def votes_of_one(tx: Transaction, subject_id: str) -> tuple[Vote, ...]:
    """Return every vote on one subject in order."""
    return (await store.votes_of(tx, (subject_id,))).get(subject_id, ())
