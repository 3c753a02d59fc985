"""The one place that reads randomness: ids, salts, secrets."""

from __future__ import annotations

import secrets

from trustpack.kernel.clock import Clock
from trustpack.kernel.ids import build_id


class SystemIds:
    """Hands out UUIDv7 ids in the order of the given clock, and random bytes from the operating system."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self, prefix: str) -> str:
        return build_id(prefix, unix_ms=int(self._clock.now().timestamp() * 1000), random=secrets.token_bytes(10))

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def new_secret() -> str:
    """Return 256 random bits as 43 URL-safe characters."""
    return secrets.token_urlsafe(32)
