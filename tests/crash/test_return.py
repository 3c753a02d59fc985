"""After a return access ends in time, although the dead server still holds the leases of its work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import pytest

from tests.crash.killing import Killer
from tests.crash.steps import Step, active, approved, execute, revert, wait
from tests.support.audit import audit, read_target
from tests.support.store import rows_as_owner
from trustpack.platform.jobs import LEASE_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RETURN_SECONDS: Final = 5
A_REVERT_SECONDS: Final = 20
LIVES_SECONDS: Final = 15
"""Longer than it takes from the grant to the kill, however slow the machine."""
END: Final = Step("the end of the access", partial(active, seconds=LIVES_SECONDS), wait, "reverted")
GRANT: Final = Step("execute", partial(approved, seconds=12), execute, "reverted")
REVERT: Final = Step("revert", active, revert, "reverted")


@pytest.fixture(autouse=True)
def leases_outlive_the_dead(killer: Killer) -> None:
    killer.leases_are_over = False


def receipt_of(killer: Killer, request_id: str, action: str) -> Mapping[str, Any]:
    [row] = rows_as_owner(
        killer.estate.settings,
        "SELECT body FROM trustpack.receipts WHERE subject_id = %s AND action = %s",
        request_id,
        action,
    )
    return dict(json.loads(bytes(row["body"]))["payload"])


def role_of(killer: Killer, request_id: str) -> str:
    settings = killer.estate.settings
    [row] = rows_as_owner(settings, "SELECT role_name FROM trustpack.grants WHERE request_id = %s", request_id)
    return str(row["role_name"])


async def the_end_has_passed(killer: Killer, request_id: str) -> None:
    """Wait until the target's own clock is past the end that it keeps for the grant."""
    role_name = role_of(killer, request_id)
    async with asyncio.timeout(LIVES_SECONDS + A_REVERT_SECONDS):
        while True:
            [row] = [row for row in read_target(killer.estate).ordered if row["role_name"] == role_name]
            if row["expires_at"] < row["now"]:
                return
            await asyncio.sleep(0.1)


async def test_access_that_ended_while_nobody_was_there_is_taken_back_within_five_seconds_of_the_return(killer: Killer) -> None:
    [request_id] = await killer.prepare(END, 1)
    killer.server.kill()
    await the_end_has_passed(killer, request_id)
    assert role_of(killer, request_id) in {role["role_name"] for role in read_target(killer.estate).roles}

    await killer.come_back()
    async with asyncio.timeout(RETURN_SECONDS):
        await killer.settle(END, request_id)

    assert audit(killer.estate, acknowledged=killer.client.told).faults == []


@pytest.mark.adversarial(26)
async def test_a_role_that_was_made_and_not_recorded_is_adopted_after_the_return_and_taken_back(killer: Killer) -> None:
    [request_id] = await killer.prepare(GRANT, 1)

    point = "operations.execute | operations.service.carrying_out._grant > operations.service.carrying_out._record_success: begin"
    faults = await killer.kill_at(GRANT, request_id, point=point, occurrence=1)

    assert faults == []
    assert receipt_of(killer, request_id, "executed")["adopted"] is True
    assert audit(killer.estate, acknowledged=killer.client.told).faults == []


@pytest.mark.adversarial(27)
async def test_a_role_that_was_ordered_and_not_made_is_made_once_after_the_return_and_taken_back(killer: Killer) -> None:
    [request_id] = await killer.prepare(GRANT, 1)

    point = (
        "operations.execute | operations.service.carrying_out._grant >"
        " operations.adapters.postgres.adapter.PostgresTargetAdapter.grant: call grant_access"
    )
    faults = await killer.kill_at(GRANT, request_id, point=point, occurrence=1)

    assert faults == []
    assert receipt_of(killer, request_id, "executed")["adopted"] is False
    assert audit(killer.estate, acknowledged=killer.client.told).faults == []


async def test_a_revert_that_was_cut_off_is_finished_once_its_lease_is_over(killer: Killer) -> None:
    [request_id] = await killer.prepare(REVERT, 1)

    point = (
        "operations.revert | operations.adapters.postgres.revert.RevertRun._end_and_drop >"
        " operations.adapters.postgres.revert.RevertRun._drop: call drop_role"
    )
    async with asyncio.timeout(LEASE_SECONDS + RETURN_SECONDS + A_REVERT_SECONDS):
        faults = await killer.kill_at(REVERT, request_id, point=point, occurrence=1)

    assert faults == []
    assert audit(killer.estate, acknowledged=killer.client.told).faults == []
