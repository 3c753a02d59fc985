"""Where an answer about a deal leads: the OpenAPI links that clients, and tests made from the document, can follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Link = Mapping[str, object]

_OF_A_QUOTE = (
    "read_quote",
    "read_quote_revisions",
    "read_quote_receipts",
    "change_quote",
    "clone_quote",
    "preview_approvals",
    "submit_quote",
    "approve_quote",
    "reject_quote",
    "recall_quote",
    "activate_quote",
)


def links_of_quote(pointer: str = "") -> dict[str, Link]:
    """Return the links from the quote that stands at a JSON pointer of an answer to everything that can be asked about it."""
    quote_id = f"$response.body#{pointer}/id"
    return {
        **{operation: _link(operation, quote_id=quote_id) for operation in _OF_A_QUOTE},
        "read_opportunity": _link("read_opportunity", opportunity_id=f"$response.body#{pointer}/opportunity_id"),
        "list_decisions": _link("list_decisions", subject=quote_id),
        "download_deal_evidence": _link("download_deal_evidence", deal_id=quote_id),
    }


def links_of_quotes() -> dict[str, Link]:
    """Return the links from a page of quotes: to the next page, and from its first quote on."""
    return {"next_page": _link("list_quotes", cursor="$response.body#/next_cursor"), **links_of_quote("/items/0")}


def links_of_lead(pointer: str = "") -> dict[str, Link]:
    """Return the links from a lead with its opportunity."""
    opportunity_id = f"$response.body#{pointer}/opportunity/id"
    return {
        "read_opportunity": _link("read_opportunity", opportunity_id=opportunity_id),
        "read_opportunity_receipts": _link("read_opportunity_receipts", opportunity_id=opportunity_id),
        "read_lead_receipts": _link("read_lead_receipts", lead_id=f"$response.body#{pointer}/lead/id"),
        "list_quotes": _link("list_quotes", opportunity_id=opportunity_id),
        "list_decisions": _link("list_decisions", subject=f"$response.body#{pointer}/lead/id"),
        "download_deal_evidence": _link("download_deal_evidence", deal_id=opportunity_id),
        "read_decision": _link("read_decision", decision_id=f"$response.body#{pointer}/routing/decision_id"),
    }


def links_of_leads() -> dict[str, Link]:
    """Return the links from a page of leads: to the next page, and from its first lead on."""
    return {"next_page": _link("list_leads", cursor="$response.body#/next_cursor"), **links_of_lead("/items/0")}


def links_of_delegation(pointer: str = "") -> dict[str, Link]:
    """Return the links from the delegation that stands at a JSON pointer of an answer."""
    delegation_id = f"$response.body#{pointer}/id"
    about = ("read_delegation", "read_delegation_receipts", "end_delegation")
    return {operation: _link(operation, delegation_id=delegation_id) for operation in about}


def links_of_delegations() -> dict[str, Link]:
    """Return the links from a page of delegations: to the next page, and from its first delegation on."""
    return {"next_page": _link("list_delegations", cursor="$response.body#/next_cursor"), **links_of_delegation("/items/0")}


def leading_on(*statuses: int, links: Mapping[str, Link]) -> dict[int | str, dict[str, Any]]:
    """Return what a route declares so that its answers of these statuses lead on."""
    return {status: {"links": links} for status in statuses}


def _link(operation: str, **parameters: str) -> Link:
    return {"operationId": operation, "parameters": parameters}
