"""Taking a grant back: sessions of every kind end, the proof says so, and what stands in the way is named."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from dataclasses import replace
from itertools import count

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.targets import (
    CONNECT_SECONDS,
    GRANTEE_PASSWORD,
    SERVICE_PASSWORD,
    CountingIds,
    an_order,
    create_database,
    granted,
    handed_out,
    prepare,
    reverted,
    with_database,
)
from trustpack.capabilities.operations.adapters.postgres.cleaning import install_cleaning, uninstall_cleaning
from trustpack.capabilities.operations.adapters.postgres.login_probe import ServerAddress, attempt_login
from trustpack.capabilities.operations.adapters.postgres.session import open_session
from trustpack.capabilities.operations.model import TargetRefused, TargetUnavailable

_numbers = count(1)


def is_dead(conn) -> bool:
    try:
        conn.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False


async def test_the_proof_says_what_was_done_and_seen(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name):
        outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    proof = outcome.proof
    assert proof["role_existed"] is True
    assert proof["database"] == target.database
    assert proof["server_version"].startswith(str(target.version))
    assert proof["granted_at"] < proof["expires_at"] < proof["dropped_at"] < proof["checked_at"]
    assert set(map(bool, proof["checks"].values())) == {False}
    assert proof["steps"]["kill"]["signalled"] == 1
    assert proof["steps"]["kill"]["clean_scans"] == 2
    before = proof["steps"]["login_before_drop"]
    assert before["refused_for_the_right_reason"] is True
    assert before["attempt"] == {
        "method": "scram-sha-256",
        "password_accepted": True,
        "let_in": False,
        "sqlstate": "28000",
        "routine": "InitializeSessionUserId",
        "message": f'role "{role_name}" is not permitted to log in',
    }
    assert (proof["login_after_drop"]["password_accepted"], proof["login_after_drop"]["sqlstate"]) == (False, "28P01")


@pytest.mark.adversarial(37)
async def test_every_kind_of_session_ends(target, adapter, order, grant_access):
    role_name = await grant_access(replace(order, connection_limit=5))
    idle, in_transaction, with_cursor, delayed = (target.grantee(role_name) for _ in range(4))
    in_transaction.execute("begin isolation level repeatable read")
    in_transaction.execute("select count(*) from orders")
    with_cursor.execute("begin")
    with_cursor.execute("declare c cursor for select * from orders")
    with_cursor.execute("fetch 10 from c")
    stubborn = asyncio.create_task(
        asyncio.to_thread(
            lambda: delayed.execute(
                "do $$ begin loop begin perform pg_sleep(10); exception when others then null; end; end loop; end $$"
            )
        )
    )
    await asyncio.sleep(0.2)

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    assert outcome.proof["steps"]["kill"]["signalled"] == 4
    assert all(is_dead(conn) for conn in (idle, in_transaction, with_cursor))
    with pytest.raises(psycopg.OperationalError):
        await stubborn
    for conn in (idle, in_transaction, with_cursor, delayed):
        conn.close()


def hiding(target) -> int:
    """Return how many sessions have logged in and do not show whose they are yet."""
    with target.superuser() as conn:
        found = conn.execute(
            "select count(*) from pg_locks where locktype = 'virtualxid' and pid not in"
            " (select pid from pg_stat_activity where usesysid is not null or backend_type <> 'client backend')"
        )
        return int(found.fetchone()[0])


@pytest.mark.adversarial(38)
async def test_a_session_that_hides_behind_post_auth_delay_ends(target, adapter, order, another_order, grant_access):
    role_name = await grant_access(order)
    bystander = await grant_access(another_order)

    def log_in_slowly(name):
        with target.grantee(name, options="-c post_auth_delay=3") as conn:
            return conn.execute("select count(*) from orders").fetchone()

    hidden = asyncio.create_task(asyncio.to_thread(log_in_slowly, role_name))
    innocent = asyncio.create_task(asyncio.to_thread(log_in_slowly, bystander))
    async with asyncio.timeout(30):
        while hiding(target) < 2:  # noqa: ASYNC110 - the target tells nobody
            await asyncio.sleep(0.02)

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    assert outcome.proof["steps"]["kill"]["signalled"] == 1
    with pytest.raises(psycopg.OperationalError):
        await hidden
    assert await innocent == (100,)


async def test_the_probe_tells_a_role_that_may_log_in_from_one_that_may_not(target, order, grant_access):
    role_name = await grant_access(order)
    async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as session:

        async def attempt(password):
            address = ServerAddress.of(session.conn)
            return await attempt_login(address, user=role_name, password=password, random_bytes=CountingIds().random_bytes)

        live = await attempt(GRANTEE_PASSWORD)
        await session.call("expire", role_name)
        verifier = session.make_verifier(role_name=role_name, password="throw-away")
        await session.call("begin_login_probe", role_name, verifier)
        right = await attempt("throw-away")
        wrong = await attempt("something-else")

    assert live.let_in
    assert right.shows_nologin
    assert not wrong.shows_nologin
    assert (wrong.sqlstate, wrong.password_accepted) == ("28P01", False)


class Meddler(CountingIds):
    """Random bytes are asked for between the preparation of the probe and its login: the moment to clear NOLOGIN."""

    def __init__(self, target, statement) -> None:
        super().__init__()
        self._target = target
        self._statement = statement
        self._calls = 0

    def random_bytes(self, count: int) -> bytes:
        self._calls += 1
        if self._calls == 2:
            with self._target.superuser() as conn:
                conn.execute(self._statement)
        return super().random_bytes(count)


@pytest.mark.adversarial(46)
async def test_a_role_that_somebody_lets_in_again_is_not_proven_gone(target, order, grant_access):
    role_name = await grant_access(order)
    meddled = target.adapter(ids=Meddler(target, sql.SQL("alter role {} login").format(sql.Identifier(role_name))))

    outcome = await reverted(meddled, target.definition, role_name)
    with target.superuser() as conn:
        state = conn.execute("select rolcanlogin, rolpassword from pg_authid where rolname = %s", (role_name,)).fetchone()
    later = await reverted(target.adapter(), target.definition, role_name)

    assert not outcome.proven
    assert outcome.blockers[0] == "login_was_let_in"
    assert state == (False, None)
    assert later.proven


@pytest.mark.adversarial(46)
async def test_a_changed_throw_away_password_proves_nothing(target, order, grant_access):
    role_name = await grant_access(order)
    statement = sql.SQL("alter role {} password 'another'").format(sql.Identifier(role_name))

    outcome = await reverted(target.adapter(ids=Meddler(target, statement)), target.definition, role_name)

    assert not outcome.proven
    assert outcome.blockers[0] == "login_refused_for_another_reason: SQLSTATE 28P01, password not accepted"
    assert (await reverted(target.adapter(), target.definition, role_name)).proven


@pytest.mark.adversarial(46)
async def test_a_login_refused_before_its_password_was_looked_at_proves_nothing(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    rules = target.cluster.data_path / "pg_hba.conf"
    before = rules.read_text()

    with target.superuser() as conn:
        rules.write_text(f"host all {role_name} all reject\n{before}")
        conn.execute("select pg_reload_conf()")
        await refused_by_rules(target, role_name)
        outcome = await reverted(adapter, target.definition, role_name)
        rules.write_text(before)
        conn.execute("select pg_reload_conf()")
        role = conn.execute("select rolcanlogin, rolpassword from pg_authid where rolname = %s", (role_name,)).fetchone()
        await refused_by_rules(target, role_name, are=False)

    assert not outcome.proven
    assert outcome.blockers[0] == "login_refused_for_another_reason: SQLSTATE 28000, password not accepted"
    assert role == (False, None)
    assert (await reverted(adapter, target.definition, role_name)).proven


async def refused_by_rules(target, role_name, *, are=True):
    """Wait until logins of a role are refused by the server's rules, or by something else again."""
    for _ in range(1_500):
        try:
            target.grantee(role_name).close()
        except psycopg.OperationalError as error:
            if ("pg_hba.conf" in str(error)) is are:
                return
        await asyncio.sleep(0.02)
    pytest.fail("the server did not read its rules again")


