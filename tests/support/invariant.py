"""The whole invariant, checked from outside: what store and target hold of every request, and what is wrong with that.

The rules are pure and see one case at a time, so that they can be shown to find each fault, and a store of any size can be
checked. Source: architecture section 3; adversarial cases 26 and 27.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from trustpack.capabilities.operations.model import Status
from trustpack.capabilities.operations.rules.transitions import ENDS, TRANSITIONS
from trustpack.proof.receipt_chain import check_chain

Row = Mapping[str, Any]

_MOVES: Final = frozenset((before.value, after.value) for (before, _), after in TRANSITIONS.items())
_FIRST_STATES: Final = frozenset({Status.PENDING_APPROVAL.value, Status.DENIED.value})
_END_STATES: Final = frozenset(status.value for status in ENDS)
_HAS_ROLE: Final = frozenset({"executing", "active", "reverting", "revert_failed"})
_JOB_OF_STATE: Final[Mapping[str, str]] = {
    "pending_approval": "operations.expire",
    "approved": "operations.expire",
    "executing": "operations.execute",
    "active": "operations.revert",
    "reverting": "operations.revert",
    "revert_failed": "operations.revert",
}
_ONCE: Final = frozenset({
    "requested", "denied", "rejected", "cancelled", "expired", "execution_started", "executed", "execution_failed",
    "revert_started", "reverted",
})  # fmt: skip
_RECEIPT_OF_EXECUTION: Final = {
    "started": {"execution_started"},
    "succeeded": {"executed"},
    "failed": {"execution_failed"},
}
_RECEIPT_OF_GRANT: Final = {
    # Credentials that came to nothing are withdrawn with a refusal, also while a revert is under way.
    "ordered": {"execution_started"},
    "active": {"executed", "credentials_issued", "credentials_rotated", "refused"},
    "void": {"execution_failed"},
    "reverting": {"revert_started", "refused"},
    "reverted": {"reverted"},
    "revert_failed": {"revert_failed", "execution_failed", "refused"},
}
_GRANT_OF_STATE: Final = {
    "executing": "ordered",
    "active": "active",
    "failed": "void",
    "reverting": "reverting",
    "reverted": "reverted",
    "revert_failed": "revert_failed",
}


@dataclass(frozen=True, slots=True)
class CaseRows:
    """Everything that store and target hold of one request; receipts in order, with whether the outbox has them.

    `ordered` is the target's own row of the grant, `role` its role in the catalogue.
    """

    request: Row
    receipts: Sequence[Row]
    decisions: Sequence[Row] = ()
    usage: Sequence[Row] = ()
    votes: Sequence[str] = ()
    executions: Sequence[Row] = ()
    grants: Sequence[Row] = ()
    jobs: Sequence[str] = ()
    ordered: Row | None = None
    role: Row | None = None

    @property
    def status(self) -> str:
        return str(self.request["status"])

    @property
    def actions(self) -> list[str]:
        return [receipt["action"] for receipt in self.receipts]

    def action_at(self, seq: int) -> str:
        return self.actions[seq - 1] if 1 <= seq <= len(self.receipts) else "no receipt"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What an answer of success told a client: this request, at this version, in this state."""

    request_id: str
    version: int
    status: str


def faults_of_case(case: CaseRows, *, acknowledged: Iterable[Acknowledgement] = (), with_target: bool = True) -> list[str]:
    """Return every fault of one case at any moment, killed or not; without the target what it holds is not looked at."""
    faults = [*_of_receipts(case.request, case.receipts), *_of_moves(case), *_of_votes(case), *_of_usage(case), *_of_effect(case)]
    faults += [*_of_record(case), *_of_acknowledged(case, acknowledged)]
    if case.status in _JOB_OF_STATE and _JOB_OF_STATE[case.status] not in case.jobs:
        faults.append(f"is stuck: {case.status}, and nobody will take it up")
    if with_target:
        faults += _of_target(case)
    return [f"{case.request['id']}: {fault}" for fault in faults]


def unrecorded(case: CaseRows, *, reads: int) -> list[str]:
    """Return how many of the statements that read rows, each of one view, the record of an ended access does not count."""
    counts = [_record_of(grant) for grant in case.grants if grant["access_record"] is not None]
    touched = [record["touched"] for record in counts if record["touched"] is not None]
    return [f"{case.request['id']}: {reads} statements read, {count} are counted" for count in touched if count < reads]


