"""What has changed since a look, however late a transaction ends: each receipt is found by the first look that can see it."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, suppress

from psycopg import sql

from tests.support.store import as_owner
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.capabilities import directory, ledger
from trustpack.platform.changes import Change
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Transaction

KINDS = ("team",)


async def look(container: Container, seen: str | None, *, limit: int = 100) -> tuple[str, list[Change] | None]:
    changes = await ledger.changes_since(container.system_pool, seen, kinds=KINDS, limit=limit)
    return changes.seen, None if changes.found is None else list(changes.found)


async def add_team(tx: Transaction, world: World, name: str) -> Change:
    team = await directory.add_team(tx, world.operator, name=name)
    return Change(world.tenant_id, "team", team.id)


async def test_what_is_committed_late_is_found_late_and_not_missed(container: Container, world: World, other_world: World):
    seen, nothing = await look(container, None)
    async with AsyncExitStack() as early:
        first = await early.enter_async_context(container.unit_of_work.transaction(world.tenant_id))
        one = await add_team(first, world, "one")
        await first.flush()
        async with container.unit_of_work.transaction(other_world.tenant_id) as second:
            two = await add_team(second, other_world, "two")
        seen, found_before = await look(container, seen)
        seen, found_between = await look(container, seen)
    seen, found_after = await look(container, seen)
    seen, found_again = await look(container, seen)

    assert nothing is None
    assert (found_before, found_between, found_after, found_again) == ([two], [], [one], [])


async def test_what_was_rolled_back_is_never_found(container: Container, world: World):
    seen, _ = await look(container, None)
    with suppress(ZeroDivisionError):
        async with container.unit_of_work.transaction(world.tenant_id) as tx:
            await add_team(tx, world, "gone")
            await tx.flush()
            seen, found_under_way = await look(container, seen)
            raise ZeroDivisionError
    _, found_after = await look(container, seen)

    assert (found_under_way, found_after) == ([], [])


async def test_each_of_many_interleaved_transactions_is_found_exactly_once(container: Container, world: World):
    seen, _ = await look(container, None)
    found: list[Change] = []
    made = []
    async with AsyncExitStack() as last_in_first_out:
        for number in range(6):
            tx = await last_in_first_out.enter_async_context(container.unit_of_work.transaction(world.tenant_id))
            made.append(await add_team(tx, world, f"long-{number}"))
            await tx.flush()
            async with container.unit_of_work.transaction(world.tenant_id) as short:
                made.append(await add_team(short, world, f"short-{number}"))
            seen, more = await look(container, seen)
            found += more or []
        in_the_middle = len(found)
    seen, more = await look(container, seen)

    assert Counter([*found, *(more or [])]) == Counter(made)
    assert in_the_middle == 6


async def test_more_than_can_be_told_apart_is_said_without_names_and_the_next_look_goes_on_behind_it(
    container: Container, world: World
):
    seen, _ = await look(container, None)
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        for number in range(3):
            await add_team(tx, world, f"long-{number}")
    seen, too_many = await look(container, seen, limit=2)
    _, after = await look(container, seen, limit=2)

    assert (too_many, after) == (None, [])


async def test_receipts_that_another_server_wrote_before_a_restore_are_not_found_for_ever(
    container: Container, world: World, settings: Settings
):
    async with container.unit_of_work.transaction(world.tenant_id) as tx:
        team = await add_team(tx, world, "restored")
    seen, _ = await look(container, None)
    with as_owner(settings) as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")  # as a restore does, past the triggers
        far_ahead = "UPDATE trustpack.receipts SET transaction_id = '99999999999' WHERE tenant_id = %s AND subject_id = %s"
        assert connection.execute(far_ahead, (world.tenant_id, team.subject_id)).rowcount == 1
    _, found = await look(container, seen)

    assert found == []


async def test_a_look_walks_the_index_and_not_the_receipts(container: Container):
    async with container.system_pool.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        seen = await (await connection.execute("SELECT pg_current_snapshot()::text AS seen")).fetchone()
        assert seen is not None
        cursor = await connection.execute(
            sql.SQL(
                "EXPLAIN SELECT tenant_id FROM trustpack.receipts"
                " WHERE transaction_id >= pg_snapshot_xmin({0}::pg_snapshot)"
                " AND transaction_id < pg_snapshot_xmax(pg_current_snapshot())"
                " AND NOT pg_visible_in_snapshot(transaction_id, {0}::pg_snapshot) AND subject_kind = ANY('{{team}}')"
            ).format(seen["seen"])
        )
        plan = str(await cursor.fetchall())

    assert "receipts_by_transaction" in plan
    assert "Index Cond: ((transaction_id >=" in plan
