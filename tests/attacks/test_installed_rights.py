"""What the installation's own roles may do, by version and installer. Source: research/jit-provisioning section 1."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.attacks import ALLOWED, DENIED, answer, statement
from tests.support.targets import CONNECT_SECONDS, granted, reverted
from trustpack.capabilities.operations.adapters.postgres.session import open_session
from trustpack.capabilities.operations.model import TargetNotPrepared

MEMBERSHIPS = """
    select roleid::regrole::text, member::regrole::text, admin_option,
           to_jsonb(m) -> 'inherit_option' = 'true', to_jsonb(m) -> 'set_option' = 'true'
      from pg_auth_members as m where %s::regrole in (roleid, member) order by 1
"""


@pytest.fixture
def administrator(target):
    with target.superuser() as conn:
        yield conn


async def test_nobody_inherits_a_role_before_its_end_and_nobody_may_ever_become_it(target, administrator, order, grant_access):
    role_name = await grant_access(order)
    names = target.names

    live = administrator.execute(MEMBERSHIPS, (role_name,)).fetchall()
    async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as service:
        await service.call("expire", role_name)
    expired = administrator.execute(MEMBERSHIPS, (role_name,)).fetchall()

    if target.version >= 16:
        assert live == [
            (role_name, names.provisioner, True, False, False),
            (names.reader, role_name, False, True, False),
        ]
        assert sorted(expired) == [
            (role_name, names.provisioner, False, True, False),
            (role_name, names.provisioner, True, False, False),
        ]
    else:
        assert live == [(names.reader, role_name, False, None, None)]
        assert expired == [(role_name, names.provisioner, False, None, None)]


async def test_a_grant_adds_to_no_access_list(target, administrator, order, grant_access):
    lists = (
        "select relname, relacl::text from pg_class"
        " where relnamespace::regnamespace::text ~ '^(public|trustpack)' and relacl is not null order by 1"
    )
    before = administrator.execute(lists).fetchall()

    await grant_access(order)

    assert administrator.execute(lists).fetchall() == before


def test_only_a_superusers_installation_pins_settings_and_signals_any_session(target, administrator):
    by_superuser = target.installed_by == "superuser"
    provisioner = target.names.provisioner

    pins = administrator.execute("select has_parameter_privilege(%s, 'log_statement', 'set')", (provisioner,)).fetchone()
    killers = administrator.execute(
        "select count(*) from pg_auth_members where roleid = 'pg_signal_backend'::regrole and member::regrole::text = %s",
        (target.names.killer,),
    ).fetchone()

    assert (pins, killers) == ((by_superuser,), (int(by_superuser),))
    assert bool(target.report.missing_protections) != by_superuser


def test_an_owner_cannot_hand_out_what_only_a_superuser_can(target):
    if target.installed_by == "superuser":
        pytest.skip("a superuser can")
    with psycopg.connect(target.admin_url) as conn:
        parameter = answer(conn, statement(target, "grant set on parameter log_statement to {provisioner}"))
        conn.rollback()
        signals = answer(conn, statement(target, "grant pg_signal_backend to {provisioner}"))
        conn.rollback()

    assert parameter == DENIED
    assert signals == (DENIED if target.version >= 16 else ALLOWED)


@pytest.mark.parametrize(
    "reach",
    [
        "grant pg_execute_server_program to {provisioner}",
        "grant pg_read_all_data to {provisioner}",
        "alter role {bystander} password 'x'",
    ],
)
def test_the_provisioner_reaches_beyond_its_roles_before_16_only(target, administrator, reach):
    with administrator.transaction(force_rollback=True):
        administrator.execute(statement(target, "create role {bystander} login", bystander="bystander"))
        administrator.execute(statement(target, "set local role {provisioner}"))

        assert answer(administrator, statement(target, reach, bystander="bystander")) == (
            DENIED if target.version >= 16 else ALLOWED
        )


@pytest.mark.parametrize(
    "reach", ["select * from public.orders", "create table public.mine (i integer)", "alter role postgres password 'x'"]
)
def test_the_provisioner_reads_no_table_and_reaches_no_superuser(target, administrator, reach):
    with administrator.transaction(force_rollback=True):
        administrator.execute(statement(target, "set local role {provisioner}"))

        assert answer(administrator, statement(target, reach)) == DENIED


def test_before_16_the_provisioner_holds_the_group_too_and_sees_no_row_through_it(target, administrator):
    read = statement(target, "select count(*) from {views}.orders")
    with administrator.transaction(force_rollback=True):
        administrator.execute(statement(target, "set local role {provisioner}"))

        if target.version >= 16:
            assert answer(administrator, read) == DENIED
        else:
            assert administrator.execute(read).fetchone() == (0,)


def test_the_owner_of_the_views_reads_no_hidden_and_no_redacted_column(target, administrator):
    with administrator.transaction(force_rollback=True):
        administrator.execute(statement(target, "set local role {owner}"))
        administrator.execute("select id, tenant, email, phone, amount from public.orders limit 1")

        assert answer(administrator, "select card_number from public.orders") == DENIED
    with administrator.transaction(force_rollback=True):
        administrator.execute(statement(target, "set local role {owner}"))
        assert answer(administrator, "select note from public.orders") == DENIED


async def test_a_role_that_was_taken_from_the_provisioner_shows_nothing_and_is_dropped_once_given_back(
    target, adapter, administrator, order, grant_access
):
    if target.version < 16:
        pytest.skip("the provisioner needs no membership before PostgreSQL 16")
    role_name = await grant_access(order)
    mine = {"role": sql.Identifier(role_name), "provisioner": sql.Identifier(target.names.provisioner)}
    with target.grantee(role_name) as session:
        administrator.execute(sql.SQL("revoke {role} from {provisioner}").format(**mine))

        with pytest.raises(TargetNotPrepared) as stopped:
            await reverted(adapter, target.definition, role_name)
        readable = answer(session, statement(target, "select * from {views}.orders"))

        administrator.execute(sql.SQL("grant {role} to {provisioner} with admin option").format(**mine))
        outcome = await reverted(adapter, target.definition, role_name)
        assert answer(session, "select 1") != ALLOWED

    assert stopped.value.data["sqlstate"] == DENIED
    assert readable == DENIED
    assert outcome.proven, outcome.blockers


@pytest.mark.adversarial(28)
async def test_a_grant_that_fails_half_way_leaves_nothing(target, adapter, administrator, order):
    approved = (await adapter.identify(target.definition)).facts["installation_digest"]
    grant = statement(target, "select {api}.grant_access(%s, 'acme', 60, 1, %s)")
    with psycopg.connect(target.service_url, autocommit=True) as service, administrator.transaction():
        administrator.execute("lock table pg_db_role_setting in share mode")
        service.execute("set statement_timeout = '300ms'")
        with pytest.raises(errors.QueryCanceled):
            service.execute(grant, (order.role_name, approved))

    left = administrator.execute(
        statement(
            target,
            "select (select count(*) from pg_roles where rolname = %(role)s),"
            " (select count(*) from {state}.grants where role_name = %(role)s)",
        ),
        {"role": order.role_name},
    ).fetchone()
    assert left == (0, 0)
    assert (await granted(adapter, target.definition, order)).adopted is False
