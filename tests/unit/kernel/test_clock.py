"""Times as text: one moment, one text, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.kernel.clock import format_time, parse_time

offsets = st.integers(min_value=-14 * 60, max_value=14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001  # bounds are naive


def test_a_moment_is_written_in_utc_with_microseconds_and_z():
    moment = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)

    assert format_time(moment) == "2026-11-21T20:00:00.000000Z"


@given(moment=moments, other=offsets)
def test_one_moment_has_one_text_whatever_its_offset(moment: datetime, other: timezone):
    assert format_time(moment) == format_time(moment.astimezone(other))


@given(moment=moments)
def test_reading_what_was_written_gives_the_same_moment(moment: datetime):
    assert parse_time(format_time(moment)) == moment


@given(earlier=moments, later=moments)
def test_texts_sort_as_their_moments_do(earlier: datetime, later: datetime):
    assert (format_time(earlier) < format_time(later)) == (earlier < later)


def test_a_naive_moment_is_not_written():
    with pytest.raises(ValueError, match="naive"):
        format_time(datetime(2026, 11, 21, 20, 0))  # noqa: DTZ001  # this is the point


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T20:00:00Z", datetime(2026, 11, 21, 20, tzinfo=UTC)),
        ("2026-11-21T20:00:00+02:00", datetime(2026, 11, 21, 18, tzinfo=UTC)),
        ("2026-11-21T20:00:00-05:30", datetime(2026, 11, 22, 1, 30, tzinfo=UTC)),
        ("2026-11-21T20:00:00.25Z", datetime(2026, 11, 21, 20, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_a_time_with_an_offset_is_read_as_utc(text: str, expected: datetime):
    found = parse_time(text)

    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T20:00:00",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-21T24:01:00Z",
        "2026-11-21T20:00:00 Europe/Berlin",
        "1763755200",
    ],
)
def test_a_text_that_is_no_time_with_an_offset_is_refused(text: str):
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize("text", ["20261121T200000Z", "2026-W47-6T20:00:00Z", "2026-11-21T20Z"])
def test_a_time_that_is_iso_8601_but_not_rfc_3339_is_refused(text: str):
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_beyond_the_calendar_is_refused_like_any_other_bad_time(text: str):
    with pytest.raises(ValueError):
        parse_time(text)
