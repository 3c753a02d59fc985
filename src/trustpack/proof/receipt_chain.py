"""Check the receipts of one subject: each hashes to its digest, names the one before, and none is missing in between.

Source: architecture section 3; research/evidence section 6, "Per-request chain and completeness".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trustpack.proof.canonical import canonical_bytes, digest_of


@dataclass(frozen=True, slots=True)
class ChainFault:
    """One thing wrong with a chain: a stable code and the sequence number where it shows."""

    code: str
    seq: int


@dataclass(frozen=True, slots=True)
class Link:
    """A receipt as a chain is checked by it: what it says, None where that cannot be read, and the digest of its bytes."""

    receipt: Mapping[str, Any] | None
    digest: str
    is_canonical: bool


def check_chain(bodies: Sequence[bytes], *, subject_id: str, expected_count: int) -> tuple[ChainFault, ...]:
    """Return every fault of a subject's receipt bodies, given in order; an empty answer means the chain holds.

    `bodies` are the stored canonical bytes. Codes: `unreadable`, `not_canonical`, `wrong_subject`, `wrong_seq`,
    `broken_link`, `wrong_count`. Nothing follows the last receipt that could name its digest, so whoever checks a chain must
    compare the digest of its last body with one that they hold. Guarantee: pure; hostile bytes are a fault, never an exception.
    """
    return check_links([read_link(body) for body in bodies], subject_id=subject_id, expected_count=expected_count)


def check_links(links: Sequence[Link], *, subject_id: str, expected_count: int) -> tuple[ChainFault, ...]:
    """Return what `check_chain` returns, of receipts that were read already."""
    faults: list[ChainFault] = []
    previous: str | None = None
    for seq, link in enumerate(links, start=1):
        faults.extend(ChainFault(code, seq) for code in _faults_of(link, seq=seq, subject_id=subject_id, previous=previous))
        previous = link.digest
    if len(links) != expected_count:
        faults.append(ChainFault("wrong_count", len(links)))
    return tuple(faults)


def read_link(body: bytes) -> Link:
    """Return what stands in the bytes of a receipt. Guarantee: pure; hostile bytes are a link that cannot be read."""
    digest = digest_of(body)
    try:
        receipt: Any = json.loads(body)
        is_canonical = canonical_bytes(receipt) == body
    except (ValueError, RecursionError):
        return Link(None, digest, is_canonical=False)
    return Link(receipt if isinstance(receipt, dict) else None, digest, is_canonical=is_canonical)


def _faults_of(link: Link, *, seq: int, subject_id: str, previous: str | None) -> Iterator[str]:
    receipt = link.receipt
    if receipt is None:
        yield "unreadable"
        return
    if not link.is_canonical:
        yield "not_canonical"
    subject = receipt.get("subject")
    if not isinstance(subject, dict) or subject.get("id") != subject_id:
        yield "wrong_subject"
    found = receipt.get("seq")
    if type(found) is not int or found != seq:  # not `isinstance`: `true` would pass for 1
        yield "wrong_seq"
    if receipt.get("prev_hash") != previous:
        yield "broken_link"