def unfinished(case: CaseRows) -> list[str]:
    """Return why the case is not over yet, though everything that was to happen by itself has happened."""
    faults = [] if case.status in _END_STATES else [f"is still {case.status}"]
    if case.jobs:
        faults.append(f"has ended with work left: {', '.join(case.jobs)}")
    return [f"{case.request['id']}: {fault}" for fault in faults]


def faults_of_chain(subject: Row, receipts: Sequence[Row]) -> list[str]:
    """Return what is wrong with the receipts of a target, which nobody but its registration and the drift found on it changes."""
    return [f"{subject['id']}: {fault}" for fault in _of_receipts(subject, receipts)]


def _of_receipts(subject: Row, receipts: Sequence[Row]) -> Iterator[str]:
    version = subject["version"]
    bodies = [bytes(receipt["body"]) for receipt in receipts]
    for fault in check_chain(bodies, subject_id=subject["id"], expected_count=version):
        yield f"chain: {fault.code} at {fault.seq}"
    seqs = [receipt["seq"] for receipt in receipts]
    if seqs != list(range(1, version + 1)):
        yield f"version {version} has the receipts {seqs}"
    for receipt in receipts:
        if receipt["in_outbox"] != 1:
            yield f"receipt {receipt['seq']} is {receipt['in_outbox']} times in the outbox"
    if [receipt["state"] for receipt in receipts[-1:]] != [subject["status"]]:
        yield f"is {subject['status']}, and its last receipt says {[receipt['state'] for receipt in receipts[-1:]]}"


def _of_moves(case: CaseRows) -> Iterator[str]:
    states = [receipt["state"] for receipt in case.receipts]
    if states and states[0] not in _FIRST_STATES:
        yield f"began as {states[0]}"
    for move in pairwise(states):
        if move not in _MOVES:
            yield f"went from {move[0]} to {move[1]}"
    for action, count in Counter(case.actions).items():
        if count > 1 and action in _ONCE:
            yield f"{action} happened {count} times"


def _of_votes(case: CaseRows) -> Iterator[str]:
    named = {_payload(receipt)["approval_id"] for receipt in case.receipts if receipt["action"] in {"approved", "rejected"}}
    if named != set(case.votes) or len(set(case.votes)) != len(case.votes):
        yield f"has the votes {sorted(case.votes)}, and its receipts name {sorted(named)}"


def _of_usage(case: CaseRows) -> Iterator[str]:
    counted = Counter(f"{event['type']} {event['source']}" for event in case.usage)
    billable = [row["id"] for row in case.decisions if row["mode"] == "enforce" and row["outcome"] in {"allowed", "denied"}]
    expected = Counter([f"workflow_run {case.request['id']}", *(f"policy_decision {decision}" for decision in billable)])
    if counted != expected:
        yield f"usage counts {dict(counted - expected)} too much and {dict(expected - counted)} too little"


def _of_effect(case: CaseRows) -> Iterator[str]:
    started = case.actions.count("execution_started")
    if (len(case.executions), len(case.grants)) != (started, started):
        yield f"has {started} intents, {len(case.executions)} executions and {len(case.grants)} grants"
    for execution in case.executions:
        if case.action_at(execution["seq"]) not in _RECEIPT_OF_EXECUTION[execution["status"]]:
            yield f"execution {execution['status']} follows {case.action_at(execution['seq'])}"
        finished = {"executed", "execution_failed"} & set(case.actions)
        if (execution["status"] == "started") != (not finished):
            yield f"execution is {execution['status']}, and the receipts say {sorted(finished)}"
    for grant in case.grants:
        if case.action_at(grant["seq"]) not in _RECEIPT_OF_GRANT[grant["status"]]:
            yield f"grant {grant['status']} follows {case.action_at(grant['seq'])}"
        if grant["status"] != _GRANT_OF_STATE.get(case.status):
            yield f"is {case.status} with a grant that is {grant['status']}"
        if grant["status"] == "reverted" and grant["proof"] is None:
            yield "is reverted without a proof"
        shown = sum(case.actions.count(action) for action in ("credentials_issued", "credentials_rotated"))
        if grant["credentials_issued"] > shown:
            yield f"issued {grant['credentials_issued']} credentials with {shown} receipts"


