"""The steps of the flow at whose points the server is killed: what must be there before, what the client does, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.support.crash_client import Client
from tests.support.crash_points import Crossing
from tests.support.estate import Estate
from tests.support.spoiled_target import EVERY_CHANGE, FAILS, NEW_GRANTS, REFUSES, SLEEPS, spoiled, unreachable
from tests.support.store import as_owner, rows_as_owner
from tests.support.world import request_body
from trustpack.app.demo.target import DemoTarget
from trustpack.app.local_store import run_in_transaction
from trustpack.capabilities import directory
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.adapters.postgres.cleaning import install_cleaning, uninstall_cleaning
from trustpack.capabilities.operations.service.context import EXECUTE_JOB, RECONCILE_JOB
from trustpack.kernel.actor import Role, system_actor
from trustpack.platform.web.idempotency import SWEEP_JOB

LONG_SECONDS: Final = 3_600
Given = Callable[[Client], Awaitable[str]]
When = Callable[[Client, str], Awaitable[str]]


class Kills(Enum):
    """At which of its points a step is killed: all, those that no step before it has, or none, because it changes nothing."""

    AT_EVERY_POINT = auto()
    AT_NEW_POINTS = auto()
    NEVER = auto()


def of_the_flow(crossing: Crossing) -> bool:
    return not (crossing.is_of_job(RECONCILE_JOB) or crossing.is_of_job(SWEEP_JOB) or crossing.is_of_renewal)


def of_the_sweep(crossing: Crossing) -> bool:
    return crossing.is_of_job(SWEEP_JOB) and not crossing.is_of_renewal


def of_an_execution_that_takes_long(crossing: Crossing) -> bool:
    return of_the_flow(crossing) or (crossing.is_of_renewal and crossing.is_of_job(EXECUTE_JOB))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done to one case, which then ends, by itself or by a retry, in the state `ends`; None without a case."""

    name: str
    given: Given
    when: When
    ends: str | None
    kills: Kills = Kills.AT_NEW_POINTS
    circumstances: Callable[[Estate], AbstractContextManager[object]] = lambda _: nullcontext()
    until: str | None = None
    """The state up to which the circumstances last; by default the end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    prepared_late: bool = False
    """What it is taken on does not keep: it is prepared just before, one at a time."""
    is_its_own: Callable[[Crossing], bool] = of_the_flow
    """Which points belong to it; the rest is work that goes on beside it."""
    tells: tuple[str, ...] = ()
    """The drift that receipts tell of, each once, whoever dies meanwhile; `!` marks what could not be repaired."""
    may_tell: tuple[str, ...] = ()
    """What is told as well unless something else mends it first."""


async def nothing(_: Client) -> str:
    return ""


async def asked(client: Client, *, seconds: int = LONG_SECONDS) -> str:
    answer = await client.ask(duration_seconds=seconds)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def approved_once(client: Client) -> str:
    request_id = await asked(client)
    await approve(client, request_id, by="user-team-lead")
    return request_id


async def approved(client: Client, *, seconds: int = LONG_SECONDS) -> str:
    request_id = await asked(client, seconds=seconds)
    await approve(client, request_id, by="user-team-lead")
    return await approve(client, request_id)


async def active(client: Client, *, seconds: int = LONG_SECONDS) -> str:
    request_id = await approved(client, seconds=seconds)
    return await execute(client, request_id)


async def opened(client: Client) -> str:
    return await show_credentials(client, await active(client))


async def opened_elsewhere(client: Client) -> str:
    """Have the grantee own something in another database of the target's cluster."""
    request_id = await active(client)
    uri = (await client.act("user-engineer", request_id, "credentials")).json()["uri"]
    with psycopg.connect(uri, dbname="postgres", autocommit=True) as elsewhere:
        elsewhere.execute("select lo_create(0)")
    return request_id


async def in_use(client: Client) -> str:
    """Have a session that goes on."""
    request_id = await active(client)
    answer = (await client.act("user-engineer", request_id, "credentials")).json()
    client.left_open.append(psycopg.connect(answer["uri"]))
    return request_id


async def dropped_by_somebody(client: Client) -> str:
    """Have somebody else drop the role of an access while a session of it goes on."""
    request_id = await in_use(client)
    [grant] = rows_as_owner(client.estate.settings, "SELECT role_name FROM trustpack.grants WHERE request_id = %s", request_id)
    with client.estate.as_target_superuser() as target:
        role = sql.Identifier(grant["role_name"])
        target.execute(sql.SQL("drop owned by {}; drop role {}").format(role, role))
    return request_id


