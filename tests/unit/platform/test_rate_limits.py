"""Buckets fill and empty as promised, whatever the keys; addresses are counted as what one sender has."""

from __future__ import annotations

import pytest

from trustpack.platform.web.rate_limits import Buckets, address_of


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.value = 1_000.0

    def __call__(self) -> float:
        return self.value


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def spend_all(buckets: Buckets, key: str) -> int:
    """Spend as long as nothing has to be waited for; return how often that was."""
    spent = 0
    while not buckets.wait_seconds(key):
        buckets.spend(key)
        spent += 1
    return spent


def test_a_burst_is_spent_at_once_and_then_the_rate_applies(seconds: Seconds):
    buckets = Buckets(per_second=2, burst=5, now=seconds)

    assert spend_all(buckets, "a") == 5
    assert buckets.wait_seconds("a") == 0.5
    seconds.value += 0.5
    assert spend_all(buckets, "a") == 1


def test_a_bucket_never_holds_more_than_its_burst(seconds: Seconds):
    buckets = Buckets(per_second=2, burst=5, now=seconds)
    spend_all(buckets, "a")

    seconds.value += 1_000_000

    assert spend_all(buckets, "a") == 5


def test_one_key_does_not_spend_from_another(seconds: Seconds):
    buckets = Buckets(per_second=2, burst=5, now=seconds)
    spend_all(buckets, "a")

    assert spend_all(buckets, "b") == 5


def test_what_is_taken_from_an_empty_bucket_is_owed_up_to_one_more_burst(seconds: Seconds):
    buckets = Buckets(per_second=1, burst=3, now=seconds)

    for _ in range(100):
        buckets.spend("a")

    assert buckets.wait_seconds("a") == 4


def test_a_rate_of_zero_lifts_the_limit(seconds: Seconds):
    buckets = Buckets(per_second=0, burst=1, now=seconds)

    for _ in range(100):
        assert buckets.wait_seconds("a") == 0
        buckets.spend("a")

    assert "a" in buckets


def test_no_more_keys_are_kept_than_there_is_place_for_and_the_one_unused_for_longest_goes(seconds: Seconds):
    buckets = Buckets(per_second=1, burst=3, capacity=3, now=seconds)
    for key in ("a", "b", "c", "a", "d"):
        buckets.spend(key)

    assert len(buckets) == 3
    assert [key for key in "abcd" if key in buckets] == ["a", "c", "d"]


def test_asking_how_long_to_wait_takes_no_place(seconds: Seconds):
    buckets = Buckets(per_second=1, burst=3, now=seconds)

    for number in range(100):
        buckets.wait_seconds(str(number))

    assert len(buckets) == 0


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        (f"::ffff:192.0.2.7%{'a' * 10_000}", "192.0.2.7"),
        (f"2001:db8:1:2::1%{'a' * 10_000}", "2001:db8:1:2::"),
        ("not an address", ""),
        ("a" * 10_000, ""),
    ],
)
def test_an_address_is_counted_as_what_one_sender_has(host: str, counted_as: str):
    assert address_of({"type": "http", "client": (host, 1)}) == counted_as


def test_a_client_without_an_address_is_counted_too():
    assert address_of({"type": "http", "client": None}) == ""
