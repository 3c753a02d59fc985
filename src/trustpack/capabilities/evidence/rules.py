"""Put a bundle together: sections in a fixed order, and a manifest that counts and digests them. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.canonical import canonical_bytes, digest_of_value

BUNDLE_FORMAT = "trustpack/evidence/v1"


def build_bundle(*, kind: str, tenant_id: str, subject_id: str, version: int, sections: Mapping[str, JsonValue]) -> bytes:
    """Return the canonical bytes of a bundle. The same case gives the same bytes: nothing in it says when it was asked for.

    The manifest names every section with its SHA-256 over RFC 8785 bytes and, for lists, the number, ids and times of its
    items, so that something left out shows.
    """
    manifest: JsonObject = {
        "format": BUNDLE_FORMAT,
        "kind": kind,
        "tenant": tenant_id,
        "subject": subject_id,
        "version": version,
        "sections": {name: _summary(section) for name, section in sections.items()},
    }
    return canonical_bytes({"manifest": manifest, **sections})


def _summary(section: JsonValue) -> JsonObject:
    summary: dict[str, JsonValue] = {"digest": digest_of_value(section)}
    if isinstance(section, Mapping):
        summary["times"] = _times(section)
    elif isinstance(section, Sequence) and not isinstance(section, str):
        items = [item for item in section if isinstance(item, Mapping)]
        summary["count"] = len(section)
        summary["ids"] = [item["id"] for item in items if "id" in item]
        summary["times"] = [_times(item) for item in items]
    return summary


def _times(item: JsonObject) -> JsonObject:
    """Return the moments that an item names, by their names; those of a receipt stand in its body."""
    body = item.get("body")
    named = body if isinstance(body, Mapping) else item
    return {name: value for name, value in named.items() if name.endswith("_at") and value is not None}
