"""The cookies of the console: a session, and a ceremony under way. Source: research/ui section 5.

The prefix `__Host-` makes the browser refuse such a cookie without Secure, with a Domain or with another path, so no neighbouring
host can plant one. Lax and not Strict: a link in a chat or a mail must arrive signed in.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION_COOKIE: Final = "__Host-trustpack"
CEREMONY_COOKIE: Final = "__Host-trustpack-ceremony"
_EVERYTHING: Final = '"cache", "cookies", "storage"'


def session_text(connection: HTTPConnection) -> str | None:
    """Return what the browser sent as its session."""
    return connection.cookies.get(SESSION_COOKIE)


def ceremony_ticket(connection: HTTPConnection) -> str | None:
    """Return what the browser sent as its ceremony."""
    return connection.cookies.get(CEREMONY_COOKIE)


def give_session(response: Response, text: str) -> None:
    """Hand a new session to the browser; the ceremony that led to it is over."""
    _give(response, SESSION_COOKIE, text)
    take_ceremony_back(response)


def give_ceremony(response: Response, ticket: str) -> None:
    """Hand the browser what ties its answer to what it was asked."""
    _give(response, CEREMONY_COOKIE, ticket)


def take_session_back(response: Response) -> None:
    """Have the browser forget its session and everything that it has kept of our pages."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = _EVERYTHING


def take_ceremony_back(response: Response) -> None:
    """Have the browser forget a ceremony."""
    response.delete_cookie(CEREMONY_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _give(response: Response, name: str, value: str) -> None:
    # Without a lifetime: it goes with the browser's session, and the server knows the real end.
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="lax")
