"""Approvals: one person's yes or no, bound to the digest of what was shown, and when enough different people said yes.

Owns: votes, who may vote, the quorum of distinct people. Does not own: what is approved or what happens then.
"""

from trustpack.capabilities.approvals.model import AlreadyVoted, Ballot, Loan, Quorum, Verdict, Vote, Voter, VoteRefusal
from trustpack.capabilities.approvals.rules import (
    could_still_approve,
    decide_quorum,
    is_needed,
    refusal_of,
    roles_of_vote,
    standing_votes,
    usable_roles,
    votes_with_roles_of_their_time,
)
from trustpack.capabilities.approvals.service import cast_vote, have_voted, votes_of, votes_of_one

__all__ = [
    "AlreadyVoted",
    "Ballot",
    "Loan",
    "Quorum",
    "Verdict",
    "Vote",
    "VoteRefusal",
    "Voter",
    "cast_vote",
    "could_still_approve",
    "decide_quorum",
    "have_voted",
    "is_needed",
    "refusal_of",
    "roles_of_vote",
    "standing_votes",
    "usable_roles",
    "votes_of",
    "votes_of_one",
    "votes_with_roles_of_their_time",
]
