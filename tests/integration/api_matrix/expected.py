"""Who gets what from which route: api.md, "May read" and the calls of the flow, in one place. A new route needs its row here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.world import request_body

# Columns: the requester; a member of the requester's team; engineer of another team; the roles of api.md; somebody without a
# role; a bot that holds an approver's role; an engineer of another tenant with that tenant's token.
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
OPEN_TO_EVERYBODY = frozenset({"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json"})


@dataclass(frozen=True, slots=True)
class Call:
    """How a route is called about one case. `{request}`, `{decision}` and `{person}` in the URL stand for ids of the case."""

    url: str
    body: Any = None
    state: str = "active"

    @property
    def names_a_case(self) -> bool:
        return "{" in self.url


_REQUESTS = "/high-risk-ops/requests"
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
COMMANDS = [route for route in ABOUT_A_CASE if route.startswith("POST")]
