"""What was told lately: from an event on, since a page was made, and where that is not known any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trustpack.platform.changes import Change, ToldLately

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EPOCH = "0123456789abcdef"


def change(number: int) -> Change:
    return Change("tenant", "quote", f"quo_{number}")


def told(*, most: int = 100, looks: int = 4) -> ToldLately:
    """A process that began at noon and has found one change in every minute since."""
    kept = ToldLately(EPOCH, most=most)
    kept.add(None, at=NOON)
    for number in range(1, looks + 1):
        kept.add([change(number)], at=NOON + timedelta(minutes=number))
        kept.add([], at=NOON + timedelta(minutes=number, seconds=30))
    return kept


def test_what_came_after_an_event_is_known():
    kept = told()

    assert kept.changes_after(kept.event_id(kept.number - 2), None) == [change(3), change(4)]
    assert kept.changes_after(kept.event_id(kept.number), None) == []


def test_an_event_id_counts_for_more_than_the_time_of_the_page():
    kept = told()

    assert kept.changes_after(kept.event_id(kept.number), NOON + timedelta(minutes=1)) == []


@pytest.mark.parametrize(
    "event_id", ["x", "0123456789abcdee-1", f"{EPOCH}-99", f"{EPOCH}-0", f"{EPOCH}--1", f"{EPOCH}-1\n", "-1"]
)
def test_an_event_that_is_not_ours_says_nothing(event_id: str):
    assert told().changes_after(event_id, None) is None


def test_where_an_event_is_not_ours_the_time_of_the_page_counts():
    kept = told()

    for event_id in ("0123456789abcdee-1", f"{EPOCH}-0", "x"):
        assert kept.changes_after(event_id, NOON + timedelta(minutes=4, seconds=1)) == [change(4)]


def test_what_came_since_a_page_was_made_is_known_with_the_time_of_its_making():
    kept = told()

    assert kept.changes_after("", NOON + timedelta(minutes=4, seconds=1)) == [change(4)]
    assert kept.changes_after("", NOON + timedelta(minutes=4, seconds=3)) == []


@pytest.mark.parametrize(
    "since", [None, datetime.min.replace(tzinfo=UTC), NOON - timedelta(hours=1), NOON + timedelta(seconds=2)]
)
def test_a_page_from_before_the_first_look_knows_nothing(since: datetime | None):
    assert told().changes_after("", since) is None


def test_what_is_not_kept_whole_any_more_is_not_known():
    kept = told(most=2)

    assert kept.changes_after(kept.event_id(kept.number - 2), None) == [change(3), change(4)]
    assert kept.changes_after(kept.event_id(kept.number - 3), None) is None
    assert kept.changes_after("", NOON + timedelta(minutes=2, seconds=1)) is None
    assert kept.changes_after("", NOON + timedelta(minutes=2, seconds=3)) == [change(3), change(4)]


def test_after_too_many_changes_at_once_nothing_from_before_is_known():
    kept = told()
    before = kept.event_id(kept.number)
    kept.add(None, at=NOON + timedelta(minutes=9))

    assert kept.changes_after(before, NOON) is None
    assert kept.changes_after(kept.event_id(kept.number), None) == []
