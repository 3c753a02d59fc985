"""Bodies that no client with good intentions sends, made from one that is valid."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_TEXT = 4_096
TEN_MEGABYTES = 10_000_000
TEXT_FIELDS = ("justification", "comment", "reason")
INVALID = "request.invalid"
MALFORMED = "request.malformed_json"
TOO_LARGE = "request.body_too_large"
ENCODED = "request.encoding_not_supported"
_JSON: Mapping[str, str] = {"Content-Type": "application/json"}
_ANYWHERE: Mapping[str, bytes] = {
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "minus infinity": b"-Infinity",
    "a number beyond doubles": b"1e999",
    "a negative number beyond doubles": b"-1e999",
    "an integer of 5,000 digits": b"9" * 5_000,
    "a number with a leading zero": b"007",
    "a hexadecimal number": b"0x10",
    "a comment": b"/* */ 1",
    "single quotes": b"'a'",
    "a word": b"undefined",
    "a NUL": b'"a\x00b"',
    "an escaped NUL": b'"a\\u0000b"',
    "a line break in a string": b'"a\nb"',
    "a high surrogate": b'"\\ud800"',
    "a low surrogate": b'"\\udc00"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "invalid UTF-8": b'"\xff\xfe"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "UTF-8 that breaks off": b'"\xe2\x82"',
    "30,000 levels": b"[" * 30_000 + b"]" * 30_000,
    "30,000 levels without an end": b'{"a":' * 6_000,
    "33 levels": b"[" * 33 + b"]" * 33,
}


@dataclass(frozen=True, slots=True)
class Hostile:
    """One body with its headers and the code of its refusal; a `chunk` is sent over and over without saying how often."""

    name: str
    code: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)
    chunk: bytes = b""

    def sent(self) -> bytes | AsyncIterator[bytes]:
        """Return what a client sends."""
        return _repeated(self.chunk) if self.chunk else self.content


def hostile_bodies(valid: Mapping[str, Any], *, may_be_absent: bool) -> Iterator[Hostile]:
    """Make every hostile body; where a body `may_be_absent`, none and null are left out, since they mean nothing bad."""
    raw = json.dumps(valid).encode()
    yield from _broken(raw)
    yield from _too_large(valid)
    yield from _mislabelled(raw)
    for name, value in _ANYWHERE.items():
        yield Hostile(f"{name} as a value", MALFORMED, _with(raw, b'"x": ' + value))
        yield Hostile(f"{name} alone", MALFORMED, value)
    for name, value in {"a list": [], "a list of bodies": [valid], "text": "{}", "a number": 1, "true": True}.items():
        yield Hostile(f"{name} instead of an object", INVALID, json.dumps(value).encode())
    if not may_be_absent:
        yield Hostile("null", INVALID, b"null")
        yield Hostile("nothing", INVALID, b"")
    yield from _of_the_wrong_form(valid)


def _broken(raw: bytes) -> Iterator[Hostile]:
    for name, content in {
        "without its end": raw[:-1],
        "its first half": raw[: len(raw) // 2] or b"{",
        "with garbage behind it": raw + b"x",
        "with a NUL behind it": raw + b"\x00",
        "twice": raw + raw,
        "with a trailing comma": raw[:-1] + b",}",
        "with a byte order mark": b"\xef\xbb\xbf" + raw,
        "in UTF-16": raw.decode().encode("utf-16"),
        "in UTF-16 without a mark": raw.decode().encode("utf-16-be"),
        "in UTF-32": raw.decode().encode("utf-32"),
        "white space only": b" \n\t",
        "with a key that occurs twice": _with(raw, b'"x": 1, "x": 1'),
        "with a key that occurs twice in two spellings": _with(raw, b'"x": 1, "\\u0078": 1'),
        "with an inner key that occurs twice": _with(raw, b'"x": {"y": 1, "y": 1}'),
        "with half a surrogate pair as a key": _with(raw, b'"\\ud800": 1'),
        "with a NUL as a key": _with(raw, b'"\\u0000": 1'),
    }.items():
        yield Hostile(name, MALFORMED, content)


def _too_large(valid: Mapping[str, Any]) -> Iterator[Hostile]:
    yield Hostile("10 MB", TOO_LARGE, b" " * TEN_MEGABYTES)
    yield Hostile("10 MB in parts", TOO_LARGE, chunk=b" " * 65_536)
    yield Hostile("100,000 levels", TOO_LARGE, b"[" * 100_000 + b"]" * 100_000)
    for name in TEXT_FIELDS:
        yield Hostile(f"{name} of 10 MB", TOO_LARGE, json.dumps({**valid, name: "x" * TEN_MEGABYTES}).encode())


def _mislabelled(raw: bytes) -> Iterator[Hostile]:
    for label in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "json", "a" * 200):
        yield Hostile(f"labelled {label[:40]}", INVALID, raw, {"Content-Type": label})
    yield Hostile("without a label", INVALID, raw, {})
    bomb = gzip.compress(b" " * TEN_MEGABYTES)
    for encoding in ("gzip", "deflate", "br", "gzip, gzip"):
        yield Hostile(f"a bomb in {encoding}", ENCODED, bomb, {**_JSON, "Content-Encoding": encoding})
    yield Hostile("a bomb that is not announced", MALFORMED, bomb)


def _of_the_wrong_form(valid: Mapping[str, Any]) -> Iterator[Hostile]:
    for name in ("unknown", "status", "approved", "version", "tenant_id", "__proto__", "", "starts_at"):
        yield _valid_but(valid, f"with the unknown field {name!r}", {name: "x"})
    for name in valid:
        for value in ([], {}, 1.5, -1, True, "", " ", "x" * (LONGEST_TEXT + 1), [valid[name]]):
            # A flag may be true, and nothing else is left to be wrong with it.
            if not (value is True and isinstance(valid[name], bool)):
                yield _valid_but(valid, f"{name} as {str(value)[:20]!r}", {name: value})
    for name in {*valid} & {*TEXT_FIELDS}:
        for text in (
            "x" * (LONGEST_TEXT + 1),
            "é" * (LONGEST_TEXT // 2) + "x",
            "€" * (LONGEST_TEXT // 3) + "é",
            "😀" * (LONGEST_TEXT // 4) + "x",
            "\x07",
            "\x1b[31mred",
            "\x7f",
        ):
            yield _valid_but(valid, f"{name} of {len(text.encode())} bytes with {text[-1]!r}", {name: text})


def _valid_but(valid: Mapping[str, Any], name: str, changes: Mapping[str, Any]) -> Hostile:
    return Hostile(name, INVALID, json.dumps({**valid, **changes}).encode())


def _with(raw: bytes, member: bytes) -> bytes:
    return raw[:-1] + (b", " if raw != b"{}" else b"") + member + b"}"


async def _repeated(chunk: bytes) -> AsyncIterator[bytes]:
    for _ in range(TEN_MEGABYTES // len(chunk)):
        yield chunk
