"""What the receipts of a quote say about its submissions, and about what superseded its revisions. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from trustpack.capabilities.revops.model import Submission, Supersession
from trustpack.kernel.json_types import JsonObject

_ENDS: Final = frozenset({"rejected", "recalled", "expired", "activated"})
_CHANGES_NOTHING: Final = frozenset({"previewed", "refused"})
_COUNTS_REVISIONS: Final = "revision"


def submissions_of(bodies: Iterable[Mapping[str, Any]]) -> tuple[Submission, ...]:
    """Return every submission of a quote, oldest first; `bodies` are those of its receipts in order.

    A revision is submitted once at most: what was recalled, rejected or expired is revised before it is submitted again.
    """
    found: dict[int, Submission] = {}
    for body in bodies:
        revision = body["payload"]["revision"]
        if body["action"] == "submitted":
            found[revision] = _submission(body)
        elif revision in found:
            found[revision] = _continued(found[revision], body)
    return tuple(found.values())


def supersessions_of(bodies: Iterable[Mapping[str, Any]]) -> dict[int, Supersession]:
    """Return what superseded each revision of a quote, by the number of the superseded one."""
    return {
        body["payload"]["revision"] - 1: Supersession(
            by_revision=body["payload"]["revision"],
            receipt_id=body["id"],
            superseded_by=body["actor"]["id"],
            superseded_at=body["occurred_at"],
            status_before=body["payload"]["superseded_status"],
        )
        for body in bodies
        if body["action"] == "revised"
    }


def happened_since(receipts: Iterable[JsonObject], version: int) -> list[JsonObject]:
    """Return the receipts of a quote, in order, that changed it or its approvals after a version."""
    return [receipt for receipt in receipts if cast(int, receipt["seq"]) > version and receipt["action"] not in _CHANGES_NOTHING]


def changed_terms(before: JsonObject, after: JsonObject) -> list[str]:
    """Return the commercial fields in which two revisions differ, by name."""
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name) and name != _COUNTS_REVISIONS
    )


def _submission(body: Mapping[str, Any]) -> Submission:
    payload = body["payload"]
    return Submission(
        quote_id=body["subject"]["id"],
        revision=payload["revision"],
        terms_digest=payload["terms_digest"],
        receipt_id=body["id"],
        decision_id=payload["decision_id"],
        submitted_by=body["actor"]["id"],
        submitted_at=body["occurred_at"],
        required=tuple(payload["required_approvals"]),
        filled={},
        status=body["state"],
        ended_seq=None,
        ended_at=None,
    )


def _continued(submission: Submission, body: Mapping[str, Any]) -> Submission:
    filled = body["payload"]["filled"] if body["action"] == "approved" else submission.filled
    went_on = replace(submission, filled=filled, status=body["state"])
    return replace(went_on, ended_seq=body["seq"], ended_at=body["occurred_at"]) if body["action"] in _ENDS else went_on
