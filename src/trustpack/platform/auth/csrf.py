"""A token that only a page of this very session can know: an HMAC under the session's secret, so nothing is stored for it.

It is salted anew for every page, because what stands in many compressed answers can be guessed from their lengths (ADR-0027).
"""

from __future__ import annotations

import base64
import hmac
from typing import Final

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.entropy import new_secret

FIELD: Final = "form_token"
HEADER: Final = "x-csrf-token"
_DOMAIN: Final = "trustpack/csrf/v2"


class CsrfRefused(TrustpackError):
    """The form has no token of this session: it is older than the session, or somebody else's."""

    kind = ErrorKind.FORBIDDEN
    code = "auth.csrf_refused"
    title = "This form is out of date"
    detail = "The form was not made for the session that you are signed in with, so nothing was done."
    next_step = "Load the page again and repeat what you did."


def csrf_token(session_text: str) -> str:
    """Return a token of a session, another one each time."""
    return _salted_token(session_text, new_secret())


def require_csrf(session_text: str, token: str | None) -> None:
    """Refuse a token that is not this session's. Raises `CsrfRefused`."""
    salt, _, _ = (token or "").partition(".")
    if token is None or not hmac.compare_digest(_salted_token(session_text, salt).encode(), token.encode()):
        raise CsrfRefused


def _salted_token(session_text: str, salt: str) -> str:
    mac = hmac.new(session_text.encode(), f"{_DOMAIN}/{salt}".encode(), "sha256").digest()
    return f"{salt}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
