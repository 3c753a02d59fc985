"""Access made wider on real servers, on a grant or around the installation: seen, and ended, whatever was sealed anew."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tests.support.drifting import Dba, dba, granted_to, numbers, secret, shop, world
from tests.support.reconciling import drift_told, drift_told_of_targets, reconciled
from tests.support.stored import run_due
from tests.support.targets import SERVICE_PASSWORD, TargetDatabase
from tests.support.world import World
from trustpack.capabilities.operations.adapters.postgres import install as installation
from trustpack.capabilities.operations.adapters.postgres.check import check
from trustpack.capabilities.operations.model.drift import Drift, DriftCode, Repair

__all__ = ["dba", "secret", "shop", "world"]

AROUND = [
    ("grant pg_read_all_data to {reader}", "revoke pg_read_all_data from {reader}"),
    ("grant create on database {database} to {reader}", "revoke create on database {database} from {reader}"),
    (
        "update {state}.settings set max_duration_seconds = max_duration_seconds + 1",
        "update {state}.settings set max_duration_seconds = max_duration_seconds - 1",
    ),
    ("insert into {state}.scopes values ('hooli')", "delete from {state}.scopes where scope = 'hooli'"),
]

OF_THE_GRANT = [
    "update {state}.grants set scope = 'globex' where role_name = 'ROLE'",
    "alter role {role} bypassrls",
    "alter role {role} createrole createdb",
    "alter role {role} connection limit -1",
    "grant pg_read_all_data to {role}",
]


async def test_a_right_on_a_table_for_the_group_ends_the_access(world: World, shop: TargetDatabase, dba: Dba):
    request_id, _, _ = await granted_to(world, shop)
    dba.run("grant select on public.orders to {reader}")
    with shop.superuser() as conn:
        shown = {finding.code for finding in check(conn, shop.definition)}

    kept = await reconciled(world)
    await run_due(world)
    dba.run("revoke select on public.orders from {reader}")

    assert kept["findings"] == ["installation_altered"]
    assert "altered" in shown
    assert (await world.read(request_id))["status"] == "reverted"
    assert (await reconciled(world))["findings"] == []


async def test_every_role_right_and_setting_around_the_installation_is_under_its_seal(shop: TargetDatabase, dba: Dba):
    adapter = shop.adapter()
    for change, undo in AROUND:
        dba.run(change, database=shop.database)
        changed = await adapter.inventory(shop.definition)
        dba.run(undo, database=shop.database)
        undone = await adapter.inventory(shop.definition)

        assert (changed.is_sealed, undone.is_sealed) == (False, True), change


async def test_an_alteration_that_was_sealed_anew_ends_the_access(world: World, shop: TargetDatabase, dba: Dba):
    request_id, _, _ = await granted_to(world, shop)
    dba.run("alter view {views}.orders reset (security_barrier)")
    dba.run("update {state}.settings set seal = {state}.current_seal()")

    kept = await reconciled(world)
    await run_due(world)

    with psycopg.connect(shop.admin_url) as conn:
        installation.install(conn, shop.definition, service_password=SERVICE_PASSWORD)
    assert kept["findings"] == ["installation_altered"]
    assert (await world.read(request_id))["status"] == "reverted"
    assert (await reconciled(world))["findings"] == []


async def test_an_installation_for_another_definition_is_told_and_ends_nothing(world: World, shop: TargetDatabase):
    request_id, _, _ = await granted_to(world, shop)
    another = replace(shop.definition, max_duration_seconds=shop.definition.max_duration_seconds + 1)
    with psycopg.connect(shop.admin_url) as conn:
        installation.install(conn, another, service_password=SERVICE_PASSWORD)

    kept = await reconciled(world)
    await reconciled(world)

    with psycopg.connect(shop.admin_url) as conn:
        installation.install(conn, shop.definition, service_password=SERVICE_PASSWORD)
    assert kept["findings"] == ["installation_changed"]
    assert await drift_told_of_targets(world) == ["installation_changed"]
    assert (await world.read(request_id))["status"] == "active"
    assert (await reconciled(world))["findings"] == []


async def test_what_is_not_about_our_roles_alters_nothing(world: World, shop: TargetDatabase, dba: Dba):
    request_id, _, _ = await granted_to(world, shop)
    someone = f"clerk_{next(numbers)}"
    dba.run("create role {someone} login createdb", someone=someone)
    dba.run("grant select on public.orders to {someone}; grant pg_monitor to {someone}", someone=someone)
    dba.run("grant create on database {database} to {someone}", someone=someone, database=shop.database)
    dba.run("create table public.extra (id integer); create index orders_by_amount on public.orders (amount)")

    kept = await reconciled(world)

    dba.run("drop table public.extra; drop index public.orders_by_amount")
    dba.run("drop owned by {someone}; drop role {someone}", someone=someone)
    assert kept["findings"] == []
    assert (await world.read(request_id))["status"] == "active"


async def test_a_grant_that_was_widened_ends_and_its_role_goes(world: World, shop: TargetDatabase, dba: Dba):
    untouched, _, _ = await granted_to(world, shop)
    widened = {change: await granted_to(world, shop) for change in OF_THE_GRANT}
    for change, (_, role, _) in widened.items():
        dba.run(change.replace("ROLE", role), role=role)

    await reconciled(world)
    await run_due(world)
    kept = await reconciled(world)

    for change, (request_id, role, _) in widened.items():
        assert await drift_told(world, request_id) == ["grant_widened"], change
        assert (await world.read(request_id))["status"] == "reverted", change
        assert not dba.exists(role), change
    assert (await world.read(untouched))["status"] == "active"
    assert kept["findings"] == []


async def test_a_right_of_its_own_ends_a_grant_and_blocks_the_proof_until_it_is_taken_back(
    world: World, shop: TargetDatabase, dba: Dba
):
    request_id, role, _ = await granted_to(world, shop)
    dba.run("grant select on public.orders to {role}", role=role)

    await reconciled(world)
    await run_due(world)

    assert await drift_told(world, request_id) == ["grant_widened"]
    assert (await world.read(request_id))["status"] == "revert_failed"
    assert dba.value("select rolcanlogin from pg_roles where rolname = %s", role) is False
    dba.run("revoke select on public.orders from {role}", role=role)
    world.clock.advance(minutes=2)
    await run_due(world)
    assert (await world.read(request_id))["status"] == "reverted"


async def test_a_superuser_that_we_cannot_end_stays_told_with_the_statement_against_it(
    world: World, shop: TargetDatabase, dba: Dba
):
    request_id, role, _ = await granted_to(world, shop)
    dba.run("alter role {role} superuser", role=role)
    with shop.superuser() as conn:
        [shown] = [finding for finding in check(conn, shop.definition) if finding.code == "grant_widened"]

    await reconciled(world)
    await run_due(world)
    for _ in range(3):
        kept = await reconciled(world)

    assert (await world.read(request_id))["status"] == "revert_failed"
    assert f"grant_widened {role}" in kept["findings"]
    told = await drift_told(world, request_id)
    assert told.count("grant_widened") == told.count("valid_until_changed") + 1 == 2
    assert shown.remedy == f"alter role {role} nosuperuser;"
    dba.run(shown.remedy.replace(role, "{role}"), role=role)
    world.clock.advance(minutes=2)
    await run_due(world)
    assert (await world.read(request_id))["status"] == "reverted"
    assert (await reconciled(world))["findings"] == []


@pytest.mark.adversarial(43)
async def test_a_search_path_of_its_own_makes_a_grantee_no_stranger(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, password = await granted_to(world, shop)
    with shop.grantee(role, password=password) as grantee:
        grantee.execute("alter role current_user set search_path = 'trustpack_evil_views'")

    kept = await reconciled(world)

    assert kept["findings"] == []
    assert await drift_told_of_targets(world) == []
    assert dba.value("select pg_has_role(%s, %s, 'usage')", role, shop.names.reader)
    assert (await world.read(request_id))["status"] == "active"


@pytest.mark.adversarial(44)
async def test_a_role_back_from_a_backup_does_not_hide_behind_a_search_path(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    await world.act("user-engineer", request_id, "revert", {"reason": "done"})
    dba.restore(role)
    with shop.grantee(role, password="from-the-backup") as session:
        session.execute("alter role current_user set search_path = 'trustpack_evil_views'")
    world.clock.advance(seconds=1)

    kept = await reconciled(world)
    await reconciled(world)

    assert not dba.exists(role)
    assert kept["findings"] == []
    assert await drift_told(world, request_id) == ["resurrected_role"]


async def test_a_role_that_is_not_ours_to_remove_is_left_and_said_to_be_there(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    adapter = shop.adapter()
    system = (await adapter.identify(shop.definition)).system

    problems = await adapter.repair(
        shop.definition, Drift(DriftCode.STRAY_ROLE, Repair.REMOVE_ROLE, "", role_name=role), system=system
    )

    assert [problem.partition(":")[0] for problem in problems] == ["may_not_be_removed"]
    assert dba.exists(role)
    assert (await world.read(request_id))["status"] == "active"


@pytest.mark.slow
@pytest.mark.adversarial(44)
async def test_a_transaction_held_open_on_the_own_role_does_not_keep_it(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    await world.act("user-engineer", request_id, "revert", {"reason": "done"})
    dba.restore(role)
    session = shop.grantee(role, password="from-the-backup")
    session.execute("begin")
    session.execute("alter role current_user password 'mine'")
    world.clock.advance(seconds=1)

    kept = await reconciled(world)

    assert not dba.exists(role)
    assert kept["findings"] == []
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")
