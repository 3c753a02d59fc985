"""Executions and grants in PostgreSQL. Each change names in `seq` the receipt that records it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trustpack.capabilities.operations.model import Execution, ExecutionStatus, Grant, GrantStatus
from trustpack.platform.unit_of_work import Transaction


async def insert_execution(tx: Transaction, execution: Execution) -> None:
    """Store a new execution."""
    await tx.write(
        "INSERT INTO trustpack.executions (tenant_id, id, request_id, seq, status, decision_id, started_at,"
        " finished_at, error_code,"
        " error_detail) VALUES (%(tenant)s, %(id)s, %(request)s, %(seq)s, %(status)s, %(decision)s, %(started)s, %(finished)s,"
        " %(error)s, %(detail)s)",
        {
            **_execution_values(tx, execution),
            "request": execution.request_id,
            "decision": execution.decision_id,
            "started": execution.started_at,
        },
    )


async def update_execution(tx: Transaction, execution: Execution) -> None:
    """Store the outcome of an execution."""
    await tx.write(
        "UPDATE trustpack.executions SET seq = %(seq)s, status = %(status)s, finished_at = %(finished)s, error_code = %(error)s,"
        " error_detail = %(detail)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        _execution_values(tx, execution),
    )


async def executions_of(tx: Transaction, request_ids: Sequence[str]) -> dict[str, Execution]:
    """Return the execution of each request that has one."""
    rows = await tx.fetch_all(
        "SELECT id, request_id, seq, status, decision_id, started_at, finished_at, error_code, error_detail FROM"
        " trustpack.executions"
        " WHERE tenant_id = %(tenant)s AND request_id = ANY(%(ids)s)",
        {"tenant": tx.tenant_id, "ids": list(request_ids)},
    )
    return {row["request_id"]: Execution(**{**row, "status": ExecutionStatus(row["status"])}) for row in rows}


async def insert_grant(tx: Transaction, grant: Grant) -> None:
    """Store a new grant."""
    await tx.write(
        "INSERT INTO trustpack.grants (tenant_id, id, request_id, seq, status, role_name, target_system, role_ref, granted_at,"
        " expires_at, target_expires_at, credentials_issued, ended_at, proof, blockers, access_record)"
        " VALUES (%(tenant)s, %(id)s, %(request)s,"
        " %(seq)s, %(status)s, %(role)s, %(system)s, %(ref)s, %(granted)s, %(expires)s, %(target_expires)s, %(issued)s,"
        " %(ended)s, %(proof)s, %(blockers)s, %(accesses)s)",
        {**_grant_values(tx, grant), "request": grant.request_id, "role": grant.role_name, "system": grant.target_system},
    )


async def update_grant(tx: Transaction, grant: Grant) -> None:
    """Store the next state of a grant."""
    await tx.write(
        "UPDATE trustpack.grants SET seq = %(seq)s, status = %(status)s, role_ref = %(ref)s, granted_at = %(granted)s,"
        " expires_at = %(expires)s, target_expires_at = %(target_expires)s, credentials_issued = %(issued)s,"
        " ended_at = %(ended)s, proof = %(proof)s, blockers = %(blockers)s,"
        " access_record = %(accesses)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        _grant_values(tx, grant),
    )


async def grants_of(tx: Transaction, request_ids: Sequence[str]) -> dict[str, Grant]:
    """Return the grant of each request that has one."""
    rows = await tx.fetch_all(
        "SELECT id, request_id, seq, status, role_name, target_system, role_ref, granted_at, expires_at, target_expires_at,"
        " credentials_issued, ended_at, proof, blockers, access_record FROM trustpack.grants"
        " WHERE tenant_id = %(tenant)s AND request_id = ANY(%(ids)s)",
        {"tenant": tx.tenant_id, "ids": list(request_ids)},
    )
    return {
        row["request_id"]: Grant(**{**row, "status": GrantStatus(row["status"]), "blockers": tuple(row["blockers"])})
        for row in rows
    }


def _execution_values(tx: Transaction, execution: Execution) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": execution.id,
        "seq": execution.seq,
        "status": execution.status.value,
        "finished": execution.finished_at,
        "error": execution.error_code,
        "detail": execution.error_detail,
    }


def _grant_values(tx: Transaction, grant: Grant) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": grant.id,
        "seq": grant.seq,
        "status": grant.status.value,
        "ref": grant.role_ref,
        "granted": grant.granted_at,
        "expires": grant.expires_at,
        "target_expires": grant.target_expires_at,
        "issued": grant.credentials_issued,
        "ended": grant.ended_at,
        "proof": grant.proof,
        "blockers": list(grant.blockers),
        "accesses": grant.access_record,
    }
