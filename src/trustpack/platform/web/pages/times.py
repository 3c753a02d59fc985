"""Moments and spans as people read them: relative beside exact, always UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_NAMED_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # not the server's locale


def exact_time(moment: datetime) -> str:
    """Return `21 Nov 2026, 14:28:18 UTC`."""
    utc = moment.astimezone(UTC)
    return f"{exact_date(utc)}, {clock_time(utc)}"


def exact_date(moment: datetime) -> str:
    """Return `21 Nov 2026`, the day in UTC."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {_NAMED_MONTHS[utc.month - 1]} {utc.year}"


def clock_time(moment: datetime) -> str:
    """Return `14:28:18 UTC`."""
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"


def time_of_day(moment: datetime, now: datetime) -> str:
    """Return `14:28:18 UTC` of the day (in UTC) that it is now, and the day with it of any other."""
    return clock_time(moment) if exact_date(moment) == exact_date(now) else exact_time(moment)


def relative_time(moment: datetime, now: datetime) -> str:
    """Return `4 min ago` or `in 2 h`, rounded down; from 7 days on the date. `js/times.js` says the same in the browser."""
    seconds = int((now - moment).total_seconds())
    size = abs(seconds)
    if size >= 7 * _DAY:
        return exact_date(moment)
    if size < _MINUTE:
        return "just now" if seconds >= 0 else "in a moment"
    if size < 2 * _HOUR:
        amount = f"{size // _MINUTE} min"
    elif size < 2 * _DAY:
        amount = f"{size // _HOUR} h"
    else:
        amount = f"{size // _DAY} days"
    return f"{amount} ago" if seconds > 0 else f"in {amount}"


def remaining_time(until: datetime, now: datetime) -> str:
    """Return `41:12` or `1:02:03` until a moment, and `0:00` after it."""
    seconds = max(0, int((until - now).total_seconds()))
    hours, rest = divmod(seconds, _HOUR)
    minutes, seconds = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
