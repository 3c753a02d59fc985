"""Rules over the catalogue: a table that breaks one fails here before anybody reviews it (architecture 7; research/scale-out)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.store import rows_as_owner, tables_of_tenants
from trustpack.platform.settings import Settings

SCHEMA = "trustpack"
WITHOUT_TENANT = {"account_names", "accounts", "ceremonies", "governed_tables", "passkeys", "passwords", "store_identity"}
INDEXES_OVER_ALL_TENANTS = {"jobs_due", "person_accounts_by_account", "receipts_by_transaction"}
"""Read by the system role alone, to find due work of every tenant, the tenants of an account, and what has changed."""
CHANGEABLE_BY_APP = {
    "jobs",
    "idempotency_keys",
    "token_uses",
    "tenants",
    "people",
    "teams",
    "tokens",
    "targets",
    "high_risk_requests",
    "executions",
    "grants",
    "reconciliations",
    "opportunities",
    "leads",
    "quotes",
    "price_books",
    "delegations",
    "sessions",
    "session_uses",
    "invitations",
}
CALENDAR_DAYS = {"quotes.valid_until", "price_book_entries.valid_from", "delegations.from_date", "delegations.until_date"}
"""Days as they stand in a contract or between people, which are the same in every zone; a moment is always a timestamptz."""
REMOVABLE_BY_APP = {"jobs", "idempotency_keys", "account_names", "passkeys", "passwords", "ceremonies", "saved_views"}
COLUMNS_CHANGEABLE_BY_APP = {
    "account_names": {"name"},
    "ceremonies": {"expires_at"},
    "passkeys": {"sign_count", "last_used_at"},
    "passwords": {"hash", "changed_at"},
    "saved_views": {"name", "query"},
}
"""Of tables that it may not change as a whole."""
READABLE_BY_SYSTEM = {
    "jobs": {"tenant_id", "id", "kind", "lane", "due_at", "locked_until", "last_error"},
    "tenants": {"tenant_id", "is_demo", "status", "name"},
    "people": {"tenant_id", "id", "status", "kind"},
    "person_accounts": {"tenant_id", "account_id", "person_id"},
    "receipts": {"tenant_id", "subject_id", "subject_kind", "transaction_id"},
    "targets": {"tenant_id", "id", "status", "identity_system"},
    "high_risk_requests": {"tenant_id", "id", "target_id"},
    "grants": {"tenant_id", "request_id", "role_name", "status", "ended_at"},
    "reconciliations": {"tenant_id", "target_id", "target_name", "succeeded_at", "findings"},
}
CALLABLE = {"trustpack_app": {"sign_in", "resume_session", "active_target"}}
"""They run with the caller's rights, so under its row-level security."""
REFERENCES_TO_GLOBAL_TABLES = {
    (f"{table}_account_fkey", "accounts") for table in ("person_accounts", "account_names", "passkeys", "passwords")
}


def query(settings: Settings, text: str, *parameters: Any) -> list[Any]:
    """Return rows as tuples, or single values where a row has one column."""
    rows = [tuple(row.values()) for row in rows_as_owner(settings, text, *parameters)]
    return [row[0] if len(row) == 1 else row for row in rows]


def test_every_table_belongs_to_a_tenant_or_is_known_to_be_global(settings: Settings):
    tables = set(
        query(settings, "SELECT relname FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relkind IN ('r', 'p')")
    )

    assert tables - set(tables_of_tenants(settings)) == WITHOUT_TENANT


def test_nothing_but_tables_and_indexes_is_in_the_schema(settings: Settings):
    # A view would read with the rights of its owner, past row-level security; a sequence would order rows over all tenants.
    kinds = set(query(settings, "SELECT relkind::text FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace"))

    assert kinds <= {"r", "p", "i", "I", "t"}


def test_row_level_security_is_enabled_and_forced_on_every_tenant_table(settings: Settings):
    unprotected = query(
        settings,
        "SELECT relname FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relname = ANY(%s)"
        " AND NOT (relrowsecurity AND relforcerowsecurity)",
        tables_of_tenants(settings),
    )

    assert unprotected == []


