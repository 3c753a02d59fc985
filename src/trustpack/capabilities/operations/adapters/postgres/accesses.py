"""What was done with an access that has ended, read from the target. Source: research/jit-access; ADR-0015."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from trustpack.capabilities.operations.adapters.postgres.session import TargetSession
from trustpack.capabilities.operations.model import AccessCounts, AccessRecord, RecordMode
from trustpack.kernel.clock import format_time
from trustpack.kernel.json_types import JsonObject


async def read_accesses(session: TargetSession, *, role_name: str) -> AccessRecord:
    """Return the record of an ended grant; it stays on the target for a week. Raises as `TargetSession.call` does."""
    found = await session.call("access_record", role_name)
    mode = RecordMode(cast(str, found["mode"]))
    if mode == RecordMode.NONE:
        return AccessRecord(mode=mode)
    touched, recorded, not_kept, rolled_back = (
        cast(int, found[name]) for name in ("touched", "recorded", "not_kept", "rolled_back")
    )
    return AccessRecord(
        mode=mode,
        counts=AccessCounts(touched=touched, recorded=recorded, not_kept=not_kept, rolled_back=rolled_back),
        statements=tuple(map(_statement, cast(Sequence[JsonObject], found["statements"]))),
    )


def _statement(row: JsonObject) -> JsonObject:
    return {**row, "at": format_time(datetime.fromisoformat(cast(str, row["at"])))}
