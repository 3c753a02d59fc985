"""How often the store is asked for changes."""

from __future__ import annotations

import pytest

from trustpack.platform.signals import rest_after


@pytest.mark.parametrize(
    ("took", "rest"), [(0.0, 0.1), (0.001, 0.1), (0.01, 0.1), (0.02, 0.2), (0.04, 0.4), (0.05, 0.5), (30.0, 0.5)]
)
def test_looks_come_often_and_where_they_are_slow_less_often(took: float, rest: float):
    assert rest_after(took) == pytest.approx(rest)
