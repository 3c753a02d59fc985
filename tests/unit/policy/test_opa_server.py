import asyncio
import json
import time
from typing import Any

import pytest

from tests.unit.policy.builders import ALLOW, PACKAGE, FixedClock, decision_request, high_risk_bundle
from tests.unit.policy.fake_opa import (
    DEADLINE,
    INPUT,
    REVISION,
    Handler,
    asking,
    envelope,
    read_request,
    replies,
    response,
    serving,
)
from trustpack.capabilities.policy import OpaServer, PolicyGate, PolicyOutcome
from trustpack.capabilities.policy.adapters.opa import CircuitBreaker
from trustpack.capabilities.policy.model import (
    BundleMismatch,
    CircuitOpen,
    EngineTimeout,
    EngineUnavailable,
    MalformedDecision,
    PolicyEvaluationError,
    PolicyUndefined,
)

PAUSE = 0.05
"""Between two bytes of a server that drips them; all of them take much longer than the deadline."""


async def ask(handler: Handler, **options: Any) -> Any:
    async with serving(handler) as url, asking(url, **options) as engine:
        return await engine.evaluate(PACKAGE, INPUT)


async def test_the_result_of_the_expected_bundle_is_returned_with_the_version_of_the_server():
    async with serving(replies(response(envelope()))) as url, asking(url) as engine:
        assert await engine.evaluate(PACKAGE, INPUT) == ALLOW
        assert (engine.identity.name, engine.identity.version) == ("opa", "1.22.2")


async def test_the_question_names_the_rule_and_asks_for_provenance_and_strict_errors():
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(response(envelope()))
        await writer.drain()

    await ask(handle)

    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/data/high_risk/operations/decision?provenance=true&strict-builtin-errors=true HTTP/1.1\r\n")
    assert body == b'{"input":' + INPUT + b"}"


async def test_connections_are_kept_and_used_again():
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await replies(response(envelope()))(reader, writer)

    async with serving(handle) as url, asking(url) as engine:
        for _ in range(5):
            await engine.evaluate(PACKAGE, INPUT)

    assert connections == 1


@pytest.mark.policy_case(1)
async def test_a_refused_connection_is_an_unavailable_engine():
    async with serving(replies(b"")) as url:
        pass

    async with asking(url) as engine:
        with pytest.raises(EngineUnavailable):
            await engine.evaluate(PACKAGE, INPUT)


@pytest.mark.policy_case(1)
async def test_a_name_that_does_not_resolve_is_an_unavailable_engine():
    async with asking("http://opa.invalid:8181", deadline_seconds=5) as engine:
        with pytest.raises(EngineUnavailable):
            await engine.evaluate(PACKAGE, INPUT)


@pytest.mark.policy_case(1)
async def test_a_server_that_does_not_speak_tls_is_an_unavailable_engine():
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(response(b"plain", status=400))
        await writer.drain()

    async with serving(handle) as url, asking(url.replace("http", "https"), deadline_seconds=5) as engine:
        with pytest.raises(EngineUnavailable):
            await engine.evaluate(PACKAGE, INPUT)


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 OK\r\n", b"not http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"]
)
async def test_a_connection_that_breaks_off_is_an_unavailable_engine(data):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await writer.drain()

    with pytest.raises(EngineUnavailable):
        await ask(handle)


@pytest.mark.policy_case(2)
async def test_a_silent_server_meets_the_deadline():
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    started = time.perf_counter()
    with pytest.raises(EngineTimeout):
        await ask(handle, deadline_seconds=DEADLINE)

    assert DEADLINE <= time.perf_counter() - started < DEADLINE + 15


@pytest.mark.policy_case(2)
async def test_a_server_that_drips_bytes_meets_the_same_total_deadline():
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in response(envelope()):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(PAUSE)

    started = time.perf_counter()
    with pytest.raises(EngineTimeout):
        await ask(handle, deadline_seconds=DEADLINE)

    assert time.perf_counter() - started < PAUSE * len(response(envelope())), "each byte had a deadline of its own"


@pytest.mark.policy_case(3)
@pytest.mark.parametrize("provenance", [None, {"version": "1.22.2"}, envelope()["provenance"]])
async def test_an_answer_without_a_result_is_undefined(provenance):
    with pytest.raises(PolicyUndefined):
        await ask(replies(response(envelope(result=None, provenance=provenance))))


