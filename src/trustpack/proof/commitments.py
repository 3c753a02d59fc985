"""Salted commitments: a receipt proves a personal value without holding it, so that the value can be erased later.

Source: research/evidence "Erasure"; RFC 9901 (SD-JWT) is the precedent for disclosing value and salt apart from the proof.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from trustpack.kernel.json_types import JsonValue
from trustpack.proof.canonical import canonical_bytes, digest_of

SALT_BYTES = 16
_DOMAIN = "trustpack/commitment/v1"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What opens one commitment: the field's path in the payload, its value, and the salt (`SALT_BYTES` long)."""

    path: str
    value: JsonValue
    salt: bytes


def commitment_to(disclosure: Disclosure) -> str:
    """Return the digest that stands in a payload for a personal value.

    It is SHA-256 over `committed_bytes`. Guarantee: pure.
    """
    return digest_of(committed_bytes(disclosure))


def committed_bytes(disclosure: Disclosure) -> bytes:
    """Return what a commitment is the digest of: the RFC 8785 bytes of `[domain, salt in hex, path, value]`. Guarantee: pure."""
    return canonical_bytes([_DOMAIN, disclosure.salt.hex(), disclosure.path, disclosure.value])


def opens(disclosure: Disclosure, commitment: str) -> bool:
    """Say whether the disclosure is the one that the commitment was made to."""
    # As bytes: `compare_digest` raises for text beyond ASCII, which a tampered receipt may hold.
    return hmac.compare_digest(commitment_to(disclosure).encode(), commitment.encode("utf-8", "surrogatepass"))
