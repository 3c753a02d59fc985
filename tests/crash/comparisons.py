"""Comparisons of the target that find what somebody changed there, or in the store, and set it right."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from psycopg import sql

from tests.crash.steps import Kills, Step, active, in_use, revert
from tests.support.crash_client import Client
from tests.support.crash_points import Crossing
from tests.support.estate import Estate
from tests.support.spoiled_target import EVERY_CHANGE, FAILS, spoiled
from tests.support.store import as_owner, rows_as_owner
from trustpack.app.demo.target import DemoTarget
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.service.context import RECONCILE_JOB, REVERT_JOB

_PATIENCE_SECONDS: Final = 60
_OF_NO_CASE: Final = "tpk_0000000000000000"
"""How the names of the roles begin that are made here, without a case."""
_IS_COMPARED = sql.SQL("SELECT 1 FROM trustpack.reconciliations WHERE tenant_id = %s AND succeeded_at > %s")
Change = Callable[[Client, str], None]


async def comparison(client: Client) -> None:
    """Have the target compared, and wait until that has succeeded."""
    with as_owner(client.estate.settings) as store:
        asked = store.execute(
            "UPDATE trustpack.jobs SET due_at = clock_timestamp() WHERE tenant_id = %s AND kind = %s RETURNING due_at",
            (client.tenant, RECONCILE_JOB),
        ).fetchone()
    assert asked is not None
    await _until_compared(client, after=asked["due_at"])


async def changed_and_compared(
    client: Client,
    request_id: str,
    *,
    change: Change,
    meanwhile: Callable[[Estate], AbstractContextManager[object]] | None = None,
) -> str:
    """Have something changed and the target compared, under other circumstances first if there are any."""
    change(client, request_id)
    if meanwhile is not None:
        with meanwhile(client.estate):
            await comparison(client)
    await comparison(client)
    return request_id


async def watched(client: Client, request_id: str) -> str:
    """Have the job of the target deleted, and found missing by the worker that looks after the targets."""
    with as_owner(client.estate.settings) as store:
        [deleted] = store.execute(
            "DELETE FROM trustpack.jobs WHERE tenant_id = %s AND kind = %s RETURNING clock_timestamp() AS at",
            (client.tenant, RECONCILE_JOB),
        ).fetchall()
    client.estate.wire.watch.touch()
    try:
        await _until_compared(client, after=deleted["at"])
    finally:
        client.estate.wire.watch.unlink()
    return request_id


async def active_on_a_clean_target(client: Client) -> str:
    """Have an access on a target of which nothing is told any more."""
    request_id = await active(client)
    await comparison(client)
    return request_id


async def a_clean_target(client: Client) -> str:
    await comparison(client)
    return ""


async def _until_compared(client: Client, *, after: Any) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not rows_as_owner(client.estate.settings, _IS_COMPARED.as_string(), client.tenant, after):
            await client.on_failure()


def run_on_target(estate: Estate, *statements: str, **names: str) -> None:
    """Run statements as the target's superuser; names in braces are put in as identifiers."""
    installed = installed_names(parse_definition_file(DemoTarget(estate.settings).definition_text).name)
    known = {kind: getattr(installed, kind) for kind in ("reader", "provisioner", "state", "api")}
    identifiers = {kind: sql.Identifier(name) for kind, name in (known | names).items()}
    with estate.as_target_superuser() as target:
        for statement in statements:
            target.execute(sql.SQL(statement).format(**identifiers))  # type: ignore[arg-type]


def role_of(client: Client, request_id: str) -> str:
    [row] = rows_as_owner(client.estate.settings, "SELECT role_name FROM trustpack.grants WHERE request_id = %s", request_id)
    return str(row["role_name"])


def extend_the_role(client: Client, request_id: str) -> None:
    run_on_target(client.estate, "alter role {role} valid until 'infinity'", role=role_of(client, request_id))


def drop_the_role(client: Client, request_id: str) -> None:
    run_on_target(client.estate, "drop owned by {role}", "drop role {role}", role=role_of(client, request_id))


def delete_the_timer(client: Client, request_id: str) -> None:
    with as_owner(client.estate.settings) as store:
        store.execute("DELETE FROM trustpack.jobs WHERE kind = %s AND subject_id = %s", (REVERT_JOB, request_id))


def order_without_a_case(client: Client, _: str) -> None:
    """Have a role granted in the name of the store, as if it were from before the store's last backup."""
    [store] = rows_as_owner(client.estate.settings, "SELECT id::text FROM trustpack.store_identity")
    run_on_target(
        client.estate,
        f"select {{api}}.grant_access('{_new_name()}', 'acme', 3600, 1, 'sha256:' || {{api}}.definitions_digest(),"
        f" '{store['id']}')",
    )


def make_a_stray_role(client: Client, _: str) -> None:
    run_on_target(
        client.estate,
        "create role {role} login",
        "grant {role} to {provisioner} with admin true, inherit false, set false",
        "grant {reader} to {role} with inherit true, set false granted by {provisioner}",
        role=_new_name(),
    )


