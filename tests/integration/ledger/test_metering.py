"""Usage events: once each, in the transaction of what they count."""

from __future__ import annotations

import pytest

from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.capabilities import metering
from trustpack.capabilities.metering import UsageType
from trustpack.platform.settings import Settings


def events_of(settings: Settings, world: World) -> list[str]:
    rows = rows_as_owner(settings, "SELECT id FROM trustpack.usage_events WHERE tenant_id = %s", world.tenant_id)
    return [row["id"] for row in rows]


async def test_what_is_emitted_twice_is_counted_once(world: World, settings: Settings):
    source = world.container.unit_of_work.ids.new("dec")
    for _ in range(2):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            event = metering.count(tx, usage=UsageType.POLICY_DECISION, pack="trust-and-proof", source_id=source, metadata={})
            await metering.emit(tx, event, event)

    assert events_of(settings, world) == [event.id]


async def test_one_source_counts_once_for_each_type(world: World, settings: Settings):
    source = world.container.unit_of_work.ids.new("hro")
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        events = [metering.count(tx, usage=usage, pack="p", source_id=source, metadata={}) for usage in UsageType]
        await metering.emit(tx, *events)

    assert sorted(events_of(settings, world)) == sorted(event.id for event in events)


async def test_events_of_a_rolled_back_transaction_are_not_counted(world: World, settings: Settings):
    source = world.container.unit_of_work.ids.new("dec")

    with pytest.raises(ValueError, match="a bug"):  # noqa: PT012 - the transaction's end raises
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await metering.emit(tx, metering.count(tx, usage=UsageType.POLICY_DECISION, pack="p", source_id=source, metadata={}))
            raise ValueError("a bug")

    assert events_of(settings, world) == []


async def test_emitting_nothing_is_no_error(world: World, settings: Settings):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await metering.emit(tx)

    assert events_of(settings, world) == []
