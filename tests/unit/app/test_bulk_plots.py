"""What the bulk set's stories are about: the distribution that they promise, and times that leave what waits still waiting."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from trustpack.app.bulk.plots import QUOTES_PER_DEAL, REQUESTS_PER_DEAL, Ending, deals, requests, time_until_vote
from trustpack.kernel.actor import Role

PLOTS = [plot for plots in deals() for plot in plots]


def test_84_quotes_stand_in_21_deals_with_two_requests_each():
    assert (len(PLOTS), len(deals()), len(requests())) == (84, 21, 21 * REQUESTS_PER_DEAL)
    assert {len(plots) for plots in deals()} == {QUOTES_PER_DEAL}


@pytest.mark.parametrize(("above", "up_to", "quotes"), [(0, 10, 24), (10, 20, 33), (20, 30, 19), (30, 40, 6), (40, 100, 2)])
def test_discounts_are_spread_as_planned(above: int, up_to: int, quotes: int):
    assert sum(above < float(plot.discount_percent) <= up_to for plot in PLOTS) == quotes


def test_27_quotes_need_others_than_their_owner():
    endings = Counter(plot.ending for plot in PLOTS if plot.approvers == (Role.MANAGER, Role.FINANCE))

    assert endings.total() == 27
    assert endings[Ending.ACTIVATED] + endings[Ending.APPROVED] == 20
    assert (endings[Ending.RESUBMITTED], endings[Ending.REJECTED], endings[Ending.RECALLED], endings[Ending.PENDING]) == (
        3,
        2,
        1,
        1,
    )


def test_quotes_that_wait_share_deals():
    waiting = [any(plot.ending in {Ending.PENDING, Ending.APPROVED} for plot in plots) for plots in deals()]

    assert waiting == [False] * 19 + [True] * 2


def test_times_until_a_vote_are_lognormal_about_the_median_of_the_role():
    hours = sorted(time_until_vote(Role.FINANCE, case) / timedelta(hours=1) for case in range(999))

    assert 5.5 < hours[499] < 6.5
    assert hours[-1] == 24
    assert hours == sorted(time_until_vote(Role.FINANCE, case) / timedelta(hours=1) for case in range(999))