def let_a_visitor_in(client: Client, _: str) -> None:
    run_on_target(client.estate, "grant {reader} to visitor granted by {provisioner}")


def alter_the_installation(client: Client, _: str) -> None:
    run_on_target(client.estate, "create function {api}.extra() returns integer language sql as 'select 1'")


def _new_name() -> str:
    return _OF_NO_CASE + secrets.token_hex(8)


@contextmanager
def orders_without_a_case(estate: Estate) -> Iterator[None]:
    """Forget at the end what was ordered without a case, if it was dropped."""
    yield
    run_on_target(estate, f"delete from {{state}}.grants where role_name like '{_OF_NO_CASE}%' and dropped_at is not null")


@contextmanager
def a_visitor(estate: Estate) -> Iterator[None]:
    """Have somebody on the target who has no business there."""
    run_on_target(estate, "create role visitor")
    yield
    run_on_target(estate, "drop role visitor")


@contextmanager
def an_installation_to_restore(estate: Estate) -> Iterator[None]:
    """Take at the end back what was added to the installation."""
    yield
    run_on_target(estate, "drop function {api}.extra()")


@contextmanager
def unreadable_record(estate: Estate) -> Iterator[None]:
    """Have the target give away no record of an access for a while."""
    run_on_target(estate, "alter function {api}.access_record(text) rename to unread")
    try:
        yield
    finally:
        run_on_target(estate, "alter function {api}.unread(text) rename to access_record")


def of_the_comparison(crossing: Crossing) -> bool:
    return crossing.is_of_job(RECONCILE_JOB) and not crossing.is_of_renewal


def of_the_telling(crossing: Crossing) -> bool:
    return of_the_comparison(crossing) and any(name in crossing.point for name in ("_settle_", "_keep"))


def of_the_watch(crossing: Crossing) -> bool:
    return "watch_targets" in crossing.point


FAILING: Final = partial(spoiled, what_happens=FAILS, to_whom=EVERY_CHANGE)
COMPARISONS: Final = (
    Step(
        "a comparison that finds a role extended",
        active,
        partial(changed_and_compared, change=extend_the_role),
        "active",
        kills=Kills.AT_EVERY_POINT,
        is_its_own=of_the_comparison,
        tells=("valid_until_changed",),
    ),
    Step(
        "a comparison that cannot set an extended role back at first",
        active_on_a_clean_target,
        partial(changed_and_compared, change=extend_the_role, meanwhile=FAILING),
        "active",
        kills=Kills.AT_EVERY_POINT,
        is_its_own=of_the_telling,
        tells=("valid_until_changed", "valid_until_changed!"),
        prepared_late=True,
    ),
    Step(
        "a comparison that misses a role, of which a session goes on",
        in_use,
        partial(changed_and_compared, change=drop_the_role),
        "reverted",
        is_its_own=of_the_comparison,
        tells=("missing_role",),
        may_tell=("orphan_session",),
    ),
    Step(
        "a comparison that misses a timer",
        active,
        partial(changed_and_compared, change=delete_the_timer),
        "active",
        is_its_own=of_the_comparison,
        tells=("lost_timer",),
    ),
    Step(
        "a comparison that finds a grant without a case",
        a_clean_target,
        partial(changed_and_compared, change=order_without_a_case),
        None,
        circumstances=orders_without_a_case,
        is_its_own=of_the_comparison,
        tells=("orphan_role",),
    ),
    Step(
        "a comparison that cannot take back a grant without a case at first",
        a_clean_target,
        partial(changed_and_compared, change=order_without_a_case, meanwhile=FAILING),
        None,
        circumstances=orders_without_a_case,
        kills=Kills.AT_EVERY_POINT,
        is_its_own=of_the_telling,
        tells=("orphan_role", "orphan_role!"),
    ),
    Step(
        "a comparison that finds a stray role",
        a_clean_target,
        partial(changed_and_compared, change=make_a_stray_role),
        None,
        is_its_own=of_the_comparison,
        tells=("stray_role",),
    ),
    Step(
        "a comparison that finds a visitor",
        a_clean_target,
        partial(changed_and_compared, change=let_a_visitor_in),
        None,
        circumstances=a_visitor,
        is_its_own=of_the_comparison,
        tells=("foreign_member",),
    ),
    Step(
        "a comparison that finds the installation altered",
        active_on_a_clean_target,
        partial(changed_and_compared, change=alter_the_installation),
        "reverted",
        circumstances=an_installation_to_restore,
        is_its_own=of_the_comparison,
        tells=("installation_altered",),
        prepared_late=True,
    ),
    Step("a target that nothing looks after", a_clean_target, watched, None, is_its_own=of_the_watch, prepared_late=True),
    Step("a revert of which the record cannot be read", active, revert, "reverted", circumstances=unreadable_record),
)
