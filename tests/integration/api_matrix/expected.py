"""Who gets what from which route: api.md, "May read" and the calls of the flow, in one place. A new route needs its row here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.deals import LEAD
from tests.support.world import request_body

# Columns: the requester; a member of the requester's team and of the seller's; engineer of another team; the roles of api.md, of
# whom the account executive owns the deal; somebody without a role; a bot that holds an approver's role of either flow; an
# engineer of another tenant with that tenant's token. Who submits and activates a quote is for policy to say: its `seller_roles`.
# The delegation is the manager's to the member of both teams.
STATUSES = """
                                                    own  mate engi lead secu both ae   mana fina audi admi none bot  outs
POST /high-risk-ops/requests                        201  403  201  403  403  403  403  403  403  403  403  403  403  201
POST /high-risk-ops/requests/preview                200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /high-risk-ops/requests                        200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /high-risk-ops/requests/{request_id}           200  200  404  200  200  200  404  404  404  200  200  404  200  404
GET  /high-risk-ops/requests/{request_id}/receipts  200  200  404  200  200  200  404  404  404  200  200  404  200  404
GET  /high-risk-ops/requests/{request_id}/statements
                                                    200  200  404  200  200  200  404  404  404  200  200  404  200  404
GET  /evidence/high-risk-ops/{request_id}           200  200  404  200  200  200  404  404  404  200  200  404  200  404
GET  /policy/decisions                              200  200  404  200  200  200  404  404  404  200  200  404  200  404
GET  /policy/decisions/{decision_id}                200  200  404  200  200  200  404  404  404  200  200  404  200  404
POST /high-risk-ops/requests/{request_id}/approve   403  403  404  200  200  200  404  404  404  403  403  404  403  404
POST /high-risk-ops/requests/{request_id}/reject    403  403  404  200  200  200  404  404  404  403  403  404  403  404
POST /high-risk-ops/requests/{request_id}/cancel    200  403  404  403  403  403  404  404  404  403  403  404  403  404
POST /high-risk-ops/requests/{request_id}/execute   200  403  404  403  403  403  404  404  404  403  403  404  403  404
POST /high-risk-ops/requests/{request_id}/credentials
                                                    200  403  404  403  403  403  404  404  404  403  403  404  403  404
POST /high-risk-ops/requests/{request_id}/revert    200  403  404  200  200  200  404  404  404  403  200  404  200  404
POST /revops/leads                                  403  403  403  403  403  403  200  200  403  403  200  403  200  403
GET  /revops/leads                                  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /revops/price-book                             200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /revops/opportunities/{opportunity_id}         404  200  404  404  404  404  200  200  200  200  200  404  200  404
GET  /revops/opportunities/{opportunity_id}/receipts
                                                    404  200  404  404  404  404  200  200  200  200  200  404  200  404
