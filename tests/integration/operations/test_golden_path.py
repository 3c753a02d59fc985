"""The whole flow over HTTP on the record target."""

from __future__ import annotations

from tests.support.world import World


async def test_access_is_asked_for_approved_by_two_people_executed_and_taken_back_at_its_end(world: World) -> None:
    request = await world.active(duration_minutes=None, duration_seconds=60)

    world.clock.advance(seconds=61)
    await world.container.worker.run_due()

    reverted = await world.read(request["id"])
    assert reverted["status"] == "reverted"
    assert await world.actions(request["id"]) == [
        "requested", "approved", "approved", "execution_started", "executed", "revert_started", "reverted",
    ]  # fmt: skip
