"""Canonical JSON bytes and their digests. Source: RFC 8785; architecture section 7."""

from __future__ import annotations

import hashlib

import rfc8785

from trustpack.kernel.json_types import JsonValue

DIGEST_PREFIX = "sha256:"


def canonical_bytes(value: JsonValue) -> bytes:
    """Return the one RFC 8785 encoding of `value`.

    Raises `ValueError` (from `rfc8785`) for NaN, infinities, integers beyond 2^53 - 1 and lone surrogates.
    """
    return rfc8785.dumps(value)


def digest_of(data: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return DIGEST_PREFIX + hashlib.sha256(data).hexdigest()


def digest_of_value(value: JsonValue) -> str:
    """Return `sha256:<hex>` of the canonical encoding of `value`."""
    return digest_of(canonical_bytes(value))