def test_every_tenant_table_has_the_one_policy_for_reading_and_writing(settings: Settings):
    policies = query(
        settings,
        "SELECT tablename::text, cmd, permissive, qual = with_check AS same, qual LIKE '%%tenant_id = ( SELECT"
        " NULLIF(current_setting(%%' AS ours"
        " FROM pg_policies WHERE schemaname = 'trustpack' AND policyname = 'tenant_rows' ORDER BY tablename",
    )

    assert policies == [(table, "ALL", "PERMISSIVE", True, True) for table in sorted(tables_of_tenants(settings))]


def test_any_other_policy_is_for_the_system_role_and_for_reading_only(settings: Settings):
    others = query(
        settings,
        "SELECT tablename::text, roles::text, cmd FROM pg_policies WHERE schemaname = 'trustpack' AND policyname <> 'tenant_rows'"
        " ORDER BY tablename",
    )

    assert others == [(table, "{trustpack_system}", "SELECT") for table in sorted(READABLE_BY_SYSTEM)]


def test_the_tenant_column_is_never_empty_and_plain_text(settings: Settings):
    wrong = query(
        settings,
        "SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'tenant_id' AND NOT attisdropped AND attrelid IN"
        " (SELECT oid FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relkind IN ('r', 'p'))"
        " AND NOT (attnotnull AND atttypid = 'text'::regtype)",
    )

    assert wrong == []


def test_every_tenant_table_has_a_primary_key(settings: Settings):
    keyed = set(
        query(
            settings,
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p' AND connamespace = 'trustpack'::regnamespace",
        )
    )

    assert {f"trustpack.{table}" for table in tables_of_tenants(settings)} <= keyed


def test_every_key_of_a_tenant_table_leads_with_the_tenant(settings: Settings):
    keys = query(
        settings,
        "SELECT con.conname::text, att.attname::text FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid"
        " JOIN pg_attribute att ON att.attrelid = con.conrelid AND att.attnum = con.conkey[1]"
        " WHERE c.relnamespace = 'trustpack'::regnamespace AND c.relname = ANY(%s) AND con.contype IN ('p', 'u')",
        tables_of_tenants(settings),
    )

    assert [name for name, first in keys if first != "tenant_id"] == []
    assert keys


def test_every_foreign_key_leads_with_the_tenant_on_both_sides(settings: Settings):
    keys = query(
        settings,
        "SELECT con.conname::text, f.relname::text, here.attname::text AS here, there.attname::text AS there FROM"
        " pg_constraint con"
        " JOIN pg_class f ON f.oid = con.confrelid"
        " JOIN pg_attribute here ON here.attrelid = con.conrelid AND here.attnum = con.conkey[1]"
        " JOIN pg_attribute there ON there.attrelid = con.confrelid AND there.attnum = con.confkey[1]"
        " WHERE con.connamespace = 'trustpack'::regnamespace AND con.contype = 'f'",
    )

    crossing = {(name, table) for name, table, here, there in keys if (here, there) != ("tenant_id", "tenant_id")}
    assert crossing == REFERENCES_TO_GLOBAL_TABLES


def test_no_foreign_key_removes_or_changes_rows(settings: Settings):
    acting = query(
        settings,
        "SELECT conname::text FROM pg_constraint WHERE connamespace = 'trustpack'::regnamespace AND contype = 'f'"
        " AND NOT (confdeltype = 'a' AND confupdtype = 'a')",
    )

    assert acting == []


def test_every_index_of_a_tenant_table_leads_with_the_tenant_but_those_of_the_system(settings: Settings):
    indexes = query(
        settings,
        "SELECT i.relname::text, coalesce(att.attname::text, '(expression)') FROM pg_index x JOIN pg_class i ON i.oid"
        " = x.indexrelid"
        " JOIN pg_class c ON c.oid = x.indrelid"
        " LEFT JOIN pg_attribute att ON att.attrelid = x.indrelid AND att.attnum = x.indkey[0]"
        " WHERE c.relnamespace = 'trustpack'::regnamespace AND c.relname = ANY(%s)",
        tables_of_tenants(settings),
    )

    assert {name for name, first in indexes if first != "tenant_id"} == INDEXES_OVER_ALL_TENANTS


