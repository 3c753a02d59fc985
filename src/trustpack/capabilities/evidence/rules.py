"""Put a bundle together: sections in a fixed form, and a manifest that counts and digests them. Guarantee: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trustpack.capabilities import ledger
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.bundle import BUNDLE_FORMAT, write_bundle
from trustpack.proof.commitments import Disclosure


def build_bundle(
    *,
    kind: str,
    tenant_id: str,
    subject_id: str,
    subjects: Sequence[JsonObject],
    sections: Mapping[str, JsonValue],
    figures: Mapping[str, Sequence[str]],
) -> bytes:
    """Return the canonical bytes of a bundle. The same case gives the same bytes: nothing in it says when it was asked for.

    The manifest names every subject with its version and the digest of its last receipt, and every section with its SHA-256
    over RFC 8785 bytes and, for lists, the number, ids, times and `figures` of its items, so that something left out shows.
    """
    about: JsonObject = {
        "format": BUNDLE_FORMAT,
        "kind": kind,
        "tenant": tenant_id,
        "subject": subject_id,
        "version": next(subject["version"] for subject in subjects if subject["id"] == subject_id),
        "subjects": subjects,
    }
    return write_bundle(about, sections, figures=figures)


def heads_of(versions: Mapping[str, int], receipts: Sequence[ledger.Receipt]) -> list[JsonObject]:
    """Return for each subject its kind, its version and the digest of its last receipt; `receipts` are in order."""
    last = {receipt.subject_id: receipt for receipt in receipts}
    return [
        {
            "kind": json.loads(last[subject_id].body)["subject"]["kind"],
            "id": subject_id,
            "version": version,
            "head": last[subject_id].digest,
        }
        for subject_id, version in versions.items()
    ]


def present_receipt(receipt: ledger.Receipt, disclosures: Sequence[Disclosure]) -> dict[str, Any]:
    """Return a receipt with the JSON whose RFC 8785 bytes its digest is of, and what opens its commitments."""
    return {
        "id": receipt.id,
        "seq": receipt.seq,
        "digest": receipt.digest,
        "body": json.loads(receipt.body),
        "disclosures": [{"path": entry.path, "value": entry.value, "salt": entry.salt.hex()} for entry in disclosures],
    }
