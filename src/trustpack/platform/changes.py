"""Changes as a look at the receipts finds them, and the memory of those that were told lately."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

MOST_KEPT: Final = 4_096
_MAKING_OF_A_PAGE: Final = timedelta(seconds=2)
"""How long before its own time a page may have read what it shows, and how far the clocks of two processes may be apart."""
_EVENT_ID: Final = re.compile(r"([0-9a-f]{8,32})-([0-9]{1,15})", re.ASCII)


class Change(NamedTuple):
    """A receipt of this subject was committed."""

    tenant_id: str
    kind: str
    subject_id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look found, and from where the next one goes on. None: more than is told apart, or nobody knows since when."""

    seen: str
    found: Sequence[Change] | None


@dataclass(frozen=True, slots=True)
class _Told:
    number: int
    at: datetime
    change: Change


class ToldLately:
    """The last changes of one process, by the number of the look that found them.

    `epoch` is new with every process: an event id of another one is not known here.
    """

    def __init__(self, epoch: str, *, most: int = MOST_KEPT) -> None:
        self._epoch = epoch
        self._most = most
        self._kept: deque[_Told] = deque()
        self._gone: tuple[int, datetime | None] = (0, None)  # the last look that is not kept whole
        self.number = 0

    def add(self, found: Sequence[Change] | None, *, at: datetime) -> None:
        """Keep what a look has found."""
        if found is not None and not found:
            return
        self.number += 1
        if found is None:
            self._kept.clear()
            self._gone = (self.number, at)
            return
        self._kept.extend(_Told(self.number, at, change) for change in found)
        while len(self._kept) > self._most:
            oldest = self._kept.popleft()
            self._gone = (oldest.number, oldest.at)

    def event_id(self, number: int) -> str:
        """Return the event id of somebody who was told everything up to a look."""
        return f"{self._epoch}-{number}"

    def changes_after(self, event_id: str, since: datetime | None) -> list[Change] | None:
        """Return what was found after an event, else since a page was made; None where neither is known any more."""
        number = self._number_of(event_id)
        if number is not None:
            return [told.change for told in self._kept if told.number > number]
        _, gone_at = self._gone
        # Nothing is taken from `since`: a browser may send the first moment there is.
        if since is None or gone_at is None or since <= gone_at + _MAKING_OF_A_PAGE:
            return None
        return [told.change for told in self._kept if told.at + _MAKING_OF_A_PAGE >= since]

    def _number_of(self, event_id: str) -> int | None:
        match = _EVENT_ID.fullmatch(event_id)
        if match is None or match[1] != self._epoch:
            return None
        gone, _ = self._gone
        return int(match[2]) if gone <= int(match[2]) <= self.number else None