GET  /revops/leads/{lead_id}/receipts               404  200  404  404  404  404  200  200  200  200  200  404  200  404
POST /revops/quotes                                 403  403  403  403  403  403  201  201  403  403  201  403  201  403
GET  /revops/quotes                                 200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /revops/quotes/{quote_id}                      404  200  404  404  404  404  200  200  200  200  200  404  200  404
GET  /revops/quotes/{quote_id}/revisions            404  200  404  404  404  404  200  200  200  200  200  404  200  404
GET  /revops/quotes/{quote_id}/receipts             404  200  404  404  404  404  200  200  200  200  200  404  200  404
PATCH /revops/quotes/{quote_id}                     404  403  404  404  404  404  200  200  403  403  200  404  200  404
POST /revops/quotes/{quote_id}/clone                404  403  404  404  404  404  201  201  403  403  201  404  201  404
POST /revops/quotes/{quote_id}/preview-approvals    404  403  404  404  404  404  200  200  403  403  200  404  200  404
POST /revops/quotes/{quote_id}/submit-for-approval  404  403  404  404  404  404  200  403  403  403  403  404  403  404
POST /revops/quotes/{quote_id}/approve              404  403  404  404  404  404  403  200  200  403  403  404  403  404
POST /revops/quotes/{quote_id}/reject               404  403  404  404  404  404  403  200  200  403  403  404  403  404
POST /revops/quotes/{quote_id}/recall               404  403  404  404  404  404  200  200  403  403  200  404  200  404
POST /revops/quotes/{quote_id}/activate             404  403  404  404  404  404  200  403  403  403  403  404  403  404
GET  /evidence/revops/deals/{deal_id}               404  200  404  404  404  404  200  200  200  200  200  404  200  404
POST /revops/delegations                            403  403  403  403  403  403  403  201  403  403  403  403  403  403
GET  /revops/delegations                            200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /revops/delegations/{delegation_id}            404  200  404  404  404  404  404  200  200  200  200  404  200  404
GET  /revops/delegations/{delegation_id}/receipts   404  200  404  404  404  404  404  200  200  200  200  404  200  404
DELETE /revops/delegations/{delegation_id}          404  403  404  404  404  404  404  200  403  403  200  404  403  404
GET  /                                              303  303  303  303  303  303  303  303  303  303  303  303  303  303
GET  /healthz                                       200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /readyz                                        200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /metrics                                       200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET  /openapi.json                                  200  200  200  200  200  200  200  200  200  200  200  200  200  200
"""
COLUMNS: Mapping[str, str] = {
    "own": "user-engineer",
    "mate": "user-team-mate",
    "engi": "user-engineer-2",
    "lead": "user-team-lead",
    "secu": "user-security",
    "both": "user-lead-and-security",
    "ae": "user-ae",
    "mana": "user-manager",
    "fina": "user-finance",
    "audi": "user-auditor",
    "admi": "user-admin",
    "none": "user-without-role",
    "bot": "bot-with-role",
    "outs": "outsider",
}
OPEN_TO_EVERYBODY = frozenset({"GET /", "GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json"})


@dataclass(frozen=True, slots=True)
class Call:
    """How a route is called about one case; the URL and the body have places for the ids of `tests.support.matrix.Ids`."""

    url: str
    body: Any = None
    state: str = "active"

    @property
    def names_a_case(self) -> bool:
        return "{" in self.url

    @property
    def is_about_a_deal(self) -> bool:
        return "/revops/" in self.url

    @property
    def is_about_a_delegation(self) -> bool:
        return "{delegation}" in self.url


_REQUESTS = "/high-risk-ops/requests"
_QUOTES = "/revops/quotes"
_DELEGATIONS = "/revops/delegations"
_TERMS = {"currency": "USD", "amount": "100000.00", "discount_percent": "31"}

_DELEGATION = {
    "role": "manager",
    "to": "user-without-role",
    "from_date": "{first_day}",
    "until_date": "{last_day}",
    "reason": "away",
}


def _about_a_quote(method: str, rest: str = "", *, body: Any = None, state: str = "draft") -> dict[str, Call]:
    return {f"{method} {_QUOTES}/{{quote_id}}{rest}": Call(f"{_QUOTES}/{{quote}}{rest}", body, state=state)}


CALLS: Mapping[str, Call] = {
    f"POST {_REQUESTS}": Call(_REQUESTS, request_body()),
    f"POST {_REQUESTS}/preview": Call(f"{_REQUESTS}/preview", request_body()),
    f"GET {_REQUESTS}": Call(f"{_REQUESTS}?requester={{person}}"),
    f"GET {_REQUESTS}/{{request_id}}": Call(f"{_REQUESTS}/{{request}}"),
    f"GET {_REQUESTS}/{{request_id}}/receipts": Call(f"{_REQUESTS}/{{request}}/receipts"),
    f"GET {_REQUESTS}/{{request_id}}/statements": Call(f"{_REQUESTS}/{{request}}/statements"),
    "GET /evidence/high-risk-ops/{request_id}": Call("/evidence/high-risk-ops/{request}"),
    "GET /policy/decisions": Call("/policy/decisions?subject={request}"),
    "GET /policy/decisions/{decision_id}": Call("/policy/decisions/{decision}"),
    f"POST {_REQUESTS}/{{request_id}}/approve": Call(f"{_REQUESTS}/{{request}}/approve", {}, state="pending_approval"),
    f"POST {_REQUESTS}/{{request_id}}/reject": Call(
        f"{_REQUESTS}/{{request}}/reject", {"reason": "no"}, state="pending_approval"
    ),
    f"POST {_REQUESTS}/{{request_id}}/cancel": Call(f"{_REQUESTS}/{{request}}/cancel", {}, state="pending_approval"),
    f"POST {_REQUESTS}/{{request_id}}/execute": Call(f"{_REQUESTS}/{{request}}/execute", state="approved"),
    f"POST {_REQUESTS}/{{request_id}}/credentials": Call(f"{_REQUESTS}/{{request}}/credentials", {}),
    f"POST {_REQUESTS}/{{request_id}}/revert": Call(f"{_REQUESTS}/{{request}}/revert", {"reason": "done"}),
    "POST /revops/leads": Call("/revops/leads", LEAD, state="draft"),
    "GET /revops/leads": Call("/revops/leads", state="draft"),
    "GET /revops/price-book": Call("/revops/price-book", state="draft"),
    "GET /revops/opportunities/{opportunity_id}": Call("/revops/opportunities/{opportunity}", state="draft"),
    "GET /revops/opportunities/{opportunity_id}/receipts": Call("/revops/opportunities/{opportunity}/receipts", state="draft"),
    "GET /revops/leads/{lead_id}/receipts": Call("/revops/leads/{lead}/receipts", state="draft"),
    f"POST {_QUOTES}": Call(_QUOTES, {**_TERMS, "opportunity_id": "{opportunity}"}, state="draft"),
    f"GET {_QUOTES}": Call(f"{_QUOTES}?opportunity_id={{opportunity}}", state="draft"),
    **_about_a_quote("GET"),
    **_about_a_quote("GET", "/revisions"),
    **_about_a_quote("GET", "/receipts"),
    **_about_a_quote("PATCH", body={"terms": _TERMS}),
    **_about_a_quote("POST", "/clone"),
    **_about_a_quote("POST", "/preview-approvals"),
    **_about_a_quote("POST", "/submit-for-approval"),
    **_about_a_quote("POST", "/approve", body={}, state="pending_approval"),
    **_about_a_quote("POST", "/reject", body={"reason": "no"}, state="pending_approval"),
    **_about_a_quote("POST", "/recall", body={}, state="approved"),
    **_about_a_quote("POST", "/activate", state="approved"),
    "GET /evidence/revops/deals/{deal_id}": Call("/evidence/revops/deals/{quote}", state="draft"),
    f"POST {_DELEGATIONS}": Call(_DELEGATIONS, _DELEGATION, state="draft"),
    f"GET {_DELEGATIONS}": Call(_DELEGATIONS, state="draft"),
    f"GET {_DELEGATIONS}/{{delegation_id}}": Call(f"{_DELEGATIONS}/{{delegation}}"),
    f"GET {_DELEGATIONS}/{{delegation_id}}/receipts": Call(f"{_DELEGATIONS}/{{delegation}}/receipts"),
    f"DELETE {_DELEGATIONS}/{{delegation_id}}": Call(f"{_DELEGATIONS}/{{delegation}}"),
    "GET /": Call("/"),
    "GET /healthz": Call("/healthz"),
    "GET /readyz": Call("/readyz"),
    "GET /metrics": Call("/metrics"),
    "GET /openapi.json": Call("/openapi.json"),
}


def _read(table: str) -> dict[str, dict[str, int]]:
    header, *_ = (line for line in table.splitlines() if line)
    words = table.split()[len(header.split()) :]
    rows: dict[str, dict[str, int]] = {}
    while words:
        route, statuses, words = " ".join(words[:2]), words[2 : 2 + len(COLUMNS)], words[2 + len(COLUMNS) :]
        rows[route] = dict(zip((COLUMNS[column] for column in header.split()), map(int, statuses), strict=True))
    return rows


EXPECTED: Mapping[str, Mapping[str, int]] = _read(STATUSES)
ABOUT_A_CASE = [route for route, call in CALLS.items() if call.names_a_case]
COMMANDS = [route for route in ABOUT_A_CASE if route.startswith(("POST", "PATCH", "DELETE"))]
LISTS = {f"GET {_REQUESTS}", f"GET {_QUOTES}"}
