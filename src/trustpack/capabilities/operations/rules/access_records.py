"""What is kept of the accesses of a grant, and the sentence that says it. Guarantee: pure. Source: ADR-0015."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from trustpack.capabilities.operations.model import AccessCounts, AccessRecord, RecordMode
from trustpack.kernel.json_types import JsonObject

STATEMENTS_PATH: Final = "statements"
"""Where the statements stand in the payload of the receipt of a revert, as a commitment."""


def access_document(record: AccessRecord | None) -> JsonObject | None:
    """Return the record without its statements: the mode, the counts, and why there are none."""
    if record is None:
        return None
    counts = dict.fromkeys(AccessCounts.__dataclass_fields__) if record.counts is None else asdict(record.counts)
    return {"mode": record.mode.value, **counts, "unavailable": record.unavailable}


def present_access_document(document: JsonObject) -> JsonObject:
    """Return the document with the sentence that sums it up."""
    return {**document, "summary": summarise(document)}


def summarise(document: JsonObject) -> str:
    """Say in one sentence what was done with the access, or why that is not known."""
    if document["unavailable"] is not None:
        return f"the record could not be read: {document['unavailable']}"
    if document["mode"] == RecordMode.NONE:
        return "nothing was recorded"
    touched = f"{document['touched']} {'statement' if document['touched'] == 1 else 'statements'} touched the data"
    if document["mode"] == RecordMode.COUNTER:
        return f"{touched}, counted only"
    beyond = f", {document['not_kept']} beyond the limit were counted only" if document["not_kept"] else ""
    return f"{touched}, {document['recorded']} recorded, {document['rolled_back']} rolled back{beyond}"
