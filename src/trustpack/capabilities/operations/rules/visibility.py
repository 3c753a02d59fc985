"""Who may read a request, and who may end its access. Guarantee: pure. Source: api.md, "May read"."""

from __future__ import annotations

from trustpack.capabilities.operations.model import HighRiskRequest, WaitingRequest
from trustpack.kernel.actor import Actor, Role

READS_EVERYTHING = frozenset({Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.AUDITOR, Role.ADMIN})
"""The approver roles of this workspace, auditors and administrators."""


def reads_everything(actor: Actor) -> bool:
    """Say whether the actor may read every request of the tenant."""
    return bool(actor.roles & READS_EVERYTHING)


def may_read(actor: Actor, request: HighRiskRequest | WaitingRequest) -> bool:
    """Say whether the actor may read this request; to everybody else it does not exist."""
    own_or_team = actor.id == request.requester_id or bool(actor.team_ids & frozenset(request.requester_team_ids))
    return own_or_team or reads_everything(actor)


def may_revert(actor: Actor, request: HighRiskRequest | WaitingRequest) -> bool:
    """Say whether the actor may end this request's access early: who asked, who may approve it, an administrator."""
    approving = frozenset(request.required_approvals)
    return actor.id == request.requester_id or bool(actor.roles & (approving | {Role.ADMIN}))
