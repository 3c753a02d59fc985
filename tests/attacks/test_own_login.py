"""What a grantee may do to its own role, and why none of it makes the access longer or wider.

Source: research/jit-provisioning section 6.
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.support.attacks import ALLOWED, DENIED, answer, let_end, statement
from tests.support.targets import CONNECT_SECONDS, GRANTEE_PASSWORD, marked, reverted
from trustpack.capabilities.operations.adapters.postgres.session import open_session

CHANGES = ["alter role current_user password 'my-own'", "alter role current_user password 'grantee-only-for-tests'"]


@pytest.mark.adversarial(42)
@pytest.mark.parametrize("change", CHANGES, ids=["another", "the same again"])
async def test_a_changed_password_is_noticed_where_a_superuser_installed(target, adapter, order, grant_access, change):
    role_name = await grant_access(order)
    before = (await adapter.inventory(target.definition)).password_changed
    with target.grantee(role_name) as conn:
        conn.execute(change)

    after = (await adapter.inventory(target.definition)).password_changed

    assert (before, after) == ((frozenset(), {role_name}) if target.installed_by == "superuser" else (None, None))
    assert (await reverted(adapter, target.definition, role_name)).proven


@pytest.mark.adversarial(42)
async def test_a_changed_password_gives_way_to_the_next_credentials(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        conn.execute("alter role current_user password 'my-own'")
    target.grantee(role_name, password="my-own").close()
    mark = await marked(adapter, target.definition, role_name)

    await adapter.set_verifier(target.definition, mark, password="the-next-one", generation=2)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        target.grantee(role_name, password="my-own")
    assert (await reverted(adapter, target.definition, role_name)).proven


@pytest.mark.adversarial(42)
async def test_a_password_set_after_the_end_opens_no_login(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as session:
        async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as service:
            await service.call("expire", role_name)
        changed = answer(session, "alter role current_user password 'my-own'")
        lengthened = answer(session, "alter role current_user valid until 'infinity'")
        readable = answer(session, statement(target, "select * from {views}.orders"))

        with pytest.raises(psycopg.OperationalError, match=r"not permitted to log in|password authentication failed"):
            target.grantee(role_name, password="my-own")

    assert (changed, lengthened, readable) == (ALLOWED, DENIED, DENIED)
    assert (await reverted(adapter, target.definition, role_name)).proven


@pytest.mark.adversarial(42)
async def test_an_own_password_ends_with_the_grant_with_nothing_revoked(target, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as session:
        session.execute("alter role current_user password 'my-own'")
        let_end(target, role_name)
        assert session.execute("select count(*) from orders").fetchone() == (0,)

    for password in ("my-own", GRANTEE_PASSWORD):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            target.grantee(role_name, password=password)


@pytest.mark.adversarial(43)
async def test_own_settings_reach_the_next_session_and_widen_nothing(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    mine = {
        "search_path": "public",
        "row_security": "off",
        "default_transaction_read_only": "off",
        "default_transaction_isolation": "repeatable read",
        "work_mem": "1GB",
        "statement_timeout": "0",
        "datestyle": "German",
        "timezone": "Pacific/Kiritimati",
        "transform_null_equals": "on",
        "debug_parallel_query" if target.version >= 16 else "force_parallel_mode": "on",
    }
    change = sql.SQL("alter role current_user set {} = {}")
    with target.grantee(role_name) as conn:
        conn.execute("alter role current_user reset all")
        for name, value in mine.items():
            conn.execute(change.format(sql.Identifier(name), sql.Literal(value)))

    with target.grantee(role_name) as conn:
        assert conn.execute("show timezone").fetchone() == ("Pacific/Kiritimati",)
        assert conn.execute(statement(target, "select distinct tenant from {views}.orders")).fetchall() == [("acme",)]
        if target.installed_by == "superuser":
            assert conn.execute("show log_statement").fetchone() == ("all",)
    outcome = await reverted(adapter, target.definition, role_name)
    assert outcome.proven, outcome.blockers
    assert outcome.proof["checks"]["role_settings"] == 0


@pytest.mark.parametrize(
    "option", ["role=postgres", "session_authorization=postgres", "session_replication_role=replica", "log_statement=none"]
)
def test_start_up_options_that_would_widen_the_access_are_refused(target, grantee, option):
    with pytest.raises(psycopg.OperationalError, match="permission denied to set"):
        target.grantee(grantee.info.user, options=f"-c {option}")


@pytest.mark.adversarial(43)
@pytest.mark.parametrize("option", ["search_path=public", "row_security=off", "post_auth_delay=1", "ignore_system_indexes=on"])
def test_start_up_options_that_are_taken_widen_nothing(target, grantee, option):
    with target.grantee(grantee.info.user, options=f"-c {option}") as conn:
        tenants = conn.execute(statement(target, "select distinct tenant from {views}.orders")).fetchall()

        assert tenants == [("acme",)]
        assert answer(conn, "select * from public.orders") == DENIED
