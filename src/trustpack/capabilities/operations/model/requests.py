"""Requests, their executions and grants, and the states they pass through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trustpack.capabilities.operations.model.targets import GrantMark, Target
from trustpack.kernel.actor import Role
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import NEWEST, Keyset

OPERATION_TYPE = "TEMP_DB_READ_ACCESS"
SUBJECT_KIND = "high_risk_request"
WORKSPACE = "security"


class Status(StrEnum):
    """Where a request stands (api.md, "High-risk operations")."""

    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    EXECUTING = "executing"
    ACTIVE = "active"
    REVERTING = "reverting"
    REVERTED = "reverted"
    DENIED = "denied"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"
    REVERT_FAILED = "revert_failed"


class Command(StrEnum):
    """What can happen to a request; `rules.transitions` says when."""

    APPROVE = "approve"
    COMPLETE_APPROVALS = "complete_approvals"
    REJECT = "reject"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REOPEN = "reopen"
    START_EXECUTION = "start_execution"
    SUCCEED_EXECUTION = "succeed_execution"
    FAIL_EXECUTION = "fail_execution"
    ABANDON_EXECUTION = "abandon_execution"
    ISSUE_CREDENTIALS = "issue_credentials"
    START_REVERT = "start_revert"
    FINISH_REVERT = "finish_revert"
    FAIL_REVERT = "fail_revert"
    DETECT_DRIFT = "detect_drift"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a requester asks for, as it came in."""

    type: str
    environment: str
    target: str
    scope: str
    duration_seconds: int
    justification: str
    ticket: str | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What execution will do to the outside world: shown, digested, approved, and then done exactly."""

    document: JsonObject
    encoded: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class HighRiskRequest:
    """One request and where it stands. `version` counts its receipts."""

    id: str
    version: int
    status: Status
    type: str
    environment: str
    target_id: str
    target_name: str
    scope: str
    duration_seconds: int
    justification: str
    ticket: str | None
    requester_id: str
    requester_team_ids: tuple[str, ...]
    effect: bytes
    effect_digest: str
    required_approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    decision_id: str
    created_at: datetime
    approval_expires_at: datetime
    use_by: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """As much of a request that waits for approvals as it takes to say who may vote on it."""

    id: str
    effect_digest: str
    required_approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    requester_id: str
    requester_team_ids: tuple[str, ...]


class ExecutionStatus(StrEnum):
    """How carrying the effect out went."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Execution:
    """The one attempt to carry a request's effect out. `seq` names the receipt of its last change."""

    id: str
    request_id: str
    seq: int
    status: ExecutionStatus
    decision_id: str
    started_at: datetime
    finished_at: datetime | None
    error_code: str | None
    error_detail: str | None


class GrantStatus(StrEnum):
    """Where the access itself stands; `void` never came to be."""

    ORDERED = "ordered"
    ACTIVE = "active"
    VOID = "void"
    REVERTING = "reverting"
    REVERTED = "reverted"
    REVERT_FAILED = "revert_failed"


@dataclass(frozen=True, slots=True)
class Grant:
    """A live effect with an end. `expires_at` is on our clock, `target_expires_at` on the target's, which is what counts.

    `target_system` is the system that it was ordered on; nothing that another one says proves anything about it. `proof` is
    there once its end is proven; until then `blockers` name what stands in the way. `access_record` counts what was done with it.
    """

    id: str
    request_id: str
    seq: int
    status: GrantStatus
    role_name: str
    target_system: str
    role_ref: str | None
    granted_at: datetime | None
    expires_at: datetime | None
    target_expires_at: datetime | None
    credentials_issued: int
    ended_at: datetime | None
    proof: bytes | None
    blockers: tuple[str, ...] = ()
    access_record: bytes | None = None

    @property
    def mark(self) -> GrantMark:
        return GrantMark(role_name=self.role_name, role_ref=self.role_ref, system=self.target_system)


@dataclass(frozen=True, slots=True)
class Case:
    """A request with everything that happened to its effect, as one consistent read.

    `target` is the one that was approved, read from the effect: what is registered under its name by now is another matter.
    """

    request: HighRiskRequest
    target: Target
    execution: Execution | None
    grant: Grant | None


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """The settings that shape the flow; see `platform.settings` for their meaning and defaults."""

    approval_window_seconds: int
    approval_use_by_seconds: int
    digest_required: bool
    team_lead_same_team: bool
    execute_wait_seconds: float


@dataclass(frozen=True, slots=True)
class NamedBy:
    """What a text may mean: the end of an id, a ticket, and whatever targets and people are called so."""

    id_end: str
    tickets: tuple[str, ...]
    targets: tuple[str, ...]
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """What a list asks for. With `visible_to` set, only that person's own requests and those of the given teams."""

    statuses: tuple[str, ...] = ()
    type: str | None = None
    target: str | None = None
    requester_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    named_by: NamedBy | None = None
    keyset: Keyset = NEWEST
    limit: int = 50
    visible_to: str | None = None
    team_ids: tuple[str, ...] = ()