@pytest.mark.adversarial(39)
async def test_what_a_grantee_made_is_dropped_with_it(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        conn.execute("create temporary table mine (id integer)")
        conn.execute("select lo_create(0) from generate_series(1, 2100)")
        conn.execute("alter role current_user set work_mem = '1MB'")
        conn.execute("alter default privileges grant select on tables to public")

        outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    with target.superuser() as conn:
        assert conn.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


@pytest.mark.adversarial(39)
async def test_before_16_large_objects_in_the_groups_name_are_dropped_too(target, adapter, order, grant_access):
    if target.version >= 16:
        pytest.skip("nobody can become the group from PostgreSQL 16 on")
    role_name = await grant_access(order)
    identity = await adapter.identify(target.definition)
    with target.grantee(role_name) as conn:
        conn.execute(sql.SQL("set role {}").format(sql.Identifier(target.names.reader)))
        conn.execute("select lo_create(0)")

        outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    assert await adapter.identify(target.definition) == identity


@pytest.mark.adversarial(39, 46)
async def test_a_blocked_drop_names_what_blocks_it_and_leaves_no_access(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.superuser() as conn:
        conn.execute(sql.SQL("grant select on public.refunds to {}").format(sql.Identifier(role_name)))
        conn.execute(sql.SQL("grant temporary on database {} to {}").format(*map(sql.Identifier, (target.database, role_name))))
    with target.grantee(role_name) as session:
        blocked = await reverted(adapter, target.definition, role_name)
        ended = is_dead(session)
    with target.superuser() as conn:
        role = conn.execute("select rolcanlogin, rolpassword from pg_authid where rolname = %s", (role_name,)).fetchone()
        groups = conn.execute("select count(*) from pg_auth_members where member = %s::regrole", (role_name,)).fetchone()
        conn.execute(sql.SQL("revoke all on public.refunds from {}").format(sql.Identifier(role_name)))
        conn.execute(sql.SQL("revoke all on database {} from {}").format(*map(sql.Identifier, (target.database, role_name))))
    later = await reverted(adapter, target.definition, role_name)

    assert not blocked.proven
    assert any("table public.refunds" in blocker and target.database in blocker for blocker in blocked.blockers)
    assert any(f"database {target.database}" in blocker and "(shared)" in blocker for blocker in blocked.blockers)
    assert blocked.proof["steps"]["login_before_drop"]["refused_for_the_right_reason"] is True
    assert ended
    assert role == (False, None)
    assert groups == (0,)
    assert later.proven


@pytest.mark.adversarial(39)
async def test_an_object_of_somebody_else_on_the_grantees_is_never_dropped(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.superuser() as conn:
        conn.execute("create schema if not exists playground; grant create, usage on schema playground to public")
        with target.grantee(role_name) as session:
            session.execute("create table playground.mine (id integer)")
        conn.execute("create view playground.theirs as select id from playground.mine")
        blocked = await reverted(adapter, target.definition, role_name)
        remains = conn.execute("select id from playground.theirs").fetchall()
        conn.execute("drop view playground.theirs")
        later = await reverted(adapter, target.definition, role_name)
        conn.execute("drop schema playground")

    assert not blocked.proven
    assert any("playground.theirs" in blocker for blocker in blocked.blockers)
    assert remains == []
    assert later.proven


@pytest.mark.adversarial(39)
async def test_a_prepared_transaction_is_named(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        conn.execute("begin")
        conn.execute("select lo_create(0)")
        conn.execute(f"prepare transaction 'left-{role_name[-4:]}'")

    blocked = await reverted(adapter, target.definition, role_name)
    with target.superuser() as conn:
        conn.execute(f"rollback prepared 'left-{role_name[-4:]}'")

    assert not blocked.proven
    assert any(blocker.startswith("prepared_transaction: ") for blocker in blocked.blockers)
    assert (await reverted(adapter, target.definition, role_name)).proven


@pytest.mark.adversarial(39)
async def test_what_lies_in_another_database_is_named_and_dropped_once_that_one_is_prepared(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    other = f"elsewhere_{target.installed_by}"
    url = create_database(target.cluster, other)
    with psycopg.connect(url, autocommit=True) as conn:
        owner = sql.SQL("shop_owner_dba" if target.installed_by == "owner" else "postgres")
        conn.execute(sql.SQL("alter database {} owner to {}").format(sql.Identifier(other), owner))
    with psycopg.connect(target.cluster.url(user=role_name, password=GRANTEE_PASSWORD, database=other), autocommit=True) as conn:
        conn.execute("select lo_create(0)")

    blocked = await reverted(adapter, target.definition, role_name)
    with psycopg.connect(with_database(target.admin_url, other), autocommit=True) as conn:
        install_cleaning(conn, target.definition)
        later = await reverted(adapter, target.definition, role_name)
        uninstall_cleaning(conn, target.definition)
        left = conn.execute("select count(*) from pg_namespace where nspname like 'trustpack%'").fetchone()

    assert left == (0,)
    assert not blocked.proven
    assert any(other in blocker for blocker in blocked.blockers)
    assert any("--cleaning-only" in blocker for blocker in blocked.blockers)
    assert later.proven, later.blockers


async def test_the_cleaning_function_spares_live_grants_and_other_roles(target, order, grant_access):
    role_name = await grant_access(order)
    url = create_database(target.cluster, f"spared_{target.installed_by}")
    with psycopg.connect(url, autocommit=True) as conn:
        install_cleaning(conn, target.definition)
    service = target.cluster.url(user=target.names.service, password=SERVICE_PASSWORD, database=f"spared_{target.installed_by}")

    with psycopg.connect(service, autocommit=True) as conn:
        for name in (role_name, "postgres", target.names.reader, "tpk_" + "0" * 32):
            with pytest.raises(errors.DatabaseError, match="no expired grant"):
                conn.execute(sql.SQL("select {}.drop_owned(%s)").format(sql.Identifier(target.names.api)), (name,))


async def test_a_role_that_somebody_dropped_under_its_session_is_handled(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    session = target.grantee(role_name)
    with target.superuser() as conn:
        conn.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role_name)))
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role_name)))

        outcome = await reverted(adapter, target.definition, role_name)

        if target.installed_by == "superuser":
            assert outcome.proven
            assert outcome.proof["steps"]["orphans_killed"] == 1
            assert is_dead(session)
        else:
            assert not outcome.proven
            assert "only a superuser or pg_signal_backend" in outcome.blockers[0]
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usesysid = %s", (outcome.proof["role_oid"],)
            )
    session.close()
    assert (await reverted(adapter, target.definition, role_name)).proven


