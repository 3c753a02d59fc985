"""How long a job that failed waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trustpack.platform.jobs import FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, backoff_seconds

attempts = st.integers(1, 10**9)


@given(count=attempts)
def test_a_pause_is_never_shorter_than_the_first_nor_longer_than_a_minute(count: int):
    assert FIRST_BACKOFF_SECONDS <= backoff_seconds(count) <= LONGEST_BACKOFF_SECONDS == 60


@given(count=attempts)
def test_a_pause_is_never_shorter_than_the_one_before(count: int):
    assert backoff_seconds(count + 1) >= backoff_seconds(count)


def test_the_first_pause_is_half_a_second():
    assert backoff_seconds(1) == FIRST_BACKOFF_SECONDS == 0.5


@given(count=st.integers(1, 6))
def test_pauses_double_at_first(count: int):
    assert backoff_seconds(count + 1) == 2 * backoff_seconds(count)


@given(count=st.integers(8, 10**9))
def test_from_the_eighth_attempt_on_a_pause_is_a_minute(count: int):
    assert backoff_seconds(count) == LONGEST_BACKOFF_SECONDS
