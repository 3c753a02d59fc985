"""A target that is down, read-only, cut off or locked: failures are clean, what is not over is never called over, loudly."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.clock import MovableClock
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.served import ServedWorld, becomes, first_start
from tests.support.server_process import wait_until
from tests.support.stored import chain_faults, jobs_of, run_due
from tests.support.targets import TargetDatabase, prepare, require_version, running_cluster
from trustpack.platform.embedded_postgres import Cluster, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FAILURE = ["requested", "approved", "approved", "execution_started", "execution_failed"]
MOMENTS = ("before", "after")


@pytest.fixture(scope="module", params=[18, 15], ids=lambda version: f"pg{version}")
def fragile(request, tmp_path_factory) -> Iterator[TargetDatabase]:
    """A target on a server of its own, which the tests stop and start."""
    require_version(request.param)
    with running_cluster(tmp_path_factory.mktemp(f"fragile{request.param}"), request.param) as cluster:
        yield prepare(cluster, version=request.param, installed_by="owner", name="fragile")


@pytest.fixture
async def world(settings, fragile) -> AsyncIterator[ServedWorld]:
    """A tenant on it; nobody does due work but the test."""
    async with first_start(settings, MovableClock(), fragile) as world:
        yield world
    fragile.cluster.ensure_running()


def has_role(target: TargetDatabase, request: dict[str, Any]) -> bool:
    """Whether the role of a request's grant is on the target."""
    with target.superuser() as conn:
        found = conn.execute("select 1 from pg_roles where rolname = %s", (request["grant"]["role_name"],)).fetchone()
    return found is not None


async def execute(world: ServedWorld, request_id: str) -> dict[str, Any]:
    return dict((await world.act("user-engineer", request_id, "execute")).json())


async def measured(world: ServedWorld, name: str) -> float:
    lines = (await world.http.get("/metrics")).text.splitlines()
    return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")), 0))


async def try_again(world: ServedWorld) -> None:
    """Let the longest pause between two attempts pass, and do what is due."""
    world.clock.advance(seconds=61)
    await run_due(world)


async def require_failed_and_nothing_left(world: ServedWorld, request: dict[str, Any], code: str) -> None:
    assert (request["status"], request["execution"]["error"]["code"]) == ("failed", code), request
    assert request["grant"]["status"] == "void"
    assert await world.actions(request["id"]) == FAILURE
    assert (await world.receipts(request["id"]))[-1]["payload"]["nothing_left"]
    assert await chain_faults(world, request["id"]) == ()
    assert await jobs_of(world) == []


async def test_a_target_that_is_down_fails_the_execution_and_nothing_is_left(world, fragile):
    approved = await world.approved(**world.wanted(seconds=600))
    fragile.cluster.stop()

    failed = await execute(world, approved["id"])

    await require_failed_and_nothing_left(world, failed, "operations.target_unavailable")
    fragile.cluster.ensure_running()
    assert not has_role(fragile, failed)


@pytest.mark.adversarial(36, 46)
async def test_a_target_that_is_down_for_an_hour_over_the_end_is_never_called_reverted_before_it_is(world, fragile):
    request = await world.active(**world.wanted(seconds=600))
    credentials = await world.credentials(request["id"])
    fragile.cluster.stop(mode="immediate")
    unproven = await measured(world, 'trustpack_reverts_total{outcome="unproven"}')
    world.clock.advance(seconds=600)
    seen = set()

    for _ in range(60):
        await try_again(world)
        during = await world.read(request["id"])
        seen.add((during["status"], during["grant"]["status"], during["grant"]["ended_at"]))
    alarms = [
        await measured(world, name)
        for name in ("trustpack_reverts_unproven", 'trustpack_jobs_retrying{kind="operations.revert"}')
    ]
    attempts = await measured(world, 'trustpack_reverts_total{outcome="unproven"}') - unproven
    ready = await world.http.get("/readyz")
    failures = [receipt for receipt in await world.receipts(request["id"]) if receipt["action"] == "revert_failed"]
    fragile.cluster.ensure_running()
    # It had told the truth: on the target's own clock the access is still there, crash or not.
    with psycopg.connect(credentials["uri"]) as conn:
        rows = conn.execute("select count(*) from orders").fetchone()
    await try_again(world)
    after = await world.read(request["id"])

    assert seen == {("revert_failed", "revert_failed", None)}
    assert (alarms, attempts) == ([1, 1], 60)
    assert ready.status_code == 200, "one target that is down must not take everybody's service away"
    assert [failure["payload"]["blockers"] for failure in failures] == [["operations.target_unavailable"]]
    assert rows == (100,)
    assert (after["status"], after["grant"]["revert_blockers"]) == ("reverted", [])
    assert await measured(world, "trustpack_reverts_unproven") == 0
    assert not has_role(fragile, after)
    assert await chain_faults(world, request["id"]) == ()


