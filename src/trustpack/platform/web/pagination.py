"""Opaque cursors for keyset paging."""

from __future__ import annotations

import base64
import binascii
import re

from trustpack.kernel.errors import InvalidInput

MAX_PAGE = 200
DEFAULT_PAGE = 50
_PLACE = re.compile(r"plc_0{16}[0-7][0-9a-f]{15}")
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


def encode_place(place: int) -> str:
    """Return the cursor of the page that follows the item at this place of a list whose items have no id."""
    return encode_cursor(f"plc_{place:032x}")


def decode_place(cursor: str | None) -> int:
    """Return the place that a cursor stands for, 0 without one. Raises `InvalidInput` for a cursor that we did not make."""
    marker = decode_cursor(cursor)
    if marker is None:
        return 0
    if not _PLACE.fullmatch(marker):
        raise InvalidInput("The cursor is not one that this service handed out.")
    return int(marker.removeprefix("plc_"), 16)
