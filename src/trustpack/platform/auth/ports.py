"""The port of everything that can tell whose account somebody is: passkeys, passwords, the demo, later single sign-on.

One contract suite (tests/contract/auth) holds for every implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.kernel.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What the browser is asked, and what the server must remember until it hears the answer."""

    ask: JsonObject
    kept: JsonObject


class SignInFailed(TrustpackError):
    """The answer proves no account; which of the many possible reasons applies is nobody's business."""

    kind = ErrorKind.UNAUTHENTICATED
    code = "auth.sign_in_failed"
    title = "That did not work"
    detail = "You could not be signed in with what was sent."
    next_step = "Try again; if you cannot sign in at all, ask an administrator for a new invitation."


class SignInMethod(Protocol):
    """One way to sign in."""

    @property
    def name(self) -> str:
        """Its name in paths, in sessions and in receipts."""
        ...

    async def begin(self, *, account_id: str | None = None) -> Ceremony | None:
        """Return what to ask the browser, of the named account only if there is one; None where nothing must be remembered."""
        ...

    async def finish(self, answer: Mapping[str, str], *, kept: JsonObject) -> str:
        """Return the account that the answer proves.

        Raises `SignInFailed`, the same for every reason. Guarantee: one answer to one ceremony proves it at most once.
        """
        ...
