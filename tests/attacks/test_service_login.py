"""Somebody holds the service's own login: every argument is checked, no setting or object of the session is trusted.

Source: research/jit-provisioning section 2.
"""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg import errors, sql

from tests.attacks.test_installed_rights import MEMBERSHIPS
from tests.support.attacks import answer, statement
from tests.support.targets import granted, handed_out, reverted
from trustpack.capabilities.operations.model import TargetRefused

SHADOWS = """
    create temporary table grants (role_name text, role_oid oid, scope text, expires_at timestamptz, dropped_at timestamptz);
    create temporary table settings as select 10000 as max_duration_seconds, 99 as max_connection_limit, 99 as max_live_grants;
    create temporary table scopes (scope text);
    create temporary table pg_roles (oid oid, rolname text, rolcanlogin boolean);
    create temporary table pg_auth_members (member oid, roleid oid);
    create function pg_temp.clock_timestamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$;
    create function pg_temp.length(text) returns integer language sql as 'select 36';
    create function pg_temp.format(text, text) returns text language sql as $$ select 'alter role x superuser' $$;
    create function pg_temp.role_is_ours(text) returns boolean language sql as 'select true';
    create function pg_temp.sha256(bytea) returns bytea language sql as 'select $1';
"""

SETTINGS = [
    "set search_path = pg_temp, public",
    "set standard_conforming_strings = off",
    "set escape_string_warning = off",
    "set quote_all_identifiers = on",
    "set backslash_quote = on",
    "set password_encryption = md5",
    "set check_function_bodies = off",
    "set default_transaction_isolation = serializable",
    "set transform_null_equals = on",
    "set client_encoding = latin1",
    "set plpgsql.variable_conflict = use_column",
    "set lock_timeout = 1",
]


@pytest.fixture
def service(target):
    with psycopg.connect(target.service_url, autocommit=True) as conn:
        yield conn


@pytest.mark.adversarial(31)
async def test_objects_and_settings_of_the_session_are_not_trusted(target, adapter, service, order):
    approved = (await adapter.identify(target.definition)).facts["installation_digest"]
    for line in (*SHADOWS.strip().split("\n"), *SETTINGS):
        service.execute(line)
    if target.version >= 16:
        service.execute("set createrole_self_grant = 'set, inherit'")
    grant = statement(target, "select {api}.grant_access(%s, %s, %s, %s, %s)")

    report = service.execute(grant, (order.role_name, "acme'; \\'", 600, 2, approved)).fetchone()[0]
    with pytest.raises(errors.DatabaseError, match="duration is not within 1 and 7200"):
        service.execute(grant, ("tpk_" + "f" * 32, "acme", 7201, 2, approved))

    with target.superuser() as conn:
        role = conn.execute(
            "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin, rolinherit, rolconnlimit,"
            " rolvaliduntil = %s::timestamptz from pg_roles where rolname = %s",
            (report["expires_at"], order.role_name),
        ).fetchone()
        scope = conn.execute(
            statement(target, "select scope from {state}.grants where role_name = %s"), (order.role_name,)
        ).fetchone()
        reach = [row[2:] for row in conn.execute(MEMBERSHIPS, (order.role_name,)) if row[0] == order.role_name]
    assert role == (False, False, False, False, False, True, True, 2, True)
    assert scope == ("acme'; \\'",)
    assert reach == ([(True, False, False)] if target.version >= 16 else [])
    await handed_out(adapter, target.definition, order.role_name)
    assert (await reverted(adapter, target.definition, order.role_name)).proven


@pytest.mark.adversarial(31)
@pytest.mark.parametrize(
    "change",
    [{"duration_seconds": seconds} for seconds in (0, -1, 7201, 2**31 - 1)]
    + [{"connection_limit": limit} for limit in (0, -1, 6, 2**31 - 1)],
    ids=str,
)
async def test_durations_and_limits_outside_the_definition_are_refused(target, adapter, order, change):
    with pytest.raises(TargetRefused):
        await granted(adapter, target.definition, replace(order, **change))

    assert await granted(adapter, target.definition, order)


@pytest.mark.adversarial(32)
async def test_a_name_is_used_once(target, adapter, order, grant_access):
    await grant_access(order)
    assert (await granted(adapter, target.definition, order)).adopted
    with pytest.raises(TargetRefused, match="used before"):
        await granted(adapter, target.definition, replace(order, scope="globex"))
    assert (await reverted(adapter, target.definition, order.role_name)).proven

    with pytest.raises(TargetRefused, match="used before"):
        await granted(adapter, target.definition, order)


async def test_a_grant_that_was_made_behind_our_back_is_in_the_inventory(target, adapter, service, order):
    approved = (await adapter.identify(target.definition)).facts["installation_digest"]
    service.execute(statement(target, "select {api}.grant_access(%s, 'globex', 60, 1, %s)"), (order.role_name, approved))

    roles = {role.name: role for role in (await adapter.inventory(target.definition)).roles}

    assert roles[order.role_name].scope == "globex"
    assert (await reverted(adapter, target.definition, order.role_name)).proven


def test_the_service_login_cannot_change_its_own_limits(target, service):
    for attempt in ("connection limit 1000", "inherit", "createrole", "valid until 'infinity'"):
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute(sql.SQL("alter role {} {}").format(sql.Identifier(target.names.service), sql.SQL(attempt)))
    assert answer(service, statement(target, "grant {service} to {reader}")) == "42501"
