"""Passwords as argon2id hashes, checked in the same time whether there is one or not."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers import HasherProtocol
from pwdlib.hashers.argon2 import Argon2Hasher

from trustpack.kernel.errors import TrustpackError

SHORTEST: Final = 15
"""Characters of a password that stands alone. Source: NIST SP 800-63B-4 section 3.1.1.1."""
LONGEST: Final = 256
_AT_ONCE: Final = 2
"""Each takes 64 MB and a core for a while: a storm of attempts must not take the machine."""


class WeakPassword(TrustpackError):
    """The password is too short to stand alone, or too long to be read."""

    code = "auth.weak_password"
    title = "This password cannot be used"
    detail = f"A password has {SHORTEST} to {LONGEST} characters; any are allowed, spaces too."
    next_step = "Take some words that nobody would guess, or better, a passkey."


class Passwords:
    """Hashes and checks passwords beside the event loop, a few at once."""

    def __init__(self, hasher: HasherProtocol | None = None) -> None:
        self._hash = PasswordHash((hasher or Argon2Hasher(),))
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = self._hash.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Return the hash of a new password. Raises `WeakPassword`."""
        normal = _normal(password)
        if not SHORTEST <= len(normal) <= LONGEST:
            raise WeakPassword
        async with self._free:
            return await asyncio.to_thread(self._hash.hash, normal)

    async def is_right(self, password: str, *, stored: str | None) -> bool:
        """Say whether the password is the stored one; without a stored one, no, after the same work."""
        normal = _normal(password)[: LONGEST + 1]
        async with self._free:
            fits = await asyncio.to_thread(self._hash.verify, normal, stored or self._nobodys)
        return fits and stored is not None


def _normal(password: str) -> str:
    # One character can be typed as different code points on different keyboards.
    return unicodedata.normalize("NFKC", password)
