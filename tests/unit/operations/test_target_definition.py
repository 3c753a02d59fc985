"""Which target definitions are valid, what they become, and what is said about the others."""

from __future__ import annotations

import copy

import pytest

from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.adapters.postgres.script import definition_digest
from trustpack.capabilities.operations.adapters.postgres.statements import grant_statements
from trustpack.capabilities.operations.model import AdapterKind, GrantOrder, Mask, RecordMode, SecretReference, TargetTable
from trustpack.capabilities.operations.rules.target_definition import (
    InvalidTargetDefinition,
    definition_document,
    parse_definition,
    parse_definition_file,
    read_definition,
    view_names,
)
from trustpack.proof.canonical import canonical_bytes

FILE = """
name: orders-prod
environment: prod
adapter: postgres
dsn: {file: secrets/orders-prod.dsn}
max_duration_seconds: 7200
connection_limit: 2
scopes: [globex, acme]
tables:
  - table: public.orders
    tenant_column: tenant
    hide: [card_number]
    mask: {email: first_letter}
  - table: public.refunds
    tenant_column: tenant
"""
DOCUMENT = {
    "name": "orders-prod",
    "environment": "prod",
    "adapter": "postgres",
    "dsn": {"file": "secrets/orders-prod.dsn"},
    "max_duration_seconds": 7200,
    "connection_limit": 2,
    "tables": [{"table": "public.orders", "tenant_column": "tenant"}],
}


def changed(path: str, value: object) -> dict:
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path.split("/")
    place = document
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def an_order(scope: str) -> GrantOrder:
    return GrantOrder(
        role_name="tpk_" + "0" * 32, identity_digest="sha256:0", scope=scope, duration_seconds=60, connection_limit=1
    )


def a_table(schema: str, name: str) -> TargetTable:
    return TargetTable(schema=schema, name=name, tenant_column="tenant", hidden_columns=(), masked_columns={})


def test_a_file_becomes_a_definition():
    definition = parse_definition_file(FILE)

    assert definition.adapter is AdapterKind.POSTGRES
    assert definition.dsn == SecretReference(source="file", name="secrets/orders-prod.dsn")
    assert definition.scopes == ("acme", "globex")
    assert definition.tables[0].hidden_columns == ("card_number",)
    assert definition.tables[0].masked_columns == {"email": Mask.FIRST_LETTER}
    assert definition.tables[1].masked_columns == {}


def test_the_canonical_form_can_be_digested_and_parsed_again():
    definition = parse_definition_file(FILE)

    document = definition_document(definition)

    assert canonical_bytes(document)
    assert document["dsn"] == {"file": "secrets/orders-prod.dsn"}
    assert parse_definition(document) == definition


def test_the_order_of_sets_does_not_matter_but_the_order_of_tables_does():
    one = parse_definition_file(FILE)
    same = parse_definition_file(FILE.replace("[globex, acme]", "[acme, globex]"))
    tables = changed("tables", [DOCUMENT["tables"][0], {"table": "public.refunds", "tenant_column": "tenant"}])
    turned = {**tables, "tables": tables["tables"][::-1]}

    assert definition_document(one) == definition_document(same)
    assert definition_document(parse_definition(tables)) != definition_document(parse_definition(turned))


