"""The served OpenAPI document is the contract: it names every route, and every answer is what it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx2
import jsonschema_rs
import pytest

from tests.support.clock import MovableClock
from tests.support.deals import LEAD, Deals, selling
from tests.support.delegating import delegate, end, lend
from tests.support.scripted_target import unavailable
from tests.support.world import World, request_body
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container
from trustpack.app.http import build_app

# api.md: "High-risk operations", "RevOps", "Evidence, graph, policy, ledger" and "Operations of the service", as far as they are
# built.
PROMISED = {
    ("POST", "/high-risk-ops/requests"),
    ("POST", "/high-risk-ops/requests/preview"),
    ("GET", "/high-risk-ops/requests"),
    ("GET", "/high-risk-ops/requests/{request_id}"),
    ("POST", "/high-risk-ops/requests/{request_id}/approve"),
    ("POST", "/high-risk-ops/requests/{request_id}/reject"),
    ("POST", "/high-risk-ops/requests/{request_id}/cancel"),
    ("POST", "/high-risk-ops/requests/{request_id}/execute"),
    ("POST", "/high-risk-ops/requests/{request_id}/credentials"),
    ("POST", "/high-risk-ops/requests/{request_id}/revert"),
    ("GET", "/high-risk-ops/requests/{request_id}/receipts"),
    ("GET", "/evidence/high-risk-ops/{request_id}"),
    ("GET", "/evidence/revops/deals/{deal_id}"),
    ("GET", "/policy/decisions/{decision_id}"),
    ("GET", "/policy/decisions"),
    ("POST", "/revops/leads"),
    ("GET", "/revops/leads"),
    ("GET", "/revops/price-book"),
    ("GET", "/revops/opportunities/{opportunity_id}"),
    ("POST", "/revops/quotes"),
    ("GET", "/revops/quotes"),
    ("GET", "/revops/quotes/{quote_id}"),
    ("PATCH", "/revops/quotes/{quote_id}"),
    ("GET", "/revops/quotes/{quote_id}/revisions"),
    ("GET", "/revops/quotes/{quote_id}/receipts"),
    ("POST", "/revops/quotes/{quote_id}/preview-approvals"),
    ("POST", "/revops/quotes/{quote_id}/submit-for-approval"),
    ("POST", "/revops/quotes/{quote_id}/approve"),
    ("POST", "/revops/quotes/{quote_id}/reject"),
    ("POST", "/revops/quotes/{quote_id}/recall"),
    ("POST", "/revops/quotes/{quote_id}/activate"),
    ("POST", "/revops/delegations"),
    ("GET", "/revops/delegations"),
    ("GET", "/revops/delegations/{delegation_id}"),
    ("GET", "/revops/delegations/{delegation_id}/receipts"),
    ("DELETE", "/revops/delegations/{delegation_id}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
}
OPEN_TO_EVERYBODY = {"/healthz", "/readyz"}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document(container: Container) -> dict[str, Any]:
    """The OpenAPI document of the whole application."""
    return build_app(container, with_worker=False).openapi()


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def filled(path: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "hro_0190163d8694739b962b6e2b9f9d4f4c", path)


def operation_for(document: dict[str, Any], request: httpx2.Request) -> dict[str, Any]:
    """Return the operation that a request was sent to; a fixed path goes before one with parameters."""
    for path in sorted(document["paths"], key=lambda path: path.count("{")):
        if re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", path), request.url.path):
            return dict(document["paths"][path][request.method.lower()])
    raise AssertionError(f"{request.url.path} is not in the document")


async def test_the_document_is_served(http: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    response = await http.get("/openapi.json")

    assert response.status_code == 200
    assert response.json()["paths"].keys() == document["paths"].keys()


def test_the_document_names_every_promised_route(document: dict[str, Any]) -> None:
    named = {(method, path) for method, path, _ in operations_of(document)}

    assert named >= PROMISED


def test_every_operation_has_a_summary_and_a_name_of_its_own(document: dict[str, Any]) -> None:
    operations = list(operations_of(document))
    names = [operation["operationId"] for _, _, operation in operations]

    assert [path for _, path, operation in operations if not operation.get("summary")] == []
    assert len(set(names)) == len(names)


async def test_every_operation_behind_sign_in_answers_401_without_a_token(
    http: httpx2.AsyncClient, document: dict[str, Any]
) -> None:
    answers = {}
    for method, path, _ in operations_of(document):
        if path not in OPEN_TO_EVERYBODY:
            response = await http.request(method, filled(path), json={} if method == "POST" else None)
            problem = response.json()
            answers[method, path] = (
                response.status_code,
                response.headers["content-type"],
                response.headers.get("www-authenticate"),
                problem["code"],
            )

    assert answers
    assert set(answers.values()) == {(401, PROBLEM, "Bearer", "auth.not_signed_in")}


def test_every_operation_behind_sign_in_says_so(document: dict[str, Any]) -> None:
    unmarked = [path for _, path, operation in operations_of(document) if "security" not in operation]

    assert set(unmarked) == OPEN_TO_EVERYBODY


def test_every_operation_behind_sign_in_declares_its_401_and_404_as_problems(document: dict[str, Any]) -> None:
    undeclared = [
        (method, path, status)
        for method, path, operation in operations_of(document)
        for status in ("401", *(["404"] if "{" in path else []))
        if path not in OPEN_TO_EVERYBODY and PROBLEM not in operation["responses"].get(status, {}).get("content", {})
    ]

    assert undeclared == []


def test_every_post_and_nothing_else_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    taking = {
        (method, path)
        for method, path, operation in operations_of(document)
        if "Idempotency-Key" in [parameter["name"] for parameter in operation.get("parameters", [])]
    }

    assert taking == {(method, path) for method, path, _ in operations_of(document) if method == "POST"}


@pytest.fixture
async def observed(container: Container, clock: MovableClock) -> AsyncIterator[tuple[ScriptedWorld, list[httpx2.Response]]]:
    """A scripted world, and every answer that it gave."""
    async with scripted_world(container, clock, execute_wait_seconds=1) as world:
        answers: list[httpx2.Response] = []

        async def keep(response: httpx2.Response) -> None:
            await response.aread()
            answers.append(response)

        world.http.event_hooks = {"response": [keep]}
        yield world, answers


async def every_kind_of_answer(world: ScriptedWorld) -> None:
    """Make the application answer in every way that a person can bring about."""
    requests = "/high-risk-ops/requests"
    await world.call("user-engineer", "POST", f"{requests}/preview", request_body())
    await world.call("user-engineer", "POST", requests, request_body(duration_minutes=0))
    await world.call("user-engineer", "POST", requests, request_body(environment="staging"))
    await world.call("user-engineer", "POST", requests, request_body(justification="x" * 70_000))
    request = await world.ask()
    await world.act("user-engineer", request["id"], "approve", {})
    await world.act("user-team-lead", request["id"], "approve", {"effect_digest": "sha256:" + "0" * 64})
    await world.act("user-team-lead", request["id"], "reject", {"reason": "no"})
    cancelled = await world.ask()
    await world.act("user-engineer", cancelled["id"], "cancel")
    failed = await world.approved()
    world.target.script("grant", unavailable)
    await world.act("user-engineer", failed["id"], "execute")
    slow = await world.approved()
    world.target.script("grant", unavailable)
    world.target.script("revert", unavailable)
    await world.act("user-engineer", slow["id"], "execute")
    active = await world.active()
    world.target.script("set_verifier", unavailable)
    await world.act("user-engineer", active["id"], "credentials", None)
    await world.act("user-engineer", active["id"], "credentials", {"rotate": True})
    await world.act("user-engineer", active["id"], "revert", {"reason": "done"})
    for handle in ("user-auditor", "user-ae"):
        await world.call(handle, "GET", requests)
        await world.call(handle, "GET", f"{requests}/{active['id']}")
        await world.call(handle, "GET", f"{requests}/{active['id']}/receipts")
        await world.call(handle, "GET", f"/evidence/high-risk-ops/{active['id']}")
        await world.call(handle, "GET", f"/policy/decisions/{active['decisions'][0]}")
        await world.call(handle, "GET", f"/policy/decisions?subject={active['id']}")
    await world.call("user-auditor", "GET", f"{requests}?limit=0")
    await world.call(None, "GET", requests)
    await world.call(None, "GET", "/healthz")
    await world.call(None, "GET", "/readyz")


async def every_kind_of_answer_about_deals(deals: Deals) -> None:
    """Make the application answer about leads and quotes in every way that a person can bring about."""
    await deals.call("user-ae", "POST", "/leads", LEAD)
    await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "nobody"})
    await deals.call("user-ae", "POST", "/quotes", deals.body(discount_percent="101"))
    await deals.call("user-ae", "POST", "/quotes", deals.body(valid_until="2020-01-01"))
    await deals.call("user-engineer", "POST", "/quotes", deals.body())
    lines = [{"sku": "seat", "description": "Seats", "quantity": 3, "unit_price": "600.00", "recurring": True}]
    quote = await deals.quote(amount=None, discount_percent=None, lines=lines, term_months=12, start_date="2027-01-01")
    await deals.act("user-ae", quote, "preview-approvals")
    await deals.act("user-ae", quote, "submit-for-approval")
    await deals.act("user-ae", quote, "approve", {})
    await deals.act("user-manager", quote, "approve", {"terms_digest": "sha256:" + "0" * 64})
    await deals.act("user-manager", quote, "reject", {"reason": "no"})
    await deals.call(
        "user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(discount_percent="5"), "title": "Renewal"}
    )
    await deals.act("user-ae", quote, "clone")
    await deals.act("user-ae", await deals.submitted(), "recall")
    activated = await deals.approved()
    await deals.act("user-ae", activated, "activate")
    await deals.act("user-ae", activated, "activate")
    for person in ("user-auditor", "user-engineer"):
        await deals.call(person, "GET", "/leads")
        await deals.call(person, "GET", "/price-book")
        await deals.call(person, "GET", f"/opportunities/{deals.opportunity_id}")
        await deals.call(person, "GET", f"/opportunities/{deals.opportunity_id}/receipts")
        await deals.call(person, "GET", f"/leads/{deals.lead_id}/receipts")
        await deals.call(person, "GET", "/quotes")
        for rest in ("", "/revisions", "/receipts"):
            await deals.call(person, "GET", f"/quotes/{quote['id']}{rest}")
        await deals.world.call(person, "GET", f"/policy/decisions?subject={activated['id']}")
        for deal_id in (activated["id"], deals.opportunity_id):
            await deals.world.call(person, "GET", f"/evidence/revops/deals/{deal_id}")


async def every_kind_of_answer_about_delegations(deals: Deals) -> None:
    """Make the application answer about delegations, and about a vote by one, in every way that a person can bring about."""
    made = await lend(deals, to="user-engineer")
    quote = await deals.submitted()
    await deals.act("user-engineer", quote, "approve", {})
    await delegate(deals, "user-ae")
    await delegate(deals, to="nobody-of-that-name", begins=-1)
    await end(deals, made, "user-engineer")
    for person in ("user-engineer", "user-auditor", "user-ae"):
        await deals.call(person, "GET", "/delegations")
        await deals.call(person, "GET", f"/delegations/{made['id']}")
        await deals.call(person, "GET", f"/delegations/{made['id']}/receipts")
        await deals.call(person, "GET", f"/quotes/{quote['id']}")
    for _ in range(2):
        await end(deals, made)


async def test_every_answer_is_declared_and_valid_by_its_schema(
    observed: tuple[ScriptedWorld, list[httpx2.Response]], document: dict[str, Any]
) -> None:
    world, answers = observed

    await every_kind_of_answer(world)
    deals = await selling(world)
    await every_kind_of_answer_about_deals(deals)
    await every_kind_of_answer_about_delegations(deals)

    faults = []
    for answer in answers:
        status, content_type = str(int(answer.status_code)), answer.headers["content-type"]
        where = (answer.request.method, answer.request.url.path, status)
        declared = operation_for(document, answer.request)["responses"].get(status)
        if declared is None:
            faults.append((*where, "status not declared"))
            continue
        media = declared.get("content", {}).get(content_type)
        if media is None:
            faults.append((*where, f"{content_type} not declared"))
            continue
        schema = {**media.get("schema", {}), "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema)
        faults += [(*where, error.message[:200]) for error in validator.iter_errors(answer.json())]
    assert {int(answer.status_code) for answer in answers} >= {200, 201, 202, 401, 403, 404, 409, 413, 422, 503}
    assert faults == []


def test_every_problem_is_declared_with_the_members_that_clients_rely_on(document: dict[str, Any]) -> None:
    promised = {"type", "title", "status", "code", "detail", "next_step", "request_id"}
    loose = []
    for method, path, operation in operations_of(document):
        for status, response in operation["responses"].items():
            if status >= "400" and path not in OPEN_TO_EVERYBODY:
                schema = response.get("content", {}).get(PROBLEM, {}).get("schema", {})
                name = schema.get("$ref", "").rpartition("/")[2]
                members = document["components"]["schemas"].get(name, schema).get("required", [])
                if not promised <= set(members):
                    loose.append((method, path, status))

    assert loose == []


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(http: httpx2.AsyncClient) -> None:
    unknown = await http.get("/high-risk-ops/nothing-here")
    wrong = await http.delete("/high-risk-ops/requests")

    assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM)
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, PROBLEM)


async def test_a_wrong_method_is_told_every_method_of_the_path(http: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    told = {path: (await http.request("PROPFIND", filled(path))).headers["allow"] for path in document["paths"]}

    assert told == {path: ", ".join(sorted(method.upper() for method in methods)) for path, methods in document["paths"].items()}


def links_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for _, path, operation in operations_of(document):
        for status, response in operation["responses"].items():
            for link in response.get("links", {}).values():
                yield f"{path} {status}", link


def test_every_link_leads_to_an_operation_and_names_its_parameters(document: dict[str, Any]) -> None:
    parameters = {
        operation["operationId"]: {parameter["name"] for parameter in operation.get("parameters", [])}
        for _, _, operation in operations_of(document)
    }

    broken = [
        (where, link) for where, link in links_of(document) if not set(link["parameters"]) <= parameters[link["operationId"]]
    ]

    assert broken == []


def test_every_operation_about_one_thing_can_be_reached_by_a_link(document: dict[str, Any]) -> None:
    linked = {link["operationId"] for _, link in links_of(document)}

    assert {operation["operationId"] for _, path, operation in operations_of(document) if "{" in path} <= linked


class Walk:
    """Follows the links of the document, one answer after the other, as a client does that knows nothing else."""

    def __init__(self, world: World, document: dict[str, Any], answer: httpx2.Response) -> None:
        self._world, self._document, self.answer = world, document, answer

    async def follow(self, handle: str, operation_id: str, body: object = None) -> int:
        """Go where the last answer's link leads and return the status."""
        last = operation_for(self._document, self.answer.request)
        link = last["responses"][str(int(self.answer.status_code))]["links"][operation_id]
        method, path = next(
            (method, path)
            for method, path, operation in operations_of(self._document)
            if operation["operationId"] == link["operationId"]
        )
        values = {name: self._value(expression) for name, expression in link["parameters"].items()}
        url = path.format(**values)
        query = {name: value for name, value in values.items() if f"{{{name}}}" not in path}
        answer = await self._world.call(handle, method, f"{url}?{urlencode(query)}" if query else url, body)
        if "links" in operation_for(self._document, answer.request)["responses"][str(int(answer.status_code))]:
            self.answer = answer
        return int(answer.status_code)

    def _value(self, expression: str) -> Any:
        value = self.answer.json()
        for part in expression.removeprefix("$response.body#/").split("/"):
            value = value[int(part) if part.isdigit() else part]
        return value


