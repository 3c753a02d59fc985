"""Drift on real servers, brought about as an administrator would: found, told once, set right where we have the right."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import sha256
from itertools import islice

import psycopg
import pytest

from tests.support.drifting import HAS_GRANTORS, Dba, Secret, dba, granted_to, numbers, secret, shop, world
from tests.support.reconciling import drift_told, drift_told_of_targets, reconciled
from tests.support.stored import run_due
from tests.support.targets import SERVICE_PASSWORD, TargetDatabase, with_database
from tests.support.world import World
from trustpack.capabilities.operations.adapters.postgres import install as installation
from trustpack.capabilities.operations.adapters.postgres.check import check
from trustpack.capabilities.operations.model import TargetUnavailable

__all__ = ["dba", "secret", "shop", "world"]


async def test_a_target_as_it_was_left_shows_nothing(world: World, shop: TargetDatabase):
    request_id, _, _ = await granted_to(world, shop)

    kept = await reconciled(world)

    assert (kept["findings"], kept["error"]) == ([], None)
    assert kept["succeeded_at"] is not None
    assert await drift_told(world, request_id) == []


@pytest.mark.adversarial(41)
async def test_an_extended_end_is_set_back_wherever_it_was_extended(world: World, shop: TargetDatabase, dba: Dba):
    extended, role, _ = await granted_to(world, shop)
    recorded, other_role, _ = await granted_to(world, shop)
    dba.run("alter role {role} valid until 'infinity'", role=role)
    dba.run("update {state}.grants set expires_at = expires_at + interval '1 day' where role_name = " + f"'{other_role}'")
    dba.run("alter role {role} valid until '2099-01-01'", role=other_role)

    kept = await reconciled(world)
    await reconciled(world)

    for request_id, name in ((extended, role), (recorded, other_role)):
        ends = (await world.read(request_id))["grant"]["target_expires_at"]
        assert dba.value("select rolvaliduntil = %s::timestamptz from pg_roles where rolname = %s", ends, name)
    assert kept["findings"] == []
    assert await drift_told(world, extended) == ["valid_until_changed"]
    assert await drift_told(world, recorded) == ["expiry_changed"]
    assert (await world.read(extended))["status"] == "active"


@pytest.mark.adversarial(41)
async def test_a_finding_that_comes_back_is_news_again(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    for _ in range(2):
        dba.run("alter role {role} valid until 'infinity'", role=role)
        await reconciled(world)

    assert await drift_told(world, request_id) == ["valid_until_changed"] * 2


@pytest.mark.adversarial(41)
async def test_a_role_that_was_locked_out_and_let_in_again_is_locked_out_again(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    dba.run("grant select on public.orders to {role}", role=role)  # blocks the drop
    assert (await world.act("user-engineer", request_id, "revert", {"reason": "done"})).json()["status"] == "revert_failed"
    dba.run("alter role {role} login password 'open' valid until 'infinity'", role=role)

    await reconciled(world)
    await reconciled(world)

    assert dba.value("select rolcanlogin from pg_roles where rolname = %s", role) is False
    assert await drift_told(world, request_id) == ["login_restored"]
    dba.run("revoke select on public.orders from {role}", role=role)
    world.clock.advance(minutes=2)
    await run_due(world)
    assert (await world.read(request_id))["status"] == "reverted"


@pytest.mark.adversarial(42)
async def test_harmless_changes_are_told_and_nothing_is_done(world: World, shop: TargetDatabase, dba: Dba):
    repassworded, role, password = await granted_to(world, shop)
    left, other_role, _ = await granted_to(world, shop)
    with shop.grantee(role, password=password) as grantee:
        grantee.execute("alter role current_user password 'my-own'")
    by = " granted by {provisioner}" if dba.version >= HAS_GRANTORS else ""
    dba.run("revoke {reader} from {role}" + by, role=other_role)

    kept = await reconciled(world)
    await reconciled(world)

    sees_passwords = shop.installed_by == "superuser"
    assert await drift_told(world, repassworded) == (["password_changed"] if sees_passwords else [])
    assert await drift_told(world, left) == ["left_group"]
    expected = {f"left_group {other_role}"} | ({f"password_changed {role}"} if sees_passwords else set())
    assert set(kept["findings"]) == expected
    assert (await world.read(repassworded))["status"] == "active"


async def test_a_grant_without_its_role_ends_with_its_sessions(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, password = await granted_to(world, shop)
    session = shop.grantee(role, password=password)
    session.execute("select count(*) from orders")
    dba.run("drop role {role}", role=role)

    await reconciled(world)
    await run_due(world)

    assert await drift_told(world, request_id) == ["missing_role"]
    reverting = next(entry for entry in await world.receipts(request_id) if entry["action"] == "revert_started")
    assert (reverting["actor"]["id"], reverting["payload"]["drift"]) == ("system:reconciler", "missing_role")
    if shop.installed_by == "superuser":
        assert (await world.read(request_id))["status"] == "reverted"
        assert await drift_told_of_targets(world) == ["orphan_session"]
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
    else:
        assert await drift_told_of_targets(world) == ["orphan_session", "orphan_session!"]
        with suppress(psycopg.Error):
            session.execute("select count(*) from orders")
        assert (await world.read(request_id))["status"] == "revert_failed"
    session.close()


@pytest.mark.adversarial(44)
@pytest.mark.parametrize("record_too", [True, False], ids=["with the record", "the role alone"])
async def test_a_role_back_from_a_backup_is_taken_away(world: World, shop: TargetDatabase, dba: Dba, record_too: bool):
    request_id, role, _ = await granted_to(world, shop)
    await world.act("user-engineer", request_id, "revert", {"reason": "done"})
    assert not dba.exists(role)
    dba.restore(role)
    if record_too:
        dba.restore_record(role)
    session = shop.grantee(role, password="from-the-backup")
    world.clock.advance(seconds=1)

    kept = await reconciled(world)
    await reconciled(world)

    assert not dba.exists(role)
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")
    assert kept["findings"] == []
    assert await drift_told(world, request_id) == ["resurrected_role"]
    assert (await world.read(request_id))["status"] == "reverted"


@pytest.mark.adversarial(44)
async def test_a_live_role_that_was_replaced_is_removed_and_its_case_ends(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    dba.run("drop role {role}", role=role)
    dba.restore(role)

    await reconciled(world)
    await run_due(world)

    assert not dba.exists(role)
    assert sorted(await drift_told(world, request_id)) == ["missing_role", "stray_role"]
    assert (await world.read(request_id))["status"] == "reverted"


async def test_what_we_may_not_take_away_is_reported_with_the_statement_for_it(world: World, shop: TargetDatabase, dba: Dba):
    stranger = f"mallory_{next(numbers)}"
    dba.run("create role {stranger} nologin", stranger=stranger)
    dba.run("grant {reader} to {stranger}", stranger=stranger)

    kept = await reconciled(world)
    again = await reconciled(world)

    if shop.version >= HAS_GRANTORS:
        key = f"foreign_member {shop.names.reader} {sha256(stranger.encode()).hexdigest()[:16]}"
        assert (kept["findings"], again["blocked"]) == ([key], [key])
        assert await drift_told_of_targets(world) == ["foreign_member", "foreign_member!"]
        with shop.superuser() as conn:
            assert any(stranger in finding.what for finding in check(conn, shop.definition))
        dba.run("revoke {reader} from {stranger}", stranger=stranger)
        assert (await reconciled(world))["findings"] == []
    else:
        assert kept["findings"] == []
        assert await drift_told_of_targets(world) == ["foreign_member"]
    assert not dba.value("select count(*) from pg_auth_members where member = %s::regrole", stranger)
    dba.run("drop role {stranger}", stranger=stranger)


async def test_a_role_of_a_temporary_roles_name_that_nobody_granted_is_removed(world: World, shop: TargetDatabase, dba: Dba):
    role = f"tpk_{next(numbers):032x}"
    dba.restore(role)
    with shop.superuser() as conn:
        shown = [finding for finding in check(conn, shop.definition) if finding.code == "stray_role"]

    await reconciled(world)

    assert [role in finding.what for finding in shown] == [True]
    assert not dba.exists(role)
    assert await drift_told_of_targets(world) == ["stray_role"]


async def test_a_stray_role_that_was_only_locked_out_when_we_died_is_removed_by_the_next_comparison(
    world: World, shop: TargetDatabase, dba: Dba
):
    role = f"tpk_{next(numbers):032x}"
    dba.restore(role)
    assert dba.value(f"select {shop.names.api}.lock_out_stray(%s) ->> 'problems'", role) == "[]"

    await reconciled(world)

    assert not dba.exists(role)


async def test_a_role_of_another_target_of_the_cluster_is_never_dropped(world: World, shop: TargetDatabase, dba: Dba):
    role = f"tpk_{next(numbers):032x}"
    dba.restore(role)
    dba.run("alter role {role} set search_path = trustpack_elsewhere_views", role=role)

    await reconciled(world)

    assert dba.exists(role)
    assert not dba.value("select count(*) from pg_auth_members where member = %s::regrole and roleid = %s::regrole",
                         role, shop.names.reader)  # fmt: skip
    assert await drift_told_of_targets(world) == ["foreign_member"]
    dba.run("drop role {role}", role=role)


async def test_an_altered_installation_ends_the_access_until_it_is_installed_again(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    dba.run("alter view {views}.orders reset (security_barrier)")

    kept = await reconciled(world)
    await reconciled(world)
    await run_due(world)

    assert kept["findings"] == ["installation_altered"]
    assert await drift_told_of_targets(world) == ["installation_altered"]
    assert (await world.read(request_id))["status"] == "reverted"
    assert not dba.exists(role)
    with psycopg.connect(shop.admin_url) as conn:
        installation.install(conn, shop.definition, service_password=SERVICE_PASSWORD)
    assert (await reconciled(world))["findings"] == []


async def test_a_function_that_was_dropped_ends_the_access_too(world: World, shop: TargetDatabase, dba: Dba):
    request_id, _, _ = await granted_to(world, shop)
    dba.run("drop function {api}.inventory()")

    kept = await reconciled(world)
    await run_due(world)

    assert kept["findings"] == ["installation_missing"]
    assert await drift_told_of_targets(world) == ["installation_missing"]
    assert (await world.read(request_id))["status"] == "reverted"
    with psycopg.connect(shop.admin_url) as conn:
        assert "altered" in {finding.code for finding in check(conn, shop.definition)}
        installation.install(conn, shop.definition, service_password=SERVICE_PASSWORD)


async def test_without_any_function_of_ours_the_access_ends_too(world: World, shop: TargetDatabase, dba: Dba):
    request_id, _, _ = await granted_to(world, shop)
    dba.run("alter schema {api} rename to put_aside")

    kept = await reconciled(world)

    dba.run("alter schema put_aside rename to {api}")
    await run_due(world)
    assert kept["findings"] == ["installation_missing"]
    assert (await world.read(request_id))["status"] == "reverted"


@pytest.mark.parametrize("has_inventory", [True, False])
async def test_an_installation_by_another_version_ends_nothing(world: World, shop: TargetDatabase, dba: Dba, has_inventory: bool):
    request_id, _, _ = await granted_to(world, shop)
    dba.run("update {state}.settings set layout = layout - 1")
    if not has_inventory:
        dba.run("alter function {api}.inventory() rename to put_aside")

    kept = await reconciled(world)

    dba.run("update {state}.settings set layout = layout + 1")
    if not has_inventory:
        dba.run("alter function {api}.put_aside() rename to inventory")
    assert kept["findings"] == ["installation_outdated"]
    assert (await world.read(request_id))["status"] == "active"


async def test_a_secret_that_leads_to_an_unprepared_database_ends_nothing(
    world: World, shop: TargetDatabase, dba: Dba, secret: Secret
):
    request_id, _, _ = await granted_to(world, shop)
    secret.url = with_database(shop.service_url, "postgres")

    kept = await reconciled(world)

    secret.url = shop.service_url
    assert kept["findings"] == ["other_system"]
    assert (await world.read(request_id))["status"] == "active"
    assert (await reconciled(world))["findings"] == []


async def test_an_unprepared_database_that_cannot_be_told_from_the_registered_one_ends_nothing(
    world: World, shop: TargetDatabase, dba: Dba
):
    request_id, _, _ = await granted_to(world, shop)
    dba.run("revoke execute on function pg_control_system() from public")
    dba.run("alter schema {api} rename to put_aside")

    kept = await reconciled(world)

    dba.run("alter schema put_aside rename to {api}")
    dba.run("grant execute on function pg_control_system() to public")
    assert kept["findings"] == ["installation_missing"]
    assert (await world.read(request_id))["status"] == "active"


async def test_comparisons_that_hang_take_no_place_of_a_grant(world: World, shop: TargetDatabase, dba: Dba):
    adapter = shop.adapter(connect_timeout_seconds=6.0)
    dba.run("alter function {api}.inventory() rename to put_aside")
    dba.run(
        "create function {api}.inventory() returns jsonb language sql set lock_timeout = 0"
        " as $$ select pg_advisory_lock(4711); select {api}.put_aside() $$"
    )
    dba.run("select pg_advisory_lock(4711)")

    comparing = [asyncio.create_task(adapter.inventory(shop.definition)) for _ in range(20)]
    identity = await asyncio.wait_for(adapter.identify(shop.definition), 60)
    for ended in islice(asyncio.as_completed(comparing, timeout=60), 19):
        with pytest.raises(TargetUnavailable):
            await ended
    dba.run("select pg_advisory_unlock(4711)")
    [inventory] = [await task for task in comparing if not task.done()]

    dba.run("drop function {api}.inventory()")
    dba.run("alter function {api}.put_aside() rename to inventory")
    assert inventory.system == identity.system


async def test_on_another_system_nothing_is_touched(world: World, shop: TargetDatabase, dba: Dba):
    request_id, role, _ = await granted_to(world, shop)
    dba.run("alter role {role} valid until 'infinity'", role=role)
    was = dba.value(f"select installation_id from {shop.names.state}.settings")
    dba.run("update {state}.settings set installation_id = gen_random_uuid()")

    kept = await reconciled(world)

    untouched = dba.value("select rolvaliduntil = 'infinity' from pg_roles where rolname = %s", role)
    dba.conn.execute(f"update {shop.names.state}.settings set installation_id = %s", (was,))
    assert kept["findings"] == ["other_system"]
    assert untouched
    assert (await world.read(request_id))["status"] == "active"
