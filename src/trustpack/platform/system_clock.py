"""The one place that reads the real clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Return a steadily growing number of seconds, for measuring durations only."""
    return time.perf_counter()
