"""`kill -9` at the worst moments: after the restart every access ends, and the receipts are whole."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import httpx2
import pytest

from tests.support.clock import MovableClock
from tests.support.server_process import ServerProcess, server_process, wait_until
from tests.support.stored import chain_faults, jobs_of, rows
from tests.support.world import World
from tests.support.worlds import populate
from trustpack.app.bootstrap import Container, open_container, prepare_store
from trustpack.kernel.clock import parse_time
from trustpack.platform.database import embedded_cluster
from trustpack.platform.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
_tenants = count(1)


@pytest.fixture(scope="module")
def killable_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a store of its own, which outlives the server that is killed on it."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("killed"), database_pool_size=4, _env_file=None)
    prepare_store(settings)
    yield settings
    embedded_cluster(settings).stop(mode="immediate")


@pytest.fixture(scope="module")
async def onlooker(killable_settings: Settings) -> AsyncIterator[Container]:
    """What the test itself sees of the store."""
    async with open_container(killable_settings, clock=MovableClock()) as container:
        yield container


@pytest.fixture
def server(killable_settings: Settings) -> Iterator[ServerProcess]:
    """A running server."""
    with server_process(killable_settings.data_dir) as process:
        process.start()
        yield process


@pytest.fixture
async def world(onlooker: Container, server: ServerProcess) -> AsyncIterator[World]:
    """A fresh tenant, spoken to through the server."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
        world = World(tenant_id=f"killed-{next(_tenants)}", container=onlooker, clock=MovableClock(), http=http)
        await populate(world)
        yield world


@contextmanager
def busy_target(settings: Settings) -> Iterator[Path]:
    """Keep the record target from answering: its journal is one file, locked by whoever works on it."""
    journal = settings.data_dir / "recorded-targets" / "orders-prod.jsonl"
    journal.parent.mkdir(exist_ok=True)
    with journal.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield journal


async def status_of(world: World, request_id: str) -> str:
    [row] = await rows(world, "SELECT status FROM trustpack.high_risk_requests WHERE id = %(id)s", id=request_id)
    return str(row["status"])


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
    """Wait for something that the server process brings about."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # another process does it, and tells only the store
            await asyncio.sleep(0.05)


async def reaches(world: World, request_id: str, status: str, *, seconds: float = 30) -> None:
    async def is_there() -> bool:
        return await status_of(world, request_id) == status

    await until(is_there, seconds=seconds)


async def send_and_lose(world: World, request_id: str, command: str, body: object = None) -> None:
    """Send a command whose answer never comes, because the server dies."""
    with suppress(httpx2.TransportError):
        await world.act("user-engineer", request_id, command, body)


async def require_whole_and_over(world: World, request_id: str) -> None:
    assert await chain_faults(world, request_id) == ()
    assert await jobs_of(world) == []
    [grant] = await rows(world, "SELECT status, proof FROM trustpack.grants WHERE request_id = %(id)s", id=request_id)
    assert (grant["status"], grant["proof"] is not None) == ("reverted", True)


async def test_killed_before_the_target_did_anything_the_order_is_carried_out_and_taken_back(
    world: World, server: ServerProcess, killable_settings: Settings
) -> None:
    request = await world.approved(duration_minutes=None, duration_seconds=3)
    with busy_target(killable_settings):
        sent = asyncio.create_task(send_and_lose(world, request["id"], "execute"))
        await reaches(world, request["id"], "executing")
        server.kill()
        await sent

    server.start()
    await reaches(world, request["id"], "reverted")

    assert await world.actions(request["id"]) == [
        "requested", "approved", "approved", "execution_started", "executed", "revert_started", "reverted",
    ]  # fmt: skip
    await require_whole_and_over(world, request["id"])


async def test_killed_between_the_grant_and_its_receipt_the_role_is_adopted_and_taken_back(
    world: World, server: ServerProcess, killable_settings: Settings
) -> None:
    request = await world.approved(duration_minutes=None, duration_seconds=12)
    with busy_target(killable_settings) as journal:
        sent = asyncio.create_task(send_and_lose(world, request["id"], "execute"))
        await reaches(world, request["id"], "executing")
        # Whoever holds the request's row keeps the outcome from being recorded.
        blocked = world.container.unit_of_work.transaction(world.tenant_id)
        tx = await blocked.__aenter__()
        await tx.fetch_one("SELECT id FROM trustpack.high_risk_requests WHERE id = %(id)s FOR UPDATE", {"id": request["id"]})
    [grant] = await rows(world, "SELECT role_name FROM trustpack.grants WHERE request_id = %(id)s", id=request["id"])
    await asyncio.to_thread(wait_until, lambda: grant["role_name"].encode() in journal.read_bytes(), seconds=10, what="the grant")
    server.kill()
    await sent
    await blocked.__aexit__(None, None, None)

    server.start()
    await reaches(world, request["id"], "reverted", seconds=40)

    executed = next(receipt for receipt in await world.receipts(request["id"]) if receipt["action"] == "executed")
    assert executed["payload"]["adopted"] is True
    assert journal.read_bytes().count(b'"granted"') == journal.read_bytes().count(b'"reverted"')
    await require_whole_and_over(world, request["id"])


async def test_killed_while_access_lives_it_is_taken_back_within_five_seconds_of_the_return(
    world: World, server: ServerProcess
) -> None:
    request = await world.active(duration_minutes=None, duration_seconds=2)
    server.kill()
    end = parse_time(request["grant"]["expires_at"])
    await asyncio.sleep(max((end - world.clock.now()).total_seconds(), 0))

    server.start()
    await reaches(world, request["id"], "reverted", seconds=5)

    await require_whole_and_over(world, request["id"])


async def test_killed_in_the_middle_of_a_revert_it_is_finished_after_the_return(
    world: World, server: ServerProcess, killable_settings: Settings
) -> None:
    request = await world.active()
    with busy_target(killable_settings):
        sent = asyncio.create_task(send_and_lose(world, request["id"], "revert", {"reason": "done"}))
        await reaches(world, request["id"], "reverting")
        server.kill()
        await sent

    server.start()
    await reaches(world, request["id"], "reverted", seconds=10)

    assert (await world.actions(request["id"]))[-2:] == ["revert_started", "reverted"]
    await require_whole_and_over(world, request["id"])
