"""A clock that stands still until a test moves it forward."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

LONGER_THAN_A_TEST: Final = timedelta(minutes=3)


class MovableClock:
    """Starts at the real time, runs with it, and can be moved ahead by any span."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **span: float) -> None:
        """Move ahead by `timedelta(**span)`."""
        self._ahead += timedelta(**span)

    def leave_the_end_of_a_day(self) -> None:
        """Move on to the next day, in UTC, if this one is nearly over: a test that counts days must not lose one on its way."""
        now = self.now()
        tomorrow = datetime.combine(now.date() + timedelta(days=1), time.min, UTC)
        if tomorrow - now < LONGER_THAN_A_TEST:
            self._ahead += tomorrow - now
