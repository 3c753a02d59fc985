"""What stands between a prepared database and access that is as narrow as promised, each with the statement that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg import Connection, sql

from trustpack.capabilities.operations.adapters.postgres.administration import borrowed
from trustpack.capabilities.operations.adapters.postgres.catalogue import misfits, read_catalogue
from trustpack.capabilities.operations.adapters.postgres.exposures import exposures
from trustpack.capabilities.operations.adapters.postgres.install import is_installed, missing_without_superuser
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.adapters.postgres.reconcile import inventory_of
from trustpack.capabilities.operations.adapters.postgres.script import LAYOUT, check_query, definition_digest
from trustpack.capabilities.operations.model import TargetDefinition, TargetUnavailable
from trustpack.capabilities.operations.model.drift import Drift, DriftCode, Repair
from trustpack.capabilities.operations.rules.drift import find_drift_without_store


class Severity(StrEnum):
    """`high`: rows of others can be reached, or grants do not work. `medium`: a grantee can disturb. `low`: it can learn."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault and the statement or command that mends it."""

    severity: Severity
    code: str
    what: str
    remedy: str


_DRIFT_SEVERITY: Final = {repair: Severity.LOW if repair is Repair.NONE else Severity.HIGH for repair in Repair}
_SAID_ELSEWHERE: Final = frozenset({DriftCode.INSTALLATION_ALTERED, DriftCode.FOREIGN_MEMBER})
"""Found by `altered` and by `sql/check.sql`, with more detail."""
_OPENING_SEVERITY: Final = {"activity": Severity.LOW, "signals": Severity.LOW, "languages": Severity.LOW}


def check(conn: Connection[Any], definition: TargetDefinition) -> tuple[Finding, ...]:
    """Return what is wrong or open, worst first. Nothing is changed. Raises `TargetUnavailable` when it cannot be read."""
    try:
        found = [
            *_installation(conn, definition),
            *_drift(conn, definition),
            *_rights(conn, definition),
            *_openings(conn, definition),
        ]
    except psycopg.Error as error:
        raise TargetUnavailable("The catalogue of the target cannot be read.", sqlstate=error.sqlstate) from None
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _installation(conn: Connection[Any], definition: TargetDefinition) -> list[Finding]:
    correct = "Correct the definition, then run `trustpack target install`."
    found = [_high("misfit", sentence, correct) for sentence in misfits(read_catalogue(conn, definition))]
    install_again = f"trustpack target install FILE    -- of the target {definition.name}"
    if not is_installed(conn, definition):
        return [*found, _high("not_installed", "this database is not prepared for the target", install_again)]
    names = installed_names(definition.name)
    with borrowed(conn, definition):
        query = sql.SQL("select layout, definition_digest, seal, {state}.current_seal() from {state}.settings")
        row = conn.execute(query.format(state=sql.Identifier(names.state))).fetchone()
    layout, prepared_for, sealed, seal_now = row or (None, None, None, None)
    if layout != LAYOUT:
        found.append(_high("old_layout", "the target was prepared by another version of trustpack", install_again))
    elif prepared_for != definition_digest(definition):
        found.append(_high("other_definition", "the target was prepared for another definition", install_again))
    elif sealed != seal_now:
        found.append(
            _high("altered", "an object, right, role or setting of the installation was changed, added or removed", install_again)
        )
    if conn.execute("select from pg_catalog.pg_roles where rolname = %s", (names.killer,)).fetchone() is None:
        remedy = "Run `trustpack target install` as a superuser."
        missing = missing_without_superuser(conn.info.server_version)
        found += [Finding(Severity.MEDIUM, "without_superuser", sentence, remedy) for sentence in missing]
    return found


def _high(code: str, what: str, remedy: str) -> Finding:
    return Finding(Severity.HIGH, code, what, remedy)


def _drift(conn: Connection[Any], definition: TargetDefinition) -> list[Finding]:
    """Return what a temporary role or session shows by itself; what needs the store is shown by `trustpack target reconcile`."""
    api = sql.Identifier(installed_names(definition.name).api)
    if not is_installed(conn, definition) or not _is_current(conn, definition):
        return []
    with borrowed(conn, definition):
        row = conn.execute(sql.SQL("select {}.inventory()").format(api)).fetchone()
    assert row is not None  # a function answers with one row
    drift = find_drift_without_store(inventory_of(row[0], system=""))
    return [
        Finding(_DRIFT_SEVERITY[entry.repair], entry.code.value, _about(entry), entry.remedy or "trustpack target reconcile")
        for entry in drift
        if entry.code not in _SAID_ELSEWHERE
    ]


def _about(drift: Drift) -> str:
    return drift.detail if drift.role_name is None else f"{drift.role_name}: {drift.detail}"


def _is_current(conn: Connection[Any], definition: TargetDefinition) -> bool:
    names = installed_names(definition.name)
    query = sql.SQL("select layout, to_regprocedure({}) from {}.settings").format(
        sql.Literal(f"{names.api}.inventory()"), sql.Identifier(names.state)
    )
    with borrowed(conn, definition):
        row = conn.execute(query).fetchone()
    return row is not None and row[0] == LAYOUT and row[1] is not None


def _rights(conn: Connection[Any], definition: TargetDefinition) -> list[Finding]:
    if not is_installed(conn, definition):
        return []
    rows = conn.execute(check_query(definition, database=conn.info.dbname)).fetchall()
    return [Finding(Severity(severity), code, what, remedy) for severity, code, what, remedy in rows]


def _openings(conn: Connection[Any], definition: TargetDefinition) -> list[Finding]:
    return [
        Finding(_OPENING_SEVERITY.get(found.code, Severity.MEDIUM), found.code, found.what, found.statement)
        for found in exposures(conn, definition)
    ]