def test_every_index_is_a_b_tree(settings: Settings):
    # Others need operators that are not leakproof, and are not used under row-level security.
    others = query(
        settings,
        "SELECT i.relname::text FROM pg_class i JOIN pg_am am ON am.oid = i.relam"
        " WHERE i.relnamespace = 'trustpack'::regnamespace AND i.relkind IN ('i', 'I') AND am.amname <> 'btree'",
    )

    assert others == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("enum types", "SELECT typname::text FROM pg_type WHERE typtype = 'e' AND typnamespace = 'trustpack'::regnamespace"),
        (
            "sequences",
            (
                "SELECT relname::text FROM pg_class WHERE relkind = 'S' AND relnamespace IN ('trustpack'::regnamespace,"
                " 'public'::regnamespace)"
            ),
        ),
        (
            "identity columns",
            (
                "SELECT attrelid::regclass::text FROM pg_attribute WHERE attidentity <> '' AND attrelid IN"
                " (SELECT oid FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace)"
            ),
        ),
        (
            "exclusion constraints",
            "SELECT conname::text FROM pg_constraint WHERE contype = 'x' AND connamespace = 'trustpack'::regnamespace",
        ),
        ("extensions", "SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql'"),
        (
            "times without zone",
            (
                "SELECT attrelid::regclass::text FROM pg_attribute WHERE atttypid IN ('timestamp'::regtype, 'time'::regtype)"
                " AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace)"
            ),
        ),
        (
            "floats",
            (
                "SELECT attrelid::regclass::text FROM pg_attribute WHERE atttypid IN ('float4'::regtype, 'float8'::regtype)"
                " AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace)"
            ),
        ),
        ("rules", "SELECT rulename::text FROM pg_rules WHERE schemaname = 'trustpack'"),
    ],
    ids=lambda value: value if " " not in value or len(value) < 25 else "",
)
def test_the_schema_has_none_of(settings: Settings, what: str, text: str):
    assert query(settings, text) == [], what


def test_only_days_of_a_contract_are_dates(settings: Settings):
    dates = query(
        settings,
        "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE a.atttypid = 'date'::regtype AND c.relkind IN ('r', 'p') AND c.relnamespace = 'trustpack'::regnamespace",
    )

    assert set(dates) == CALENDAR_DAYS


def test_every_constraint_is_named_after_its_table(settings: Settings):
    strangers = query(
        settings,
        "SELECT con.conname::text FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid"
        " WHERE con.connamespace = 'trustpack'::regnamespace AND con.contype IN ('p', 'u', 'f', 'c')"
        " AND con.conname NOT LIKE c.relname || '\\_%%'",
    )

    assert strangers == []


def test_functions_run_with_the_callers_rights_and_a_fixed_search_path(settings: Settings):
    functions = query(
        settings,
        "SELECT proname::text, prosecdef, proconfig::text FROM pg_proc WHERE pronamespace = 'trustpack'::regnamespace",
    )

    unsafe = [name for name, definer, config in functions if definer or "search_path=pg_catalog, pg_temp" not in (config or "")]
    assert unsafe == []
    assert functions


@pytest.mark.parametrize("role", ["trustpack_app", "trustpack_system", "public"])
def test_no_function_of_ours_can_be_called_directly_but_those_that_read_in_one_round_trip(settings: Settings, role: str):
    callable_ones = query(
        settings,
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'trustpack'::regnamespace AND"
        " has_function_privilege(%s, oid, 'EXECUTE')",
        role,
    )

    assert set(callable_ones) == CALLABLE.get(role, set())


@pytest.mark.parametrize("role", ["trustpack_app", "trustpack_system"])
def test_a_login_of_ours_owns_nothing_and_is_nobody_elses_member(settings: Settings, role: str):
    owned = query(settings, "SELECT relname::text FROM pg_class WHERE relowner = %s::regrole", role)
    memberships = query(settings, "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", role)

    assert (owned, memberships) == ([], [])