def _of_record(case: CaseRows) -> Iterator[str]:
    told = [_payload(receipt).get("access_record") for receipt in case.receipts if receipt["action"] == "reverted"]
    for grant in case.grants:
        if grant["status"] != "reverted":
            continue
        kept = None if grant["access_record"] is None else _record_of(grant)
        if [kept] != told:
            yield f"keeps the record {kept}, and its receipt says {told}"
        if kept is None or (kept["mode"] != "none" and kept["touched"] is None and kept["unavailable"] is None):
            yield "is reverted without a record of the access, or a reason why there is none"


def _of_target(case: CaseRows) -> Iterator[str]:
    grant, ordered, role = next(iter(case.grants), None), case.ordered, case.role
    if grant is None:
        return
    if grant["role_ref"] is not None and (ordered is None or str(ordered["role_oid"]) != grant["role_ref"]):
        yield f"the target does not know the role {grant['role_name']} as the one that was made"
    if role is not None and case.status not in _HAS_ROLE:
        yield f"the role {grant['role_name']} outlives its case, which is {case.status}"
    if role is not None and ordered is None:
        yield f"the role {grant['role_name']} is there without an order"
    if ordered is not None:
        yield from _of_order(case, ordered, role, role_name=grant["role_name"])


def _of_order(case: CaseRows, ordered: Row, role: Row | None, *, role_name: str) -> Iterator[str]:
    intents = [_payload(receipt)["role_name"] for receipt in case.receipts if receipt["action"] == "execution_started"]
    if intents != [role_name]:
        yield f"{role_name} was ordered, and the receipts say {intents}"
    if ordered["granted_at"] is not None:
        approved = timedelta(seconds=case.request["duration_seconds"])
        if ordered["expires_at"] > ordered["granted_at"] + approved:
            yield "the access is longer than what was approved"
    if role is not None and role["may_log_in"] and role["valid_until"] > ordered["expires_at"]:
        yield "the role may log in after the end of the access"
    if case.status == "reverted" and ordered["role_oid"] is not None and ordered["dropped_at"] is None:
        yield "is reverted, and the target never dropped the role"


def _of_acknowledged(case: CaseRows, acknowledged: Iterable[Acknowledgement]) -> Iterator[str]:
    states = {receipt["seq"]: receipt["state"] for receipt in case.receipts}
    for told in acknowledged:
        if states.get(told.version) != told.status:
            yield f"a client was told of version {told.version}, {told.status}; there is {states.get(told.version)}"


def strangers(*, ordered: Iterable[Row], roles: Iterable[Row], sessions: Iterable[str], known: set[str]) -> list[str]:
    """Return what the target holds of grants that no case has, and sessions of roles that are gone."""
    ordered_names = {row["role_name"] for row in ordered}
    role_names = {row["role_name"] for row in roles}
    return [
        *(f"the target carried out the order {name}, which no case has" for name in sorted(ordered_names - known)),
        *(f"the target has the role {name}, which no case has" for name in sorted(role_names - known)),
        *(f"a session of {name} goes on without its role" for name in sorted(set(sessions) - role_names)),
    ]


def overdue(ordered: Iterable[Row], roles: Iterable[Row], *, now: datetime, grace: timedelta) -> list[str]:
    """Return the roles that are still in the target's catalogue so long after the end of their grants."""
    ends = {row["role_name"]: row["expires_at"] for row in ordered}
    return [f"the role {row['role_name']} is there {grace} after its end" for row in roles
            if row["role_name"] in ends and ends[row["role_name"]] + grace < now]  # fmt: skip


def still_reading(ordered: Iterable[Row], sessions: Iterable[str], *, now: datetime, grace: timedelta) -> list[str]:
    """Return the sessions that live so long after the end of their grants, or after their role was dropped."""
    held = {row["role_name"]: row for row in ordered}
    ends = {name: min(row["expires_at"], row["dropped_at"] or row["expires_at"]) for name, row in held.items()}
    return [f"a session of {name} lives {grace} after its end" for name in sessions
            if name in ends and ends[name] + grace < now]  # fmt: skip


def _record_of(grant: Row) -> Mapping[str, Any]:
    record: Mapping[str, Any] = json.loads(bytes(grant["access_record"]))
    return record


def _payload(receipt: Row) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = json.loads(bytes(receipt["body"]))["payload"]
    return payload
