"""What happens in the stories: 84 quotes in 21 deals, and 42 requests. Guarantee: pure. Source: research/revops section 6."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from operator import itemgetter
from statistics import NormalDist
from typing import Final, TypeVar

from trustpack.kernel.actor import Role

QUOTES_PER_DEAL: Final = 4
REQUESTS_PER_DEAL: Final = 2
_SEED: Final = "trustpack bulk 1"
_SPREAD: Final = 0.8
_LONGEST: Final = timedelta(hours=24)
_MEDIAN_HOURS: Final = {Role.MANAGER: 3.0, Role.FINANCE: 6.0, Role.AE: 0.2, Role.TEAM_LEAD: 0.3, Role.SECURITY_OFFICER: 0.5}


class Ending(Enum):
    """How a quote's story ends."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    ACTIVATED = "activated"
    REJECTED = "rejected"
    RECALLED = "recalled"
    RESUBMITTED = "resubmitted"
    """Rejected, revised to a smaller discount, approved and activated."""


class RequestEnding(Enum):
    """How a request's story ends."""

    PENDING = "pending"
    DENIED = "denied"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class QuotePlot:
    """One quote: seats sold, the discount on every line, and how it ends."""

    number: int
    seats: int
    discount_percent: str
    ending: Ending

    @property
    def approvers(self) -> tuple[Role, ...]:
        """Who says yes: the owner alone up to 20 %, two others above."""
        return (Role.AE,) if float(self.discount_percent) <= _OWN_BAND else (Role.MANAGER, Role.FINANCE)


AnyEnding = TypeVar("AnyEnding", Ending, RequestEnding)
_OWN_BAND: Final = 20
# Quotes by discount, from above the first number to the second, in percent.
_BANDS: Final = ((0, 10, 24), (10, 20, 33), (20, 30, 19), (30, 40, 6), (40, 60, 2))
_OWN_ENDINGS: Final = ((Ending.DRAFT, 24), (Ending.APPROVED, 3), (Ending.RECALLED, 4), (Ending.ACTIVATED, 26))
_REVIEWED_ENDINGS: Final = (
    (Ending.PENDING, 1), (Ending.APPROVED, 2), (Ending.RECALLED, 1), (Ending.REJECTED, 2), (Ending.RESUBMITTED, 3),
    (Ending.ACTIVATED, 18),
)  # fmt: skip
_WAITING: Final = (Ending.PENDING, Ending.APPROVED)
_REQUEST_ENDINGS: Final = (
    (RequestEnding.PENDING, 2), (RequestEnding.DENIED, 12), (RequestEnding.CANCELLED, 15), (RequestEnding.REJECTED, 9),
    (RequestEnding.REVERTED, 4),
)  # fmt: skip


def deals() -> tuple[tuple[QuotePlot, ...], ...]:
    """Return the quotes of every deal. Those that wait for somebody share deals: such a deal can only have been lately."""
    own = _endings(_OWN_ENDINGS)
    reviewed = _endings(_REVIEWED_ENDINGS)
    plots = [
        QuotePlot(number, _seats(number), discount, next(own if float(discount) <= _OWN_BAND else reviewed))
        for number, discount in enumerate(_discounts())
    ]
    plots.sort(key=lambda plot: (plot.ending in _WAITING, chance("order", plot.number)))
    return tuple(tuple(plots[start : start + QUOTES_PER_DEAL]) for start in range(0, len(plots), QUOTES_PER_DEAL))


def requests() -> tuple[RequestEnding, ...]:
    """Return how every request ends."""
    return tuple(_endings(_REQUEST_ENDINGS))


def time_until_vote(role: Role, *case: object) -> timedelta:
    """Return how long a person of a role takes to vote: lognormal, with the median of the role."""
    normal = NormalDist().inv_cdf(chance("vote", role.value, *case))
    return min(timedelta(hours=_MEDIAN_HOURS[role] * math.exp(_SPREAD * normal)), _LONGEST)


def chance(*case: object) -> float:
    """Return a number between 0 and 1 that is the same for the same case in every run."""
    digest = sha256("/".join((_SEED, *map(str, case))).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 1) / (2**48 + 2)


def _discounts() -> Iterator[str]:
    for lower, upper, quotes in _BANDS:
        for place in range(1, quotes + 1):
            yield f"{lower + (upper - lower) * place / quotes:.2f}"


def _seats(number: int) -> int:
    return 20 + round(480 * chance("seats", number))


def _endings(shares: Sequence[tuple[AnyEnding, int]]) -> Iterator[AnyEnding]:
    several = [(chance("ending", ending.value, time), ending) for ending, times in shares for time in range(times)]
    return (ending for _, ending in sorted(several, key=itemgetter(0)))
