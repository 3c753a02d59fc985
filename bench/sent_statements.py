"""The statements that the product really sends for one HTTP request, as PostgreSQL's own log tells them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import psycopg
from bench_tenant import BenchTenant
from http_load import Plan, apply_load
from psycopg import sql
from server_process import ServerProcess, running_server
from store_counts import as_superuser, pending_requests

from trustpack.platform.database import APP_ROLE, embedded_cluster
from trustpack.platform.settings import Settings

_ENTRY: Final = re.compile(
    r"^\d{4}-\d\d-\d\d [0-9:.]+ \S+ \[(?P<pid>\d+)\] (?P<kind>[A-Z]+):  (?P<text>.*(?:\n\t.*)*)", re.MULTILINE
)
_STATEMENT: Final = re.compile(r"(?:statement|execute [^:]+): (.*)", re.DOTALL)
_PARAMETER: Final = re.compile(r"\$\d+ = (?:NULL|'((?:[^']|'')*)')")
_FLOWS: Final = 2


@dataclass(frozen=True, slots=True)
class SentStatement:
    """One statement with the values and types of its parameters, as PostgreSQL writes them; None is NULL."""

    text: str
    values: tuple[str | None, ...]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SentFlow:
    """What one case sent: for its creation, and for its two approvals."""

    creation: tuple[SentStatement, ...]
    approvals: tuple[SentStatement, ...]


def capture_flows(settings: Settings, tenant: BenchTenant) -> tuple[SentFlow, SentFlow]:
    """Send two equal cases through a real server and return what each sent; what differs between them is made per case."""
    role = sql.Identifier(APP_ROLE)
    with as_superuser(settings) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} SET log_statement = 'all'").format(role))
        try:
            with running_server(settings) as server:
                # The first case is not kept: it notes the first use of the tokens, which happens once a minute.
                flows = [_capture_flow(settings, tenant, server, connection) for _ in range(1 + _FLOWS)][1:]
        finally:
            connection.execute(sql.SQL("ALTER ROLE {} RESET log_statement").format(role))
    return flows[0], flows[1]


def _capture_flow(settings: Settings, tenant: BenchTenant, server: ServerProcess, connection: psycopg.Connection) -> SentFlow:
    creation = _capture(settings, server, (tenant.asking(),), connection)
    request_id, effect_digest = pending_requests(settings)[-1]
    approvals = _capture(settings, server, tenant.approving(request_id, effect_digest=effect_digest), connection)
    return SentFlow(creation, approvals)


def _capture(
    settings: Settings, server: ServerProcess, requests: tuple[str, ...], connection: psycopg.Connection
) -> tuple[SentStatement, ...]:
    with embedded_cluster(settings).log_path.open(encoding="utf-8") as log:
        log.seek(0, 2)
        apply_load(Plan(port=server.port, connections=(requests,), warm_up_seconds=0))
        entries = [(match["kind"], match["text"].replace("\n\t", "\n")) for match in _ENTRY.finditer(log.read())]
    statements = []
    for number, (kind, text) in enumerate(entries):
        if kind == "LOG" and (statement := _STATEMENT.match(text)):
            following = entries[number + 1] if number + 1 < len(entries) else ("", "")
            statements.append(_statement(statement[1], following, connection))
    return tuple(statements)


def _statement(text: str, following: tuple[str, str], connection: psycopg.Connection) -> SentStatement:
    kind, detail = following
    if kind != "DETAIL" or not detail.startswith("Parameters: "):
        return SentStatement(text, (), ())
    values = tuple(
        match[1].replace("''", "'") if match[1] is not None else None
        for match in _PARAMETER.finditer(detail, len("Parameters: "))
    )
    return SentStatement(text, values, _types_of(text, connection))


def _types_of(text: str, connection: psycopg.Connection) -> tuple[str, ...]:
    # PostgreSQL itself says what it takes each parameter for.
    connection.execute(sql.SQL("PREPARE asked AS {}").format(sql.SQL(text)))
    row = connection.execute("SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'asked'").fetchone()
    connection.execute("DEALLOCATE asked")
    assert row is not None  # it was prepared above
    return tuple(row[0])
