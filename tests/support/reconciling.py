"""Comparing a world's target as the worker does, and reading what was told about it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.stored import rows
from tests.support.world import World
from trustpack.capabilities.operations.service.context import RECONCILE_JOB
from trustpack.capabilities.operations.service.reconciling import claim_reconcile


async def reconciled(world: World) -> dict[str, Any]:
    """Compare each target of the tenant now and return what is kept about the last one; a comparison that crashed fails here."""
    kept: dict[str, Any] = {}
    for target in await rows(world, "SELECT id FROM trustpack.targets ORDER BY id"):
        job = await claim_reconcile(world.container.operations, world.tenant_id, target["id"])
        assert job is not None, "somebody else is comparing it"
        await world.container.runner.run(job)
        [left] = await rows(
            world,
            "SELECT attempts, last_error FROM trustpack.jobs WHERE kind = %(kind)s AND subject_id = %(id)s",
            kind=RECONCILE_JOB,
            id=target["id"],
        )
        assert left == {"attempts": 0, "last_error": None}
        [kept] = await rows(world, "SELECT * FROM trustpack.reconciliations WHERE target_id = %(id)s", id=target["id"])
    return kept


async def drift_told(world: World, subject_id: str) -> list[str]:
    """Return the codes in the receipts about drift of one case or target, oldest first; `!` marks what could not be repaired."""
    return [
        entry["code"] + ("!" if "blockers" in entry else "")
        for body in await _bodies(world, "r.subject_id = %(subject)s", subject=subject_id)
        for entry in body["payload"]["drift"]
    ]


async def drift_told_of_targets(world: World) -> list[str]:
    """Return the same for the tenant's targets."""
    return [
        entry["code"] + ("!" if "blockers" in entry else "")
        for body in await _bodies(world, "r.subject_kind = 'target'")
        for entry in body["payload"]["drift"]
    ]


async def _bodies(world: World, condition: str, **parameters: Any) -> list[Any]:
    found = await rows(
        world,
        f"SELECT r.body FROM trustpack.receipts r WHERE r.action = 'drift_detected' AND {condition}"
        " ORDER BY r.occurred_at, r.seq",
        **parameters,
    )
    return [json.loads(row["body"]) for row in found]
