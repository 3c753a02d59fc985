"""Target definitions: what a valid one is, its canonical form, and the names that follow from it on the target.

Guarantee: pure. Source: issue 3 "The flow"; ADR-0009.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping
from functools import cache
from importlib import resources
from typing import ClassVar, cast

import jsonschema_rs
import yaml

from trustpack.capabilities.operations.model import AdapterKind, Mask, RecordMode, SecretReference, TargetDefinition, TargetTable
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.kernel.json_types import JsonObject, JsonValue

LONGEST_IDENTIFIER_BYTES = 63
"""PostgreSQL cuts a longer identifier off without an error (NAMEDATALEN), so that two names could become one."""
_LONGEST_FILE_BYTES = 1_048_576


class InvalidTargetDefinition(TrustpackError):
    """The definition does not have the promised form; `errors` lists `{"field", "message"}`."""

    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    code: ClassVar[str] = "operations.invalid_target_definition"
    title: ClassVar[str] = "The target definition is not valid"
    detail = "The target definition is not valid."
    next_step = "Correct the named fields of the file; `target.schema.json` describes each."


def parse_definition(document: Mapping[str, object]) -> TargetDefinition:
    """Return the definition that a parsed YAML or JSON document describes.

    Raises `InvalidTargetDefinition`, naming every faulty field at once.
    """
    errors = [
        {"field": "/".join(str(part) for part in error.instance_path), "message": error.message}
        for error in _validator().iter_errors(dict(document))
    ]
    if errors:
        raise InvalidTargetDefinition(_summary(errors), errors=errors)
    definition = read_definition(cast(JsonObject, document))
    errors = _contradictions(definition)
    if errors:
        raise InvalidTargetDefinition(_summary(errors), errors=errors)
    return definition


def parse_definition_file(text: str) -> TargetDefinition:
    """Return the definition that a YAML file describes. Raises `InvalidTargetDefinition`."""
    if len(text.encode()) > _LONGEST_FILE_BYTES:
        raise InvalidTargetDefinition(f"The file is longer than {_LONGEST_FILE_BYTES} bytes.", errors=[])
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # derived from SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        message = "the nesting is too deep" if isinstance(error, RecursionError) else str(error)
        raise InvalidTargetDefinition(message, errors=[{"field": "", "message": message}]) from error
    if not isinstance(document, dict):
        raise InvalidTargetDefinition("The file holds no mapping.", errors=[{"field": "", "message": "not a mapping"}])
    return parse_definition(document)


def read_definition(document: Mapping[str, JsonValue]) -> TargetDefinition:
    """Return a definition that was valid when it was stored, in the form of `definition_document`.

    It is not validated again: a schema that became stricter must not lock out the end of a live grant.
    """
    dsn = cast("dict[str, str] | None", document.get("dsn"))
    reference = None
    if dsn is not None:
        [(source, name)] = dsn.items()
        reference = SecretReference(source=source, name=name)
    public_port = cast("int | None", document.get("public_port"))
    return TargetDefinition(
        name=cast(str, document["name"]),
        environment=cast(str, document["environment"]),
        adapter=AdapterKind(cast(str, document["adapter"])),
        dsn=reference,
        tables=tuple(_build_table(table) for table in cast("list[JsonObject]", document.get("tables", []))),
        scopes=tuple(sorted(cast("list[str]", document.get("scopes", [])))),
        # JSON Schema counts 7200.0 as an integer.
        max_duration_seconds=int(cast(int, document["max_duration_seconds"])),
        connection_limit=int(cast(int, document["connection_limit"])),
        public_host=cast("str | None", document.get("public_host")),
        public_port=None if public_port is None else int(public_port),
        record=RecordMode(cast(str, document.get("record", RecordMode.STATEMENTS))),
    )


def definition_document(definition: TargetDefinition) -> JsonObject:
    """Return the canonical form: every field, defaults included, tables in their order. Of the secret only where it lies.

    The public address stands there only where one is given, so that the digests of other definitions stay what they were.
    """
    dsn = definition.dsn
    return {
        "name": definition.name,
        "environment": definition.environment,
        "adapter": definition.adapter.value,
        "dsn": None if dsn is None else {dsn.source: dsn.name},
        **_public_address(definition),
        **installed_document(definition),
    }


def installed_document(definition: TargetDefinition) -> JsonObject:
    """Return the part of the definition that the installation on the target depends on.

    Moving the secret elsewhere is no reason to install again.
    """
    return {
        "max_duration_seconds": definition.max_duration_seconds,
        "connection_limit": definition.connection_limit,
        "scopes": list(definition.scopes),
        "record": definition.record.value,
        "tables": [_table_document(table) for table in definition.tables],
    }


def view_names(tables: tuple[TargetTable, ...]) -> tuple[str, ...]:
    """Return the name of each table's view, in order: the table's own, or `schema_table` where two tables share theirs."""
    uses = Counter(table.name for table in tables)
    return tuple(table.name if uses[table.name] == 1 else f"{table.schema}_{table.name}" for table in tables)


def _public_address(definition: TargetDefinition) -> JsonObject:
    address: JsonObject = {"public_host": definition.public_host, "public_port": definition.public_port}
    return {name: value for name, value in address.items() if value is not None}


class _StrictLoader(yaml.SafeLoader):
    """Refuses what would be read otherwise than it looks: a key given twice, and aliases, which can blow a small file up."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002
        if not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise yaml.YAMLError(f"a key is no plain text near line {node.start_mark.line + 1}")
        keys = [key.value for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.YAMLError(f"a key is given twice near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep=deep)


def _table_document(table: TargetTable) -> JsonValue:
    return {
        "table": f"{table.schema}.{table.name}",
        "tenant_column": table.tenant_column,
        "hide": list(table.hidden_columns),
        "mask": {column: mask.value for column, mask in sorted(table.masked_columns.items())},
    }


@cache
def _validator() -> jsonschema_rs.Validator:
    text = resources.files("trustpack.capabilities.operations").joinpath("target.schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.validator_for(json.loads(text))


def _build_table(document: JsonObject) -> TargetTable:
    schema, _, name = cast(str, document["table"]).partition(".")
    return TargetTable(
        schema=schema,
        name=name,
        tenant_column=cast(str, document["tenant_column"]),
        hidden_columns=tuple(sorted(cast("list[str]", document.get("hide", [])))),
        masked_columns={column: Mask(mask) for column, mask in cast("dict[str, str]", document.get("mask", {})).items()},
    )


def _contradictions(definition: TargetDefinition) -> list[dict[str, str]]:
    errors: list[dict[str, str]] = []

    def complain(field: str, message: str) -> None:
        errors.append({"field": field, "message": message})

    seen: set[tuple[str, str]] = set()
    views = Counter(view for _, view in set(zip(_places(definition), view_names(definition.tables), strict=True)))
    for index, (table, view) in enumerate(zip(definition.tables, view_names(definition.tables), strict=True)):
        place = f"tables/{index}"
        if (table.schema, table.name) in seen:
            complain(f"{place}/table", f"{table.schema}.{table.name} is named twice")
        elif views[view] > 1:
            complain(f"{place}/table", f"the view of this table and of another would both be called {view}")
        seen.add((table.schema, table.name))
        for name in (table.schema, table.name, view, table.tenant_column, *table.hidden_columns, *table.masked_columns):
            if not 0 < len(name.encode()) <= LONGEST_IDENTIFIER_BYTES:
                complain(place, f"{name!r} is longer than {LONGEST_IDENTIFIER_BYTES} bytes")
        if table.tenant_column in {*table.hidden_columns, *table.masked_columns}:
            complain(f"{place}/tenant_column", "the tenant column can be neither hidden nor masked")
        for column in sorted({*table.hidden_columns} & {*table.masked_columns}):
            complain(f"{place}/mask/{column}", "a column is hidden or masked, not both")
        if table.schema.startswith("pg_") or table.schema == "information_schema":
            complain(f"{place}/table", "system catalogues cannot be granted")
    return errors


def _places(definition: TargetDefinition) -> list[tuple[str, str]]:
    return [(table.schema, table.name) for table in definition.tables]


def _summary(errors: list[dict[str, str]]) -> str:
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first['field'] or 'the definition'}: {first['message']}{more}"
