"""Type-prefixed, time-ordered identifiers: `<prefix>_<32 hex digits of a UUIDv7>`.

Source: RFC 9562 section 5.7; architecture section 7. An id reveals its creation time and is never a secret.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

from trustpack.kernel.errors import NotFound

_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0b10 << 62
_ID = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}")


class IdSource(Protocol):
    """Hands out new ids and salts; the only implementation that reads randomness is `platform.entropy`."""

    def new(self, prefix: str) -> str: ...

    def random_bytes(self, count: int) -> bytes: ...


def build_id(prefix: str, *, unix_ms: int, random: bytes) -> str:
    """Build an id from a time in milliseconds and at least 10 random bytes. Guarantee: pure."""
    noise = int.from_bytes(random[:10], "big")
    value = (unix_ms & (1 << 48) - 1) << 80 | _VERSION_7 | (noise >> 68 & 0xFFF) << 64 | _VARIANT_RFC | noise & (1 << 62) - 1
    return f"{prefix}_{value:032x}"


def derive_id(prefix: str, *, source_id: str, purpose: str) -> str:
    """Derive the id of a thing that exists at most once per `source_id` and `purpose`.

    The derived id keeps the time of the source, so both sort alike; deriving twice gives the same id, which is what makes
    usage events idempotent (story 4.1).
    """
    unix_ms = int(source_id.rpartition("_")[2][:12], 16)
    return build_id(prefix, unix_ms=unix_ms, random=hashlib.sha256(f"{purpose}\n{source_id}".encode()).digest())


def is_id(value: str) -> bool:
    """Say whether a text has the form of an id, whatever its prefix."""
    return _ID.fullmatch(value) is not None


def require_id(value: str, *, prefix: str) -> str:
    """Return `value` if it has the form of an id with this prefix; raise `NotFound` otherwise.

    A malformed id is treated like an unknown one, so that ids tell an outsider nothing.
    """
    if not is_id(value) or not value.startswith(f"{prefix}_"):
        raise NotFound
    return value
