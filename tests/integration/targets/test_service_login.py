"""The login that trustpack itself uses: it may call our functions, and these accept only what they should."""

from __future__ import annotations

import base64
from dataclasses import replace

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.targets import GRANTEE_PASSWORD, granted, handed_out, marked, reverted
from trustpack.capabilities.operations.model import TargetRefused, TargetUnavailable


@pytest.fixture
def service(target):
    with psycopg.connect(target.service_url, autocommit=True) as conn:
        yield conn


def call(target, function, arguments):
    placeholders = sql.SQL(", ").join(sql.Placeholder() * arguments)
    return sql.SQL("select {}({})").format(sql.Identifier(target.names.api, function), placeholders)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from public.orders",
        "select * from {views}.orders",
        "select * from {state}.grants",
        "update {state}.settings set max_duration_seconds = 1000000",
        "select {state}.take_over(null)",
        "select {state}.signal_sessions(1)",
        "select {state}.current_verifier_digest('postgres')",
        "create role mine",
        "alter role postgres password 'x'",
        "alter role {reader} login",
        "grant {reader} to {service}",
        "set role {provisioner}",
        "set role {owner}",
        "create schema mine",
        "select * from pg_authid",
    ],
)
def test_the_service_login_may_do_nothing_but_call_the_functions(target, service, statement):
    kinds = ("views", "state", "reader", "service", "provisioner", "owner")
    places = {kind: sql.Identifier(getattr(target.names, kind)) for kind in kinds}

    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)):
        service.execute(sql.SQL(statement).format(**places))


def test_the_service_login_cannot_end_sessions_of_others(target, service):
    with target.superuser() as conn, pytest.raises(errors.InsufficientPrivilege):
        service.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))


def test_the_service_login_has_no_attribute_and_no_group(target):
    with target.superuser() as conn:
        row = conn.execute(
            "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolinherit,"
            " (select count(*) from pg_auth_members where member = pg_roles.oid) from pg_roles where rolname = %s",
            (target.names.service,),
        ).fetchone()

    assert row == (False, False, False, False, False, False, 0)


def test_nobody_else_may_call_the_functions(target, service):
    with target.superuser() as conn:
        open_to_all = conn.execute(
            "select proname from pg_proc where pronamespace::regnamespace::text like 'trustpack%'"
            " and has_function_privilege('public', oid, 'execute')"
        ).fetchall()

    assert open_to_all == []


VALID = "SCRAM-SHA-256$4096:{salt}${key}:{key}".format(
    salt=base64.b64encode(b"s" * 16).decode(), key=base64.b64encode(b"k" * 32).decode()
)


@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "a-password-in-clear-text",
        "md5" + "0" * 32,
        VALID.replace("SCRAM-SHA-256", "scram-sha-256"),
        VALID.replace("$4096", "$0"),
        VALID.replace("$4096", "$1"),
        VALID.replace("$4096", "$4095"),
        VALID.replace("$4096", "$200001"),
        VALID.replace("$4096", "$04096"),
        VALID.replace("$4096", "$999999999999"),
        VALID + " ",
        VALID + "\n",
        "\n" + VALID,
        VALID[:-1],
        VALID[:-4],
        VALID + "' superuser --",
        VALID.replace(":", ":'", 1),
        VALID.replace("=$", "$", 1),
        VALID.replace("c3Nz", "", 1),
        "SCRAM-SHA-256$4096:c2hvcnQ=$" + VALID.split("$")[2],
        "SCRAM-SHA-256$4096:%s$%s:%s",
        "x" * 100_000,
    ],
    ids=lambda verifier: repr(verifier)[:40],
)
@pytest.mark.adversarial(31)
async def test_only_a_well_formed_verifier_is_accepted(target, adapter, service, order, verifier):
    await granted(adapter, target.definition, order)

    with pytest.raises(errors.DatabaseError) as caught:
        service.execute(call(target, "set_verifier", 3), (order.role_name, verifier, 1))

    assert caught.value.sqlstate == "TP001"
    with target.superuser() as conn:
        assert conn.execute("select rolpassword from pg_authid where rolname = %s", (order.role_name,)).fetchone() == (None,)


