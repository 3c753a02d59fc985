"""The SQL that is installed on a target, made from the templates in `sql/` and a definition. Guarantee: pure."""

from __future__ import annotations

import json
from importlib import resources
from typing import Final

from psycopg import sql

from trustpack.capabilities.operations.adapters.postgres.catalogue import Column, LiveTable
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.model import Mask, RecordMode, TargetDefinition
from trustpack.capabilities.operations.rules.target_definition import installed_document, view_names
from trustpack.proof.canonical import digest_of_value

LAYOUT: Final = 3
"""Version of what is installed; grows with every change of the templates that an existing installation must take over."""
MOST_LIVE_GRANTS: Final = 5000
"""Live grants of one target. Measured with 3,000 at once (`make bench`): none fails, and on PostgreSQL 18 the last takes about
three times as long as the first."""
MOST_STATEMENTS: Final = 1000
"""Statements of one grant whose text is kept; further ones are counted only, so that no grantee can fill a disk."""
LONGEST_STATEMENT: Final = 2000
"""Characters of a statement that are kept."""

_SETTINGS: Final = sql.SQL(
    "set local search_path = pg_catalog, pg_temp;\n"
    "set local client_min_messages = warning;\n"
    "set local check_function_bodies = on;\n"
    "set local lock_timeout = '5s';    -- rather fail than queue in front of the database's own users\n"
)
_MEMBERSHIP_OPTIONS: Final = 160000
"""From PostgreSQL 16 on a membership has INHERIT and SET options, and a grantor of its own."""
_MASKS: Final = {
    Mask.FIRST_LETTER: sql.SQL(
        "case when length({column}::text) > 1 then left({column}::text, 1) || '***' when {column} is not null then '***' end"
    ),
    Mask.LAST_FOUR: sql.SQL(
        "case when length({column}::text) > 4 then '***' || right({column}::text, 4) when {column} is not null then '***' end"
    ),
    Mask.REDACTED: sql.SQL("'***'::text"),
}


def definition_digest(definition: TargetDefinition) -> str:
    """Return the digest that ties an installation to the definition it was made from."""
    return digest_of_value(installed_document(definition))


def install_statements(
    definition: TargetDefinition, tables: tuple[LiveTable, ...], *, database: str, server_version: int, as_superuser: bool
) -> sql.Composed:
    """Return the installation without its transaction. `server_version` is `server_version_num`, such as 180004."""
    scope = "scope" if definition.record == RecordMode.NONE else "recorded_scope"
    script = _SETTINGS + _join(definition, database, ["roles", "state", scope]) + _views(definition, tables)
    script += _join(definition, database, ["access", "ending", "dropping", "insight", "record", "reconcile"])
    if as_superuser:
        script += _join(definition, database, ["superuser"])
    script += _join(definition, database, ["seal"])
    return script if as_superuser else script + return_roles(definition, server_version=server_version)


def cleaning_statements(definition: TargetDefinition, *, database: str, server_version: int, as_superuser: bool) -> sql.Composed:
    """Return what lets the target's provisioner drop leftovers of ended grants in another database of the same cluster."""
    names = installed_names(definition.name)
    replaced = sql.SQL(
        "create schema if not exists {api} authorization {provisioner};\n"
        "grant connect on database {database} to {service};\n"
        "set local role {provisioner};\ndrop function if exists {api}.drop_owned(text);\n"
    )
    sealed = sql.SQL(
        "revoke all on function {api}.drop_owned(text) from public;\nrevoke all on schema {api} from public;\n"
        "grant usage on schema {api} to {service};\ngrant execute on function {api}.drop_owned(text) to {service};\nreset role;\n"
    )
    identifiers = {
        "api": sql.Identifier(names.api),
        "provisioner": sql.Identifier(names.provisioner),
        "service": sql.Identifier(names.service),
        "database": sql.Identifier(database),
    }
    script = _SETTINGS + (sql.SQL("") if as_superuser else borrow_roles(definition, server_version=server_version))
    script += replaced.format(**identifiers) + _join(definition, database, ["cleaning"]) + sealed.format(**identifiers)
    return script if as_superuser else script + return_roles(definition, server_version=server_version)


def revoke_columns(definition: TargetDefinition, *, database: str) -> sql.Composed:
    """Return the statement that takes back every right of our view owner on the target's tables."""
    return _join(definition, database, ["uninstall"])


def check_query(definition: TargetDefinition, *, database: str) -> sql.Composed:
    """Return the query over the catalogue that finds what stands open around the installation."""
    return _join(definition, database, ["check"])


def as_transaction(statements: sql.Composed) -> sql.Composed:
    """Return a script that `psql` runs as it is."""
    return sql.Composed([sql.SQL("begin;    -- everything or nothing\n"), statements, sql.SQL("commit;\n")])


