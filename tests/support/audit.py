"""Read every case from store and target, and say what is wrong (`tests/support/invariant.py`)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from tests.support.estate import Estate
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
from tests.support.store import as_owner
from trustpack.app.demo.target import DemoTarget
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.adapters.postgres.names import installed_names

_CHUNK: Final = 500
_GRACE: Final = timedelta(seconds=60)
"""Nobody may log in from the end on; the role itself goes within seconds, where the machine and the kills leave any."""
_ROWS: Final[Mapping[str, str]] = {
    "receipts": "SELECT r.subject_id AS request_id, r.seq, r.action, r.state, r.body,"
    " (SELECT count(*) FROM trustpack.log_outbox o WHERE o.tenant_id = r.tenant_id AND o.receipt_id = r.id) AS in_outbox"
    " FROM trustpack.receipts r"
    " WHERE r.subject_id = ANY(%s) ORDER BY r.subject_id, r.seq",
    "decisions": "SELECT subject_id AS request_id, id, mode, outcome FROM trustpack.policy_decisions WHERE subject_id = ANY(%s)",
    "usage": "SELECT coalesce(d.subject_id, e.metadata ->> 'subject_id') AS request_id, e.type,"
    " coalesce(e.metadata ->> 'decision_id', e.metadata ->> 'subject_id') AS source FROM trustpack.usage_events e"
    " LEFT JOIN trustpack.policy_decisions d ON d.tenant_id = e.tenant_id AND d.id = e.metadata ->> 'decision_id'"
    " WHERE coalesce(d.subject_id, e.metadata ->> 'subject_id') = ANY(%s)",
    "votes": "SELECT subject_id AS request_id, id FROM trustpack.approvals WHERE subject_id = ANY(%s)",
    "executions": "SELECT request_id, seq, status FROM trustpack.executions WHERE request_id = ANY(%s)",
    "grants": "SELECT request_id, seq, status, role_name, role_ref, proof, credentials_issued, access_record"
    " FROM trustpack.grants"
    " WHERE request_id = ANY(%s)",
    "jobs": "SELECT subject_id AS request_id, kind FROM trustpack.jobs WHERE subject_id = ANY(%s)",
}


@dataclass(slots=True)
class Verdict:
    """What an audit found: faults, cases by state, and how many receipts it has checked."""

    faults: list[str] = field(default_factory=list)
    cases: Counter[str] = field(default_factory=Counter)
    receipts: int = 0


@dataclass(frozen=True, slots=True)
class TargetRows:
    """The target's own rows of grants, its temporary roles, and whose sessions are open."""

    ordered: Sequence[DictRow]
    roles: Sequence[DictRow]
    sessions: Sequence[str]


def audit(
    estate: Estate,
    *,
    acknowledged: Mapping[str, Iterable[Acknowledgement]],
    reads: Mapping[str, int] | None = None,
    is_over: bool = True,
) -> Verdict:
    """Check everything there is, while no process of ours runs or all are at rest; with `is_over` every case must have ended.

    `reads` says how often clients have read with the access of a request.
    """
    verdict = Verdict()
    target = read_target(estate)
    known: set[str] = set()
    with as_owner(estate.settings) as store:
        for case in _cases(store, target):
            verdict.cases[case.status] += 1
            verdict.receipts += len(case.receipts)
            verdict.faults += faults_of_case(case, acknowledged=acknowledged.get(case.request["id"], ()))
            verdict.faults += unfinished(case) if is_over else []
            verdict.faults += unrecorded(case, reads=(reads or {}).get(case.request["id"], 0))
            known |= {grant["role_name"] for grant in case.grants}
        verdict.faults += _lost(store, acknowledged) + _doubled(store) + _of_targets(store)
    verdict.faults += strangers(ordered=target.ordered, roles=target.roles, sessions=target.sessions, known=known)
    grace = timedelta(0) if is_over else _GRACE
    verdict.faults += still_reading(target.ordered, target.sessions, now=datetime.now(UTC), grace=grace)
    return verdict


def faults_of(estate: Estate, request_ids: Sequence[str], *, acknowledged: Iterable[Acknowledgement] = ()) -> list[str]:
    """Check some cases with what the target holds of them."""
    told = list(acknowledged)
    with as_owner(estate.settings) as store:
        return [
            fault
            for case in _load(store, request_ids, read_target(estate))
            for fault in faults_of_case(case, acknowledged=[one for one in told if one.request_id == case.request["id"]])
        ]


def faults_of_latest(estate: Estate, *, count: int) -> list[str]:
    """Check the latest cases in the store alone, at one moment, whatever is under way; and the target for roles long overdue."""
    target = read_target(estate)
    now = datetime.now(UTC)
    late = overdue(target.ordered, target.roles, now=now, grace=_GRACE)
    late += still_reading(target.ordered, target.sessions, now=now, grace=_GRACE)
    with as_owner(estate.settings) as store, store.transaction():
        store.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = store.execute("SELECT id FROM trustpack.high_risk_requests ORDER BY id DESC LIMIT %s", (count,)).fetchall()
        cases = _load(store, [row["id"] for row in found], TargetRows((), (), ()))
        return [*late, *(fault for case in cases for fault in faults_of_case(case, with_target=False))]


