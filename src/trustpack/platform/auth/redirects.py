"""Where to go after signing in: a path of ours, whatever the link says. Source: research/ui section 5 "Redirects"."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

HOME: Final = "/switchboard"
SIGN_IN: Final = "/switchboard/sign-in"
_LOCAL_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?&=%:@+,-]{0,1000}")
_MOST_LAYERS: Final = 3


def local_path(text: str | None, *, default: str = HOME) -> str:
    """Return `text` if it is a path on this server that begins with a single slash, and `default` otherwise.

    Whatever it hides behind percent signs must be harmless too, for proxies and browsers decode.
    """
    if text is None or _LOCAL_PATH.fullmatch(text) is None:
        return default
    decoded = text
    for _ in range(_MOST_LAYERS):
        decoded = unquote(decoded)
        if "\\" in decoded or "//" in decoded.partition("?")[0] or any(ord(character) < ord(" ") for character in decoded):
            return default
    return text


def sign_in_location(path: str) -> str:
    """Return where to sign in and come back from."""
    return f"{SIGN_IN}?next={quote(local_path(path), safe='')}"