async def test_the_links_alone_lead_from_a_request_to_the_proof_of_its_revert(
    observed: tuple[ScriptedWorld, list[httpx2.Response]], document: dict[str, Any]
) -> None:
    world, _ = observed
    created = await world.call("user-engineer", "POST", "/high-risk-ops/requests", request_body())
    walk = Walk(world, document, created)

    statuses = [
        await walk.follow("user-team-lead", "approve_request", {}),
        await walk.follow("user-security", "approve_request", {}),
        await walk.follow("user-engineer", "execute_request"),
        await walk.follow("user-engineer", "issue_credentials", {}),
        await walk.follow("user-engineer", "revert_request", {"reason": "done"}),
        *[
            await walk.follow("user-auditor", operation)
            for operation in ("read_receipts", "download_evidence", "list_decisions", "read_decision", "read_request")
        ],
    ]

    assert statuses == [200] * 10
    assert walk.answer.json()["grant"]["revert_proof"] is not None


async def test_the_links_of_a_page_lead_to_the_next_page_and_to_its_first_request(world: World, document: dict[str, Any]) -> None:
    first, second = await world.ask(), await world.ask()
    walk = Walk(world, document, await world.call("user-auditor", "GET", "/high-risk-ops/requests?limit=1"))

    statuses = [await walk.follow("user-auditor", "next_page"), await walk.follow("user-auditor", "read_request")]

    assert statuses == [200, 200]
    assert walk.answer.json()["id"] in {first["id"], second["id"]}


async def test_the_links_alone_lead_from_a_quote_to_its_contract(world: World, document: dict[str, Any]) -> None:
    deals = await selling(world)
    walk = Walk(world, document, await deals.call("user-ae", "POST", "/quotes", deals.body()))

    statuses = [
        await walk.follow("user-ae", "preview_approvals"),
        await walk.follow("user-ae", "submit_quote"),
        await walk.follow("user-manager", "approve_quote", {}),
        await walk.follow("user-finance", "approve_quote", {}),
        await walk.follow("user-ae", "activate_quote"),
        *[
            await walk.follow("user-auditor", operation)
            for operation in (
                "read_quote_receipts",
                "read_quote_revisions",
                "list_decisions",
                "download_deal_evidence",
                "read_opportunity",
                "read_quote",
            )
        ],
    ]

    assert statuses == [200] * 11
    assert walk.answer.json()["contract"]["status"] == "activated"
