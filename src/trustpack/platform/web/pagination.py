"""Opaque cursors for keyset paging."""

from __future__ import annotations

import base64
import binascii
import re

from trustpack.kernel.errors import InvalidInput

MAX_PAGE = 200
DEFAULT_PAGE = 50
_LAST_ID = re.compile(rb"[a-z]{2,8}_[0-9a-f]{32}")


def encode_cursor(last_id: str) -> str:
    """Return the cursor of the page that follows the item with this id."""
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str | None:
    """Return the id that a cursor stands for. Raises `InvalidInput` for a cursor that we did not make."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("The cursor is not one that this service handed out.") from error
    if not _LAST_ID.fullmatch(raw):
        raise InvalidInput("The cursor is not one that this service handed out.")
    return raw.decode()
