"""A row as a line of `COPY` in its text format, and what in such a line belongs to one story alone. Guarantee: pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from trustpack.kernel.clock import format_time

TOKEN: Final = re.compile(
    r"(?P<id>[a-z]{2,8}_[0-9a-f]{32})"
    r"|(?P<digest>sha256:[0-9a-f]{64})"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"
    r"|(?P<day>\d{4}-\d\d-\d\d)"
    r'|(?<="now":)(?P<seconds>\d{10})(?!\d)'
    r"|(?P<number>bulk-[0-9a-f]{8})"
    r"|(?<![0-9a-f_])(?P<salt>[0-9a-f]{32})(?![0-9a-f])"
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_:.@-]+")


def line_of(row: Mapping[str, Any]) -> str:
    """Return a row as a line, its values in the order of the row."""
    return "\t".join(f"\\\\x{value.hex()}" if name == "salt" else _field(value) for name, value in row.items()) + "\n"


def _field(value: Any) -> str:
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case datetime():
            return format_time(value)
        case date():
            return value.isoformat()
        case list():
            if not all(_PLAIN.fullmatch(item) for item in value):
                raise ValueError("only roles and ids stand in lists")
            return "{" + ",".join(value) + "}"
        case dict():
            return _escaped(json.dumps(value))
        case bytes():
            return _escaped(value.decode().replace("\\", "\\\\"))  # the escape format of bytea
        case _:
            return _escaped(str(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
