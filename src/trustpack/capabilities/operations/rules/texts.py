"""How the texts of a request must be written, wherever they come from: the API and forms are held to the same patterns."""

from __future__ import annotations

from typing import Final

_WITHOUT_CONTROLS = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*"
SOMETHING_VISIBLE: Final = rf"^{_WITHOUT_CONTROLS}[^\s\x00-\x1f\x7f]{_WITHOUT_CONTROLS}$"
ONE_VISIBLE_LINE: Final = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*$"
"""A scope stands in the statements that people approve: no line break, nothing invisible, nothing that turns the text around."""
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TICKET: Final = r"^[\x21-\x7e]+$"
LONGEST_NAME: Final = 63
LONGEST_SCOPE: Final = 200
LONGEST_TICKET: Final = 100
JUSTIFICATION_BYTES: Final = 4096
LONGEST_DURATION_SECONDS: Final = 2**31 - 1
"""A bound on form only: what is too long is for policy to say, so that the refusal is on record."""


def within_bytes(text: str) -> str:
    """Return a justification that is short enough to keep. Raises `ValueError`."""
    if len(text.encode()) > JUSTIFICATION_BYTES:
        raise ValueError(f"longer than {JUSTIFICATION_BYTES} bytes")
    return text
