"""What was done with an access: counted and written down by the database itself, whatever the grantee does about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors, sql
from structlog.testing import capture_logs

from tests.support.targets import CONNECT_SECONDS, TargetDatabase, granted, marked, reverted
from trustpack.capabilities.operations.adapters.postgres.session import open_session
from trustpack.capabilities.operations.model import AccessCounts, RecordMode, TargetRefused

MOST_STATEMENTS = 1000
A_SECOND_FUNCTION = "create function pg_temp.many() returns bigint volatile language sql as 'select count(*) from orders'"


@dataclass(frozen=True)
class Ledger:
    """What the target holds about one grant, read as its superuser."""

    target: TargetDatabase
    role_name: str

    @property
    def counter(self) -> sql.Identifier:
        return sql.Identifier(self.target.names.state, f"touches_{self.role_name}")

    @property
    def touched(self) -> int:
        with self.target.superuser() as conn:
            query = sql.SQL("select case when is_called then last_value else 0 end from {}").format(self.counter)
            return conn.execute(query).fetchone()[0]

    @property
    def statements(self) -> list[str]:
        query = sql.SQL("select statement from {} where role_name = %s order by number").format(
            sql.Identifier(self.target.names.state, "accesses")
        )
        with self.target.superuser() as conn:
            return [text for (text,) in conn.execute(query, (self.role_name,))]


@pytest.fixture
async def ledger(target, order, grant_access) -> Ledger:
    return Ledger(target, await grant_access(order))


@pytest.fixture
def grantee(target, ledger):
    with target.grantee(ledger.role_name) as conn:
        yield conn


def read_by_cursor(conn: Connection[Any]) -> None:
    for statement in ("begin", "declare c cursor for select * from orders", "fetch 2 from c", "fetch 2 from c", "commit"):
        conn.execute(statement)


def copy_out(conn: Connection[Any]) -> None:
    with conn.cursor().copy("copy (select * from orders) to stdout") as copy:
        assert len(list(copy)) >= 100


def execute_prepared(conn: Connection[Any]) -> None:
    conn.execute("prepare mine as select count(*) from orders")
    conn.execute("execute mine")


def roll_back(conn: Connection[Any]) -> None:
    for statement in ("begin", "select count(*) from orders", "rollback"):
        conn.execute(statement)


def roll_back_to_savepoint(conn: Connection[Any]) -> None:
    for statement in ("begin", "savepoint s", "select count(*) from orders", "rollback to s", "commit"):
        conn.execute(statement)


def fail_afterwards(conn: Connection[Any]) -> None:
    with suppress(errors.DivisionByZero):
        conn.execute("select amount / 0 from orders")


def call_a_function_thrice(conn: Connection[Any]) -> None:
    conn.execute(A_SECOND_FUNCTION)
    conn.execute("select pg_temp.many() from generate_series(1, 3)")


def plainly(*statements: str) -> Callable[[Connection[Any]], None]:
    def act(conn: Connection[Any]) -> None:
        for statement in statements:
            conn.execute(statement)

    return act


ACTS: dict[str, tuple[Callable[[Connection[Any]], None], list[str], int]] = {
    "select": (plainly("select count(*) from orders"), ["select count(*) from orders"], 1),
    "cursor": (read_by_cursor, ["fetch 2 from c"], 1),
    "copy": (copy_out, ["copy (select * from orders) to stdout"], 1),
    "prepared": (execute_prepared, ["execute mine"], 1),
    "analyze": (plainly("explain analyze select * from orders"), ["explain analyze select * from orders"], 1),
    "index": (plainly("select 1 from orders where id = 3"), ["select 1 from orders where id = 3"], 1),
    "join of two views": (
        plainly("select 1 from orders join refunds using (tenant)"),
        ["select 1 from orders join refunds using (tenant)"] * 2,
        2,
    ),
    "function": (call_a_function_thrice, ["select pg_temp.many() from generate_series(1, 3)"] * 3, 3),
    "rollback": (roll_back, [], 1),
    "savepoint": (roll_back_to_savepoint, [], 1),
    "failure": (fail_afterwards, [], 1),
    "plain explain": (plainly("explain select * from orders"), [], 0),
    "no view": (plainly("select 1"), [], 0),
}


async def test_each_read_of_a_view_is_counted_and_kept_unless_it_is_rolled_back(ledger, grantee):
    seen = {}
    for name, (act, _, _) in ACTS.items():
        kept, touched = len(ledger.statements), ledger.touched
        act(grantee)
        seen[name] = (ledger.statements[kept:], ledger.touched - touched)

    assert seen == {name: (kept, touched) for name, (_, kept, touched) in ACTS.items()}


async def test_a_read_only_transaction_reads_nothing(ledger, grantee):
    for ways in (
        ("begin read only",),
        ("begin", "set transaction read only"),
        ("set default_transaction_read_only = on", "begin"),
    ):
        for statement in ways:
            grantee.execute(statement)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            grantee.execute("select * from orders")
        grantee.execute("rollback")

    assert (ledger.statements, ledger.touched) == ([], 0)


async def test_a_read_that_was_rolled_back_is_in_the_server_log(target, ledger, grantee):
    grantee.execute("set client_min_messages = error; set application_name = 'quiet'")
    roll_back(grantee)

    line = f"{ledger.role_name} touches the data, number 1: select count(*) from orders"
    assert await in_server_log(target, line)


async def in_server_log(target: TargetDatabase, text: str) -> bool:
    for _ in range(200):
        if text in target.cluster.log_path.read_text(errors="replace"):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_row_says_who_when_and_from_where(target, adapter, ledger, grantee):
    grantee.execute("set application_name = 'psql of ann'")
    grantee.execute("select count(*) from orders")
    pid = grantee.info.backend_pid

    outcome = await reverted(adapter, target.definition, ledger.role_name)

    [row] = outcome.accesses.statements
    assert {**row, "at": None} == {
        "number": 1,
        "at": None,
        "pid": pid,
        "application_name": "psql of ann",
        "statement": "select count(*) from orders",
    }
    assert outcome.proof["granted_at"][:19] <= row["at"][:19] <= outcome.proof["expires_at"][:19]


ODD = "select count(*) /* 'o''brien' \"x\" \\ \\u0000 %s % {0} \t\n ü 🙂 \u202e $body$ */ from orders"


async def test_any_text_is_kept_as_it_was_and_cut_at_its_limit(target, adapter, ledger, grantee):
    longer = "select count(*) from orders --" + "é🙂" * 2000
    grantee.execute(ODD)
    grantee.execute(longer)

    outcome = await reverted(adapter, target.definition, ledger.role_name)

    assert [row["statement"] for row in outcome.accesses.statements] == [ODD, longer[:2000]]


async def test_nobody_floods_the_record_and_all_is_counted(target, adapter, ledger, grantee):
    grantee.execute(A_SECOND_FUNCTION)
    grantee.execute("select pg_temp.many() from generate_series(1, 10)")
    roll_back(grantee)
    grantee.execute("select pg_temp.many() from generate_series(1, 2989)")

    outcome = await reverted(adapter, target.definition, ledger.role_name)

    assert outcome.accesses.counts == AccessCounts(touched=3000, recorded=999, not_kept=2000, rolled_back=1)
    assert [row["number"] for row in outcome.accesses.statements] == [*range(1, 11), *range(12, MOST_STATEMENTS + 1)]
    assert await in_server_log(
        target, f"{ledger.role_name} touched the data more than 1000 times; from now on it is counted only"
    )
    log = target.cluster.log_path.read_text(errors="replace")
    assert f"{ledger.role_name} touches the data, number {MOST_STATEMENTS}:" in log
    assert f"{ledger.role_name} touches the data, number {MOST_STATEMENTS + 1}:" not in log


async def test_a_long_statement_that_touches_often_does_not_flood_the_servers_log(target, adapter, ledger, grantee):
    grantee.execute(A_SECOND_FUNCTION)
    before = target.cluster.log_path.stat().st_size
    padding = "-" * 100_000

    grantee.execute(f"select pg_temp.many() from generate_series(1, 500) -- {padding}")
    grantee.execute(f"select pg_temp.many() -- {padding}")

    assert target.cluster.log_path.stat().st_size - before < 1_000_000
    outcome = await reverted(adapter, target.definition, ledger.role_name)
    assert outcome.accesses.counts.recorded == 501
    assert {len(row["statement"]) for row in outcome.accesses.statements} == {2000}


FORBIDDEN = (
    "select setval({counter_text}, 1, false)",
    "select nextval({counter_text})",
    "select currval({counter_text})",
    "select last_value from {counter}",
    "alter sequence {counter} restart",
    "drop sequence {counter}",
    "select * from {state}.accesses",
    "insert into {state}.accesses select 'tpk_00000000000000000000000000000000', 1, now(), 1, '', ''",
    "update {state}.accesses set statement = ''",
    "delete from {state}.accesses",
    "truncate {state}.accesses",
    "drop table {state}.accesses",
    "update {state}.grants set record = 'none'",
    "select {state}.touch()",
    "select {api}.access_record(session_user::text)",
)


async def test_the_grantee_can_neither_read_nor_change_the_record(target, ledger, grantee):
    grantee.execute("select count(*) from orders")
    places = {kind: sql.Identifier(getattr(target.names, kind)) for kind in ("state", "api")}
    counter_text = sql.Literal(ledger.counter.as_string(None))

    for attempt in FORBIDDEN:
        with pytest.raises(errors.InsufficientPrivilege):
            grantee.execute(sql.SQL(attempt).format(counter=ledger.counter, counter_text=counter_text, **places))

    assert (ledger.statements, ledger.touched) == (["select count(*) from orders"], 1)


async def test_nothing_that_a_session_can_set_keeps_a_read_out_of_the_record(target, ledger, grantee):
    settings = (
        "discard all",
        "set client_min_messages = error",
        "set search_path = pg_temp, public",
        "set synchronous_commit = off",
        "set plan_cache_mode = force_generic_plan",
        "set max_parallel_workers_per_gather = 8; set parallel_setup_cost = 0; set min_parallel_table_scan_size = 0",
        "create temporary table accesses (number integer)",
        "create temporary sequence touches",
        "begin isolation level serializable",
    )
    for number, setting in enumerate(settings, start=1):
        grantee.execute(setting)
        grantee.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(target.names.views, "orders")))
        assert ledger.touched == number
    grantee.execute("commit")

    assert len(ledger.statements) == len(settings)


async def test_a_second_session_and_a_role_that_was_set_count_on_the_same_grant(target, ledger, grantee):
    with target.grantee(ledger.role_name) as second:
        if target.version < 16:
            second.execute(sql.SQL("set role {}").format(sql.Identifier(target.names.reader)))
        second.execute(f"select count(*) from {target.names.views}.orders")
    grantee.execute("select count(*) from orders")

    assert (len(ledger.statements), ledger.touched) == (2, 2)


async def test_without_a_live_grant_nothing_is_shown_or_recorded(target, ledger):
    with target.superuser() as conn:
        conn.execute("begin read only")
        rows = conn.execute(f"select count(*) from {target.names.views}.orders").fetchone()

    assert rows == (0,)
    assert (ledger.statements, ledger.touched) == ([], 0)


async def test_after_its_end_a_grant_reads_and_adds_nothing(target, order, grant_access):
    ledger = Ledger(target, await grant_access(replace(order, duration_seconds=1)))
    with target.grantee(ledger.role_name) as conn:
        conn.execute("select pg_sleep(1.05)")

        assert conn.execute("select count(*) from orders").fetchone() == (0,)
    assert (ledger.statements, ledger.touched) == ([], 0)


async def test_no_plan_of_a_grantee_is_parallel(grantee):
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        grantee.execute(f"set {setting} = 0")

    plan = str(grantee.execute("explain select count(*) from orders").fetchall())

    assert "Seq Scan" in plan or "Bitmap" in plan or "Index" in plan
    assert "Gather" not in plan


async def test_installation_and_identity_are_unchanged_by_a_recorded_grant_but_not_by_a_right_on_its_counter(
    target, adapter, order, grant_access
):
    before = await adapter.identify(target.definition)
    ledger = Ledger(target, await grant_access(order))
    with target.grantee(ledger.role_name) as conn:
        conn.execute("select count(*) from orders")
    during = await adapter.identify(target.definition)
    altered = []
    with target.superuser() as conn:
        for change, back in (
            ("grant usage on sequence {counter} to {reader}", "revoke usage on sequence {counter} from {reader}"),
            ("alter sequence {counter} owner to {owner}", "alter sequence {counter} owner to {provisioner}"),
            (
                "create sequence {state}.other; alter sequence {state}.other owner to {provisioner}",
                "drop sequence {state}.other",
            ),
        ):
            names = {kind: sql.Identifier(getattr(target.names, kind)) for kind in ("reader", "owner", "provisioner", "state")}
            conn.execute(sql.SQL(change).format(counter=ledger.counter, **names))
            altered.append((await adapter.identify(target.definition)).digest)
            conn.execute(sql.SQL(back).format(counter=ledger.counter, **names))
    await reverted(adapter, target.definition, ledger.role_name)
    after = await adapter.identify(target.definition)

    assert before == during == after
    assert before.digest not in altered


# The record of a grant that has ended.


def act_a_little(target: TargetDatabase, role_name: str) -> AccessCounts:
    with target.grantee(role_name) as conn:
        conn.execute("select count(*) from orders")
        conn.execute("select count(*) from refunds")
        roll_back(conn)
    return AccessCounts(touched=3, recorded=2, not_kept=0, rolled_back=1)


async def test_a_revert_brings_the_record_along_and_leaves_no_counter(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    counts = act_a_little(target, role_name)

    first = await reverted(adapter, target.definition, role_name)
    again = await reverted(target.adapter(), target.definition, role_name)

    assert first.proven
    assert (first.accesses.mode, first.accesses.counts) == (RecordMode.STATEMENTS, counts)
    assert [row["statement"] for row in first.accesses.statements] == [
        "select count(*) from orders",
        "select count(*) from refunds",
    ]
    assert again.accesses == first.accesses
    assert "statement" not in str(first.proof)
    with target.superuser() as conn:
        assert conn.execute("select count(*) from pg_class where relname = %s", (f"touches_{role_name}",)).fetchone() == (0,)


async def test_a_read_that_the_revert_cut_off_counts_as_rolled_back(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    with target.grantee(role_name) as conn:
        conn.execute("begin")
        conn.execute("select count(*) from orders")

        outcome = await reverted(adapter, target.definition, role_name)

        with suppress(psycopg.OperationalError):
            conn.execute("commit")
    assert outcome.accesses.counts == AccessCounts(touched=1, recorded=0, not_kept=0, rolled_back=1)


@pytest.mark.parametrize("steps", [["expire"], ["expire", "kill"], ["expire", "kill", "drop_role"]], ids=lambda steps: steps[-1])
async def test_the_record_is_whole_wherever_a_crash_stopped_the_revert(target, adapter, order, grant_access, steps):
    role_name = await grant_access(order)
    counts = act_a_little(target, role_name)
    arguments = {"expire": (), "kill": (1000,), "drop_role": (None,)}
    async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as session:
        for step in steps:
            await session.call(step, role_name, *arguments[step])

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.accesses.counts == counts
    assert len(outcome.accesses.statements) == 2


async def test_the_record_is_whole_although_somebody_dropped_the_role(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    counts = act_a_little(target, role_name)
    with target.superuser() as conn:
        conn.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role_name)))
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role_name)))

    outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    assert outcome.accesses.counts == counts


async def test_a_prepared_transaction_holds_the_counter_but_not_the_record(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    act_a_little(target, role_name)
    with target.grantee(role_name) as conn:
        for statement in ("begin", "select count(*) from orders", f"prepare transaction 'touch-{role_name[-4:]}'"):
            conn.execute(statement)

    blocked = await reverted(adapter, target.definition, role_name)
    with target.superuser() as conn:
        conn.execute(f"rollback prepared 'touch-{role_name[-4:]}'")
    later = await reverted(adapter, target.definition, role_name)

    assert any("prepared_transaction" in blocker for blocker in blocked.blockers)
    assert blocked.accesses is None
    assert later.accesses.counts == AccessCounts(touched=4, recorded=2, not_kept=0, rolled_back=2)


async def test_a_grant_that_was_never_made_has_no_record(target, adapter, order):
    outcome = await reverted(adapter, target.definition, order.role_name)

    assert outcome.proven
    assert (outcome.accesses.mode, outcome.accesses.counts) == (RecordMode.NONE, None)


async def test_the_name_of_a_recorded_grant_is_never_used_again(target, adapter, order, grant_access):
    role_name = await grant_access(order)
    counts = act_a_little(target, role_name)
    await reverted(adapter, target.definition, role_name)

    with pytest.raises(TargetRefused):
        await granted(adapter, target.definition, order)

    assert (await reverted(adapter, target.definition, role_name)).accesses.counts == counts


async def test_the_record_of_a_live_grant_is_not_handed_out(target, order, grant_access):
    role_name = await grant_access(order)

    async with open_session(target.definition, dsn=target.service_url, connect_timeout_seconds=CONNECT_SECONDS) as session:
        with pytest.raises(TargetRefused, match="no expired grant"):
            await session.call("access_record", role_name)


async def test_without_its_counter_a_grant_reads_nothing_and_ends_with_the_reason_in_place_of_its_record(
    target, adapter, order, grant_access
):
    role_name = await grant_access(order)
    with target.superuser() as conn:
        conn.execute(sql.SQL("drop sequence {}").format(Ledger(target, role_name).counter))
    with target.grantee(role_name) as conn, pytest.raises(psycopg.DatabaseError, match="its counter is gone"):
        conn.execute("select count(*) from orders")

    with capture_logs() as logs:
        outcome = await reverted(adapter, target.definition, role_name)

    assert outcome.proven
    assert (outcome.accesses.mode, outcome.accesses.counts) == (RecordMode.STATEMENTS, None)
    assert "the counter of the grant is gone" in outcome.accesses.unavailable
    assert [(entry["event"], entry["log_level"]) for entry in logs][-1] == ("access_record_unavailable", "error")


@pytest.mark.parametrize("by", ["the next revert", "the next comparison"])
async def test_statements_are_deleted_a_week_after_the_last_revert(target, adapter, order, another_order, grant_access, by):
    old, recent = order.role_name, another_order.role_name
    for one in (order, another_order):
        await grant_access(one)
        act_a_little(target, one.role_name)
        await reverted(adapter, target.definition, one.role_name)
    state = sql.Identifier(target.names.state)
    with target.superuser() as conn:
        for table, column, names in (("grants", "dropped_at", [old, recent]), ("turns", "taken_at", [old])):
            conn.execute(
                sql.SQL("update {}.{} set {column} = {column} - interval '8 days' where role_name = any(%s)").format(
                    state, sql.Identifier(table), column=sql.Identifier(column)
                ),
                (names,),
            )
    if by == "the next revert":
        third = replace(order, role_name="tpk_" + order.role_name[-32:][::-1])
        await grant_access(third)
        await reverted(adapter, target.definition, third.role_name)
    else:
        await adapter.prune(target.definition, system=(await adapter.identify(target.definition)).system)

    assert Ledger(target, old).statements == []
    assert len(Ledger(target, recent).statements) == 2
    late = await adapter.revert(target.definition, await marked(adapter, target.definition, old))
    assert late.proven
    assert "deleted a week after" in late.accesses.unavailable