def read_target(estate: Estate) -> TargetRows:
    """Return what the target holds of every grant that it ever carried out."""
    state = installed_names(parse_definition_file(DemoTarget(estate.settings).definition_text).name).state
    with estate.as_target_superuser() as target:
        return TargetRows(
            ordered=_fetch(
                target,
                f"SELECT role_name, role_oid, granted_at, expires_at, dropped_at, clock_timestamp() AS now FROM {state}.grants",
            ),
            roles=_fetch(
                target,
                "SELECT rolname AS role_name, rolcanlogin AS may_log_in, rolvaliduntil AS valid_until FROM pg_roles"
                " WHERE rolname LIKE 'tpk\\_%'",
            ),
            sessions=[
                row["usename"] for row in _fetch(target, "SELECT usename FROM pg_stat_activity WHERE usename LIKE 'tpk\\_%'")
            ],
        )


def drift_told(estate: Estate) -> Counter[str]:
    """Count by code what receipts tell of drift, of cases and of targets; `!` marks what could not be repaired."""
    with as_owner(estate.settings) as store:
        found = store.execute("SELECT body FROM trustpack.receipts WHERE action = 'drift_detected'").fetchall()
    told = (line for row in found for line in json.loads(bytes(row["body"]))["payload"].get("drift", ()))
    return Counter(line["code"] + ("!" if "blockers" in line else "") for line in told)


def _fetch(connection: Connection[Any], query: str) -> list[DictRow]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def _cases(store: Connection[DictRow], target: TargetRows) -> Iterator[CaseRows]:
    ids = [row["id"] for row in store.execute("SELECT id FROM trustpack.high_risk_requests ORDER BY id").fetchall()]
    for start in range(0, len(ids), _CHUNK):
        yield from _load(store, ids[start : start + _CHUNK], target)


def _load(store: Connection[DictRow], request_ids: Sequence[str], target: TargetRows) -> Iterator[CaseRows]:
    wanted = list(request_ids)
    requests = store.execute(
        "SELECT id, version, status, duration_seconds FROM trustpack.high_risk_requests WHERE id = ANY(%s)", (wanted,)
    ).fetchall()
    beside = {name: _by_request(store.execute(query.encode(), (wanted,)).fetchall()) for name, query in _ROWS.items()}
    ordered = {row["role_name"]: row for row in target.ordered}
    roles = {row["role_name"]: row for row in target.roles}
    for request in requests:
        of_case = {name: rows[request["id"]] for name, rows in beside.items()}
        role_name = next((grant["role_name"] for grant in of_case["grants"]), None)
        yield CaseRows(
            request=request,
            receipts=of_case["receipts"],
            decisions=of_case["decisions"],
            usage=of_case["usage"],
            votes=[row["id"] for row in of_case["votes"]],
            executions=of_case["executions"],
            grants=of_case["grants"],
            jobs=[row["kind"] for row in of_case["jobs"]],
            ordered=ordered.get(role_name),
            role=roles.get(role_name),
        )


def _by_request(rows: Iterable[DictRow]) -> defaultdict[str, list[DictRow]]:
    found: defaultdict[str, list[DictRow]] = defaultdict(list)
    for row in rows:
        found[row["request_id"]].append(row)
    return found


def _of_targets(store: Connection[DictRow]) -> list[str]:
    """Check the receipts of every target: its registration, and the drift that was found on it."""
    targets = store.execute("SELECT id, version, status FROM trustpack.targets").fetchall()
    receipts = _by_request(store.execute(_ROWS["receipts"].encode(), ([target["id"] for target in targets],)).fetchall())
    return [fault for target in targets for fault in faults_of_chain(target, receipts[target["id"]])]


def _lost(store: Connection[DictRow], acknowledged: Mapping[str, Iterable[Acknowledgement]]) -> list[str]:
    there = {row["id"] for row in store.execute("SELECT id FROM trustpack.high_risk_requests").fetchall()}
    return [f"{request_id} was acknowledged and is not there" for request_id in acknowledged if request_id not in there]


def _doubled(store: Connection[DictRow]) -> list[str]:
    """Name what a repeated request made twice: every client gives each of its requests a ticket of its own."""
    found = store.execute(
        "SELECT ticket, count(*) AS number FROM trustpack.high_risk_requests WHERE ticket IS NOT NULL"
        " GROUP BY tenant_id, ticket HAVING count(*) > 1"
    ).fetchall()
    return [f"the request {row['ticket']} was made {row['number']} times" for row in found]
