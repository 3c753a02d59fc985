"""Time as a value. Reading the real clock happens in `platform.system_clock` alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Protocol

# `fromisoformat` alone also reads week dates, basic format and hours without minutes.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Clock(Protocol):
    """Says what time it is, as an aware UTC datetime."""

    def now(self) -> datetime: ...


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds and `Z`: one moment, one text, safe to hash.

    Raises `ValueError` for a naive datetime.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place in a record")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time with an offset. Raises `ValueError` for anything else, naive times included."""
    if not _RFC_3339.fullmatch(text):
        raise ValueError("the time needs the form 2026-11-21T20:00:00Z, with an offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time lies outside the years 1 to 9999 in UTC") from error