@pytest.mark.policy_case(5)
@pytest.mark.parametrize(
    "provenance",
    [
        {"version": "1.22.2", "bundles": {"high_risk": {"revision": "0.0.9+0000000000000000"}}},
        {"version": "1.22.2", "bundles": {"high_risk": {"revision": ""}}},
        {"version": "1.22.2", "bundles": {"other": {"revision": REVISION}}},
        {"version": "1.22.2", "bundles": {"high_risk": {}}},
        {"version": "1.22.2", "bundles": {"high_risk": {"revision": 1}}},
        {"version": "1.22.2", "bundles": []},
        {"version": "1.22.2", "revision": REVISION},
        {"version": "1.22.2"},
        "text",
        None,
    ],
)
async def test_an_answer_that_is_not_certainly_from_the_expected_bundle_is_a_mismatch(provenance):
    with pytest.raises(BundleMismatch):
        await ask(replies(response(envelope(provenance=provenance))))


async def test_the_bundle_is_compared_on_every_answer():
    other = {"version": "1.22.2", "bundles": {"high_risk": {"revision": "0.0.9+0"}}}
    answers = iter([envelope(), envelope(provenance=other), envelope()])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            writer.write(response(next(answers)))
            await writer.drain()

    async with serving(handle) as url, asking(url) as engine:
        assert await engine.evaluate(PACKAGE, INPUT) == ALLOW
        with pytest.raises(BundleMismatch):
            await engine.evaluate(PACKAGE, INPUT)
        assert await engine.evaluate(PACKAGE, INPUT) == ALLOW


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"true",
        b'{"result":1,"result":2}',
        json.dumps(envelope(result={"allow": 0.5})).encode(),
        json.dumps(envelope(result="\ud800")).encode(),
        json.dumps(envelope(result="a" * 70_000)).encode(),
    ],
)
async def test_an_answer_that_is_not_plain_json_within_the_limits_is_malformed(body):
    with pytest.raises(MalformedDecision):
        await ask(replies(response(body)))


@pytest.mark.policy_case(4)
@pytest.mark.parametrize("result", [True, "true", {}, {**ALLOW, "allow": "yes"}, {**ALLOW, "route": "elsewhere"}])
async def test_a_result_of_another_shape_is_a_deny(result):
    async with serving(replies(response(envelope(result=result)))) as url, asking(url) as engine:
        gate = PolicyGate(engine, bundles=[high_risk_bundle()], clock=FixedClock())
        decision = await gate.evaluate(decision_request())

    assert decision.outcome is PolicyOutcome.MALFORMED_DECISION
    assert not decision.allowed


async def test_rules_that_fail_inside_opa_are_an_evaluation_error():
    body = {"code": "internal_error", "message": "error(s) occurred", "errors": [{"code": "eval_conflict_error"}]}

    with pytest.raises(PolicyEvaluationError):
        await ask(replies(response(body, status=500)))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (500, b'{"code":"internal_error"}'),
        (502, b"<html>bad gateway</html>"),
        (503, b"{}"),
        (404, b"{}"),
        (401, b'{"code":"unauthorized"}'),
        (204, b""),
    ],
)
async def test_any_other_status_is_an_unavailable_engine(status, body):
    with pytest.raises(EngineUnavailable):
        await ask(replies(response(body, status=status)))


async def test_a_redirect_is_not_followed():
    async with serving(replies(response(envelope()))) as elsewhere:
        with pytest.raises(EngineUnavailable):
            await ask(replies(response(b"", status=307, headers=f"Location: {elsewhere}/\r\n")))


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert await ask(replies(response(envelope()))) == ALLOW


@pytest.mark.parametrize("url", ["ftp://opa:8181", "opa:8181", "http://", "http://user:secret@opa:8181", "file:///etc/passwd"])
def test_a_url_that_is_no_plain_http_address_is_refused(url):
    with pytest.raises(ValueError, match="URL of OPA"):
        OpaServer([high_risk_bundle()], url=url)


async def test_a_closed_engine_is_unavailable():
    async with serving(replies(response(envelope()))) as url, asking(url) as engine:
        await engine.close()
        with pytest.raises(EngineUnavailable):
            await engine.evaluate(PACKAGE, INPUT)