async def test_a_well_formed_verifier_is_stored_as_it_is(target, adapter, service, order):
    await granted(adapter, target.definition, order)

    service.execute("set password_encryption = 'md5'")
    service.execute(call(target, "set_verifier", 3), (order.role_name, VALID, 1))

    with target.superuser() as conn:
        assert conn.execute("select rolpassword from pg_authid where rolname = %s", (order.role_name,)).fetchone() == (VALID,)


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "postgres",
        "tpk_",
        "tpk_" + "0" * 31,
        "tpk_" + "0" * 33,
        "tpk_" + "G" * 32,
        "TPK_" + "0" * 32,
        "tpk_" + "0" * 31 + "\n",
        "tpk_" + "0" * 32 + "\n",
        "tpk_'; drop role x; --" + "0" * 14,
        'tpk_"' + "0" * 31,
    ],
    ids=repr,
)
@pytest.mark.adversarial(31)
def test_only_names_of_temporary_roles_are_accepted(target, service, name):
    for function, arguments in (
        ("grant_access", (name, "acme", 60, 1, None)),
        ("set_verifier", (name, VALID, 1)),
        ("expire", (name,)),
        ("kill", (name, 10)),
        ("begin_login_probe", (name, VALID)),
        ("drop_role", (name, None)),
        ("prove", (name,)),
        ("locate", (name,)),
        ("take_turn", (name,)),
    ):
        with pytest.raises(errors.DatabaseError) as caught:
            service.execute(call(target, function, len(arguments)), arguments)
        assert caught.value.sqlstate.startswith("TP"), function


@pytest.mark.parametrize("change", [{"duration_seconds": None}, {"scope": None}, {"connection_limit": None}], ids=str)
async def test_a_missing_value_is_refused(target, adapter, order, change):
    with pytest.raises(TargetRefused):
        await granted(adapter, target.definition, replace(order, **change))


async def test_a_live_grant_cannot_be_killed_probed_or_dropped(target, adapter, service, order):
    await granted(adapter, target.definition, order)

    for function, arguments in (
        ("kill", (order.role_name, 10)),
        ("begin_login_probe", (order.role_name, VALID)),
        ("drop_role", (order.role_name, None)),
    ):
        with pytest.raises(errors.DatabaseError, match="no expired grant"):
            service.execute(call(target, function, len(arguments)), arguments)


async def test_an_ended_grant_gets_no_password(target, adapter, service, order):
    await granted(adapter, target.definition, order)
    service.execute(call(target, "expire", 1), (order.role_name,))

    with pytest.raises(TargetRefused, match="no live grant"):
        await handed_out(adapter, target.definition, order.role_name)


@pytest.mark.parametrize(
    "setting",
    [
        "search_path = public",
        "datestyle = 'German'",
        "timezone = 'Asia/Tokyo'",
        "synchronous_commit = off",
        "intervalstyle = 'sql_standard'",
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
    ],
)
async def test_settings_of_the_caller_change_nothing(target, adapter, service, order, setting):
    approved = (await adapter.identify(target.definition)).facts["installation_digest"]
    service.execute(f"set {setting}")

    report = service.execute(call(target, "grant_access", 5), (order.role_name, "acme", 600, 2, approved)).fetchone()[0]

    with target.superuser() as conn:
        same = conn.execute(
            "select rolvaliduntil = %s::timestamptz from pg_roles where rolname = %s", (report["expires_at"], order.role_name)
        ).fetchone()
    assert same == (True,)


@pytest.mark.adversarial(33)
async def test_no_secret_reaches_the_log_or_an_error(target, adapter, order):
    await granted(adapter, target.definition, order)
    with target.superuser() as conn:
        conn.execute("begin")
        conn.execute("select rolname from pg_authid where rolname = %s for update", (order.role_name,))
        conn.execute(sql.SQL("alter role {} connection limit 1").format(sql.Identifier(order.role_name)))
        impatient = target.service_url + "?options=-c%20statement_timeout%3D200"
        with psycopg.connect(impatient, autocommit=True) as service, pytest.raises(psycopg.Error) as caught:
            service.execute(call(target, "set_verifier", 3), (order.role_name, VALID, 1))
        conn.execute("rollback")
    with pytest.raises(TargetUnavailable) as unavailable:
        await target.adapter(resolve_secret=lambda _: target.service_url.replace("service-only", "wrong")).identify(
            target.definition
        )

    key = VALID.split("$")[2][:40]
    log = target.cluster.log_path.read_text(errors="replace")
    for text in (str(caught.value), repr(caught.value.diag.context), log):
        assert key not in text
        assert GRANTEE_PASSWORD not in text
    assert "statement timeout" in log or "SQLSTATE 57014" in log or "lock timeout" in log
    assert "wrong-for-tests" not in str(unavailable.value) + repr(unavailable.value.data)