@pytest.mark.parametrize("role", ["trustpack_app", "trustpack_system"])
@pytest.mark.parametrize("schema", [SCHEMA, "public"])
def test_a_login_of_ours_cannot_make_anything_in_a_schema(settings: Settings, role: str, schema: str):
    assert query(settings, "SELECT has_schema_privilege(%s, %s, 'CREATE')", role, schema) == [False]


def privileges(settings: Settings, role: str, privilege: str) -> set[str]:
    return set(
        query(
            settings,
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relkind IN ('r', 'p')"
            " AND (has_table_privilege(%s, oid, %s))",
            role,
            privilege,
        )
    )


def test_the_application_removes_rows_only_where_nothing_is_proven_by_them(settings: Settings):
    assert privileges(settings, "trustpack_app", "DELETE") == REMOVABLE_BY_APP


@pytest.mark.parametrize("privilege", ["TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"])
def test_the_application_has_no_right_over_a_whole_table(settings: Settings, privilege: str):
    [version] = query(settings, "SELECT current_setting('server_version_num')::int")
    if privilege == "MAINTAIN" and version < 170_000:
        pytest.skip("MAINTAIN came with PostgreSQL 17")

    assert privileges(settings, "trustpack_app", privilege) == set()


def test_the_application_updates_only_tables_with_a_rule_for_it(settings: Settings):
    assert privileges(settings, "trustpack_app", "UPDATE") == CHANGEABLE_BY_APP


def test_the_application_updates_only_the_named_columns_where_a_row_keeps_its_meaning(settings: Settings):
    columns = query(
        settings,
        "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " AND NOT a.attisdropped WHERE c.relnamespace = 'trustpack'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND has_column_privilege('trustpack_app', c.oid, a.attnum, 'UPDATE')"
        " AND NOT has_table_privilege('trustpack_app', c.oid, 'UPDATE')",
    )

    found: dict[str, set[str]] = {}
    for table, column in columns:
        found.setdefault(table, set()).add(column)
    assert found == COLUMNS_CHANGEABLE_BY_APP


def test_the_application_reads_which_table_holds_each_kind_of_subject_but_cannot_change_it(settings: Settings):
    held = {
        privilege for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")
        if "governed_tables" in privileges(settings, "trustpack_app", privilege)
    }  # fmt: skip

    assert held == {"SELECT"}


def test_every_table_of_subjects_is_known_by_its_kind(settings: Settings):
    known = query(settings, "SELECT kind, table_name FROM trustpack.governed_tables")
    governed = query(
        settings,
        "SELECT c.relname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE t.tgname = 'receipt_for_every_version' AND t.tgenabled = 'O' AND t.tgdeferrable AND t.tginitdeferred",
    )

    assert dict(known) == {
        "tenant": "tenants",
        "person": "people",
        "team": "teams",
        "token": "tokens",
        "target": "targets",
        "high_risk_request": "high_risk_requests",
        "opportunity": "opportunities",
        "lead": "leads",
        "quote": "quotes",
        "price_book": "price_books",
        "delegation": "delegations",
        "session": "sessions",
        "invitation": "invitations",
    }
    assert sorted(governed) == sorted(dict(known).values())


def test_the_system_role_writes_nothing(settings: Settings):
    for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
        assert privileges(settings, "trustpack_system", privilege) == set(), privilege


def test_the_system_role_reads_only_the_columns_that_it_needs(settings: Settings):
    columns = query(
        settings,
        "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " AND NOT a.attisdropped WHERE c.relnamespace = 'trustpack'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND has_column_privilege('trustpack_system', c.oid, a.attnum, 'SELECT')",
    )

    found: dict[str, set[str]] = {}
    for table, column in columns:
        found.setdefault(table, set()).add(column)
    assert found == READABLE_BY_SYSTEM


def test_the_public_has_no_right_on_any_table(settings: Settings):
    granted = query(
        settings,
        "SELECT relname::text FROM pg_class, aclexplode(relacl) acl WHERE relnamespace = 'trustpack'::regnamespace AND"
        " acl.grantee = 0",
    )

    assert granted == []
