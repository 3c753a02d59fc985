"""Every command that people have, in every state: over the API, by somebody who may give it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.support.cases import STATES, case_in, settle
from tests.support.stored import chain_faults
from tests.support.worlds import ScriptedWorld

GIVEN_BY: Mapping[str, tuple[str, object]] = {
    "approve": ("user-lead-and-security", {}),
    "reject": ("user-lead-and-security", {"reason": "no"}),
    "cancel": ("user-engineer", None),
    "execute": ("user-engineer", None),
    "credentials": ("user-engineer", None),
    "revert": ("user-engineer", {"reason": "done"}),
}
# api.md: what the command answers and where the request stands afterwards. Everything else is 409 and changes nothing.
MEANT: Mapping[tuple[str, str], tuple[int, str]] = {
    ("pending_approval", "approve"): (200, "pending_approval"),
    ("pending_approval", "reject"): (200, "rejected"),
    ("pending_approval", "cancel"): (200, "cancelled"),
    ("approved", "cancel"): (200, "cancelled"),
    ("approved", "execute"): (200, "active"),
    ("active", "credentials"): (200, "active"),
    ("active", "revert"): (200, "reverted"),
    ("reverting", "revert"): (202, "reverting"),
    ("revert_failed", "revert"): (202, "revert_failed"),
}


@pytest.mark.parametrize("command", GIVEN_BY)
@pytest.mark.parametrize("status", STATES)
async def test_a_command_acts_only_in_the_states_that_it_is_meant_for(scripted: ScriptedWorld, status: str, command: str) -> None:
    release = asyncio.Event()
    request_id = await case_in(scripted, status, release)
    before = await scripted.read(request_id)
    handle, body = GIVEN_BY[command]

    response = await scripted.act(handle, request_id, command, body)

    after = await scripted.read(request_id)
    release.set()
    await settle(scripted, request_id)
    assert await chain_faults(scripted, request_id) == ()
    if (status, command) in MEANT:
        assert (response.status_code, after["status"]) == MEANT[status, command], response.text
    else:
        assert (response.status_code, response.json()["code"]) == (409, "operations.wrong_state"), response.text
        assert after == before
