"""Usage events in PostgreSQL."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from trustpack.capabilities.metering.model import UsageEvent
from trustpack.platform.unit_of_work import Transaction


async def insert_events(tx: Transaction, events: tuple[UsageEvent, ...]) -> None:
    """Store events; one that is stored already stays as it is."""
    await tx.write(
        "INSERT INTO trustpack.usage_events (tenant_id, id, occurred_at, type, pack, metadata)"
        " SELECT %(tenant)s, e.id, e.occurred_at, e.type, e.pack, e.metadata"
        " FROM unnest(%(ids)s::text[], %(times)s::timestamptz[], %(types)s::text[], %(packs)s::text[], %(metadata)s::jsonb[])"
        " AS e (id, occurred_at, type, pack, metadata) ON CONFLICT ON CONSTRAINT usage_events_pkey DO NOTHING",
        {
            "tenant": tx.tenant_id,
            "ids": [event.id for event in events],
            "times": [event.timestamp for event in events],
            "types": [event.type.value for event in events],
            "packs": [event.pack for event in events],
            "metadata": [Jsonb(event.metadata) for event in events],
        },
    )
