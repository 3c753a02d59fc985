"""How texts must be written, wherever they come from: the API and files are held to the same patterns."""

from __future__ import annotations

from typing import Final

HIDDEN: Final = r"\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
"""Characters that nobody sees, for a class in a pattern."""
ONE_VISIBLE_LINE: Final = rf"^[^{HIDDEN}]*[^\s{HIDDEN}][^{HIDDEN}]*$"
LONGEST_LINE: Final = 200
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
LONGEST_NAME: Final = 63
LONGEST_EMAIL: Final = 320
MOST_EMPLOYEES: Final = 100_000_000
MOST_LINES: Final = 200
MOST_UNITS: Final = 1_000_000
LONGEST_TERM_MONTHS: Final = 240
LONGEST_PAYMENT_DAYS: Final = 365