@contextmanager
def standby_of(primary: Cluster, directory: Path) -> Iterator[Cluster]:
    """Run a streaming standby of a cluster."""
    standby = replace(primary, directory=directory, port=free_port())
    directory.mkdir()
    standby._prepare_directories()
    command = [str(primary.bin_path / "pg_basebackup"), "-d", primary.url(), "-D", str(standby.data_path), "-R", "-c", "fast"]
    subprocess.run(command, user=standby._system_user, cwd="/", check=True, capture_output=True)
    standby.ensure_running()
    try:
        yield standby
    finally:
        standby.stop(mode="immediate")


@pytest.mark.adversarial(34, 46)
async def test_a_standby_is_granted_nothing_and_proves_nothing(world, fragile, tmp_path):
    approved, active = [await world.approved(**world.wanted(seconds=600)) for _ in range(2)]
    active = await execute(world, active["id"])
    with standby_of(fragile.cluster, tmp_path / "standby") as standby:
        replica = replace(fragile, cluster=standby)
        wait_until(lambda: has_role(replica, active), seconds=30, what="the standby to follow")
        world.secret.write_text(replica.service_url)

        failed = await execute(world, approved["id"])
        response = await world.act("user-engineer", active["id"], "revert", {"reason": "done"})
        during = await world.read(active["id"])

    world.secret.write_text(fragile.service_url)
    await try_again(world)

    await require_failed_and_nothing_left_but(world, failed, active)
    assert (response.status_code, during["status"], during["grant"]["ended_at"]) == (202, "revert_failed", None)
    assert during["grant"]["revert_blockers"] == ["operations.target_refused"]
    assert (await world.read(active["id"]))["status"] == "reverted"
    assert [has_role(fragile, each) for each in (failed, active)] == [False, False]


async def require_failed_and_nothing_left_but(world: ServedWorld, failed: dict[str, Any], other: dict[str, Any]) -> None:
    assert [job["subject_id"] for job in await jobs_of(world)] in ([], [other["id"]])
    assert (failed["status"], failed["execution"]["error"]["code"]) == ("failed", "operations.target_refused"), failed
    assert "read-only" in failed["execution"]["error"]["detail"]
    assert await world.actions(failed["id"]) == FAILURE
    assert await chain_faults(world, failed["id"]) == ()


@pytest.mark.adversarial(34)
async def test_a_read_only_server_is_granted_nothing_and_the_failure_says_why(world, fragile):
    approved = await world.approved(**world.wanted(seconds=600))
    read_only = sql.SQL("alter database {} set default_transaction_read_only = {}")
    with fragile.superuser(database="postgres") as conn:
        conn.execute(read_only.format(sql.Identifier(fragile.database), sql.Literal("on")))
        # Whoever sets this for a database ends its sessions too: it is the default of those that come after.
        conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (fragile.database,))

        failed = await execute(world, approved["id"])

        conn.execute(read_only.format(sql.Identifier(fragile.database), sql.Literal("off")))
    assert "read-only" in failed["execution"]["error"]["detail"]
    await require_failed_and_nothing_left(world, failed, "operations.target_refused")
    assert not has_role(fragile, failed)


@pytest.fixture
async def proxy(world, fragile) -> AsyncIterator[CuttingProxy]:
    """A proxy between the service and the target."""
    async with cutting_proxy(fragile.cluster.port) as proxy:
        world.secret.write_text(proxy.url(fragile.service_url))
        yield proxy
        world.secret.write_text(fragile.service_url)


@pytest.mark.adversarial(27, 28)
async def test_an_execution_whose_connection_is_cut_anywhere_fails_and_leaves_nothing(world, fragile, proxy):
    for function in ("identify", "grant_access"):
        for moment in MOMENTS:
            approved = await world.approved(**world.wanted(seconds=600))
            proxy.cut_at(f'"{function}"', moment)

            failed = await execute(world, approved["id"])

            assert proxy.cuts[-1] == (f'"{function}"', moment)
            await require_failed_and_nothing_left(world, failed, "operations.target_unavailable")
            assert not has_role(fragile, failed), (function, moment)