def test_moving_the_secret_needs_no_new_installation_but_every_other_change_does():
    digest = definition_digest(parse_definition(DOCUMENT))

    assert definition_digest(parse_definition(changed("dsn", {"env": "DSN"}))) == digest
    for path, value in (
        ("max_duration_seconds", 60),
        ("connection_limit", 1),
        ("scopes", ["acme"]),
        ("record", "none"),
        ("tables/0/hide", ["x"]),
        ("tables/0/mask", {"x": "redacted"}),
        ("tables/0/tenant_column", "owner"),
    ):
        assert definition_digest(parse_definition(changed(path, value))) != digest, path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", ...),
        ("name", ""),
        ("name", "Orders"),
        ("name", "orders_prod"),
        ("name", "-orders"),
        ("name", "orders\n"),
        ("name", "o" * 41),
        ("name", "orders'; drop"),
        ("environment", ...),
        ("adapter", "oracle"),
        ("dsn", ...),
        ("dsn", "postgresql://literal"),
        ("dsn", {"literal": "postgresql://x"}),
        ("dsn", {"env": "A", "file": "b"}),
        ("dsn", {"env": "A B"}),
        ("dsn", {}),
        ("max_duration_seconds", 0),
        ("max_duration_seconds", -1),
        ("max_duration_seconds", 86_401),
        ("max_duration_seconds", "7200"),
        ("max_duration_seconds", 1.5),
        ("max_duration_seconds", True),
        ("connection_limit", 0),
        ("connection_limit", 11),
        ("connection_limit", None),
        ("record", "everything"),
        ("record", None),
        ("record", ["none"]),
        ("scopes", "acme"),
        ("scopes", [""]),
        ("scopes", ["a", "a"]),
        ("scopes", ["a\nb"]),
        ("scopes", ["x" * 201]),
        ("tables", []),
        ("tables", ...),
        ("tables/0/table", "orders"),
        ("tables/0/table", "a.b.c"),
        ("tables/0/table", ".orders"),
        ("tables/0/table", "public."),
        ("tables/0/table", "public.or\nders"),
        ("tables/0/table", "pg_catalog.pg_authid"),
        ("tables/0/table", "information_schema.tables"),
        ("tables/0/table", "public." + "x" * 64),
        ("tables/0/table", "public." + "ü" * 32),
        ("tables/0/tenant_column", ...),
        ("tables/0/tenant_column", ""),
        ("tables/0/tenant_column", "ü" * 32),
        ("tables/0/hide", ["tenant"]),
        ("tables/0/hide", ["a", "a"]),
        ("tables/0/mask", {"tenant": "redacted"}),
        ("tables/0/mask", {"email": "rot13"}),
        ("tables/0/unknown", 1),
        ("unknown", 1),
    ],
)
def test_what_is_not_allowed_is_named(path, value):
    with pytest.raises(InvalidTargetDefinition) as caught:
        parse_definition(changed(path, value))

    errors = caught.value.data["errors"]
    assert errors
    assert all(set(error) == {"field", "message"} for error in errors)
    assert path.split("/")[0] in errors[0]["field"] or errors[0]["field"] == ""


def test_a_column_cannot_be_both_hidden_and_masked():
    table = {"table": "public.orders", "tenant_column": "tenant", "hide": ["email"], "mask": {"email": "redacted"}}

    with pytest.raises(InvalidTargetDefinition, match="hidden or masked, not both"):
        parse_definition(changed("tables", [table]))


def test_every_fault_is_named_at_once():
    document = {**DOCUMENT, "connection_limit": 0, "max_duration_seconds": 0}

    with pytest.raises(InvalidTargetDefinition) as caught:
        parse_definition(document)

    assert {error["field"] for error in caught.value.data["errors"]} == {"connection_limit", "max_duration_seconds"}


def test_a_table_may_not_be_named_twice():
    with pytest.raises(InvalidTargetDefinition, match="named twice"):
        parse_definition(changed("tables", [DOCUMENT["tables"][0]] * 2))


def test_views_are_called_like_their_tables_unless_two_share_a_name():
    tables = (a_table("public", "orders"), a_table("archive", "orders"), a_table("public", "refunds"))

    assert view_names(tables) == ("public_orders", "archive_orders", "refunds")


def test_views_whose_names_still_clash_are_refused():
    names = ["a.b", "c.b", "public.a_b"]

    with pytest.raises(InvalidTargetDefinition, match="would both be called a_b"):
        parse_definition(changed("tables", [{"table": name, "tenant_column": "tenant"} for name in names]))


def test_a_record_target_needs_neither_secret_nor_tables():
    document = {key: value for key, value in DOCUMENT.items() if key not in {"dsn", "tables"}} | {"adapter": "record"}

    definition = parse_definition(document)

    assert definition.dsn is None
    assert definition.tables == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list",
        "name: [",
        "name: a\nname: b",
        "tables: &t []\nother: *t",
        "!!python/object/apply:os.system ['true']",
        "? [a, b]\n: c",
        "a: b: c",
        "[" * 10_000,
        "x" * 1_048_577,
    ],
    ids=lambda text: text[:20],
)
def test_a_file_that_does_not_say_what_it_means_is_refused(text):
    with pytest.raises(InvalidTargetDefinition):
        parse_definition_file(text)


