"""Asking for an operation: what is answered, what is stored, and what leaves nothing behind."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.support.clock import MovableClock
from tests.support.engines import gate_without_engine
from tests.support.stored import counts, decisions_about, jobs_of, rows, usage_about
from tests.support.world import RECORD_TARGET, World, request_body
from tests.support.worlds import scripted_world
from trustpack.app.bootstrap import Container
from trustpack.capabilities.operations.service.targets import remove_target
from trustpack.kernel.actor import ActorKind, Role
from trustpack.kernel.clock import parse_time
from trustpack.kernel.ids import derive_id

PATH = "/high-risk-ops/requests"
# The names in api.md's answer to `POST /high-risk-ops/requests`; others may be added.
PROMISED = {
    "id", "type", "environment", "target", "duration_minutes", "duration_seconds", "justification", "ticket", "status", "version",
    "workspace", "requester", "effect", "effect_digest", "required_approvals", "approvals", "decisions", "execution", "grant",
    "created_at", "approval_expires_at",
}  # fmt: skip


async def send_raw(world: World, content: bytes, path: str = PATH) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {world.tokens['user-engineer']}", "Content-Type": "application/json"}
    return await world.http.post(path, content=content, headers=headers)


def escaped(**changes: Any) -> bytes:
    """Return a body in ASCII, so that what is no valid UTF-8 can be sent as an escape."""
    return json.dumps(request_body(**changes)).encode()


async def test_a_new_request_is_answered_in_the_promised_shape(world: World) -> None:
    request = await world.ask()

    assert set(request) >= PROMISED
    assert request["id"].startswith("hro_")
    assert {
        name: request[name] for name in ("type", "environment", "justification", "ticket", "status", "version", "workspace")
    } == {
        "type": "TEMP_DB_READ_ACCESS",
        "environment": "prod",
        "justification": "Investigate stuck refunds",
        "ticket": "INC-2041",
        "status": "pending_approval",
        "version": 1,
        "workspace": "security",
    }
    assert (request["duration_minutes"], request["duration_seconds"]) == (60, 3600)
    assert request["requester"] == {"id": world.people["user-engineer"].id, "handle": "user-engineer"}
    assert request["target"]["database"] == "orders-prod"
    assert request["target"]["scope"] == {"tenant": "acme"}
    assert request["required_approvals"] == ["team_lead", "security_officer"]
    assert (request["approvals"], request["execution"], request["grant"]) == ([], None, None)
    assert [decision[:4] for decision in request["decisions"]] == ["dec_"]
    assert request["effect"]["summary"]
    assert request["effect"]["statements"]
    assert request["effect_digest"].startswith("sha256:")
    assert parse_time(request["approval_expires_at"]) - parse_time(request["created_at"]) == timedelta(hours=24)


async def test_reading_a_request_gives_the_answer_of_its_creation(world: World) -> None:
    created = await world.ask()

    assert await world.read(created["id"], "user-engineer") == created


async def test_a_duration_that_is_no_whole_minute_has_no_minutes(world: World) -> None:
    request = await world.ask(duration_minutes=None, duration_seconds=61)

    assert (request["duration_seconds"], request["duration_minutes"]) == (61, None)


@pytest.mark.parametrize("seconds", [1, 7199, 7200])
async def test_a_duration_within_the_limit_is_allowed(world: World, seconds: int) -> None:
    request = await world.ask(duration_minutes=None, duration_seconds=seconds)

    assert request["status"] == "pending_approval"


@pytest.mark.parametrize(
    "justification", ["x" * 4096, "é" * 2048, "€" * 1365, "<script>alert(1)</script>'; DROP TABLE x; --", "a\nb\tc"]
)
async def test_a_justification_of_at_most_4096_bytes_is_kept_as_it_is(world: World, justification: str) -> None:
    request = await world.ask(justification=justification)

    assert (await world.read(request["id"]))["justification"] == justification


async def test_a_scope_with_quotes_is_shown_as_one_literal(world: World) -> None:
    request = await world.ask(target={"database": "orders-prod", "scope": {"tenant": "o'brien'; drop table x; --"}})

    assert any("'o''brien''; drop table x; --'" in statement for statement in request["effect"]["statements"])
    assert not any("'o'brien" in statement for statement in request["effect"]["statements"])


MALFORMED: dict[str, dict[str, Any]] = {
    "unknown type": {"type": "TEMP_DB_WRITE_ACCESS"},
    "type in another case": {"type": "temp_db_read_access"},
    "no type": {"type": None},
    "no environment": {"environment": None},
    "no target": {"target": None},
    "no scope": {"target": {"database": "orders-prod"}},
    "no tenant in the scope": {"target": {"database": "orders-prod", "scope": {}}},
    "two scopes": {"target": {"database": "orders-prod", "scope": {"tenant": "acme", "region": "eu"}}},
    "target as text": {"target": "orders-prod"},
    "no justification": {"justification": None},
    "empty justification": {"justification": ""},
    "blank justification": {"justification": " \t\n "},
    "justification of 4,097 bytes": {"justification": "x" * 4097},
    "justification of 2,049 two-byte characters": {"justification": "é" * 2049},
    "justification of 1,366 three-byte characters": {"justification": "€" * 1366},
    "justification with a bell": {"justification": "ding \x07"},
    "justification with an escape sequence": {"justification": "\x1b[2J"},
    "justification with a NUL": {"justification": "a\x00b"},
    "justification with half a surrogate pair": {"justification": "a\ud800b"},
    "justification as a list": {"justification": ["because"]},
    "both durations": {"duration_minutes": 60, "duration_seconds": 3600},
    "no duration": {"duration_minutes": None},
    "zero minutes": {"duration_minutes": 0},
    "zero seconds": {"duration_minutes": None, "duration_seconds": 0},
    "negative minutes": {"duration_minutes": -1},
    "negative seconds": {"duration_minutes": None, "duration_seconds": -3600},
    "a float": {"duration_minutes": 60.0},
    "a fraction": {"duration_minutes": 0.5},
    "seconds as a float": {"duration_minutes": None, "duration_seconds": 60.0},
    "a number as text": {"duration_minutes": "60"},
    "a period": {"duration_minutes": "PT1H"},
    "true": {"duration_minutes": True},
    "seconds beyond 64 bits": {"duration_minutes": None, "duration_seconds": 2**70},
    "minutes beyond 32 bits": {"duration_minutes": 2**31},
    "unknown field": {"approved": True},
    "state set by the caller": {"status": "approved"},
    "ticket with a line break": {"ticket": "INC-1\nINC-2"},
    "ticket of 101 characters": {"ticket": "x" * 101},
    "quote in the target": {"target": {"database": "orders'; drop", "scope": {"tenant": "acme"}}},
    "double quote in the target": {"target": {"database": 'orders"', "scope": {"tenant": "acme"}}},
    "path in the target": {"target": {"database": "../../etc/passwd", "scope": {"tenant": "acme"}}},
    "target of 64 characters": {"target": {"database": "o" * 64, "scope": {"tenant": "acme"}}},
    "target with a look-alike letter": {"target": {"database": "оrders-prod", "scope": {"tenant": "acme"}}},  # noqa: RUF001
    "target with a line break at its end": {"target": {"database": "orders-prod\n", "scope": {"tenant": "acme"}}},
    "empty scope": {"target": {"database": "orders-prod", "scope": {"tenant": ""}}},
    "scope with a NUL": {"target": {"database": "orders-prod", "scope": {"tenant": "ac\x00me"}}},
    "scope with a line break": {"target": {"database": "orders-prod", "scope": {"tenant": "acme'\n-- and nothing else"}}},
    "scope with a tab": {"target": {"database": "orders-prod", "scope": {"tenant": "ac\tme"}}},
    "scope with a right-to-left override": {"target": {"database": "orders-prod", "scope": {"tenant": "ac\u202eem"}}},
    "scope with a line separator": {"target": {"database": "orders-prod", "scope": {"tenant": "ac\u2028me"}}},
    "scope with a zero-width space": {"target": {"database": "orders-prod", "scope": {"tenant": "ac\u200bme"}}},
    "scope of 201 characters": {"target": {"database": "orders-prod", "scope": {"tenant": "a" * 201}}},
    "unknown target": {"target": {"database": "orders-stage", "scope": {"tenant": "acme"}}},
    "target in another case": {"target": {"database": "Orders-Prod", "scope": {"tenant": "acme"}}},
}


@pytest.mark.parametrize("changes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_body_is_refused_and_leaves_nothing(world: World, changes: dict[str, Any]) -> None:
    before = await counts(world)

    response = await send_raw(world, escaped(**changes))

    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert await counts(world) == before


NOT_JSON: dict[str, bytes] = {
    "NaN": escaped().replace(b": 60", b": NaN"),
    "infinity": escaped().replace(b": 60", b": Infinity"),
    "a number beyond doubles": escaped().replace(b": 60", b": 1e999"),
    "an integer with a fraction of zero": escaped().replace(b": 60", b": 6e1"),
    "a key that occurs twice": escaped().replace(b"{", b'{"environment": "staging", ', 1),
    "an inner key that occurs twice": escaped().replace(b'{"tenant"', b'{"tenant": "globex", "tenant"'),
    "invalid UTF-8": escaped().replace(b"acme", b"ac\xff\xfe"),
    "overlong UTF-8": escaped().replace(b"acme", b"ac\xc0\xafme"),
    "a list": b"[]",
    "null": b"null",
    "text": b'"{}"',
    "nothing": b"",
    "half a document": escaped()[:-1],
    "two documents": escaped() + escaped(),
    "a document nested beyond every limit": b'{"type": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "an integer of ten thousand digits": escaped().replace(b": 60", b": 6" + b"0" * 10_000),
}


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_a_body_that_is_not_one_clear_document_is_refused_and_leaves_nothing(world: World, content: bytes) -> None:
    before = await counts(world)

    response = await send_raw(world, content)

    assert response.status_code == 422, response.text
    assert await counts(world) == before


async def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(world: World) -> None:
    before = await counts(world)

    response = await send_raw(world, escaped(justification="x" * 10_000_000))

    assert (response.status_code, response.json()["code"]) == (413, "request.body_too_large")
    assert await counts(world) == before


async def test_a_body_of_unannounced_length_is_refused_once_it_is_too_long(world: World) -> None:
    async def pieces() -> Any:
        for _ in range(160):
            yield b" " * 65_536

    headers = {"Authorization": f"Bearer {world.tokens['user-engineer']}", "Content-Type": "application/json"}

    response = await world.http.post(PATH, content=pieces(), headers=headers)

    assert (response.status_code, response.json()["code"]) == (413, "request.body_too_large")


OUTSIDE: dict[str, dict[str, Any]] = {
    "scope": {"target": {"database": "narrow", "scope": {"tenant": "globex"}}, "duration_minutes": 5},
    "duration": {"target": {"database": "narrow", "scope": {"tenant": "acme"}}, "duration_minutes": 11},
    "environment": {"target": {"database": "stage", "scope": {"tenant": "acme"}}, "duration_minutes": 5},
}


@pytest.mark.parametrize("changes", OUTSIDE.values(), ids=OUTSIDE.keys())
async def test_what_the_target_does_not_offer_is_refused_and_leaves_only_the_decision(
    world: World, changes: dict[str, Any]
) -> None:
    await world.add_target({**RECORD_TARGET, "name": "narrow", "scopes": ["acme"], "max_duration_seconds": 600})
    await world.add_target({**RECORD_TARGET, "name": "stage", "environment": "staging"})
    before = await counts(world)

    response = await world.call("user-engineer", "POST", PATH, request_body(**changes))

    assert (response.status_code, response.json()["code"]) == (422, "operations.outside_target")
    changed = {"policy_decisions": before["policy_decisions"] + 1, "usage_events": before["usage_events"] + 1}
    assert await counts(world) == {**before, **changed}
    [decision] = await rows(world, "SELECT id, allowed, outcome FROM trustpack.policy_decisions")
    [event] = await rows(world, "SELECT id, type FROM trustpack.usage_events")
    assert (decision["allowed"], decision["outcome"]) == (True, "allowed")
    assert (event["type"], event["id"]) == (
        "policy_decision",
        derive_id("evt", source_id=decision["id"], purpose="policy_decision"),
    )


async def test_a_preview_of_what_the_target_does_not_offer_is_refused_and_leaves_nothing(world: World) -> None:
    await world.add_target({**RECORD_TARGET, "name": "narrow", "scopes": ["acme"], "max_duration_seconds": 600})
    before = await counts(world)

    response = await world.call("user-engineer", "POST", f"{PATH}/preview", request_body(**OUTSIDE["scope"]))

    assert (response.status_code, response.json()["code"]) == (422, "operations.outside_target")
    assert await counts(world) == before


DENIED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a requester who is no engineer": ("user-ae", {}, "role_missing"),
    "a requester whose roles approve": ("user-lead-and-security", {}, "role_missing"),
    "another environment": ("user-engineer", {"environment": "staging"}, "environment_not_allowed"),
    "7,201 seconds": ("user-engineer", {"duration_minutes": None, "duration_seconds": 7201}, "duration_too_long"),
    "121 minutes": ("user-engineer", {"duration_minutes": 121}, "duration_too_long"),
    "a bot": ("bot-engineer", {}, "requester_not_person"),
}


@pytest.mark.parametrize(("handle", "changes", "reason"), DENIED.values(), ids=DENIED.keys())
async def test_what_policy_refuses_is_kept_as_denied_with_its_decision_and_receipt(
    world: World, handle: str, changes: dict[str, Any], reason: str
) -> None:
    await world.add_person("bot-engineer", Role.ENGINEER, kind=ActorKind.BOT)

    response = await world.call(handle, "POST", PATH, request_body(**changes))

    problem = response.json()
    assert (response.status_code, problem["code"]) == (403, "policy.denied")
    assert reason in [entry["code"] for entry in problem["reasons"]]
    assert all(entry["text"] for entry in problem["reasons"])
    [stored] = await rows(world, "SELECT id, status, version FROM trustpack.high_risk_requests")
    assert (stored["id"], stored["status"], stored["version"]) == (problem["subject_id"], "denied", 1)
    [decision] = await decisions_about(world, stored["id"])
    assert (decision["id"], decision["allowed"], decision["outcome"]) == (problem["decision_id"], False, "denied")
    assert await world.actions(stored["id"]) == ["denied"]
    assert await jobs_of(world) == []


async def test_the_decision_is_stored_with_everything_that_it_was_made_from(world: World) -> None:
    request = await world.ask()

    [decision] = await decisions_about(world, request["id"])
    asked = json.loads(decision["input"])
    assert (decision["mode"], decision["allowed"], decision["package"]) == ("enforce", True, "high_risk.operations")
    assert (asked["action"], asked["resource"]["duration_seconds"]) == ("request", 3600)
    assert asked["subject"] == {"id": world.people["user-engineer"].id, "kind": "person", "roles": ["engineer"]}
    assert all(
        decision[name] for name in ("bundle_revision", "policy_digest", "parameters_digest", "schema_digest", "engine_name")
    )
    assert decision["decided_at"] <= parse_time(request["created_at"])
    assert "refunds" not in json.dumps(asked)


async def test_a_preview_says_what_would_happen_and_creates_nothing(world: World) -> None:
    before = await counts(world)

    response = await world.call("user-engineer", "POST", f"{PATH}/preview", request_body())

    preview = response.json()
    assert (response.status_code, preview["allowed"], preview["reasons"]) == (200, True, [])
    assert preview["required_approvals"] == ["team_lead", "security_officer"]
    assert {role: sorted(person["handle"] for person in people) for role, people in preview["could_approve"].items()} == {
        "team_lead": ["user-lead-and-security", "user-team-lead"],
        "security_officer": ["user-lead-and-security", "user-security"],
    }
    assert await counts(world) == before


async def test_a_preview_shows_the_effect_that_a_request_then_has(world: World) -> None:
    preview = (await world.call("user-engineer", "POST", f"{PATH}/preview", request_body())).json()

    request = await world.ask()

    assert preview["effect_digest"] == request["effect_digest"]


async def test_a_preview_never_names_the_requester_as_an_approver(world: World) -> None:
    await world.change_role("user-lead-and-security", Role.ENGINEER, grant=True)

    preview = (await world.call("user-lead-and-security", "POST", f"{PATH}/preview", request_body())).json()

    named = {person["handle"] for people in preview["could_approve"].values() for person in people}
    assert named == {"user-team-lead", "user-security"}


async def test_a_preview_of_what_policy_refuses_says_why_and_stores_no_denial(world: World) -> None:
    before = await counts(world)

    response = await world.call("user-ae", "POST", f"{PATH}/preview", request_body())

    assert (response.status_code, response.json()["allowed"]) == (200, False)
    assert [reason["code"] for reason in response.json()["reasons"]] == ["role_missing"]
    assert await counts(world) == before


async def test_a_malformed_preview_is_refused_like_a_request(world: World) -> None:
    response = await send_raw(world, escaped(duration_minutes=0), f"{PATH}/preview")

    assert response.status_code == 422


@pytest.mark.parametrize("changes", [{}, {"environment": "staging"}], ids=["allowed", "denied"])
async def test_a_creation_is_counted_once_as_decision_and_once_as_run(world: World, changes: dict[str, Any]) -> None:
    await world.call("user-engineer", "POST", PATH, request_body(**changes))

    [decision] = await rows(world, "SELECT id, subject_id FROM trustpack.policy_decisions")
    events = await rows(world, "SELECT id, type, pack, metadata FROM trustpack.usage_events ORDER BY type")
    assert [(event["type"], event["id"]) for event in events] == [
        ("policy_decision", derive_id("evt", source_id=decision["id"], purpose="policy_decision")),
        ("workflow_run", derive_id("evt", source_id=decision["subject_id"], purpose="workflow_run")),
    ]
    assert {event["pack"] for event in events} == {"trust-and-proof"}


@pytest.mark.adversarial(21)
@pytest.mark.policy_case(1)
async def test_without_a_policy_engine_a_request_is_denied_kept_and_not_billed_as_a_decision(
    container: Container, clock: MovableClock
) -> None:
    async with gate_without_engine(container) as gate, scripted_world(container, clock, gate=gate) as world:
        response = await world.call("user-engineer", "POST", PATH, request_body())

        problem = response.json()
        assert (response.status_code, problem["code"]) == (403, "policy.denied")
        assert [reason["code"] for reason in problem["reasons"]] == ["engine_unavailable"]
        [decision] = await decisions_about(world, problem["subject_id"])
        assert (decision["allowed"], decision["outcome"], decision["result"]) == (False, "policy.engine_unavailable", None)
        assert (await world.read(problem["subject_id"]))["status"] == "denied"
        assert await usage_about(world, problem["subject_id"]) == ["workflow_run"]


async def test_an_idempotency_key_creates_once_and_gives_the_first_answer_again(world: World) -> None:
    first = await world.call("user-engineer", "POST", PATH, request_body(), key="k-1")
    again = await world.call("user-engineer", "POST", PATH, request_body(), key="k-1")
    other_body = await world.call("user-engineer", "POST", PATH, request_body(ticket="INC-2"), key="k-1")
    other_person = await world.call("user-engineer-2", "POST", PATH, request_body(), key="k-1")

    assert (again.status_code, again.json()) == (201, first.json())
    assert (other_body.status_code, other_body.json()["code"]) == (409, "idempotency.key_reused")
    assert other_person.status_code == 201
    assert (await counts(world, "high_risk_requests"))["high_risk_requests"] == 2


async def test_a_repeated_key_gives_the_first_answer_although_the_target_was_taken_out_of_service(world: World) -> None:
    first = await world.call("user-engineer", "POST", PATH, request_body(), key="k-1")
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await remove_target(tx, world.operator, name="orders-prod")
    before = await counts(world)

    again = await world.call("user-engineer", "POST", PATH, request_body(), key="k-1")
    anew = await world.call("user-engineer", "POST", PATH, request_body(), key="k-2")

    assert (again.status_code, again.json()) == (201, first.json())
    assert anew.status_code == 422
    assert await counts(world) == before


async def test_a_refusal_of_the_target_is_kept_once_under_an_idempotency_key(world: World) -> None:
    await world.add_target({**RECORD_TARGET, "name": "narrow", "scopes": ["acme"], "max_duration_seconds": 600})
    body = request_body(**OUTSIDE["scope"])

    first = await world.call("user-engineer", "POST", PATH, body, key="k-1")
    again = await world.call("user-engineer", "POST", PATH, body, key="k-1")

    assert [answer.json()["code"] for answer in (first, again)] == ["operations.outside_target"] * 2
    assert (await counts(world, "policy_decisions"))["policy_decisions"] == 1


async def test_a_denial_is_kept_once_under_an_idempotency_key(world: World) -> None:
    first = await world.call("user-ae", "POST", PATH, request_body(), key="k-1")
    again = await world.call("user-ae", "POST", PATH, request_body(), key="k-1")

    assert (first.status_code, again.status_code) == (403, 403)
    assert again.json()["decision_id"] == first.json()["decision_id"]
    assert (await counts(world, "high_risk_requests"))["high_risk_requests"] == 1