async def test_an_unknown_package_is_undefined_without_asking():
    async with asking("http://127.0.0.1:9") as engine:
        with pytest.raises(PolicyUndefined):
            await engine.evaluate("no.such", INPUT)


@pytest.mark.policy_case(5)
async def test_health_passes_with_the_expected_bundle_and_fails_with_another():
    async with serving(replies(response(envelope()))) as url, asking(url) as engine:
        await engine.health()
    other = {"version": "1.22.2", "bundles": {"high_risk": {"revision": "0.0.9+0"}}}
    async with serving(replies(response(envelope(provenance=other)))) as url, asking(url) as engine:
        with pytest.raises(BundleMismatch):
            await engine.health()


# --- The breaker around a server ---


class FlakyServer:
    """Hangs up while it is `down`; counts the questions, and answers slowly enough for questions to overlap."""

    def __init__(self) -> None:
        self.down = True
        self.questions = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            self.questions += 1
            if self.down:
                return
            await asyncio.sleep(0.05)
            writer.write(response(envelope()))
            await writer.drain()


async def fail_times(engine: OpaServer, times: int) -> None:
    for _ in range(times):
        with pytest.raises(EngineUnavailable):
            await engine.evaluate(PACKAGE, INPUT)


@pytest.mark.policy_case(1)
async def test_after_five_failures_the_server_is_left_alone():
    server = FlakyServer()
    async with serving(server) as url, asking(url) as engine:
        await fail_times(engine, 5)
        with pytest.raises(CircuitOpen):
            await engine.evaluate(PACKAGE, INPUT)

    assert server.questions == 5


@pytest.mark.policy_case(15)
async def test_a_stampede_after_the_rest_sends_exactly_one_probe():
    server, now = FlakyServer(), [0.0]
    async with serving(server) as url, asking(url, monotonic=lambda: now[0]) as engine:
        await fail_times(engine, 5)
        server.down, now[0] = False, 10.0

        answers = await asyncio.gather(*(engine.evaluate(PACKAGE, INPUT) for _ in range(50)), return_exceptions=True)

        assert server.questions == 6
        assert sum(answer == ALLOW for answer in answers) == 1
        assert sum(isinstance(answer, CircuitOpen) for answer in answers) == 49
        assert await engine.evaluate(PACKAGE, INPUT) == ALLOW


async def test_a_failed_probe_keeps_the_circuit_open():
    server, now = FlakyServer(), [0.0]
    async with serving(server) as url, asking(url, monotonic=lambda: now[0]) as engine:
        await fail_times(engine, 5)
        now[0] = 10.0
        await fail_times(engine, 1)
        with pytest.raises(CircuitOpen):
            await engine.evaluate(PACKAGE, INPUT)


async def test_a_probe_whose_asker_goes_away_does_not_block_the_next():
    server, now = FlakyServer(), [0.0]
    async with serving(server) as url, asking(url, monotonic=lambda: now[0]) as engine:
        await fail_times(engine, 5)
        server.down, now[0] = False, 10.0
        probe = asyncio.create_task(engine.evaluate(PACKAGE, INPUT))
        await asyncio.sleep(0.01)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe

        assert await engine.evaluate(PACKAGE, INPUT) == ALLOW


async def test_answers_that_are_merely_wrong_do_not_open_the_circuit():
    async with serving(replies(response(envelope(result=None)))) as url, asking(url) as engine:
        for _ in range(8):
            with pytest.raises(PolicyUndefined):
                await engine.evaluate(PACKAGE, INPUT)


@pytest.mark.adversarial(21)
async def test_timeouts_open_the_circuit_and_every_question_stays_a_deny():
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    breaker = CircuitBreaker(failures_to_open=2)
    async with serving(handle) as url, asking(url, deadline_seconds=0.03, breaker=breaker) as engine:
        gate = PolicyGate(engine, bundles=[high_risk_bundle()], clock=FixedClock())
        decisions = [await gate.evaluate(decision_request()) for _ in range(3)]

    assert [decision.outcome for decision in decisions] == [
        PolicyOutcome.ENGINE_TIMEOUT,
        PolicyOutcome.ENGINE_TIMEOUT,
        PolicyOutcome.CIRCUIT_OPEN,
    ]
    assert not any(decision.allowed for decision in decisions)
