"""The reconciler in the store: whose a finding is, what it leaves alone, and that it goes on whatever happens to its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.reconciling import drift_told, drift_told_of_targets, reconciled
from tests.support.scripted_target import Honest, unavailable
from tests.support.store import as_owner
from tests.support.stored import chain_faults, jobs_of, rows, run_due
from tests.support.world import RECORD_TARGET, World
from tests.support.worlds import ScriptedWorld, world_on
from trustpack.app.target_registry import compare_and_mend
from trustpack.capabilities.operations.jobs import most_of_kind
from trustpack.capabilities.operations.model import RevertOutcome, TargetUnavailable, UnknownTarget
from trustpack.capabilities.operations.model.drift import TargetInventory
from trustpack.capabilities.operations.service import reconciling
from trustpack.capabilities.operations.service.context import RECONCILE_JOB
from trustpack.capabilities.operations.service.reconciling import compare, watch_targets
from trustpack.capabilities.operations.service.targets import remove_target
from trustpack.platform.jobs import Worker

FOREVER = "infinity"


async def target_id(world: World) -> str:
    [row] = await rows(world, "SELECT id FROM trustpack.targets")
    return str(row["id"])


async def reconcile_jobs(world: World) -> int:
    return len(await rows(world, "SELECT 1 FROM trustpack.jobs WHERE kind = %(kind)s", kind=RECONCILE_JOB))


def role_of(request: dict[str, Any]) -> str:
    return str(request["grant"]["role_name"])


async def metric(world: World, name: str) -> float | None:
    lines = (await world.http.get("/metrics")).text.splitlines()
    found = [line for line in lines if line.startswith(name)]
    return float(found[0].rpartition(" ")[2]) if found else None


def end_lease(world: World) -> None:
    """Let the lease of a comparison that died run out."""
    with as_owner(world.container.settings) as connection:
        connection.execute("UPDATE trustpack.jobs SET locked_until = NULL, lease_id = NULL WHERE kind = %s", (RECONCILE_JOB,))


async def test_two_tenants_on_one_target_leave_each_others_grants_alone(scripted: ScriptedWorld, container, clock):
    async with world_on(container, clock, scripted.target, RECORD_TARGET) as other:
        mine, theirs = await scripted.active(), await other.active()
        for request in (mine, theirs):
            scripted.target.roles[role_of(request)].valid_until = FOREVER

        await reconciled(other)

        assert scripted.target.roles[role_of(theirs)].valid_until is None
        assert scripted.target.roles[role_of(mine)].valid_until == FOREVER
        assert (await drift_told(scripted, mine["id"]), await drift_told(other, theirs["id"])) == ([], ["valid_until_changed"])
        await reconciled(scripted)
        assert await drift_told(scripted, mine["id"]) == ["valid_until_changed"]


async def test_a_role_back_of_a_tenant_that_left_the_target_is_taken_away_by_the_other(scripted: ScriptedWorld, container, clock):
    async with world_on(container, clock, scripted.target, RECORD_TARGET) as gone:
        request = await gone.active()
        await gone.act("user-engineer", request["id"], "revert", {"reason": "done"})
        async with gone.container.unit_of_work.transaction(gone.tenant_id) as tx:
            await remove_target(tx, gone.operator, name="orders-prod")
        scripted.target.roles[role_of(request)].is_dropped = False
        clock.advance(seconds=1)

        await reconciled(scripted)

    assert scripted.target.roles[role_of(request)].is_dropped
    assert await drift_told_of_targets(scripted) == ["resurrected_role"]
    assert await drift_told(gone, request["id"]) == []


async def test_a_tenant_whose_target_is_another_system_now_looks_after_no_role_here(scripted: ScriptedWorld, container, clock):
    async with world_on(container, clock, scripted.target, RECORD_TARGET) as moved:
        request = await moved.active()
        await moved.act("user-engineer", request["id"], "revert", {"reason": "done"})
        scripted.target.system = "cluster-b"
        await moved.add_target(RECORD_TARGET)
        scripted.target.system = "cluster-a"
        scripted.target.roles[role_of(request)].is_dropped = False
        clock.advance(seconds=1)

        await reconciled(moved)
        untouched = not scripted.target.roles[role_of(request)].is_dropped
        await reconciled(scripted)

    assert untouched
    assert scripted.target.roles[role_of(request)].is_dropped
    assert await drift_told_of_targets(scripted) == ["resurrected_role"]


@pytest.mark.parametrize("issuer", ["ours", "another"])
async def test_a_grant_unknown_to_this_store_is_taken_back_by_its_issuer_alone(scripted: ScriptedWorld, issuer: str):
    request = await scripted.active()
    order = scripted.target.roles[role_of(request)]
    stranger = "tpk_" + "0" * 31 + "1"
    store_id = scripted.container.operations.store_id if issuer == "ours" else "another-store"
    scripted.target.roles[stranger] = replace(order, issuer=store_id)

    await reconciled(scripted)

    assert scripted.target.roles[stranger].is_dropped is (issuer == "ours")
    assert scripted.target.roles[role_of(request)].is_dropped is False
    assert await drift_told_of_targets(scripted) == (["orphan_role"] if issuer == "ours" else [])


async def test_lost_timers_are_found_and_access_still_ends_on_time(scripted: ScriptedWorld):
    request = await scripted.active()
    with as_owner(scripted.container.settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs WHERE subject_id = %s", (request["id"],))

    await reconciled(scripted)
    await reconciled(scripted)
    [timer] = await jobs_of(scripted)
    scripted.clock.advance(hours=1)
    await run_due(scripted)

    assert timer["due_at"] - (scripted.clock.now() - timedelta(hours=1)) <= timedelta(hours=1)
    assert timer["lane"] == request["target"]["id"]
    assert await drift_told(scripted, request["id"]) == ["lost_timer"]
    assert (await scripted.read(request["id"]))["status"] == "reverted"
    assert await chain_faults(scripted, request["id"]) == ()


async def test_a_lost_timer_is_healed_while_the_target_is_down(scripted: ScriptedWorld):
    request = await scripted.active()
    with as_owner(scripted.container.settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs WHERE subject_id = %s", (request["id"],))
    scripted.target.script("inventory", unavailable)

    kept = await reconciled(scripted)

    assert (kept["error"], kept["succeeded_at"]) == ("operations.target_unavailable", None)
    assert len(await jobs_of(scripted)) == 1


async def test_a_target_that_is_down_is_asked_again_within_a_minute_and_its_findings_stand(scripted: ScriptedWorld):
    request = await scripted.active()
    scripted.target.is_sealed = False
    await reconciled(scripted)
    scripted.target.script("inventory", unavailable)

    kept = await reconciled(scripted)

    [job] = await rows(scripted, "SELECT due_at, lane FROM trustpack.jobs WHERE kind = %(kind)s", kind=RECONCILE_JOB)
    assert job["due_at"] <= scripted.clock.now() + timedelta(seconds=60)
    assert job["lane"] == f"reconcile:{await target_id(scripted)}"
    assert kept["findings"] == ["installation_altered"]
    assert await drift_told_of_targets(scripted) == ["installation_altered"]
    assert (await scripted.read(request["id"]))["status"] == "reverting"


async def test_a_dry_comparison_changes_nothing(scripted: ScriptedWorld):
    request = await scripted.active()
    scripted.target.roles[role_of(request)].valid_until = FOREVER
    before = await scripted.read(request["id"])

    found = await compare(scripted.container.operations, scripted.tenant_id, await target_id(scripted))

    assert [drift.code.value for drift in found.drift] == ["valid_until_changed"]
    assert scripted.target.roles[role_of(request)].valid_until == FOREVER
    assert await scripted.read(request["id"]) == before
    assert await rows(scripted, "SELECT 1 FROM trustpack.reconciliations") == []


async def test_what_could_not_be_repaired_is_told_once_and_tried_each_time(scripted: ScriptedWorld):
    request = await scripted.active()
    scripted.target.roles[role_of(request)].valid_until = FOREVER
    scripted.target.script("repair", unavailable, unavailable)
    repairs = 'trustpack_drift_repairs_total{{code="valid_until_changed",outcome="{}"}}'
    before = [await metric(scripted, repairs.format(outcome)) or 0 for outcome in ("blocked", "done")]

    first = await reconciled(scripted)
    await reconciled(scripted)
    last = await reconciled(scripted)

    after = [await metric(scripted, repairs.format(outcome)) for outcome in ("blocked", "done")]
    assert after == [before[0] + 2, before[1] + 1]

    assert first["findings"] == first["blocked"] == [f"valid_until_changed {role_of(request)}"]
    assert (last["findings"], last["blocked"]) == ([], [])
    assert await drift_told(scripted, request["id"]) == ["valid_until_changed", "valid_until_changed!"]


async def test_a_crash_after_the_receipt_and_before_the_repair_is_mended_without_a_second_receipt(scripted: ScriptedWorld):
    request = await scripted.active()
    scripted.target.roles[role_of(request)].valid_until = FOREVER

    async def die(_: object) -> None:
        raise KeyboardInterrupt

    scripted.target.script("repair", die)
    with pytest.raises(KeyboardInterrupt):
        await reconciled(scripted)
    told = await drift_told(scripted, request["id"])
    end_lease(scripted)

    kept = await reconciled(scripted)

    assert told == await drift_told(scripted, request["id"]) == ["valid_until_changed"]
    assert scripted.target.roles[role_of(request)].valid_until is None
    assert kept["findings"] == []


@pytest.mark.parametrize("of_target", [False, True], ids=["of a case", "of the target"])
async def test_a_crash_after_the_receipt_of_a_failed_repair_repeats_none(
    scripted: ScriptedWorld, monkeypatch: pytest.MonkeyPatch, of_target: bool
):
    request = await scripted.active()
    role = scripted.target.roles[role_of(request)]
    if of_target:
        scripted.target.roles["tpk_" + "0" * 32] = replace(role, is_covered=False)
    else:
        role.valid_until = FOREVER

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    scripted.target.script("repair", unavailable, unavailable)
    with monkeypatch.context() as patched:
        patched.setattr(reconciling, "_keep", die)
        with pytest.raises(KeyboardInterrupt):
            await reconciled(scripted)
    end_lease(scripted)

    await reconciled(scripted)

    code = "stray_role" if of_target else "valid_until_changed"
    told = await (drift_told_of_targets(scripted) if of_target else drift_told(scripted, request["id"]))
    assert told == [code, f"{code}!"]


async def test_a_repair_that_crashes_is_told_and_stops_no_other(scripted: ScriptedWorld):
    first, second = await scripted.active(), await scripted.active()
    for request in (first, second):
        scripted.target.roles[role_of(request)].valid_until = FOREVER

    async def crash(_: object) -> None:
        raise RuntimeError("a bug")

    scripted.target.script("repair", crash)
    kept = await reconciled(scripted)

    assert kept["blocked"] == [f"valid_until_changed {role_of(first)}"]
    assert kept["succeeded_at"] is not None
    assert await drift_told(scripted, first["id"]) == ["valid_until_changed", "valid_until_changed!"]
    assert await drift_told(scripted, second["id"]) == ["valid_until_changed"]
    assert scripted.target.roles[role_of(second)].valid_until is None


async def test_an_access_whose_end_crashes_keeps_no_other_alive_and_ends_a_minute_later(
    scripted: ScriptedWorld, monkeypatch: pytest.MonkeyPatch
):
    requests = [await scripted.active(), await scripted.active()]
    scripted.target.is_sealed = False

    async def crash_once(*arguments: Any, **named: Any) -> Any:
        monkeypatch.undo()
        raise RuntimeError("a bug")

    monkeypatch.setattr(reconciling, "begin_revert", crash_once)

    kept = await reconciled(scripted)
    statuses = [(await scripted.read(request["id"]))["status"] for request in requests]
    again = await reconciled(scripted)

    assert sorted(statuses) == ["active", "reverting"]
    assert (kept["error"], kept["succeeded_at"]) == ("operations.repair_crashed", None)
    assert (again["error"], again["findings"]) == (None, ["installation_altered"])
    assert [(await scripted.read(request["id"]))["status"] for request in requests] == ["reverting", "reverting"]
    assert await drift_told_of_targets(scripted) == ["installation_altered"]


async def test_a_missing_installation_ends_live_access_and_says_why(scripted: ScriptedWorld):
    request = await scripted.active()

    async def not_prepared(_: object) -> TargetInventory:
        return TargetInventory(system=scripted.target.system, is_current=False, is_missing=True)

    scripted.target.script("inventory", not_prepared)

    await reconciled(scripted)
    await run_due(scripted)

    [started] = [entry for entry in await scripted.receipts(request["id"]) if entry["action"] == "revert_started"]
    assert (started["actor"]["id"], started["payload"]["drift"]) == ("system:reconciler", "installation_missing")
    assert (await scripted.read(request["id"]))["status"] == "reverted"


async def test_seventy_targets_that_hang_do_not_keep_a_revert_waiting(scripted: ScriptedWorld):
    with as_owner(scripted.container.settings) as connection:  # a worker would do the work of every tenant
        connection.execute("DELETE FROM trustpack.jobs WHERE tenant_id <> %s", (scripted.tenant_id,))
    request = await scripted.active()
    release, reverting, asked = asyncio.Event(), asyncio.Event(), asyncio.Semaphore(0)
    for number in range(70):
        await scripted.add_target({**RECORD_TARGET, "name": f"dead-{number}"})

    async def hang(honest: Honest) -> TargetInventory:
        asked.release()
        await release.wait()
        return honest()

    async def revert(honest: Honest) -> RevertOutcome:
        reverting.set()
        return honest()

    scripted.target.script("inventory", *[hang] * 71)
    scripted.target.script("revert", revert)
    stop = asyncio.Event()
    running = asyncio.create_task(scripted.container.worker.run(stop))
    async with asyncio.timeout(30):
        for _ in range(most_of_kind()[RECONCILE_JOB]):
            await asked.acquire()
        scripted.clock.advance(hours=1)
        await reverting.wait()
    assert asked.locked(), "one more comparison than may hang at a time"
    release.set()
    stop.set()
    await running
    await scripted.container.runner.drain(grace_seconds=30)

    assert (await scripted.read(request["id"]))["status"] == "reverted"


async def test_a_comparison_prunes_and_outlives_a_target_that_does_not(scripted: ScriptedWorld):
    scripted.target.script("prune", unavailable)

    kept = await reconciled(scripted)
    await reconciled(scripted)

    assert (kept["error"], scripted.target.calls.count("prune")) == (None, 2)


async def test_a_dry_comparison_and_one_of_a_target_that_is_down_prune_nothing(scripted: ScriptedWorld):
    await compare(scripted.container.operations, scripted.tenant_id, await target_id(scripted))
    scripted.target.script("inventory", unavailable)
    await reconciled(scripted)

    assert "prune" not in scripted.target.calls


async def test_a_new_target_is_compared_at_once_and_then_every_minute(scripted: ScriptedWorld):
    [first] = await rows(scripted, "SELECT due_at FROM trustpack.jobs WHERE kind = %(kind)s", kind=RECONCILE_JOB)

    await run_due(scripted, kinds=(RECONCILE_JOB,))
    asked = scripted.target.calls.count("inventory")
    scripted.clock.advance(seconds=60)
    await run_due(scripted, kinds=(RECONCILE_JOB,))

    assert first["due_at"] <= scripted.clock.now()
    assert (asked, scripted.target.calls.count("inventory")) == (1, 2)


async def test_a_watch_asks_only_for_targets_without_a_job_unless_a_worker_starts(scripted: ScriptedWorld):
    await reconciled(scripted)
    operations = scripted.container.operations
    due = "SELECT due_at FROM trustpack.jobs WHERE kind = %(kind)s"

    await watch_targets(operations, all_of_them=False)
    [waiting] = await rows(scripted, due, kind=RECONCILE_JOB)
    await watch_targets(operations, all_of_them=True)
    [at_start] = await rows(scripted, due, kind=RECONCILE_JOB)
    with as_owner(scripted.container.settings) as connection:
        connection.execute("DELETE FROM trustpack.jobs WHERE tenant_id = %s", (scripted.tenant_id,))
    await watch_targets(operations, all_of_them=False)

    assert waiting["due_at"] > scripted.clock.now() >= at_start["due_at"]
    assert await reconcile_jobs(scripted) == 1


async def test_a_target_out_of_service_is_watched_until_its_last_grant_has_ended(scripted: ScriptedWorld):
    request = await scripted.active()
    async with scripted.container.unit_of_work.transaction(scripted.tenant_id) as tx:
        await remove_target(tx, scripted.operator, name="orders-prod")
    await run_due(scripted, kinds=(RECONCILE_JOB,))
    with_grant = await reconcile_jobs(scripted)
    await scripted.act("user-engineer", request["id"], "revert", {"reason": "done"})
    scripted.clock.advance(seconds=60)
    await run_due(scripted, kinds=(RECONCILE_JOB,))

    assert (with_grant, await reconcile_jobs(scripted)) == (1, 0)
    await watch_targets(scripted.container.operations, all_of_them=True)
    assert await reconcile_jobs(scripted) == 0


async def test_the_gauges_show_what_stands_and_when_it_was_last_looked_at(scripted: ScriptedWorld):
    name = f"drifting-{scripted.tenant_id}"
    await scripted.add_target({**RECORD_TARGET, "name": name})
    scripted.target.is_sealed = False
    await reconciled(scripted)
    scripted.clock.advance(seconds=30)

    assert await metric(scripted, f'trustpack_target_drift{{code="installation_altered",target="{name}"}}') == 1
    age = await metric(scripted, f'trustpack_target_compared_seconds{{target="{name}"}}')
    assert age is not None
    assert age >= 30
    scripted.target.is_sealed = True
    await reconciled(scripted)
    assert await metric(scripted, f'trustpack_target_drift{{code="installation_altered",target="{name}"}}') is None
    again = await metric(scripted, f'trustpack_target_compared_seconds{{target="{name}"}}')
    assert again is not None
    assert again < age


async def test_a_worker_ticks_when_it_starts_and_outlives_a_tick_that_fails(scripted: ScriptedWorld):
    ticked = asyncio.Event()
    stop = asyncio.Event()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 1:
            raise RuntimeError("a bug")
        ticked.set()

    container = scripted.container
    worker = Worker(
        container.runner, system_pool=container.system_pool, unit_of_work=container.unit_of_work, poll_seconds=0.01, tick=tick
    )
    running = asyncio.create_task(worker.run(stop))
    await asyncio.wait_for(ticked.wait(), 20)
    stop.set()
    await running

    assert ticks == 2


async def test_the_command_says_first_what_it_would_do_then_does_it(scripted: ScriptedWorld, capsys: pytest.CaptureFixture[str]):
    request = await scripted.active()
    scripted.target.roles[role_of(request)].valid_until = FOREVER

    def run(*, dry_run: bool) -> Coroutine[Any, Any, bool]:
        return compare_and_mend(scripted.container, scripted.tenant_id, "orders-prod", dry_run=dry_run)

    rehearsed = await run(dry_run=True)
    told = capsys.readouterr().out
    untouched = scripted.target.roles[role_of(request)].valid_until
    mended = await run(dry_run=False)

    assert (rehearsed, untouched) == (False, FOREVER)
    assert f"valid_until_changed {role_of(request)}" in told
    assert f"would be done: restore_expiry\n  case: {request['id']}" in told
    assert mended
    assert scripted.target.roles[role_of(request)].valid_until is None
    assert await run(dry_run=True)


async def test_the_command_cannot_compare_a_target_that_is_down_or_unknown(scripted: ScriptedWorld):
    scripted.target.script("inventory", unavailable)

    with pytest.raises(TargetUnavailable):
        await compare_and_mend(scripted.container, scripted.tenant_id, "orders-prod", dry_run=True)
    with pytest.raises(UnknownTarget):
        await compare_and_mend(scripted.container, scripted.tenant_id, "nowhere", dry_run=True)
