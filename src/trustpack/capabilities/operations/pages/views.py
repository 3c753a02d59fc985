"""What the list of high-risk requests shows: plain values, for templates that compute nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trustpack.capabilities.operations.model import Status
from trustpack.capabilities.operations.pages.wording import type_of
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.platform.web.pages.headers import BASE_PATH

REQUESTS: Final = f"{BASE_PATH}/security/requests"
NEW: Final = f"{REQUESTS}/new"
_SHORT_ID = 8
CHIPS: Final = {
    Status.PENDING_APPROVAL: ("pending", "Pending"),
    Status.APPROVED: ("approved", "Approved"),
    Status.EXECUTING: ("running", "Executing"),
    Status.ACTIVE: ("active", "Active"),
    Status.REVERTING: ("running", "Reverting"),
    Status.REVERTED: ("reverted", "Reverted"),
    Status.DENIED: ("denied", "Denied"),
    Status.REJECTED: ("denied", "Rejected"),
    Status.CANCELLED: ("expired", "Cancelled"),
    Status.EXPIRED: ("expired", "Expired"),
    Status.FAILED: ("failed", "Failed"),
    Status.REVERT_FAILED: ("failed", "Revert failed"),
}
STATUSES: Final = tuple((status.value, word) for status, (_, word) in CHIPS.items())


@dataclass(frozen=True, slots=True)
class Row:
    """A request in the list. `received` says how many of the needed approvals are there while it waits."""

    id: str
    short_id: str
    path: str
    type: str
    target: str
    requester: str
    chip: tuple[str, str]
    received: str
    created_at: datetime


def row_of(view: RequestView, query: str = "") -> Row:
    """Return a request as a row of the list; `query` keeps the list as it is when the row opens."""
    request = view.request
    return Row(
        id=request.id,
        short_id=short(request.id),
        path=f"{REQUESTS}/{request.id}{query}",
        type=type_of(request.type),
        target=f"{request.target_name} · {request.scope}",
        requester=name_of(view, request.requester_id),
        chip=CHIPS[request.status],
        received=received_of(view) if request.status == Status.PENDING_APPROVAL else "",
        created_at=request.created_at,
    )


def short(request_id: str) -> str:
    """Return the end of an id, by which people tell requests apart."""
    return request_id[-_SHORT_ID:]


def received_of(view: RequestView) -> str:
    """Return how many of the needed approvals are there, as "1/2"."""
    given = sum(vote.verdict.value == "approve" and vote.digest == view.request.effect_digest for vote in view.votes)
    return f"{given}/{len(view.request.required_approvals)}"


def name_of(view: RequestView, person_id: str) -> str:
    """Return the handle by which people know somebody."""
    return (view.handles or {}).get(person_id, person_id)


def in_words(name: str) -> str:
    """Return a name of the wire as people read it."""
    return name.replace("_", " ").capitalize()
