import pytest

from trustpack.capabilities.policy.adapters.opa import CircuitBreaker
from trustpack.capabilities.policy.model import CircuitOpen


def opened_at(now: float) -> CircuitBreaker:
    breaker = CircuitBreaker(failures_to_open=5, open_seconds=10)
    for _ in range(5):
        breaker.failed(now, is_probe=breaker.enter(now))
    return breaker


def test_four_failures_in_a_row_leave_it_closed_and_the_fifth_opens_it():
    breaker = CircuitBreaker(failures_to_open=5, open_seconds=10)
    for _ in range(4):
        breaker.failed(0, is_probe=breaker.enter(0))
    assert breaker.enter(0) is False

    breaker.failed(0, is_probe=False)

    with pytest.raises(CircuitOpen):
        breaker.enter(0)


def test_an_answer_in_between_starts_the_count_again():
    breaker = CircuitBreaker(failures_to_open=2, open_seconds=10)

    breaker.failed(0, is_probe=False)
    breaker.succeeded(is_probe=False)
    breaker.failed(0, is_probe=False)

    assert breaker.enter(0) is False


def test_it_stays_open_for_ten_seconds_and_then_lets_exactly_one_probe_through():
    breaker = opened_at(100)

    with pytest.raises(CircuitOpen):
        breaker.enter(109.999)
    assert breaker.enter(110) is True
    with pytest.raises(CircuitOpen):
        breaker.enter(110)


def test_a_probe_that_is_answered_closes_it():
    breaker = opened_at(0)

    breaker.succeeded(is_probe=breaker.enter(10))

    assert breaker.enter(10) is False


def test_a_probe_that_fails_opens_it_for_another_ten_seconds():
    breaker = opened_at(0)

    breaker.failed(12, is_probe=breaker.enter(10))

    with pytest.raises(CircuitOpen):
        breaker.enter(21.9)
    assert breaker.enter(22) is True


def test_a_probe_that_is_abandoned_leaves_the_place_to_the_next():
    breaker = opened_at(0)

    breaker.abandoned(is_probe=breaker.enter(10))

    assert breaker.enter(10) is True


def test_a_late_answer_from_before_it_opened_does_not_close_it():
    breaker = opened_at(0)

    breaker.succeeded(is_probe=False)

    with pytest.raises(CircuitOpen):
        breaker.enter(1)


def test_late_failures_from_before_it_opened_do_not_lengthen_the_rest():
    breaker = opened_at(0)

    breaker.failed(9, is_probe=False)

    assert breaker.enter(10) is True