@pytest.mark.adversarial(33)
async def test_credentials_whose_connection_is_cut_are_withdrawn_and_can_be_asked_for_again(world, fragile, proxy):
    request = await world.active(**world.wanted(seconds=600))
    for moment in MOMENTS:
        proxy.cut_at('"set_verifier"', moment)

        cut = await world.act("user-engineer", request["id"], "credentials")

        assert proxy.cuts[-1] == ('"set_verifier"', moment)
        assert (cut.status_code, cut.json()["code"]) == (503, "operations.target_unavailable")
        assert (await world.read(request["id"]))["grant"]["credentials_issued"] == 0
    credentials = await world.credentials(request["id"])

    with fragile.grantee(credentials["user"], password=credentials["password"]) as conn:
        assert conn.execute("select count(*) from orders").fetchone() == (100,)
    await world.act("user-engineer", request["id"], "revert", {"reason": "done"})
    assert await chain_faults(world, request["id"]) == ()


@pytest.mark.adversarial(36, 46)
async def test_a_revert_whose_connection_is_cut_anywhere_is_unproven_and_finished_by_the_next(world, fragile, proxy):
    for function in ("locate", "take_turn", "expire", "kill", "begin_login_probe", "drop_role", "prove"):
        for moment in MOMENTS:
            request = await world.active(**world.wanted(seconds=600))
            credentials = await world.credentials(request["id"])
            proxy.cut_at(f'"{function}"', moment)

            response = await world.act("user-engineer", request["id"], "revert", {"reason": "done"})
            await try_again(world)

            assert proxy.cuts[-1] == (f'"{function}"', moment)
            assert (response.status_code, response.json()["status"]) == (202, "revert_failed"), (function, moment)
            after = await world.read(request["id"])
            assert after["status"] == "reverted", (function, moment, after)
            assert after["grant"]["revert_proof"]["steps"]["login_before_drop"]["refused_for_the_right_reason"] is True
            assert not has_role(fragile, after)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                fragile.grantee(credentials["user"], password=credentials["password"]).close()
            assert await chain_faults(world, request["id"]) == ()


@pytest.mark.adversarial(28)
@pytest.mark.parametrize("fragile", [18], indirect=True, ids=["pg18"])
async def test_an_execution_that_waits_too_long_for_a_lock_fails_and_leaves_nothing(world, fragile):
    approved = await world.approved(**world.wanted(seconds=600))
    with fragile.superuser() as conn, conn.transaction():
        conn.execute("lock table pg_authid in share mode")

        failed = await execute(world, approved["id"])

    await require_failed_and_nothing_left(world, failed, "operations.target_unavailable")
    assert not has_role(fragile, failed)


@pytest.mark.parametrize("fragile", [18], indirect=True, ids=["pg18"])
async def test_an_execution_behind_a_table_that_its_owner_is_altering_fails_before_its_caller_gives_up(world, fragile):
    approved = await world.approved(**world.wanted(seconds=600))
    with fragile.superuser() as conn, conn.transaction():
        conn.execute("lock table public.orders in access exclusive mode")

        failed = await execute(world, approved["id"])

    await require_failed_and_nothing_left(world, failed, "operations.target_unavailable")
    assert not has_role(fragile, failed)


@pytest.mark.adversarial(46)
@pytest.mark.parametrize("fragile", [18], indirect=True, ids=["pg18"])
async def test_a_revert_that_cannot_lock_the_role_ends_its_sessions_and_is_finished_when_it_can(world, fragile):
    request = await world.active(**world.wanted(seconds=600))
    uri = (await world.credentials(request["id"]))["uri"]
    role_name = request["grant"]["role_name"]
    with fragile.superuser() as conn, psycopg.connect(uri, autocommit=True) as session, conn.transaction():
        conn.execute(sql.SQL("alter role {} connection limit 1").format(sql.Identifier(role_name)))

        await world.act("user-engineer", request["id"], "revert", {"reason": "done"})
        during = await becomes(world, request["id"], "revert_failed", seconds=30)

        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
    await try_again(world)

    assert any(blocker.startswith("nologin_failed: 55P03") for blocker in during["grant"]["revert_blockers"]), during["grant"]
    after = await world.read(request["id"])
    assert (after["status"], has_role(fragile, after)) == ("reverted", False)
