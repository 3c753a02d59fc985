"""Approvals: one person's yes or no, bound to the digest of what was shown, and when enough different people said yes.

Owns: votes, who may vote, the quorum of distinct people. Does not own: what is approved or what happens then.
"""

from trustpack.capabilities.approvals.model import AlreadyVoted, Ballot, Quorum, Verdict, Vote, Voter, VoteRefusal
from trustpack.capabilities.approvals.rules import could_still_approve, decide_quorum, refusal_of, standing_votes, usable_roles
from trustpack.capabilities.approvals.service import cast_vote, votes_of, votes_of_one

__all__ = [
    "AlreadyVoted",
    "Ballot",
    "Quorum",
    "Verdict",
    "Vote",
    "VoteRefusal",
    "Voter",
    "cast_vote",
    "could_still_approve",
    "decide_quorum",
    "refusal_of",
    "standing_votes",
    "usable_roles",
    "votes_of",
    "votes_of_one",
]
