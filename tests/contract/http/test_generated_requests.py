"""Requests made by Schemathesis from the served document alone: every answer is one that the document promises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.support.asgi_bridge import OnLoop
from tests.support.world import World
from trustpack.app.http import build_app
from trustpack.platform.web.pagination import encode_cursor, encode_place

SEED = 20_261_122
EXAMPLES = 25
"""Requests per operation, and walks along the links; the boundary cases of every field come on top."""
CASES = 4
"""Requests that are there for each operation which needs one in a certain state."""
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
}
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
    if not isinstance(body, dict):
        return body
    return {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()}


def tokens_for(world: World) -> type[schemathesis.AuthProvider]:
    """Return what signs each request in: by the requester, and where a vote is given by one approver after the other."""
    voters = cycle((world.tokens["user-team-lead"], world.tokens["user-security"]))

    class Tokens(schemathesis.AuthProvider):
        def get(self, case: Any, context: Any) -> str:
            votes = case.operation.definition.raw["operationId"] in {"approve_request", "reject_request"}
            return next(voters) if votes else world.tokens["user-engineer"]

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    return Tokens


async def cases_for(world: World) -> Mapping[str, Iterator[str]]:
    """Return by operation requests on which it may be carried out: few walks along the links come so far by themselves."""
    pending = [(await world.ask())["id"] for _ in range(CASES)]
    approved = [(await world.approved())["id"] for _ in range(CASES)]
    return {"approve_request": cycle(pending), "execute_request": cycle(approved)}


def run(app: OnLoop, world: World, cases: Mapping[str, Iterator[str]]) -> Findings:
    """Have Schemathesis ask the application everything that the document describes, and follow its links."""
    config = SchemathesisConfig(
        seed=SEED,
        projects=ProjectsConfig(
            default=ProjectConfig(
                continue_on_failure=True,
                generation=GenerationConfig(max_examples=EXAMPLES, deterministic=True, no_shrink=True, database="none"),
            )
        ),
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    schema.auth(refresh_interval=None)(tokens_for(world))

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        match body:
            case {"target": {"database": str()}, "environment": str()}:
                # Names that exist; made up ones would all be refused for the same reason.
                body["environment"], body["target"]["database"] = "prod", "orders-prod"
        return without_whole_floats(body)

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        ready = cases.get(context.operation.definition.raw["operationId"])
        return path_parameters if ready is None else {**path_parameters, "request_id": next(ready)}

    findings = Findings()
    for event in from_schema(schema).execute():
        findings.take(event)
    return findings


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_request_made_from_the_document_is_answered_as_it_promises(world: World) -> None:
    app = OnLoop(build_app(world.container, with_worker=False))
    findings = await asyncio.to_thread(run, app, world, await cases_for(world))

    assert findings.faults == [], "\n\n".join(findings.faults)
    assert findings.checked >= CHECKS
    # Else every answer could be the same 422, and the rest of the document would be as good as unread.
    assert findings.statuses >= REACHED
