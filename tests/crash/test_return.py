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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
RETURN_SECONDS: Final = 5
A_REVERT_SECONDS: Final = 5
END: Final = Step("the end of the access", partial(active, seconds=2), wait, "reverted")
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


async def test_access_that_ended_while_nobody_was_there_is_taken_back_within_five_seconds_of_the_return(killer: Killer) -> None:
    [request_id] = await killer.prepare(END, 1)
    killer.server.kill()
    await asyncio.sleep(2)
    assert [role["role_name"] for role in read_target(killer.estate).roles], "the role is there, expired, until the return"

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
