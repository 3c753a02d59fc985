"""Emit usage events in the transaction of what they count."""

from __future__ import annotations

from trustpack.capabilities.metering.model import UsageEvent, UsageType
from trustpack.capabilities.metering.store import insert_events
from trustpack.kernel.ids import derive_id
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction


def count(tx: Transaction, *, usage: UsageType, pack: str, source_id: str, metadata: JsonObject) -> UsageEvent:
    """Return the event that counts `source_id` once, however often it is emitted."""
    return UsageEvent(
        id=derive_id("evt", source_id=source_id, purpose=usage.value),
        tenant_id=tx.tenant_id,
        timestamp=tx.now,
        type=usage,
        pack=pack,
        metadata=metadata,
    )


async def emit(tx: Transaction, *events: UsageEvent) -> None:
    """Store the events in the caller's transaction. Idempotent by id."""
    if events:
        await insert_events(tx, events)
