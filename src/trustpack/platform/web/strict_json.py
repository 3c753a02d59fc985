"""Read JSON as strictly as a security product must: one meaning per document, bounded, storable.

Source: research/evidence section 7 (JSON tricks), research/policy section 4 row 9. `json.loads` alone accepts duplicate keys,
NaN, infinities, lone surrogates and any depth.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from trustpack.kernel.errors import ErrorKind, TrustpackError

MAX_DEPTH = 32
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


class MalformedJson(TrustpackError):
    """The body is not a JSON document that has one meaning."""

    kind = ErrorKind.INVALID
    code = "request.malformed_json"
    title = "The body is not acceptable JSON"
    detail = "The body is not acceptable JSON."
    next_step = "Send one UTF-8 JSON object with unique keys, finite numbers and at most 32 levels."


def parse(raw: bytes) -> Any:
    """Return the value of a JSON document.

    Raises `MalformedJson` for invalid UTF-8 or JSON, duplicate keys, NaN and infinities, lone surrogates, NUL characters,
    and nesting deeper than `MAX_DEPTH`.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not valid UTF-8.") from error
    _require_shallow(text)
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError as error:  # JSONDecodeError, and integers of thousands of digits
        raise MalformedJson("The body is not valid JSON.") from error
    if "\\u" in text:
        _require_storable(value)
    return value


def _require_shallow(text: str) -> None:
    # Measured before parsing: the parser recurses, and would meet the interpreter's limit on hostile depth.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedJson(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson("The body has an object with a key that occurs twice.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"The body holds {name}, which is not a JSON number.")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise MalformedJson("The body holds a number that is too large.")
    return number


def _require_storable(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise MalformedJson("The body holds a NUL character or half a surrogate pair.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_storable(key)
            _require_storable(item)
    elif isinstance(value, list):
        for item in value:
            _require_storable(item)