async def sweep(client: Client, _: str) -> str:
    """Have the daily sweep of old idempotency keys be due, and wait until it is over."""
    with as_owner(client.estate.settings) as store:
        store.execute("UPDATE trustpack.jobs SET due_at = now() WHERE kind = %s AND tenant_id = %s", (SWEEP_JOB, client.tenant))
    async with asyncio.timeout(30):
        while rows_as_owner(client.estate.settings, "SELECT 1 FROM trustpack.jobs WHERE kind = %s AND due_at < now()", SWEEP_JOB):
            await client.on_failure()
    return ""


async def ask(client: Client, _: str, **changes: Any) -> str:
    answer = await client.ask(duration_seconds=LONG_SECONDS, **changes)
    body = answer.json()
    return str(body.get("id") or body.get("subject_id") or "")


async def approve(client: Client, request_id: str, *, by: str = "user-security") -> str:
    answer = await client.act(by, request_id, "approve", {"comment": "as agreed"})
    assert answer.status_code == 200, answer.text
    return request_id


async def refused(client: Client, request_id: str, *, by: str, command: str, body: object = None) -> str:
    answer = await client.act(by, request_id, command, body)
    assert answer.is_client_error, answer.text
    return request_id


async def command(client: Client, request_id: str, *, by: str = "user-engineer", name: str, body: object = None) -> str:
    answer = await client.act(by, request_id, name, body)
    assert answer.is_success, answer.text
    return request_id


async def execute(client: Client, request_id: str) -> str:
    return await command(client, request_id, name="execute")


async def show_credentials(client: Client, request_id: str, *, rotate: bool = False) -> str:
    """Get credentials, anew if the first answer is lost, and log in with them."""
    answer = await client.act("user-engineer", request_id, "credentials", {"rotate": True} if rotate else {})
    if answer.status_code == 409:
        answer = await client.act("user-engineer", request_id, "credentials", {"rotate": True})
    assert answer.status_code == 200, answer.text
    (await asyncio.to_thread(psycopg.connect, answer.json()["uri"])).close()
    return request_id


async def find_the_target_shut(client: Client, request_id: str) -> str:
    """Get no credentials, because the target fails."""
    answer = await client.act("user-engineer", request_id, "credentials", {})
    assert answer.status_code in {409, 503}, answer.text
    return request_id


async def revert(client: Client, request_id: str) -> str:
    return await command(client, request_id, name="revert", body={"reason": "done"})


async def wait(_: Client, request_id: str) -> str:
    return request_id


async def read_everything(client: Client, request_id: str) -> str:
    one, of_one = f"/high-risk-ops/requests/{request_id}", f"?subject={request_id}"
    decisions = (await client.get(f"/policy/decisions{of_one}")).json()["items"]
    listed = "/high-risk-ops/requests?requester=user-engineer&limit=1"
    others = (
        f"/policy/decisions/{decisions[0]['id']}",
        f"/evidence/high-risk-ops/{request_id}",
        listed,
        one,
        f"{one}/receipts",
        f"{one}/statements",
    )
    for path in others:
        assert (await client.get(path)).status_code == 200, path
    return request_id


async def preview(client: Client, request_id: str) -> str:
    answer = await client.send("user-engineer", "/high-risk-ops/requests/preview", request_body())
    assert answer.status_code == 200, answer.text
    return request_id


async def send_twice(client: Client, request_id: str) -> str:
    path = f"/high-risk-ops/requests/{request_id}/execute"
    first, again = [await client.send("user-engineer", path, key=f"twice-{request_id}") for _ in range(2)]
    assert (again.status_code, again.json()["execution"]) == (200, first.json()["execution"])
    return request_id


@contextmanager
def without_role(estate: Estate, *, handle: str, role: Role) -> Iterator[None]:
    """Have somebody without a role for a while."""

    def change(*, grant: bool) -> None:
        tenant = "summit-internal"
        operator = system_actor(tenant, "operator")
        run_in_transaction(
            estate.settings, tenant, lambda tx: directory.change_role(tx, operator, handle=handle, role=role, grant=grant)
        )

    with ThreadPoolExecutor(1) as apart:  # it runs an event loop of its own
        apart.submit(change, grant=False).result()
        try:
            yield
        finally:
            apart.submit(change, grant=True).result()


