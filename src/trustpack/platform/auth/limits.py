"""How often one address, and one name, may fail to sign in. Counted by each process, like every limit (ADR-0017)."""

from __future__ import annotations

import math

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.telemetry import metrics
from trustpack.platform.web.rate_limits import Buckets


class TooManyAttempts(TrustpackError):
    """The address or the name has failed too often; said whether the name exists or not."""

    kind = ErrorKind.LIMITED
    code = "auth.too_many_attempts"
    title = "Too many attempts"
    detail = "Too many attempts to sign in have failed."
    next_step = "Wait for the seconds of `retry_after`, then try again."


class FailedAttempts:
    """Counts each attempt before it is tried and gives it back when it succeeds, so that many at once are limited like a few."""

    def __init__(self, *, addresses: Buckets, names: Buckets) -> None:
        self._addresses = addresses
        self._names = names

    def spend(self, *, address: str, name: str | None) -> None:
        """Count an attempt. Raises `TooManyAttempts`."""
        spent = [(self._addresses, address)] + ([(self._names, name)] if name else [])
        wait = max(buckets.wait_seconds(key) for buckets, key in spent)
        if wait:
            metrics.RATE_LIMITED.labels(limit="failed_sign_ins").inc()
            raise TooManyAttempts(retry_after=math.ceil(wait))
        for buckets, key in spent:
            buckets.spend(key)

    def give_back(self, *, address: str, name: str | None) -> None:
        """Undo what `spend` counted: the attempt succeeded."""
        self._addresses.give_back(address)
        if name:
            self._names.give_back(name)
