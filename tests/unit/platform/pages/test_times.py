"""Times are said relative and exact, the same way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from trustpack.platform.web.pages import times

NOW = datetime(2026, 11, 21, 14, 30, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (119, "1 min ago"),
        (7_199, "119 min ago"),
        (7_200, "2 h ago"),
        (172_799, "47 h ago"),
        (172_800, "2 days ago"),
        (604_799, "6 days ago"),
        (604_800, "14 Nov 2026"),
        (-1, "in a moment"),
        (-60, "in 1 min"),
        (-7_200, "in 2 h"),
        (-604_800, "28 Nov 2026"),
    ],
)
def test_a_moment_is_said_from_now(seconds: int, said: str):
    assert times.relative_time(NOW - timedelta(seconds=seconds), NOW) == said


def test_an_exact_time_is_in_utc_whatever_its_offset():
    moment = datetime(2026, 11, 21, 0, 28, 18, tzinfo=timezone(timedelta(hours=2)))

    assert times.exact_time(moment) == "20 Nov 2026, 22:28:18 UTC"


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2026, 11, 21, 0, 0, 0, tzinfo=UTC), "00:00:00 UTC"),
        (datetime(2026, 11, 22, 1, 59, 59, tzinfo=timezone(timedelta(hours=2))), "23:59:59 UTC"),
        (datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC), "20 Nov 2026, 23:59:59 UTC"),
        (datetime(2026, 11, 22, 0, 0, 0, tzinfo=UTC), "22 Nov 2026, 00:00:00 UTC"),
        (datetime(2025, 11, 21, 14, 30, 0, tzinfo=UTC), "21 Nov 2025, 14:30:00 UTC"),
    ],
)
def test_a_time_of_another_day_than_today_names_its_day(moment: datetime, said: str):
    assert times.time_of_day(moment, NOW) == said


@pytest.mark.parametrize(("seconds", "said"), [(2_472, "41:12"), (3_723, "1:02:03"), (59, "0:59"), (0, "0:00"), (-5, "0:00")])
def test_what_remains_is_counted_and_never_negative(seconds: int, said: str):
    assert times.remaining_time(NOW + timedelta(seconds=seconds), NOW) == said