def borrow_roles(definition: TargetDefinition, *, server_version: int) -> sql.Composed:
    """Return the statement by which a non-superuser takes on our roles for the length of a transaction."""
    options = sql.SQL(" with inherit true, set true" if server_version >= _MEMBERSHIP_OPTIONS else "")
    return sql.SQL("grant {} to current_user{};\n").format(_borrowed(definition), options)


def return_roles(definition: TargetDefinition, *, server_version: int) -> sql.Composed:
    """Return the statement that undoes `borrow_roles`.

    From 16 on it removes only what the installer granted itself; the creator's ADMIN row stays, and with it the next upgrade.
    """
    grantor = sql.SQL(" granted by current_user" if server_version >= _MEMBERSHIP_OPTIONS else "")
    return sql.SQL("revoke {} from current_user{};\n").format(_borrowed(definition), grantor)


def _borrowed(definition: TargetDefinition) -> sql.Composed:
    names = installed_names(definition.name)
    return sql.SQL(", ").join(sql.Identifier(name) for name in (names.reader, names.owner, names.provisioner, names.service))


def _join(definition: TargetDefinition, database: str, parts: list[str]) -> sql.Composed:
    names = installed_names(definition.name)
    placeholders: dict[str, sql.Composable] = {}
    for kind in ("reader", "owner", "provisioner", "service", "killer", "views", "state", "api"):
        placeholders[kind] = sql.Identifier(getattr(names, kind))
        placeholders[f"{kind}_name"] = sql.Literal(getattr(names, kind))
    placeholders |= {
        "database": sql.Identifier(database),
        "verifier_digest_signature": sql.Literal(f"{names.state}.current_verifier_digest(text)"),
        "layout": sql.Literal(LAYOUT),
        "target": sql.Literal(definition.name),
        "definition_digest": sql.Literal(definition_digest(definition)),
        "max_duration_seconds": sql.Literal(definition.max_duration_seconds),
        "max_connection_limit": sql.Literal(definition.connection_limit),
        "max_live_grants": sql.Literal(MOST_LIVE_GRANTS),
        "record": sql.Literal(definition.record.value),
        "most_statements": sql.Literal(MOST_STATEMENTS),
        "longest_statement": sql.Literal(LONGEST_STATEMENT),
        "scopes": sql.Literal(json.dumps(list(definition.scopes), ensure_ascii=False)),
    }
    folder = resources.files(__package__).joinpath("sql")
    texts = [folder.joinpath(f"{part}.sql").read_text(encoding="utf-8") for part in parts]
    return sql.Composed([piece for text in texts for piece in (sql.SQL(text).format(**placeholders), sql.SQL("\n"))])


def _views(definition: TargetDefinition, tables: tuple[LiveTable, ...]) -> sql.Composed:
    names = view_names(definition.tables)
    return sql.Composed([_view(definition, table, view) for table, view in zip(tables, names, strict=True)])


def _view(definition: TargetDefinition, table: LiveTable, view: str) -> sql.Composed:
    names = installed_names(definition.name)
    base = sql.Identifier(table.definition.schema, table.definition.name)
    tenant = sql.Identifier("base", table.definition.tenant_column)
    cast_to = table.tenant_cast()
    scope = sql.SQL("(select {}.scope())").format(sql.Identifier(names.views))
    condition = (
        sql.SQL("{}::text = {}").format(tenant, scope)
        if cast_to is None
        else sql.SQL("{} = {}::{}").format(tenant, scope, sql.SQL(cast_to))
    )
    return sql.SQL(
        "grant usage on schema {schema} to {owner};\n"
        "grant select ({columns}) on {base} to {owner};\n"
        "set local role {owner};\n"
        "create view {view} with (security_barrier) as\n  select {shown}\n    from {base} as base\n   where {condition};\n"
        "grant select on {view} to {reader};\n"
        "reset role;\n\n"
    ).format(
        schema=sql.Identifier(table.definition.schema),
        owner=sql.Identifier(names.owner),
        reader=sql.Identifier(names.reader),
        columns=sql.SQL(", ").join(sql.Identifier(column) for column in table.read()),
        base=base,
        view=sql.Identifier(names.views, view),
        shown=sql.SQL(",\n         ").join(_shown(table, column) for column in table.shown()),
        condition=condition,
    )


def _shown(table: LiveTable, column: Column) -> sql.Composable:
    name = sql.Identifier("base", column.name)
    mask = table.definition.masked_columns.get(column.name)
    if mask is None:
        return name
    return sql.SQL("{} as {}").format(_MASKS[mask].format(column=name), sql.Identifier(column.name))
