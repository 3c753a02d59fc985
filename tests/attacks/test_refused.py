"""What the server refuses to a grantee, statement by statement.

Source: research/jit-access section 3, jit-provisioning section 5.
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.attacks import DENIED, answer, statement

NO_SUCH_COLUMN = "42703"
NOT_SUPPORTED = "0A000"
REQUIRES_ANOTHER = "42704"

TABLES_AND_WRITES = [
    ("select * from public.orders", DENIED),
    ("table public.refunds", DENIED),
    ("select count(*) from public.orders", DENIED),
    ("select from public.orders where tenant = 'globex'", DENIED),
    ("select * from public.orders tablesample system (100)", DENIED),
    ("select * from orders tablesample system (100)", NOT_SUPPORTED),
    ("select currtid2('public.orders', '(0,1)')", DENIED),
    ("select card_number from orders", NO_SUCH_COLUMN),
    ("select ctid from orders", NO_SUCH_COLUMN),
    ("select xmin, tableoid from orders", NO_SUCH_COLUMN),
    ("copy public.orders to stdout", DENIED),
    ("copy (select * from public.orders) to stdout", DENIED),
    ("select query_to_xml('select * from public.orders', true, true, '')", DENIED),
    ("select ts_stat('select note::tsvector from public.orders')", DENIED),
    ("insert into orders (id) values (1)", DENIED),
    ("update orders set amount = 0", DENIED),
    ("delete from orders", DENIED),
    ("merge into public.orders using (select 1) as s on true when matched then delete", DENIED),
    ("truncate public.orders", DENIED),
    ("select * from orders for update", DENIED),
    ("select * from orders for key share", DENIED),
    ("copy orders from program 'true'", DENIED),
    ("select 1; lock table public.orders in access share mode", DENIED),
    ("select 1; lock table orders in access share mode", DENIED),
    ("create index on public.orders (amount)", DENIED),
    ("create statistics public.s on tenant, amount from public.orders", DENIED),
    ("create trigger t before insert on public.orders execute function suppress_redundant_updates_trigger()", DENIED),
    ("create policy p on public.orders using (true)", DENIED),
    ("alter table public.orders disable row level security", DENIED),
    ("reindex table public.orders", DENIED),
    ("cluster public.orders using orders_pkey", DENIED),
    ("create table public.mine (i integer)", DENIED),
    ("create view public.mine as select 1", DENIED),
    ("create function public.mine() returns integer language sql as 'select 1'", DENIED),
    ("create schema mine", DENIED),
    ("create publication mine for table public.orders", DENIED),
    ("alter default privileges for role {provisioner} grant select on tables to public", DENIED),
]

OUR_OBJECTS = [
    ("select * from {state}.grants", DENIED),
    ("select * from {state}.settings", DENIED),
    ("select * from {state}.turns", DENIED),
    ("insert into {state}.grants (role_name, expires_at) values ('x', now())", DENIED),
    ("update {state}.grants set expires_at = 'infinity'", DENIED),
    ("select {api}.identify()", DENIED),
    ("select {api}.inventory()", DENIED),
    ("select {api}.expire(session_user::text)", DENIED),
    ("select {api}.kill('tpk_00000000000000000000000000000000', 1)", DENIED),
    ("select {api}.drop_role('tpk_00000000000000000000000000000000', null)", DENIED),
    ("select {api}.set_verifier(session_user::text, 'x', 99)", DENIED),
    ("select {api}.grant_access('tpk_00000000000000000000000000000000', 'globex', 60, 1, null)", DENIED),
    ("select {state}.signal_sessions(1)", DENIED),
    ("alter view {views}.orders set (security_barrier = false)", DENIED),
    ("alter view {views}.orders owner to {reader}", DENIED),
    ("alter view orders rename to old_orders", DENIED),
    ("create or replace view {views}.orders as select * from public.orders", DENIED),
    ("create view {views}.mine as select 1", DENIED),
    ("create rule r as on select to {views}.orders do instead select 1", DENIED),
    ("drop view {views}.orders", DENIED),
    ("drop schema {views} cascade", DENIED),
    ("drop function {views}.scope()", DENIED),
    ("alter function {views}.scope() security invoker", DENIED),
    ("alter function {views}.scope() cost 0.0001", DENIED),
    ("create or replace function {views}.scope() returns text language sql as 'select ''globex'''", DENIED),
    ("comment on view {views}.orders is 'mine'", DENIED),
]

OTHER_IDENTITIES = [
    ("set role {owner}", DENIED),
    ("set role {provisioner}", DENIED),
    ("set role {service}", DENIED),
    ("set role postgres", DENIED),
    ("set role pg_read_all_data", DENIED),
    ("set session authorization {owner}", DENIED),
    ("set session authorization postgres", DENIED),
    ("set local role postgres", DENIED),
    ("select set_config('role', 'postgres', false)", DENIED),
    ("select set_config('session_authorization', 'postgres', false)", DENIED),
    ("create role mine", DENIED),
    ("create user mine superuser", DENIED),
    ("create database mine", DENIED),
    ("alter role {grantee} valid until 'infinity'", DENIED),
    ("alter role {grantee} login", DENIED),
    ("alter role {grantee} connection limit 100", DENIED),
    ("alter role {grantee} superuser", DENIED),
    ("alter role {grantee} createrole", DENIED),
    ("alter role {grantee} bypassrls", DENIED),
    ("alter role {grantee} replication", DENIED),
    ("alter role {grantee} inherit", DENIED),
    ("alter role {grantee} rename to mine", NOT_SUPPORTED),
    ("alter role {reader} password 'x'", DENIED),
    ("alter role {service} password 'x'", DENIED),
    ("alter role postgres password 'x'", DENIED),
    ("alter role {reader} set search_path = public", DENIED),
    ("alter role all set row_security = off", DENIED),
    ("alter database {database} set row_security = off", DENIED),
    ("alter group {reader} add user {service}", DENIED),
    ("grant {reader} to {service}", DENIED),
    ("grant {owner} to {grantee}", DENIED),
    ("revoke {reader} from {grantee}", DENIED),
    ("grant pg_read_all_data to {grantee}", DENIED),
    ("grant pg_read_server_files to {grantee}", DENIED),
    ("revoke {reader} from {provisioner}", DENIED),
    ("revoke {grantee} from {provisioner}", DENIED),
    ("drop role {reader}", DENIED),
    ("drop role {provisioner}", DENIED),
    ("drop owned by {owner}", DENIED),
    ("drop owned by {provisioner}", DENIED),
    ("reassign owned by {owner} to {grantee}", DENIED),
    ("select * from pg_authid", DENIED),
    ("select * from pg_shadow", DENIED),
    ("select * from pg_user_mapping", DENIED),
    ("select * from pg_largeobject", DENIED),
]

THE_SERVER = [
    ("select pg_read_file('/etc/passwd')", DENIED),
    ("select pg_read_file('PG_VERSION')", DENIED),
    ("select pg_read_binary_file('global/pg_control')", DENIED),
    ("select pg_ls_dir('.')", DENIED),
    ("select pg_ls_logdir()", DENIED),
    ("select pg_ls_waldir()", DENIED),
    ("select pg_ls_tmpdir()", DENIED),
    ("select pg_stat_file('PG_VERSION')", DENIED),
    ("select pg_current_logfile()", DENIED),
    ("select lo_import('/etc/passwd')", DENIED),
    ("select lo_export(1, '/tmp/out')", DENIED),
    ("copy (select 1) to program 'true'", DENIED),
    ("copy (select 1) to '/tmp/out'", DENIED),
    ("create temporary table stolen (line text); copy stolen from '/etc/passwd'", DENIED),
    ("create temporary table stolen (line text); copy stolen from program 'id'", DENIED),
    ("select * from pg_hba_file_rules", DENIED),
    ("select * from pg_ident_file_mappings", DENIED),
    ("select * from pg_file_settings", DENIED),
    ("select * from pg_config", DENIED),
    ("select * from pg_shmem_allocations", DENIED),
    ("select * from pg_backend_memory_contexts", DENIED),
    ("select pg_reload_conf()", DENIED),
    ("select pg_rotate_logfile()", DENIED),
    ("select pg_promote()", DENIED),
    ("select pg_switch_wal()", DENIED),
    ("select pg_create_restore_point('x')", DENIED),
    ("select pg_backup_start('x')", DENIED),
    ("select pg_create_physical_replication_slot('x')", DENIED),
    ("select pg_create_logical_replication_slot('x', 'pgoutput')", DENIED),
    ("select pg_replication_origin_create('x')", DENIED),
    ("select pg_stat_reset()", DENIED),
    ("checkpoint", DENIED),
    ("load 'plpgsql'", DENIED),
    ("load '/tmp/evil'", DENIED),
    ("create function pg_temp.f() returns integer language c as '/lib/x86_64-linux-gnu/libc.so.6', 'system'", DENIED),
    ("create function pg_temp.f() returns text language internal as 'pg_read_file'", DENIED),
    ("create function pg_temp.f(text) returns boolean language sql leakproof as 'select true'", DENIED),
    ("create foreign data wrapper f", DENIED),
    ("create event trigger e on ddl_command_end execute function suppress_redundant_updates_trigger()", DENIED),
    ("create subscription s connection 'dbname=x' publication p", DENIED),
    ("create tablespace t location '/tmp'", DENIED),
    ("alter system set log_statement = 'none'", DENIED),
    ("set session_replication_role = replica", DENIED),
    ("set session_preload_libraries = 'x'", DENIED),
    ("set zero_damaged_pages = on", DENIED),
    ("set dynamic_library_path = '/tmp'", DENIED),
    ("set log_min_messages = panic", DENIED),
    ("set log_min_error_statement = panic", DENIED),
    ("set log_duration = off", DENIED),
    ("set track_activities = off", DENIED),
    ("set allow_system_table_mods = on", DENIED),
    ("set shared_preload_libraries = 'x'", "55P02"),
    ("update pg_class set relowner = 10", DENIED),
    ("delete from pg_auth_members", DENIED),
    ("insert into pg_auth_members select * from pg_auth_members", DENIED),
    ("select * from pg_statistic", DENIED),
]

BY_GROUP = {
    "tables": TABLES_AND_WRITES,
    "ours": OUR_OBJECTS,
    "identities": OTHER_IDENTITIES,
    "server": THE_SERVER,
}


@pytest.mark.parametrize("group", BY_GROUP)
def test_what_a_grantee_tries_is_refused(target, grantee, group):
    more = {"grantee": grantee.info.user, "database": target.database}
    expected = dict(BY_GROUP[group])

    answers = {text: answer(grantee, statement(target, text, **more)) for text in expected}

    assert answers == expected


def test_no_extension_can_be_installed(grantee):
    available = grantee.execute("select name from pg_available_extensions where installed_version is null").fetchall()

    answers = {name: answer(grantee, sql.SQL("create extension {}").format(sql.Identifier(name))) for (name,) in available}

    assert set(answers.values()) <= {DENIED, REQUIRES_ANOTHER}, answers


def test_no_replication_connection_is_opened(target, grantee):
    with pytest.raises(psycopg.OperationalError, match=r"REPLICATION|replication role"):
        target.grantee(grantee.info.user, replication="database")


def test_no_prepared_transaction_is_left_on_a_server_that_allows_none(grantee):
    with grantee.transaction(force_rollback=True):
        grantee.execute("select lo_create(0)")

    grantee.execute("begin")
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        grantee.execute("prepare transaction 'mine'")
    grantee.execute("rollback")


def test_sessions_of_others_are_neither_ended_nor_cancelled_nor_read(target, grantee):
    with target.superuser() as other:
        other.execute("select 'a secret of somebody else'")
        process = other.info.backend_pid

        for call in ("pg_terminate_backend", "pg_cancel_backend", "pg_log_backend_memory_contexts"):
            assert answer(grantee, f"select {call}({process})") == DENIED, call
        seen = grantee.execute("select query, client_addr from pg_stat_activity where pid = %s", (process,)).fetchone()
        assert seen == ("<insufficient privilege>", None)
        assert other.execute("select 1").fetchone() == (1,)


@pytest.mark.adversarial(37)
def test_the_group_opens_nothing_more_before_16_and_is_closed_from_16_on(target, grantee):
    entered = answer(grantee, statement(target, "set role {reader}"))

    if target.version >= 16:
        assert entered == DENIED
        return
    assert grantee.execute("select distinct tenant from orders").fetchall() == [("acme",)]
    assert answer(grantee, "select * from public.orders") == DENIED
    grantee.execute("reset role")
