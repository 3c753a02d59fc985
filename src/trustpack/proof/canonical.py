"""Canonical JSON bytes and their digests. Source: RFC 8785; architecture section 7."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import rfc8785

from trustpack.kernel.json_types import JsonValue

DIGEST_PREFIX = "sha256:"
_LARGEST_INTEGER = 2**53 - 1
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def canonical_bytes(value: JsonValue) -> bytes:
    """Return the one RFC 8785 encoding of `value`.

    Raises `ValueError` for NaN, infinities, integers beyond 2^53 - 1 and lone surrogates.
    """
    if not _is_plain(value):
        return rfc8785.dumps(value)
    # Much faster, and the same bytes: the encoder's strings, literals and small integers are those of RFC 8785.
    return _ENCODER.encode(value).encode()


def canonical_object(members: Mapping[str, bytes]) -> bytes:
    """Return the RFC 8785 encoding of an object whose values are given in theirs: what is written already is not written anew."""
    names = sorted(members, key=lambda name: name.encode("utf-16-be"))
    return b"{" + b",".join(canonical_bytes(name) + b":" + members[name] for name in names) + b"}"


def digest_of(data: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return DIGEST_PREFIX + hashlib.sha256(data).hexdigest()


def digest_of_value(value: JsonValue) -> str:
    """Return `sha256:<hex>` of the canonical encoding of `value`."""
    return digest_of(canonical_bytes(value))


def _is_plain(value: object) -> bool:
    """Say whether there is nothing in a value that RFC 8785 writes in its own way: floats, and the order of keys beyond ASCII."""
    parts = [value]
    for part in parts:  # which grows meanwhile: a call for each of thousands would take longer than the writing
        if part is None or isinstance(part, str):
            continue
        if isinstance(part, dict):
            for key in part:
                if not (isinstance(key, str) and key.isascii()):
                    return False
            parts.extend(part.values())
        elif isinstance(part, list | tuple):
            parts.extend(part)
        elif not (isinstance(part, int) and -_LARGEST_INTEGER <= part <= _LARGEST_INTEGER):
            return False
    return True
