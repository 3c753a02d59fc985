"""A clock that stands still until a test moves it forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovableClock:
    """Starts at the real time, runs with it, and can be moved ahead by any span."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **span: float) -> None:
        """Move ahead by `timedelta(**span)`."""
        self._ahead += timedelta(**span)