async def test_a_renamed_role_is_named_and_not_proven(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.superuser() as conn:
        conn.execute(sql.SQL("alter role {} rename to somebody").format(sql.Identifier(role_name)))
        outcome = await reverted(adapter, target.definition, role_name)
        conn.execute(sql.SQL("alter role somebody rename to {}").format(sql.Identifier(role_name)))

    assert not outcome.proven
    assert any("renamed" in blocker for blocker in outcome.blockers)
    assert (await reverted(adapter, target.definition, role_name)).proven


@pytest.mark.adversarial(32)
async def test_a_role_that_is_not_ours_is_neither_adopted_nor_touched(target, adapter, order):
    with target.superuser() as conn:
        conn.execute(sql.SQL("create role {} login").format(sql.Identifier(order.role_name)))

        with pytest.raises(TargetRefused, match="not made by a grant"):
            await granted(adapter, target.definition, order)
        outcome = await reverted(adapter, target.definition, order.role_name)

        assert conn.execute("select rolcanlogin from pg_roles where rolname = %s", (order.role_name,)).fetchone() == (True,)
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(order.role_name)))
    assert not outcome.proven
    assert any("name_exists" in blocker for blocker in outcome.blockers)
    assert (await reverted(adapter, target.definition, order.role_name)).proven


