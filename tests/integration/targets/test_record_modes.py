"""What a target keeps of accesses is chosen in its definition; changing that, and losing it, never stops a grant or its end."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg import errors, sql
from structlog.testing import capture_logs

from tests.support.targets import SERVICE_PASSWORD, TargetDatabase, a_definition, granted, handed_out, prepare, reverted
from trustpack.capabilities.operations.adapters.postgres.install import install
from trustpack.capabilities.operations.model import AccessCounts, RecordMode, TargetNotPrepared


@pytest.fixture
def prepared(server, new_name):
    """Prepare a database of its own for a test, with the record that it asks for."""
    version, cluster = server

    def prepare_for(record):
        return prepare(cluster, version=version, installed_by="superuser", name=new_name, record=record)

    return prepare_for


async def grantee_of(target, definition, order):
    adapter = target.adapter()
    await granted(adapter, definition, order)
    await handed_out(adapter, definition, order.role_name)
    return target.grantee(order.role_name)


def counters(target):
    with target.superuser() as conn:
        query = "select relname from pg_class where relkind = 'S' and relnamespace = %s::regnamespace order by 1"
        return [name for (name,) in conn.execute(query, (target.names.state,))]


async def test_a_counter_counts_and_keeps_no_text(prepared, order):
    target = prepared("counter")
    with await grantee_of(target, target.definition, order) as conn:
        conn.execute("select 'private' from orders")
        conn.execute("begin; select 'private' from orders; rollback")
        with pytest.raises(errors.ReadOnlySqlTransaction):
            conn.execute("begin read only; select * from orders")

    outcome = await reverted(target.adapter(), target.definition, order.role_name)

    assert outcome.accesses.mode == RecordMode.COUNTER
    assert outcome.accesses.counts == AccessCounts(touched=2, recorded=0, not_kept=2, rolled_back=0)
    assert outcome.accesses.statements == ()
    assert f"{order.role_name} touches" not in target.cluster.log_path.read_text(errors="replace")


async def test_without_a_record_reading_writes_nothing_at_all(prepared, order):
    target = prepared("none")
    with await grantee_of(target, target.definition, order) as conn:
        conn.execute("begin read only")
        assert conn.execute("select count(*) from orders").fetchone() == (100,)
        assert conn.execute("select txid_current_if_assigned()").fetchone() == (None,)
    during = counters(target)
    with target.superuser() as conn:
        scope = f"{target.names.views}.scope"
        kind = conn.execute("select provolatile, proparallel from pg_proc where oid = %s::regproc", (scope,)).fetchone()

    outcome = await reverted(target.adapter(), target.definition, order.role_name)

    assert outcome.proven
    assert (outcome.accesses.mode, outcome.accesses.counts) == (RecordMode.NONE, None)
    assert during == []
    assert [letter if isinstance(letter, str) else letter.decode() for letter in kind] == ["s", "r"]


async def test_another_choice_is_another_installation(prepared, order):
    target = prepared("none")
    recording = replace(target.definition, record=RecordMode.STATEMENTS)
    adapter = target.adapter()
    before = await adapter.identify(target.definition)

    with pytest.raises(TargetNotPrepared):
        await adapter.identify(recording)
    with psycopg.connect(target.admin_url) as conn:
        install(conn, recording)

    assert (await adapter.identify(recording)).digest != before.digest


async def test_a_live_grant_keeps_its_rows_and_its_record_when_the_choice_changes(prepared, order, another_order):
    target = prepared("none")
    recording = replace(target.definition, record=RecordMode.STATEMENTS)
    with await grantee_of(target, target.definition, order) as unrecorded:
        with psycopg.connect(target.admin_url) as conn:
            install(conn, recording)
        with await grantee_of(target, recording, another_order) as recorded:
            for conn in (unrecorded, recorded):
                assert conn.execute("select count(*) from orders").fetchone() == (100,)
            with psycopg.connect(target.admin_url) as conn:
                install(conn, target.definition)
            assert recorded.execute("select count(*) from orders").fetchone() == (100,)

            outcomes = [await reverted(target.adapter(), target.definition, one.role_name) for one in (order, another_order)]

    assert [outcome.proven for outcome in outcomes] == [True, True]
    assert [outcome.accesses.mode for outcome in outcomes] == [RecordMode.NONE, RecordMode.STATEMENTS]
    assert outcomes[1].accesses.counts == AccessCounts(touched=1, recorded=1, not_kept=0, rolled_back=0)


async def test_a_grant_made_before_there_was_a_record_goes_on_and_ends(prepared, order):
    target = prepared("none")
    recording = replace(target.definition, record=RecordMode.STATEMENTS)
    state = sql.Identifier(target.names.state)
    added = sql.SQL("drop column record, drop column touched, drop column pruned_at")
    with await grantee_of(target, target.definition, order) as conn:
        with psycopg.connect(target.admin_url) as admin:
            # As an installation of the layout before left it.
            admin.execute(sql.SQL("drop table {}.accesses").format(state))
            admin.execute(sql.SQL("alter table {}.grants {}").format(state, added))
            admin.execute(sql.SQL("alter table {}.settings drop column record").format(state))
            install(admin, recording)
        assert conn.execute("select count(*) from orders").fetchone() == (100,)

    outcome = await reverted(target.adapter(), recording, order.role_name)

    assert outcome.proven
    assert outcome.accesses.mode == RecordMode.NONE


async def test_a_record_that_cannot_be_read_is_said_loudly_and_does_not_stop_the_revert(prepared, order):
    target = prepared("statements")
    with await grantee_of(target, target.definition, order) as conn:
        conn.execute("select count(*) from orders")
    with target.superuser() as conn:
        conn.execute(sql.SQL("drop function {}.access_record(text)").format(sql.Identifier(target.names.api)))

    with capture_logs() as logs:
        outcome = await reverted(target.adapter(), target.definition, order.role_name)

    assert outcome.proven
    assert (outcome.accesses.counts, outcome.accesses.statements) == (None, ())
    assert outcome.accesses.unavailable.startswith("operations.target_not_prepared: ")
    assert [(entry["event"], entry["log_level"]) for entry in logs][-1] == ("access_record_unavailable", "error")


async def test_a_record_whose_first_reading_breaks_is_read_again(prepared, order):
    target = prepared("statements")
    with await grantee_of(target, target.definition, order) as conn:
        conn.execute("select count(*) from orders")
    state, api = (sql.Identifier(name) for name in (target.names.state, target.names.api))
    with target.superuser() as conn:
        # The first session that asks is ended by its own question; the sequence remembers that it was asked.
        conn.execute(sql.SQL("alter function {}.access_record(text) rename to the_record").format(api))
        conn.execute(sql.SQL("create sequence {}.asked; grant usage on {}.asked to public").format(state, state))
        conn.execute(
            sql.SQL(
                "create function {api}.access_record(p_role text) returns jsonb language sql volatile security definer as"
                " $$ select pg_terminate_backend(pg_backend_pid()) where nextval({asked}) = 1; select {api}.the_record(p_role) $$"
            ).format(api=api, asked=sql.Literal(f"{target.names.state}.asked"))
        )

    outcome = await reverted(target.adapter(), target.definition, order.role_name)

    assert outcome.accesses.counts == AccessCounts(touched=1, recorded=1, not_kept=0, rolled_back=0)


async def test_text_that_has_no_equivalent_in_utf8_is_kept_as_its_bytes(server, new_name, order):
    version, cluster = server
    database = new_name.replace("-", "_")
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        conn.execute(f"create database {database} template template0 encoding 'WIN1252' locale 'C'")
    url = cluster.url(database=database)
    definition = a_definition(new_name, tables=[{"table": "public.orders", "tenant_column": "tenant"}])
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("create table public.orders as select 'acme'::text as tenant")
        report = install(conn, definition, service_password=SERVICE_PASSWORD)
    target = TargetDatabase(version, "superuser", cluster, database, url, definition, report)
    with await grantee_of(target, definition, order) as conn:
        conn.execute("set client_encoding = sql_ascii")
        conn.pgconn.exec_(b"select count(*) from orders -- \x81\xe9")
        conn.execute("set client_encoding = utf8")
        conn.execute("select count(*) from orders -- é")

    outcome = await reverted(target.adapter(), definition, order.role_name)

    assert [row["statement"] for row in outcome.accesses.statements] == [
        "select count(*) from orders -- \\201\\351",
        "select count(*) from orders -- é",
    ]