@contextmanager
def cleaning_elsewhere(estate: Estate) -> Iterator[None]:
    """Have the target prepared to clean up in another database of its cluster."""
    target = DemoTarget(estate.settings)
    definition = parse_definition_file(target.definition_text)
    with psycopg.connect(target.cluster.url(database="postgres"), autocommit=True) as elsewhere:
        install_cleaning(elsewhere, definition)
        yield
        uninstall_cleaning(elsewhere, definition)


GOVERNED: Final = (
    Step("create", nothing, ask, "pending_approval", kills=Kills.AT_EVERY_POINT),
    Step("approve", approved_once, approve, "approved", kills=Kills.AT_EVERY_POINT),
    Step("execute", approved, execute, "active", kills=Kills.AT_EVERY_POINT),
    Step("credentials", active, show_credentials, "active", kills=Kills.AT_EVERY_POINT),
    Step("revert", active, revert, "reverted", kills=Kills.AT_EVERY_POINT),
)
BESIDE: Final = (
    Step("the end of the access", partial(active, seconds=1), wait, "reverted", prepared_late=True),
    Step(
        "the end of the approval window",
        asked,
        wait,
        "expired",
        environment={"TRUSTPACK_APPROVAL_WINDOW_SECONDS": "1"},
        prepared_late=True,
    ),
    Step(
        "the end of the use-by window",
        approved,
        wait,
        "expired",
        environment={"TRUSTPACK_APPROVAL_USE_BY_SECONDS": "1"},
        prepared_late=True,
    ),
    Step("a denial", nothing, partial(ask, environment="staging"), "denied"),
    Step(
        "a scope that is not offered", nothing, partial(ask, target={"database": "orders-prod", "scope": {"tenant": "x"}}), None
    ),
    Step(
        "an approval by the requester",
        asked,
        partial(refused, by="user-engineer", command="approve", body={}),
        "pending_approval",
    ),
    Step("a rejection", asked, partial(command, by="user-security", name="reject", body={"reason": "no"}), "rejected"),
    Step("a cancellation", asked, partial(command, name="cancel"), "cancelled"),
    Step("the same execution twice", approved, send_twice, "active"),
    Step("a rotation", opened, partial(show_credentials, rotate=True), "active"),
    Step("an execution by somebody else", approved, partial(refused, by="user-team-lead", command="execute"), "approved"),
    Step(
        "an execution after an approver lost the role",
        approved,
        partial(refused, by="user-engineer", command="execute"),
        "pending_approval",
        circumstances=partial(without_role, handle="user-security", role=Role.SECURITY_OFFICER),
    ),
    Step("an execution that nobody answers", approved, execute, "failed", circumstances=unreachable),
    Step(
        "an execution that is refused",
        approved,
        execute,
        "failed",
        circumstances=partial(spoiled, what_happens=REFUSES, to_whom=NEW_GRANTS),
    ),
    Step(
        "an execution that fails and leaves nothing",
        approved,
        execute,
        "failed",
        circumstances=partial(spoiled, what_happens=FAILS, to_whom=NEW_GRANTS),
    ),
    Step(
        "an execution that may have left something",
        approved,
        execute,
        "reverted",
        circumstances=partial(spoiled, what_happens=FAILS, to_whom=EVERY_CHANGE),
        until="revert_failed",
    ),
    Step(
        "an execution that takes longer than a lease is renewed",
        approved,
        execute,
        "active",
        circumstances=partial(spoiled, what_happens=SLEEPS, to_whom=NEW_GRANTS),
        is_its_own=of_an_execution_that_takes_long,
    ),
    Step(
        "credentials that the target fails to take",
        active,
        find_the_target_shut,
        "active",
        circumstances=partial(spoiled, what_happens=FAILS, to_whom=EVERY_CHANGE),
    ),
    Step(
        "a revert that fails at first",
        active,
        revert,
        "reverted",
        circumstances=partial(spoiled, what_happens=FAILS, to_whom=EVERY_CHANGE),
        until="revert_failed",
    ),
    Step("a revert that cleans up in another database", opened_elsewhere, revert, "reverted", circumstances=cleaning_elsewhere),
    Step("a revert after somebody dropped the role", dropped_by_somebody, revert, "reverted", prepared_late=True),
    Step("the sweep of old keys", nothing, sweep, None, is_its_own=of_the_sweep),
    Step("reading", opened, read_everything, "active", kills=Kills.NEVER),
    Step("a preview", asked, preview, "pending_approval", kills=Kills.NEVER),
)
