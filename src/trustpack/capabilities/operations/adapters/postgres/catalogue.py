"""What the target's own catalogue says about the tables of a definition, and where the two do not fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from trustpack.capabilities.operations.model import Mask, TargetDefinition, TargetTable

_TEXT = "S"
_NUMERIC = "N"
_MASKABLE: Mapping[Mask, frozenset[str]] = {
    Mask.FIRST_LETTER: frozenset({_TEXT}),
    Mask.LAST_FOUR: frozenset({_TEXT, _NUMERIC}),
}
"""Type categories (`pg_type.typcategory`) whose text form a mask can cut; `redacted` shows nothing and fits every type."""
_COMPARABLE_TYPES = frozenset({"uuid", "smallint", "integer", "bigint"})
"""Tenant columns compared in their own type, so that their indexes serve; text types are compared as text."""

_COLUMNS = """
    select attribute.attname as name, pg_catalog.format_type(base.oid, null) as type, base.typcategory::text as category,
           relation.relkind::text as kind, relation.relrowsecurity as has_row_security
      from pg_catalog.pg_class as relation
      join pg_catalog.pg_namespace as space on space.oid = relation.relnamespace
      join pg_catalog.pg_attribute as attribute
        on attribute.attrelid = relation.oid and attribute.attnum > 0 and not attribute.attisdropped
      join pg_catalog.pg_type as declared on declared.oid = attribute.atttypid
      join pg_catalog.pg_type as base on base.oid = case declared.typtype when 'd' then declared.typbasetype else declared.oid end
     where space.nspname = %s and relation.relname = %s and relation.relkind in ('r', 'p', 'v', 'm', 'f')
     order by attribute.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it is; a domain counts as the type below it."""

    name: str
    type: str
    category: str


@dataclass(frozen=True, slots=True)
class LiveTable:
    """One table of the definition as it is on the target: no columns where it does not exist."""

    definition: TargetTable
    columns: tuple[Column, ...]
    has_row_security: bool

    def shown(self) -> tuple[Column, ...]:
        """Return the columns that the view has, in the table's order."""
        return tuple(column for column in self.columns if column.name not in self.definition.hidden_columns)

    def read(self) -> tuple[str, ...]:
        """Return the columns that the view's owner must be able to read: never a hidden or a redacted one."""
        masks = self.definition.masked_columns
        return tuple(column.name for column in self.shown() if masks.get(column.name) is not Mask.REDACTED)

    def tenant_cast(self) -> str | None:
        """Return the type that the scope is cast to for the comparison, or None when the column is compared as text."""
        type_name = next(column.type for column in self.columns if column.name == self.definition.tenant_column)
        return type_name if type_name in _COMPARABLE_TYPES else None


def read_catalogue(conn: Connection[Any], definition: TargetDefinition) -> tuple[LiveTable, ...]:
    """Return each table of the definition as it is on the target now, in the definition's order."""
    return tuple(_read_table(conn, table) for table in definition.tables)


def misfits(tables: tuple[LiveTable, ...]) -> tuple[str, ...]:
    """Return a sentence for every point where definition and catalogue do not fit together; then nothing can be installed."""
    return tuple(sentence for table in tables for sentence in _misfits_of(table))


def _read_table(conn: Connection[Any], table: TargetTable) -> LiveTable:
    rows = conn.execute(_COLUMNS, (table.schema, table.name)).fetchall()
    columns = tuple(Column(name=name, type=type_name, category=category) for name, type_name, category, _, _ in rows)
    return LiveTable(definition=table, columns=columns, has_row_security=any(row[4] for row in rows))


def _misfits_of(table: LiveTable) -> list[str]:
    definition = table.definition
    label = f"{definition.schema}.{definition.name}"
    if not table.columns:
        return [f"the table {label} does not exist"]
    by_name = {column.name: column for column in table.columns}
    wanted = (definition.tenant_column, *definition.hidden_columns, *definition.masked_columns)
    found = [f"the column {name} of {label} does not exist" for name in wanted if name not in by_name]
    for name, mask in definition.masked_columns.items():
        column = by_name.get(name)
        if column is not None and mask in _MASKABLE and column.category not in _MASKABLE[mask]:
            found.append(f"the mask {mask.value} does not fit the column {name} of {label}, which is of type {column.type}")
    tenant = by_name.get(definition.tenant_column)
    if tenant is not None and tenant.category != _TEXT and tenant.type not in _COMPARABLE_TYPES:
        found.append(
            f"the tenant column {tenant.name} of {label} is of type {tenant.type}; text, integer and uuid types can be scoped"
        )
    return found