@pytest.mark.adversarial(42)
async def test_a_password_changed_by_the_grantee_changes_nothing(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        conn.execute("alter role current_user password 'my-own'")
    inventory = await adapter.inventory(target.definition)

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    with pytest.raises(psycopg.OperationalError):
        target.grantee(role_name, password="my-own")
    if target.installed_by == "superuser":
        assert role_name in inventory.password_changed
    else:
        assert inventory.password_changed is None


@pytest.mark.parametrize("steps", [["expire"], ["expire", "kill"], ["expire", "kill", "drop_role"]], ids=lambda steps: steps[-1])
async def test_a_revert_goes_on_where_a_crash_stopped_it(target, adapter, order, grant_access, steps):
    role_name = await grant_access(order)
    arguments = {"expire": (), "kill": (1000,), "drop_role": (None,)}
    async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as session:
        for step in steps:
            await session.call(step, role_name, *arguments[step])

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven


async def test_the_evidence_of_the_first_run_is_in_the_proof_of_a_later_one(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    first = await reverted(adapter, target.definition, role_name)

    second = await reverted(adapter, target.definition, role_name)

    assert second.proof["resumed"] is True
    assert second.proof["steps"]["login_before_drop"] == first.proof["steps"]["login_before_drop"]


@pytest.mark.adversarial(29)
async def test_thirty_grants_and_reverts_at_once(target):
    adapter = target.adapter()
    orders = [
        replace(an_order(0), role_name=f"tpk_{target.installed_by[0].encode().hex()}{next(_numbers):030x}") for _ in range(30)
    ]

    grants = await asyncio.gather(*(granted(adapter, target.definition, order) for order in orders))
    outcomes = await asyncio.gather(*(reverted(adapter, target.definition, order.role_name) for order in orders))

    assert len({grant.role_ref for grant in grants}) == 30
    assert all(outcome.proven for outcome in outcomes)


@pytest.mark.adversarial(38)
async def test_logins_that_race_a_revert_never_read_afterwards(target, adapter, order, grant_access):
    role_name = await grant_access(replace(order, connection_limit=5))
    over = asyncio.Event()
    late_reads = []

    def log_in_and_read():
        with target.grantee(role_name) as conn:
            time.sleep(0.05)
            was_over = over.is_set()
            rows = conn.execute("select count(*) from orders").fetchone()
            if was_over:
                late_reads.append(rows)

    async def keep_logging_in():
        while not over.is_set():
            try:
                await asyncio.to_thread(log_in_and_read)
            except psycopg.Error:
                await asyncio.sleep(0.001)

    clients = [asyncio.create_task(keep_logging_in()) for _ in range(4)]
    await asyncio.sleep(0.3)

    outcome = await reverted(adapter, target.definition, role_name)

    over.set()
    await asyncio.gather(*clients)
    assert outcome.proven
    assert late_reads == []


async def test_a_target_that_is_gone_is_unavailable(target, order):
    adapter = target.adapter(resolve_secret=lambda _: "host=127.0.0.1 port=1 user=x password=hush", connect_timeout_seconds=2)

    for call in (granted(adapter, target.definition, order), reverted(adapter, target.definition, order.role_name)):
        with pytest.raises(TargetUnavailable) as caught:
            await call
        assert "hush" not in repr(caught.value.__dict__) + str(caught.value)


@pytest.mark.adversarial(33)
async def test_a_faulty_connection_string_is_never_quoted(target, order):
    adapter = target.adapter(resolve_secret=lambda _: "host=127.0.0.1 hush-password")

    with pytest.raises(TargetUnavailable) as caught:
        await granted(adapter, target.definition, order)

    assert "hush" not in repr(caught.value.__dict__) + str(caught.value) + repr(caught.value.__context__ and "")


async def test_the_probe_goes_through_tls_like_the_session_itself(server, tmp_path, order):
    version, cluster = server
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        if "openssl" not in conn.execute("select setting from pg_config() where name = 'CONFIGURE'").fetchone()[0]:
            return  # the embedded builds have no TLS
    target = prepare(cluster, version=version, installed_by="superuser", name="with-tls")
    certificate = serve_tls(target, tmp_path)
    local = target.service_url.replace("127.0.0.1", "localhost")
    for number, parameters in enumerate(("sslmode=require", f"sslmode=verify-full&sslrootcert={certificate}")):
        adapter = target.adapter(resolve_secret=lambda _, parameters=parameters: f"{local}?{parameters}")
        numbered = replace(order, role_name=f"tpk_{number:02x}{order.role_name[6:]}")
        await granted(adapter, target.definition, numbered)
        details = await handed_out(adapter, target.definition, numbered.role_name)

        outcome = await reverted(adapter, target.definition, numbered.role_name)

        assert details.sslmode == ("require", "verify-full")[number]

        assert outcome.proven, outcome.blockers


def serve_tls(target, tmp_path):
    key, certificate = tmp_path / "server.key", tmp_path / "server.crt"
    request = ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    for file in (key, certificate):
        installed = target.cluster.data_path / file.name
        shutil.copy(file, installed)
        installed.chmod(0o600)
        owner = (target.cluster.data_path / "PG_VERSION").stat()
        os.chown(installed, owner.st_uid, owner.st_gid)
    with target.superuser() as conn:
        conn.execute("alter system set ssl = on")
        conn.execute("select pg_reload_conf()")
    for _ in range(50):
        with target.superuser() as conn:
            if conn.execute("show ssl").fetchone() == ("on",):
                break
    return certificate
