"""Where an answer about a request leads: the OpenAPI links that clients, and tests made from the document, can follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Link = Mapping[str, object]

_OF_A_REQUEST = (
    "read_request",
    "approve_request",
    "reject_request",
    "cancel_request",
    "execute_request",
    "issue_credentials",
    "revert_request",
    "read_receipts",
    "list_statements",
    "download_evidence",
)


def links_of_request(pointer: str = "") -> dict[str, Link]:
    """Return the links from the request that stands at a JSON pointer of an answer to everything that can be asked about it."""
    request_id = f"$response.body#{pointer}/id"
    return {
        **{operation: _link(operation, request_id=request_id) for operation in _OF_A_REQUEST},
        "list_decisions": _link("list_decisions", subject=request_id),
        "read_decision": _link("read_decision", decision_id=f"$response.body#{pointer}/decisions/0"),
    }


def links_of_page() -> dict[str, Link]:
    """Return the links from a page of requests: to the next page, and from its first request on."""
    return {"next_page": _link("list_requests", cursor="$response.body#/next_cursor"), **links_of_request("/items/0")}


def links_of_statements() -> dict[str, Link]:
    """Return the link from a page of statements to the next one."""
    here = {"request_id": "$request.path.request_id", "cursor": "$response.body#/next_cursor"}
    return {"next_page": _link("list_statements", **here)}


def leading_on(*statuses: int, links: Mapping[str, Link]) -> dict[int | str, dict[str, Any]]:
    """Return what a route declares so that its answers of these statuses lead on."""
    return {status: {"links": links} for status in statuses}


def _link(operation: str, **parameters: str) -> Link:
    return {"operationId": operation, "parameters": parameters}