async def test_the_digest_notices_what_is_changed(target, adapter):
    before = await adapter.identify(target.definition)
    names = target.names
    changes = [
        (
            f"create or replace view {names.views}.refunds with (security_barrier) as select id, tenant, amount from refunds",
            None,
        ),
        (f"grant select on {names.state}.grants to public", f"revoke select on {names.state}.grants from public"),
        (
            f"grant execute on function {names.api}.identify() to public",
            f"revoke execute on function {names.api}.identify() from public",
        ),
        (f"grant select on public.refunds to {names.reader}", f"revoke select on public.refunds from {names.reader}"),
        (f"grant {names.owner} to {names.service}", f"revoke {names.owner} from {names.service}"),
        (f"alter role {names.service} createrole", f"alter role {names.service} nocreaterole"),
        (
            f"update {names.state}.settings set max_duration_seconds = max_duration_seconds + 1",
            f"update {names.state}.settings set max_duration_seconds = max_duration_seconds - 1",
        ),
        (f"insert into {names.state}.scopes values ('globex')", f"delete from {names.state}.scopes"),
        (
            f"alter view {names.views}.orders set (security_barrier = false)",
            f"alter view {names.views}.orders set (security_barrier = true)",
        ),
    ]
    with target.superuser() as conn:
        definition = conn.execute("select pg_get_viewdef(%s::regclass)", (f"{names.views}.refunds",)).fetchone()[0]
        restore = f"create or replace view {names.views}.refunds with (security_barrier) as {definition}"
        for change, undo in changes:
            conn.execute(change)
            assert (await adapter.identify(target.definition)).digest != before.digest, change
            conn.execute(undo or restore)
            assert (await adapter.identify(target.definition)).digest == before.digest, undo or restore


async def test_the_digest_does_not_notice_what_a_grantee_can_do(target, adapter, order, grant_access):
    before = await adapter.identify(target.definition)
    role_name = await grant_access(order)
    reader = sql.Identifier(target.names.reader)
    with target.grantee(role_name) as conn:
        conn.execute("create temporary table mine (id integer)")
        conn.execute(sql.SQL("grant select on mine to {}").format(reader))
        conn.execute(sql.SQL("alter default privileges grant select on tables to {}").format(reader))
        if target.version < 16:
            conn.execute(sql.SQL("set role {}").format(reader))
            conn.execute("create temporary table ours (id integer)")
            conn.execute("select lo_create(0)")

        assert await adapter.identify(target.definition) == before
        assert (await reverted(adapter, target.definition, role_name)).proven


async def test_the_later_of_two_credentials_wins(target, adapter, order):
    await granted(adapter, target.definition, order)
    mark = await marked(adapter, target.definition, order.role_name)
    await adapter.set_verifier(target.definition, mark, password="second", generation=2)

    for generation in (2, 1, 0, -1, None):
        with pytest.raises(TargetRefused):
            await adapter.set_verifier(target.definition, mark, password="late", generation=generation)
    target.grantee(order.role_name, password="second").close()

    await adapter.set_verifier(target.definition, mark, password="third", generation=3)
    target.grantee(order.role_name, password="third").close()
    with pytest.raises(psycopg.OperationalError):
        target.grantee(order.role_name, password="second")


async def test_grantees_are_sent_where_the_definition_says(target, adapter, order):
    await granted(adapter, target.definition, order)
    mark = await marked(adapter, target.definition, order.role_name)
    elsewhere = replace(target.definition, public_host="db.example.com", public_port=6432)

    as_the_service = await adapter.set_verifier(target.definition, mark, password="x", generation=1)
    as_defined = await adapter.set_verifier(elsewhere, mark, password="x", generation=2)

    assert (as_the_service.host, as_the_service.port) == ("127.0.0.1", target.cluster.port)
    assert (as_defined.host, as_defined.port, as_defined.database) == ("db.example.com", 6432, target.database)
