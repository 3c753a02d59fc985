"""Requests made by Schemathesis from the served document alone: every answer is one that the document promises."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    OperationConfig,
    OperationsConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    SimpleCheckConfig,
)
from schemathesis.engine import events, from_schema
from schemathesis.filters import FilterSet

from tests.support.asgi_bridge import OnLoop
from tests.support.deals import Deals, selling
from tests.support.world import World
from trustpack.app.http import build_app
from trustpack.platform.web.pagination import encode_cursor, encode_place

SEED = 20_261_122
EXAMPLES = 25
"""Requests per operation, and walks along the links; the boundary cases of every field come on top."""
CASES = 4
"""Requests that are there for each operation which needs one in a certain state."""
AMOUNT = r"(0|[1-9][0-9]{0,15})(\.[0-9]{1,3})?"
PERSON = r"usr_[0-9a-f]{32}|[a-z][a-z0-9-]{1,39}"
PERCENT = r"(100(\.0{1,6})?|(0|[1-9][0-9]?)(\.[0-9]{1,6})?)"
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
}
REACHED = {
    ("POST /high-risk-ops/requests", 201),
    ("GET /high-risk-ops/requests/{request_id}", 200),
    ("POST /high-risk-ops/requests/{request_id}/approve", 200),
    ("POST /high-risk-ops/requests/{request_id}/execute", 200),
    ("POST /revops/leads", 201),
    ("POST /revops/quotes", 201),
    ("PATCH /revops/quotes/{quote_id}", 200),
    ("POST /revops/quotes/{quote_id}/submit-for-approval", 200),
    ("POST /revops/delegations", 201),
    ("DELETE /revops/delegations/{delegation_id}", 200),
}
DELEGATIONS = FilterSet()
DELEGATIONS.include(path_regex="^/revops/delegations")
STAYS_AFTER_DELETE = OperationConfig(filter_set=DELEGATIONS, checks=ChecksConfig(use_after_free=SimpleCheckConfig(enabled=False)))
"""DELETE ends a delegation and removes nothing: it can still be read, for what was approved by it names it."""
schemathesis.openapi.format("place", st.integers(0, 2000).map(encode_place))
schemathesis.openapi.format("cursor", st.binary(min_size=16, max_size=16).map(lambda raw: encode_cursor(f"hro_{raw.hex()}")))


@dataclass(slots=True)
class Findings:
    """What a run asked, how it was answered, and every answer that the document does not promise."""

    checked: set[str] = field(default_factory=set)
    statuses: set[tuple[str, int]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def take(self, event: events.EngineEvent) -> None:
        """Take up what one event of the engine tells."""
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.faults.append(repr(event))
        if not isinstance(event, events.ScenarioFinished):
            return
        for case_id, checks in event.recorder.checks.items():
            label = event.recorder.cases[case_id].value.operation.label
            self.checked |= {check.name for check in checks}
            failures = [check.failure_info for check in checks if check.failure_info is not None]
            self.faults += [f"{label}: {found.failure.title}\n{found.failure.message}\n{found.code_sample}" for found in failures]
        for case_id, interaction in event.recorder.interactions.items():
            if interaction.response is not None:
                label = event.recorder.cases[case_id].value.operation.label
                self.statuses.add((label, interaction.response.status_code))


def without_whole_floats(body: Any) -> Any:
    """Write 47.0 as 47: JSON Schema counts both among the integers, this service takes no float for a whole number."""
    if isinstance(body, dict):
        return {name: without_whole_floats(value) for name, value in body.items()}
    if isinstance(body, list):
        return [without_whole_floats(value) for value in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


@dataclass(slots=True)
class Plausible:
    """Replaces what is well formed, but could not be meant, by what could: names that exist, amounts that fit their currency.

    Made up ones would all be refused for the same reason. What is not well formed stays as it is.
    """

    opportunity_id: str
    today: str
    leads: Iterator[int] = field(default_factory=count)

    def body(self, body: Any) -> Any:
        """Return a body with plausible values."""
        match body:
            case {"target": {"database": str()}, "environment": str()}:
                body["environment"], body["target"]["database"] = "prod", "orders-prod"
            case {"email": str(email)} if len(email) in range(3, 321):
                body["email"] = f"lead-{next(self.leads)}@acme.com"
            case {"opportunity_id": str(text)} if re.fullmatch(r"opp_[0-9a-f]{32}", text):
                body["opportunity_id"] = self.opportunity_id
                self.terms(body)
            case {"role": str(), "to": str(named)} if re.fullmatch(PERSON, named):
                body["to"] = "user-team-lead"
                if re.fullmatch(PERSON, str(body.get("from"))):
                    body["from"] = "user-manager"
                self.days(body, "from_date", "until_date")
            case {"terms": dict(terms)}:
                self.terms(terms)
        return body

    def days(self, body: dict[str, Any], *names: str) -> None:
        """Make days that of today in place."""
        for name in names:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(body.get(name))):
                body[name] = self.today

    def terms(self, terms: dict[str, Any]) -> None:
        """Make terms plausible in place."""
        self.days(terms, "valid_until", "start_date")
        if re.fullmatch(r"[A-Z]{3}", str(terms.get("currency"))):
            terms["currency"] = "USD"
        lines = terms.get("lines") if isinstance(terms.get("lines"), list) else []
        for place, name in [(terms, "amount"), *((line, "unit_price") for line in lines if isinstance(line, dict))]:
            if re.fullmatch(AMOUNT, str(place.get(name))):
                place[name] = "100.00"
        if lines and re.fullmatch(PERCENT, str(terms.get("discount_percent"))):
            # It must be exactly that of the lines, and nobody guesses it.
            del terms["discount_percent"]


def tokens_for(world: World) -> type[schemathesis.AuthProvider]:
    """Return what signs each request in: by the requester, and where a vote is given by one approver after the other."""
    voters = {
        "_request": cycle((world.tokens["user-team-lead"], world.tokens["user-security"])),
        "_quote": cycle((world.tokens["user-manager"], world.tokens["user-finance"])),
    }

    class Tokens(schemathesis.AuthProvider):
        def get(self, case: Any, context: Any) -> str:
            verb, kind = re.fullmatch(r"([a-z]+)(.*)", case.operation.definition.raw["operationId"]).groups()
            if verb in {"approve", "reject"}:
                return next(voters[kind])
            if kind.startswith("_delegation"):
                return world.tokens["user-manager"]
            return world.tokens["user-ae" if "/revops" in case.operation.path else "user-engineer"]

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    return Tokens


async def cases_for(world: World) -> Mapping[str, Iterator[str]]:
    """Return by operation requests on which it may be carried out: few walks along the links come so far by themselves."""
    pending = [(await world.ask())["id"] for _ in range(CASES)]
    approved = [(await world.approved())["id"] for _ in range(CASES)]
    return {"approve_request": cycle(pending), "execute_request": cycle(approved)}


def run(app: OnLoop, deals: Deals, cases: Mapping[str, Iterator[str]]) -> Findings:
    """Have Schemathesis ask the application everything that the document describes, and follow its links."""
    config = SchemathesisConfig(
        seed=SEED,
        projects=ProjectsConfig(
            default=ProjectConfig(
                continue_on_failure=True,
                generation=GenerationConfig(max_examples=EXAMPLES, deterministic=True, no_shrink=True, database="none"),
                operations=OperationsConfig(operations=[STAYS_AFTER_DELETE]),
            )
        ),
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    schema.auth(refresh_interval=None)(tokens_for(deals.world))

    plausible = Plausible(deals.opportunity_id, str(deals.world.clock.now().date()))

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        return without_whole_floats(body)

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        ready = cases.get(context.operation.definition.raw["operationId"])
        return path_parameters if ready is None else {**path_parameters, "request_id": next(ready)}

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        # Boundary cases come past `map_body`.
        if isinstance(case.body, dict):
            case.body = plausible.body(deepcopy(case.body))

    findings = Findings()
    try:
        for event in from_schema(schema).execute():
            findings.take(event)
    finally:
        schemathesis.hooks.unregister(before_call)
    return findings


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_request_made_from_the_document_is_answered_as_it_promises(world: World) -> None:
    deals = await selling(world)
    app = OnLoop(build_app(world.container, with_worker=False))

    findings = await asyncio.to_thread(run, app, deals, await cases_for(world))

    assert findings.faults == [], "\n\n".join(findings.faults)
    assert findings.checked >= CHECKS
    # Else every answer could be the same 422, and the rest of the document would be as good as unread.
    assert findings.statuses >= REACHED
