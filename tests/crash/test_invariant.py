"""The checker of the invariant finds each thing that can be wrong with a case, and nothing in one that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crash.call_sites import sites_in
from tests.support.invariant import (
    Acknowledgement,
    CaseRows,
    faults_of_case,
    faults_of_chain,
    overdue,
    still_reading,
    strangers,
    unfinished,
    unrecorded,
)
from trustpack.proof.canonical import canonical_bytes, digest_of

REQUEST, ROLE = "hro_1", "tpk_1"
START = datetime(2026, 11, 22, tzinfo=UTC)
RECORD = {"mode": "statements", "touched": 2, "recorded": 1, "rolled_back": 1, "not_kept": 0, "unavailable": None}
HISTORY = (
    ("requested", "pending_approval", {}),
    ("approved", "pending_approval", {"approval_id": "apr_1"}),
    ("approved", "approved", {"approval_id": "apr_2"}),
    ("execution_started", "executing", {"role_name": ROLE}),
    ("executed", "active", {}),
    ("credentials_issued", "active", {}),
    ("revert_started", "reverting", {}),
    ("reverted", "reverted", {"access_record": RECORD}),
)


def receipts_of(*history: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for seq, (action, state, payload) in enumerate(history, start=1):
        previous = digest_of(found[-1]["body"]) if found else None
        body = canonical_bytes({"subject": {"id": REQUEST}, "seq": seq, "prev_hash": previous, "payload": payload})
        found.append({"seq": seq, "action": action, "state": state, "body": body, "in_outbox": 1})
    return found


def a_case() -> CaseRows:
    """Return a case that was carried out and taken back, as it should be."""
    return CaseRows(
        request={"id": REQUEST, "version": len(HISTORY), "status": "reverted", "duration_seconds": 60},
        receipts=receipts_of(*HISTORY),
        decisions=[{"id": "dec_1", "mode": "enforce", "outcome": "allowed"}],
        usage=[{"type": "workflow_run", "source": REQUEST}, {"type": "policy_decision", "source": "dec_1"}],
        votes=["apr_1", "apr_2"],
        executions=[{"seq": 5, "status": "succeeded"}],
        grants=[grant(seq=8, status="reverted")],
        ordered={"role_oid": 7, "granted_at": START, "expires_at": START + timedelta(seconds=60), "dropped_at": START},
    )


def grant(**changed: Any) -> dict[str, Any]:
    row = {"role_name": ROLE, "role_ref": "7", "proof": b"{}", "credentials_issued": 1, "access_record": canonical_bytes(RECORD)}
    return row | changed


def with_record(case: CaseRows, record: dict[str, Any] | None) -> CaseRows:
    """Return the case with another access record, kept and told alike."""
    kept = None if record is None else canonical_bytes(record)
    history = (*HISTORY[:-1], ("reverted", "reverted", {"access_record": record}))
    return replace(case, receipts=receipts_of(*history), grants=[grant(seq=8, status="reverted", access_record=kept)])


def cut_at(length: int, **changed: Any) -> CaseRows:
    """Return the case as it stood after so many receipts."""
    status = HISTORY[length - 1][1]
    request = {"id": REQUEST, "version": length, "status": status, "duration_seconds": 60}
    return replace(a_case(), request=request, receipts=receipts_of(*HISTORY[:length]), **changed)


def with_receipt(case: CaseRows, seq: int, **changed: Any) -> CaseRows:
    receipts = [{**receipt, **changed} if receipt["seq"] == seq else receipt for receipt in case.receipts]
    return replace(case, receipts=receipts)


ROLE_THAT_MAY_LOG_IN = {"may_log_in": True, "valid_until": START + timedelta(seconds=61)}
BROKEN: dict[str, Callable[[CaseRows], CaseRows]] = {
    "wrong_count": lambda case: replace(case, receipts=case.receipts[:-1]),
    "broken_link": lambda case: with_receipt(case, 1, body=receipts_of(("requested", "pending_approval", {"a": 1}))[0]["body"]),
    "has the receipts": lambda case: replace(case, receipts=[*case.receipts, case.receipts[-1]]),
    "its last receipt says": lambda case: replace(case, request={**case.request, "status": "failed"}),
    "began as": lambda case: with_receipt(case, 1, state="active"),
    "went from": lambda case: with_receipt(case, 3, state="active"),
    "is 0 times in the outbox": lambda case: with_receipt(case, 2, in_outbox=0),
    "is 2 times in the outbox": lambda case: with_receipt(case, 2, in_outbox=2),
    "executed happened 2 times": lambda case: with_receipt(case, 6, action="executed"),
    "has the votes": lambda case: replace(case, votes=["apr_1"]),
    "usage counts": lambda case: replace(case, usage=[*case.usage, case.usage[0]]),
    "too little": lambda case: replace(case, usage=case.usage[:1]),
    "has 1 intents, 0 executions": lambda case: replace(case, executions=[]),
    "has 1 intents, 1 executions and 2 grants": lambda case: replace(case, grants=[*case.grants, *case.grants]),
    "execution succeeded follows": lambda case: replace(case, executions=[{"seq": 4, "status": "succeeded"}]),
    "execution is started, and the receipts": lambda case: replace(case, executions=[{"seq": 4, "status": "started"}]),
    "grant reverted follows": lambda case: replace(case, grants=[grant(seq=7, status="reverted")]),
    "with a grant that is active": lambda case: replace(case, grants=[grant(seq=5, status="active")]),
    "without a proof": lambda case: replace(case, grants=[grant(seq=8, status="reverted", proof=None)]),
    "issued 2 credentials": lambda case: replace(case, grants=[grant(seq=8, status="reverted", credentials_issued=2)]),
    "does not know the role": lambda case: replace(case, ordered=None),
    "outlives its case": lambda case: replace(case, role={"may_log_in": False, "valid_until": START}),
    "is there without an order": lambda case: replace(case, ordered=None, role={"may_log_in": False, "valid_until": START}),
    "was ordered, and the receipts say": lambda case: replace(case, grants=[grant(seq=8, status="reverted", role_name="tpk_2")]),
    "longer than what was approved": lambda case: replace(case, request={**case.request, "duration_seconds": 59}),
    "may log in after the end": lambda case: replace(case, role=ROLE_THAT_MAY_LOG_IN),
    "without a record of the access": lambda case: with_record(case, None),
    "or a reason why there is none": lambda case: with_record(case, {**RECORD, "touched": None}),
    "keeps the record": lambda case: replace(case, grants=[grant(seq=8, status="reverted", access_record=b'{"mode":"none"}')]),
    "keeps the record None": lambda case: replace(case, grants=[grant(seq=8, status="reverted", access_record=None)]),
    "never dropped the role": lambda case: replace(case, ordered={**(case.ordered or {}), "dropped_at": None}),
}  # fmt: skip


def test_a_case_that_is_right_has_no_fault():
    told = [Acknowledgement(REQUEST, version, state) for version, (_, state, _) in enumerate(HISTORY, start=1)]

    assert faults_of_case(a_case(), acknowledged=told) == []
    assert unfinished(a_case()) == []


@pytest.mark.parametrize("record", [{"mode": "none", "touched": None}, {"mode": "counter", "touched": 0},
                                    {"mode": "statements", "touched": None, "unavailable": "target.unavailable"}])  # fmt: skip
def test_a_record_that_was_not_to_be_kept_or_has_a_reason_is_no_fault(record: dict[str, Any]):
    assert faults_of_case(with_record(a_case(), {"unavailable": None, **record})) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_of_a_case_is_found(fault: str):
    found = faults_of_case(BROKEN[fault](a_case()))

    assert any(fault in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("length", "job", "executions", "grants"),
    [
        (1, "operations.expire", [], []),
        (3, "operations.expire", [], []),
        (4, "operations.execute", [{"seq": 4, "status": "started"}], [grant(seq=4, status="ordered", role_ref=None)]),
        (5, "operations.revert", [{"seq": 5, "status": "succeeded"}], [grant(seq=5, status="active")]),
        (7, "operations.revert", [{"seq": 5, "status": "succeeded"}], [grant(seq=7, status="reverting")]),
    ],
)
def test_an_open_case_without_its_job_is_stuck(length: int, job: str, executions: Any, grants: Any):
    votes = ["apr_1", "apr_2"][: max(length - 1, 0)]
    case = cut_at(length, executions=executions, grants=[{**row, "credentials_issued": 0} for row in grants], votes=votes)

    assert [fault for fault in faults_of_case(case) if "is stuck" in fault]
    assert faults_of_case(replace(case, jobs=[job])) == []
    assert unfinished(replace(case, jobs=[job]))


def test_what_a_client_was_told_must_be_there():
    told = [Acknowledgement(REQUEST, 9, "active"), Acknowledgement(REQUEST, 3, "active"), Acknowledgement(REQUEST, 3, "approved")]

    assert len(faults_of_case(a_case(), acknowledged=told)) == 2


def test_roles_orders_and_sessions_that_no_case_has_are_found():
    known, other = {"role_name": "tpk_1"}, {"role_name": "tpk_2"}

    assert strangers(ordered=[known], roles=[known], sessions=["tpk_1"], known={"tpk_1"}) == []
    assert len(strangers(ordered=[other], roles=[other], sessions=["tpk_3"], known={"tpk_1"})) == 3


def test_a_statement_that_read_and_is_not_counted_is_found():
    assert unrecorded(a_case(), reads=2) == []
    assert unrecorded(a_case(), reads=3)
    assert unrecorded(with_record(a_case(), None), reads=3) == []


def test_the_chain_of_a_target_is_checked_like_that_of_a_case():
    case = a_case()
    target = {"id": REQUEST, "version": len(HISTORY), "status": "reverted"}

    assert faults_of_chain(target, case.receipts) == []
    assert faults_of_chain(target, case.receipts[:-1])
    assert faults_of_chain(target, BROKEN["broken_link"](case).receipts)
    assert faults_of_chain(target, with_receipt(case, 2, in_outbox=0).receipts)
    assert faults_of_chain({**target, "status": "removed"}, case.receipts)
    assert faults_of_chain({**target, "version": 0}, [])


@pytest.mark.parametrize("dropped_at", [None, START + timedelta(seconds=120)])
def test_a_session_outlives_its_grant_once_the_grace_after_the_end_is_over(dropped_at: datetime | None):
    ordered = [{"role_name": ROLE, "expires_at": START, "dropped_at": dropped_at}]
    grace = timedelta(seconds=60)

    assert still_reading(ordered, [ROLE], now=START + timedelta(seconds=60), grace=grace) == []
    assert still_reading(ordered, [ROLE], now=START + timedelta(seconds=61), grace=grace)
    assert still_reading(ordered, [], now=START + timedelta(seconds=61), grace=grace) == []


def test_a_session_outlives_a_role_that_was_dropped_early():
    ordered = [{"role_name": ROLE, "expires_at": START + timedelta(hours=1), "dropped_at": START}]

    assert still_reading(ordered, [ROLE], now=START + timedelta(seconds=1), grace=timedelta(0))


def test_a_role_is_overdue_once_its_grace_is_over():
    ordered, roles = [{"role_name": "tpk_1", "expires_at": START}], [{"role_name": "tpk_1"}]

    assert overdue(ordered, roles, now=START + timedelta(seconds=60), grace=timedelta(seconds=60)) == []
    assert overdue(ordered, roles, now=START + timedelta(seconds=61), grace=timedelta(seconds=60))


def test_a_call_that_reaches_out_is_found_wherever_it_stands():
    source = """
class Case:
    async def end(self, tx):
        rows = [row async for row in tx.fetch_all("SELECT 1", {})]
        await tx.write(
            "DELETE",
            {},
        )
        file.write("no statement")

def outer():
    async def inner(session):
        return await session.call("expire")
"""

    assert [(site.name, site.first_line, site.last_line) for site in sites_in(source, "capabilities/flow.py")] == [
        ("flow.Case.end: fetch_all", 4, 4),
        ("flow.Case.end: write", 5, 8),
        ("flow.outer.inner: call", 13, 13),
    ]