def test_names_on_the_target_fit_and_never_meet():
    pairs = [installed_names(name) for name in ("a", "a-reader", "a-views", "a-b", "o" * 40)]
    every = [
        getattr(names, kind)
        for names in pairs
        for kind in ("reader", "owner", "provisioner", "service", "killer", "views", "state", "api")
    ]

    assert len(set(every)) == len(every)
    assert max(len(name.encode()) for name in every) <= 63


def test_a_hostile_scope_stays_a_value_in_the_statements():
    statements = grant_statements(parse_definition(DOCUMENT), an_order(scope="o'brien; drop table x"))

    assert any("\"tenant\" = 'o''brien; drop table x'" in statement for statement in statements)
    assert all("\n" not in statement for statement in statements)


def test_the_statements_name_everything_that_a_grant_does_and_what_it_does_only_sometimes():
    statements = grant_statements(parse_definition(DOCUMENT), an_order(scope="acme"))

    verbs = ["insert", "create", "grant", "alter", "create", "alter", "alter", "--", "--"]
    assert [statement.split(" ")[0] for statement in statements] == verbs
    assert [statement for statement in statements if "only where a superuser installed" in statement] == [
        statement for statement in statements if "log_statement" in statement or "temp_file_limit" in statement
    ]
    assert "with inherit true, set false" in statements[2]


def test_a_public_address_is_part_of_the_document_and_not_of_what_is_installed():
    plain = parse_definition(DOCUMENT)
    public = parse_definition({**DOCUMENT, "public_host": "db.example.com", "public_port": 6432.0})

    assert (public.public_host, public.public_port) == ("db.example.com", 6432)
    assert parse_definition(definition_document(public)) == public
    assert definition_document(public) != definition_document(plain)
    assert definition_digest(public) == definition_digest(plain)


@pytest.mark.parametrize("host", ["db.example.com", "db-1", "10.0.0.1", "::1", "2001:db8::1", "h" * 253])
def test_public_hosts_are_names_and_addresses(host):
    assert parse_definition(changed("public_host", host)).public_host == host


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("public_host", host) for host in ("", "a,b", "a b", "/socket", "@x", "a/b", "[::1]", "-x", "a\n", "h" * 254, 1, None)),
        *(("public_port", port) for port in (0, 65536, "5432", 1.5, None)),
    ],
)
def test_other_public_addresses_are_refused(field, value):
    with pytest.raises(InvalidTargetDefinition, match=field):
        parse_definition(changed(field, value))


def test_a_stored_definition_is_read_back_although_todays_schema_refuses_it():
    stored = {**definition_document(parse_definition(DOCUMENT)), "max_duration_seconds": 1_000_000, "since_removed": True}
    with pytest.raises(InvalidTargetDefinition):
        parse_definition(stored)

    assert read_definition(stored).max_duration_seconds == 1_000_000


def test_what_is_done_with_an_access_is_recorded_unless_the_definition_says_otherwise():
    stored = {key: value for key, value in definition_document(parse_definition(DOCUMENT)).items() if key != "record"}

    assert parse_definition(DOCUMENT).record == read_definition(stored).record == RecordMode.STATEMENTS
    assert parse_definition({**DOCUMENT, "record": "none"}).record == RecordMode.NONE


@pytest.mark.parametrize(
    ("record", "said", "counts"),
    [
        ("statements", "-- recorded in the target: each statement that reads through these views, with its text", True),
        ("counter", "-- counted in the target: each statement that reads through these views", True),
        ("none", "-- not recorded: what is read through these views", False),
    ],
)
def test_the_statements_say_what_will_be_recorded(record, said, counts):
    statements = grant_statements(parse_definition({**DOCUMENT, "record": record}), an_order(scope="acme"))

    assert statements[-1] == said
    assert any(statement.startswith("create sequence") for statement in statements) == counts


def test_every_definition_is_read_back_as_it_was():
    recorded = {key: value for key, value in DOCUMENT.items() if key not in {"dsn", "tables"}} | {"adapter": "record"}
    for document in (DOCUMENT, recorded, {**DOCUMENT, "public_host": "::1", "public_port": 1}, {**DOCUMENT, "record": "counter"}):
        definition = parse_definition(document)

        assert read_definition(definition_document(definition)) == definition
