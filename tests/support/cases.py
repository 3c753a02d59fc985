"""Requests brought into each of the twelve states, over the API wherever a person can bring them there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from tests.support.scripted_target import held_until, refused, unproven
from tests.support.stored import run_due
from tests.support.world import request_body
from tests.support.worlds import ScriptedWorld

STUCK = 9
"""How many attempts in a row prove nothing in a case that is `revert_failed`; a test may clear the script."""


async def pending_approval(world: ScriptedWorld) -> str:
    return str((await world.ask())["id"])


async def approved(world: ScriptedWorld) -> str:
    return str((await world.approved())["id"])


async def executing(world: ScriptedWorld, release: asyncio.Event) -> str:
    request_id = await approved(world)
    world.target.script("grant", held_until(release))
    response = await world.act("user-engineer", request_id, "execute")
    assert response.status_code == 202, response.text
    return request_id


async def active(world: ScriptedWorld) -> str:
    return str((await world.active())["id"])


async def reverting(world: ScriptedWorld, release: asyncio.Event) -> str:
    request_id = await active(world)
    # Twice: whoever pushes the revert waits for the target as well.
    world.target.script("revert", held_until(release), held_until(release))
    response = await world.act("user-engineer", request_id, "revert", {"reason": "done"})
    assert response.status_code == 202, response.text
    return request_id


async def reverted(world: ScriptedWorld) -> str:
    request_id = await active(world)
    await world.act("user-engineer", request_id, "revert", {"reason": "done"})
    return request_id


async def revert_failed(world: ScriptedWorld) -> str:
    request_id = await active(world)
    world.target.script("revert", *[unproven("session_survived")] * STUCK)
    await world.act("user-engineer", request_id, "revert", {"reason": "done"})
    return request_id


async def denied(world: ScriptedWorld) -> str:
    response = await world.call("user-engineer", "POST", "/high-risk-ops/requests", request_body(environment="staging"))
    return str(response.json()["subject_id"])


async def rejected(world: ScriptedWorld) -> str:
    request_id = await pending_approval(world)
    await world.act("user-security", request_id, "reject", {"reason": "no"})
    return request_id


async def cancelled(world: ScriptedWorld) -> str:
    request_id = await pending_approval(world)
    await world.act("user-engineer", request_id, "cancel")
    return request_id


async def expired(world: ScriptedWorld) -> str:
    request_id = await pending_approval(world)
    world.clock.advance(hours=24)
    await run_due(world)
    return request_id


async def failed(world: ScriptedWorld) -> str:
    request_id = await approved(world)
    world.target.script("grant", refused)
    await world.act("user-engineer", request_id, "execute")
    return request_id


AT_REST: Mapping[str, Callable[[ScriptedWorld], Awaitable[str]]] = {
    "pending_approval": pending_approval,
    "approved": approved,
    "active": active,
    "reverted": reverted,
    "denied": denied,
    "rejected": rejected,
    "cancelled": cancelled,
    "expired": expired,
    "failed": failed,
    "revert_failed": revert_failed,
}
AT_WORK: Mapping[str, Callable[[ScriptedWorld, asyncio.Event], Awaitable[str]]] = {"executing": executing, "reverting": reverting}
STATES = (*AT_REST, *AT_WORK)


async def case_in(world: ScriptedWorld, status: str, release: asyncio.Event) -> str:
    """Make a request in a state and return its id; `release` lets a target that is at work answer."""
    request_id = await AT_WORK[status](world, release) if status in AT_WORK else await AT_REST[status](world)
    found = (await world.read(request_id))["status"]
    assert found == status, f"the case is {found}, not {status}"
    return request_id


async def settle(world: ScriptedWorld, request_id: str) -> dict[str, Any]:
    """Wait until nobody is at work on a request in this process any more, and return it."""
    request: dict[str, Any] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            # What ends the work is a job of the application, which tells nobody but the store.
            while (request := await world.read(request_id))["status"] in {"executing", "reverting"}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    return request
