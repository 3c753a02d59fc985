"""Another system answers, or the installation was altered: nothing is done there, and nothing is proven by it."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from tests.support.targets import SERVICE_PASSWORD, granted, marked, prepare, running_cluster
from trustpack.capabilities.operations.adapters.postgres import install as installation
from trustpack.capabilities.operations.model import SecretReference, TargetDrifted, TargetUnavailable


@pytest.fixture
def pair(server, new_name, tmp_path):
    """Two clusters of one version, each prepared for the same definition."""
    version, cluster = server
    with running_cluster(tmp_path / "other", version) as other:
        yield tuple(prepare(one, version=version, installed_by="superuser", name=new_name) for one in (cluster, other))


async def test_a_secret_that_leads_to_another_cluster_gets_no_proof_no_password_and_no_grant(pair, order, another_order):
    first, second = pair
    answering = [first]
    adapter = first.adapter(resolve_secret=lambda _: answering[0].service_url)
    grant = await granted(adapter, first.definition, order)
    mark = await marked(adapter, first.definition, order.role_name, role_ref=grant.role_ref)
    approved = replace(another_order, identity_digest=(await adapter.identify(first.definition)).digest)
    answering[0] = second

    outcomes = [await adapter.revert(first.definition, one) for one in (mark, replace(mark, role_ref=None))]
    with pytest.raises(TargetDrifted):
        await adapter.set_verifier(first.definition, mark, password="x", generation=1)
    with pytest.raises(TargetDrifted):
        await adapter.grant(first.definition, approved)

    assert {(outcome.proven, outcome.blockers) for outcome in outcomes} == {(False, ("another_system_answers",))}
    with first.superuser() as conn:
        assert conn.execute("select rolcanlogin from pg_roles where rolname = %s", (order.role_name,)).fetchone() == (True,)
    with second.superuser() as conn:
        for table in ("grants", "turns"):
            rows = sql.SQL("select count(*) from {}").format(sql.Identifier(second.names.state, table))
            assert conn.execute(rows).fetchone() == (0,)
        assert conn.execute("select count(*) from pg_roles where rolname like 'tpk%'").fetchone() == (0,)
    answering[0] = first
    assert (await adapter.revert(first.definition, mark)).proven


async def test_a_secret_that_leads_elsewhere_in_the_middle_of_a_revert_proves_nothing(pair, order):
    first, second = pair
    grant = await granted(first.adapter(), first.definition, order)
    mark = await marked(first.adapter(), first.definition, order.role_name, role_ref=grant.role_ref)
    urls = iter([first.service_url, second.service_url])

    outcome = await first.adapter(resolve_secret=lambda _: next(urls)).revert(first.definition, mark)

    assert outcome.blockers == ("another_system_answers",)
    assert (await first.adapter().revert(first.definition, mark)).proven


async def test_an_altered_installation_refuses_what_was_approved_before(target, adapter, order):
    approved = replace(order, identity_digest=(await adapter.identify(target.definition)).digest)
    names = target.names
    with target.superuser() as conn:
        conn.execute(sql.SQL("grant select on public.refunds to {}").format(sql.Identifier(names.reader)))

        with pytest.raises(TargetDrifted):
            await adapter.grant(target.definition, approved)

        roles = conn.execute("select count(*) from pg_roles where rolname = %s", (order.role_name,)).fetchone()
        conn.execute(sql.SQL("revoke select on public.refunds from {}").format(sql.Identifier(names.reader)))
    assert roles == (0,)
    assert not (await adapter.grant(target.definition, approved)).adopted


async def test_the_function_that_makes_the_role_compares_the_installation_itself(target, order):
    query = sql.SQL("select {}(%s, 'acme', 60, 1, %s)").format(sql.Identifier(target.names.api, "grant_access"))
    with psycopg.connect(target.service_url, autocommit=True) as conn:
        for digest in (None, "", "sha256:" + "0" * 64):
            with pytest.raises(psycopg.DatabaseError) as caught:
                conn.execute(query, (order.role_name, digest))
            assert caught.value.sqlstate == "TP006"


async def test_the_system_outlives_an_upgrade_but_not_a_removal(server, new_name, order):
    version, cluster = server
    target = prepare(cluster, version=version, installed_by="superuser", name=new_name)
    adapter = target.adapter()
    before = await adapter.identify(target.definition)
    grant = await granted(adapter, target.definition, order)
    mark = await marked(adapter, target.definition, order.role_name, role_ref=grant.role_ref)
    state = sql.Identifier(target.names.state)
    longer = replace(target.definition, max_duration_seconds=target.definition.max_duration_seconds + 1)
    with psycopg.connect(target.admin_url, autocommit=True) as conn:
        installation.install(conn, longer)
        upgraded = await adapter.identify(longer)
        outcome = await adapter.revert(longer, mark)
        # As an installation of the layout before left it.
        conn.execute(sql.SQL("alter table {}.settings drop column installation_id").format(state))
        conn.execute(sql.SQL("alter table {}.grants drop column generation").format(state))
        installation.install(conn, longer)
        assert (await adapter.identify(longer)).facts["installation_id"]
        installation.uninstall(conn, target.definition)
        installation.install(conn, target.definition, service_password=SERVICE_PASSWORD)
    after = await adapter.identify(target.definition)

    assert upgraded.system == before.system
    assert upgraded.digest != before.digest
    assert outcome.proven
    assert after.system != before.system


async def test_a_target_that_hangs_holds_up_only_its_own(target, order):
    silent = []

    async def say_nothing(_reader, writer):
        silent.append(writer)

    slow = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = slow.sockets[0].getsockname()[1]
    urls = {"SLOW": f"postgresql://x:x@127.0.0.1:{port}/x", "NOT_USED": target.service_url}
    adapter = target.adapter(resolve_secret=lambda secret: urls[secret.name], connect_timeout_seconds=20)
    grant = await granted(adapter, target.definition, order)
    mark = await marked(adapter, target.definition, order.role_name, role_ref=grant.role_ref)
    hanging = replace(target.definition, dsn=SecretReference(source="env", name="SLOW"))
    calls = [asyncio.create_task(call) for _ in range(40) for call in (adapter.revert(hanging, mark), adapter.identify(hanging))]
    await asyncio.sleep(0.3)
    began = time.monotonic()

    outcome = await adapter.revert(target.definition, mark)

    assert outcome.proven
    assert time.monotonic() - began < 8
    assert not any(call.done() for call in calls)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    slow.close()
    for writer in silent:
        writer.close()
        await writer.wait_closed()


@pytest.mark.skipif(os.geteuid() != 0, reason="the server runs as this user then and could not be locked out of its file")
async def test_a_control_file_that_cannot_be_read_is_a_fault_and_no_other_system(pair, order):
    _, target = pair
    grant = await granted(target.adapter(), target.definition, order)
    mark = await marked(target.adapter(), target.definition, order.role_name, role_ref=grant.role_ref)
    control = target.cluster.data_path / "global" / "pg_control"
    mode = control.stat().st_mode
    control.chmod(0)
    try:
        with pytest.raises(TargetUnavailable):
            await target.adapter().identify(target.definition)
        with pytest.raises(TargetUnavailable):
            await target.adapter().revert(target.definition, mark)
    finally:
        control.chmod(mode)

    assert (await target.adapter().revert(target.definition, mark)).proven
