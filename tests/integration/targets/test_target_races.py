"""Grants, reverts and logins at once on one target. Source: research/jit-provisioning section 8."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import count

import psycopg
import pytest
from psycopg import sql

from tests.support.targets import TargetDatabase, an_order, granted, handed_out, marked, prepare, reverted
from trustpack.capabilities.operations.adapters.postgres.session import open_session
from trustpack.capabilities.operations.model import TargetRefused, TargetUnavailable

pytestmark = pytest.mark.parametrize("server", [18, 15], indirect=True, ids=["pg18", "pg15"])
_numbers = count(1)


@pytest.fixture(scope="session")
def crowded(server) -> TargetDatabase:
    """A target of each version, prepared by its owner, who is no superuser."""
    version, cluster = server
    return prepare(cluster, version=version, installed_by="owner", name="crowded")


def numbered_order():
    number = next(_numbers)
    return replace(an_order(number), role_name=f"tpk_c0de{number:028x}", connection_limit=5)


@pytest.mark.slow
@pytest.mark.adversarial(29)
async def test_a_hundred_grants_at_once_and_their_ends_meet_no_concurrent_update(crowded):
    adapter = crowded.adapter()
    orders = [numbered_order() for _ in range(100)]

    grants = await asyncio.gather(*(granted(adapter, crowded.definition, order) for order in orders))
    with crowded.superuser() as conn:
        there = conn.execute("select count(*) from pg_roles where rolname like 'tpk_c0de%'").fetchone()
    outcomes = await asyncio.gather(*(reverted(adapter, crowded.definition, order.role_name) for order in orders))

    assert there == (100,)
    assert len({grant.role_ref for grant in grants}) == 100
    assert not any(grant.adopted for grant in grants)
    assert [outcome.blockers for outcome in outcomes] == [()] * 100
    with crowded.superuser() as conn:
        assert conn.execute("select count(*) from pg_roles where rolname like 'tpk_c0de%'").fetchone() == (0,)
        assert conn.execute("select count(*) from pg_auth_members where member not in (select oid from pg_roles)").fetchone() == (
            0,
        )


@pytest.mark.slow
async def test_cycles_of_grant_login_and_end_beside_each_other_never_fail(crowded):
    async def cycle(adapter):
        for _ in range(5):
            order = numbered_order()
            await granted(adapter, crowded.definition, order)
            await handed_out(adapter, crowded.definition, order.role_name)
            with crowded.grantee(order.role_name) as conn:
                seen = conn.execute("select count(*) from orders").fetchone()
            outcome = await reverted(adapter, crowded.definition, order.role_name)
            assert (seen, outcome.blockers) == ((100,), ())

    servers = [crowded.adapter(), crowded.adapter()]
    await asyncio.gather(*(cycle(servers[number % 2]) for number in range(8)))


async def test_grants_that_want_more_sessions_than_the_service_may_have_wait_for_a_place(crowded):
    servers = [crowded.adapter(connect_timeout_seconds=30) for _ in range(2)]
    orders = [numbered_order() for _ in range(12)]
    limit = sql.SQL("alter role {} connection limit {}")
    service = sql.Identifier(crowded.names.service)
    with crowded.superuser() as conn:
        conn.execute(limit.format(service, 2))
        try:
            grants = await asyncio.gather(
                *(granted(servers[number % 2], crowded.definition, order) for number, order in enumerate(orders))
            )
        finally:
            conn.execute(limit.format(service, 40))

    assert len({grant.role_ref for grant in grants}) == 12
    for order in orders:
        assert (await reverted(servers[0], crowded.definition, order.role_name)).proven


async def test_a_service_that_finds_no_place_in_time_says_that_it_has_too_many_sessions(crowded):
    limit = sql.SQL("alter role {} connection limit {}")
    service = sql.Identifier(crowded.names.service)
    with crowded.superuser() as conn:
        conn.execute(limit.format(service, 1))
        try:
            async with open_session(crowded.definition, dsn=crowded.service_url, connect_timeout_seconds=30):
                with pytest.raises(TargetUnavailable) as unavailable:
                    await granted(crowded.adapter(connect_timeout_seconds=1), crowded.definition, numbered_order())
        finally:
            conn.execute(limit.format(service, 40))

    assert "too many connections" in unavailable.value.data["reason"]


async def test_sixteen_orders_of_one_grant_at_once_make_one_role(crowded):
    adapter, order = crowded.adapter(), numbered_order()

    grants = await asyncio.gather(*(granted(adapter, crowded.definition, order) for _ in range(16)))

    assert Counter(grant.adopted for grant in grants) == {False: 1, True: 15}
    assert len({(grant.role_ref, grant.expires_at) for grant in grants}) == 1
    assert (await reverted(adapter, crowded.definition, order.role_name)).proven


async def test_every_function_called_at_once_on_one_role_is_done_or_refused_by_name(crowded):
    order = numbered_order()
    await granted(crowded.adapter(), crowded.definition, order)
    await handed_out(crowded.adapter(), crowded.definition, order.role_name)
    refusals: Counter[str] = Counter()

    async def call(function, *arguments):
        async with open_session(crowded.definition, dsn=crowded.service_url, connect_timeout_seconds=20) as session:
            verifier = session.make_verifier(role_name=order.role_name, password="x")
            given = [verifier if argument == "verifier" else argument for argument in arguments]
            try:
                await session.call(function, order.role_name, *given)
            except TargetRefused as error:
                refusals[f"{function} {error.data['sqlstate']}"] += 1

    await asyncio.gather(
        *(call("set_verifier", "verifier", number) for number in range(2, 6)),
        *(call("expire") for _ in range(4)),
        *(call("kill", 1000) for _ in range(4)),
        *(call("begin_login_probe", "verifier") for _ in range(2)),
        *(call("drop_role", None) for _ in range(2)),
    )

    # A refusal is one of ours: there is no (or no expired) grant, or a later password was set. Nothing was updated concurrently.
    assert {refusal.split()[1] for refusal in refusals} <= {"TP004", "TP005", "TP007"}
    assert (await reverted(crowded.adapter(), crowded.definition, order.role_name)).proven


async def test_two_reverts_of_one_role_take_turns_and_say_the_same(crowded):
    order = numbered_order()
    await granted(crowded.adapter(), crowded.definition, order)
    mark = await marked(crowded.adapter(), crowded.definition, order.role_name)

    outcomes = await asyncio.gather(*(crowded.adapter().revert(crowded.definition, mark) for _ in range(6)))

    assert [outcome.blockers for outcome in outcomes] == [()] * 6
    assert sorted(outcome.proof["resumed"] for outcome in outcomes) == [False, *[True] * 5]
    assert len({outcome.proof["dropped_at"] for outcome in outcomes}) == 1


async def test_advisory_locks_that_a_grantee_holds_delay_nobody(crowded):
    order, other = numbered_order(), numbered_order()
    adapter = crowded.adapter()
    await granted(adapter, crowded.definition, order)
    await handed_out(adapter, crowded.definition, order.role_name)
    with crowded.grantee(order.role_name) as conn:
        conn.execute("select pg_advisory_lock(number) from generate_series(-1000, 1000) as number")

        await granted(adapter, crowded.definition, other)
        outcomes = [await reverted(adapter, crowded.definition, each.role_name) for each in (other, order)]

        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert [outcome.blockers for outcome in outcomes] == [(), ()]


@pytest.mark.adversarial(38)
async def test_a_storm_of_logins_with_some_that_hide_behind_post_auth_delay_leaves_nobody_who_reads(crowded):
    order, adapter = numbered_order(), crowded.adapter()
    await granted(adapter, crowded.definition, order)
    await handed_out(adapter, crowded.definition, order.role_name)
    over, logins, late = asyncio.Event(), Counter(), []

    def log_in_and_read(options):
        with crowded.grantee(order.role_name, options=options) as conn:
            was_over = over.is_set()
            seen = conn.execute("select count(*) from orders").fetchone()
            logins[options] += 1
            if was_over:
                late.append((options, seen))

    async def keep_logging_in(options):
        while not over.is_set():
            try:
                await asyncio.to_thread(log_in_and_read, options)
            except psycopg.Error:
                await asyncio.sleep(0.001)

    hidden = "-c post_auth_delay=1"
    clients = [asyncio.create_task(keep_logging_in(options)) for options in ("", "", "", hidden, hidden)]
    async with asyncio.timeout(30):
        while not (logins[""] > 5 and logins[hidden]):  # noqa: ASYNC110  # the clients are threads
            await asyncio.sleep(0.02)

    outcome = await reverted(adapter, crowded.definition, order.role_name)

    over.set()
    await asyncio.gather(*clients)
    assert outcome.proven, outcome.blockers
    assert late == []
    with crowded.superuser() as conn:
        there = sql.SQL("select count(*) from pg_stat_activity where usesysid = %s")
        assert conn.execute(there, (outcome.proof["role_oid"],)).fetchone() == (0,)
