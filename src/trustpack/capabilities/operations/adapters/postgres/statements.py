"""What a grant does on the target, written for the people who approve it. Guarantee: pure, deterministic, no secret."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.model import GrantOrder, RecordMode, TargetDefinition, TargetTable
from trustpack.capabilities.operations.rules.target_definition import view_names

_RECORDED: Final = {
    RecordMode.STATEMENTS: "-- recorded in the target: each statement that reads through these views, with its text",
    RecordMode.COUNTER: "-- counted in the target: each statement that reads through these views",
    RecordMode.NONE: "-- not recorded: what is read through these views",
}
_IF_DELEGATED: Final = sql.SQL("    -- only where a superuser installed the target")


def grant_statements(definition: TargetDefinition, order: GrantOrder) -> tuple[str, ...]:
    """Return the statements of the grant, then for each view what the role will see through it."""
    names = installed_names(definition.name)
    role, reader, views = sql.Identifier(order.role_name), sql.Identifier(names.reader), sql.Identifier(names.views)
    created = sql.SQL(
        "create role {role} login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit {limit} "
        "password null valid until (clock of the target + {seconds} seconds)"
    ).format(role=role, limit=sql.Literal(order.connection_limit), seconds=sql.Literal(order.duration_seconds))
    noted = sql.SQL(
        "insert into {grants} (role_name, scope, duration_seconds, connection_limit, granted_at, expires_at) values "
        "({name}, {scope}, {seconds}, {limit}, (clock of the target), (clock of the target + {seconds} seconds))"
    ).format(
        grants=sql.Identifier(names.state, "grants"),
        name=sql.Literal(order.role_name),
        scope=sql.Literal(order.scope),
        seconds=sql.Literal(order.duration_seconds),
        limit=sql.Literal(order.connection_limit),
    )
    granted = sql.SQL("grant {reader} to {role} with inherit true, set false    -- before PostgreSQL 16 without options").format(
        reader=reader, role=role
    )
    logged = sql.SQL("alter role {role} set log_statement = 'all'{condition}").format(role=role, condition=_IF_DELEGATED)
    limited = sql.SQL("alter role {role} set temp_file_limit = '256MB'{condition}").format(role=role, condition=_IF_DELEGATED)
    pointed = sql.SQL("alter role {role} set search_path = {views}").format(role=role, views=views)
    counted = sql.SQL("create sequence {counter}").format(counter=sql.Identifier(names.state, f"touches_{order.role_name}"))
    shown = [
        _shown(table, view=sql.Identifier(names.views, view).as_string(None), order=order)
        for table, view in zip(definition.tables, view_names(definition.tables), strict=True)
    ]
    counting = () if definition.record == RecordMode.NONE else (counted,)
    carried_out = (noted, created, granted, pointed, *counting, logged, limited)
    return (*(statement.as_string(None) for statement in carried_out), *shown, _RECORDED[definition.record])


def _shown(table: TargetTable, *, view: str, order: GrantOrder) -> str:
    """Return one line of comment: no name can hold a line break (`target.schema.json`)."""
    base = sql.Identifier(table.schema, table.name).as_string(None)
    condition = sql.SQL("{} = {}").format(sql.Identifier(table.tenant_column), sql.Literal(order.scope)).as_string(None)
    columns = [f"all columns except {', '.join(table.hidden_columns)}" if table.hidden_columns else "all columns"]
    columns += [f"{column} masked as {mask.value}" for column, mask in sorted(table.masked_columns.items())]
    return f"-- {view} shows {base} where {condition}, for {order.duration_seconds} seconds: {'; '.join(columns)}"
