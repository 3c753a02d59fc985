import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.policy.builders import PACKAGE, FixedClock, bundle_of, decision_request, high_risk_bundle, whole_input
from tests.unit.policy.fake_opa import PATIENCE_SECONDS
from trustpack.capabilities.policy import EmbeddedEngine, PolicyBundle, PolicyGate, PolicyOutcome
from trustpack.capabilities.policy.adapters.wasm import read_result_set
from trustpack.capabilities.policy.model import (
    BundleInvalid,
    EngineCrashed,
    EngineTimeout,
    InputRejected,
    MalformedDecision,
    PolicyEvaluationError,
    PolicyUndefined,
)
from trustpack.proof.canonical import canonical_bytes

INPUT = canonical_bytes(whole_input())

ENDLESS = """
decision := true if not input.loop
decision := false if {
    some a, _ in input.loop
    some b, _ in input.loop
    some c, _ in input.loop
    some d, _ in input.loop
    some e, _ in input.loop
    some f, _ in input.loop
    f == "never"
    a != b
    c != d
    e != f
}
"""
LOOP = canonical_bytes({"loop": {f"key{number}": number for number in range(100)}})
BOMB = """
decision := 1 if not input.bomb
decision := count([[a, b, "text"] | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000)]) if input.bomb
"""
CONFLICT = """
decision := 1 if input.x
decision := 2 if input.x
"""


@asynccontextmanager
async def embedded(*bundles: PolicyBundle, **options: Any) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(bundles or [high_risk_bundle()], **({"deadline_seconds": PATIENCE_SECONDS} | options))
    try:
        yield engine
    finally:
        await engine.close()


async def test_the_committed_module_answers_without_any_opa():
    async with embedded() as engine:
        assert await engine.evaluate(PACKAGE, INPUT) == {
            "allow": True,
            "reasons": [],
            "required_approvals": ["team_lead", "security_officer"],
            "self_approvable": [],
        }
        await engine.health()
        assert engine.identity.name == "opa-wasm"
        assert engine.identity.version.startswith("1.22.2 wasmtime ")


async def test_many_questions_at_once_get_their_own_answers():
    async with embedded() as engine:
        durations = range(7150, 7250)
        inputs = [canonical_bytes(whole_input(resource={"duration_seconds": duration})) for duration in durations]

        answers: list[Any] = await asyncio.gather(*(engine.evaluate(PACKAGE, data) for data in inputs))

    assert [answer["allow"] for answer in answers] == [duration <= 7200 for duration in durations]


@pytest.mark.policy_case(11)
async def test_an_endless_evaluation_is_stopped_at_the_deadline_while_the_event_loop_runs_on():
    async with embedded(bundle_of(ENDLESS), deadline_seconds=1) as engine:
        ticks = 0
        question = asyncio.ensure_future(engine.evaluate("t", LOOP))
        while not question.done():
            await asyncio.sleep(0.005)
            ticks += 1
        with pytest.raises(EngineTimeout):
            await question

        assert ticks >= 5
        assert await engine.evaluate("t", b"{}") is True


@pytest.mark.policy_case(11)
async def test_endless_evaluations_of_one_policy_leave_another_answering():
    async with embedded(bundle_of(ENDLESS), high_risk_bundle(), deadline_seconds=2, workers=2) as engine:
        endless = asyncio.ensure_future(engine.evaluate("t", LOOP))
        await asyncio.sleep(0.05)

        answer = await engine.evaluate(PACKAGE, INPUT)

        assert isinstance(answer, dict)
        assert not endless.done()
        with pytest.raises(EngineTimeout):
            await endless


async def test_questions_that_wait_for_a_worker_longer_than_the_deadline_are_timeouts_and_leave_no_queue_behind():
    async with embedded(bundle_of(ENDLESS), deadline_seconds=1, workers=1) as engine:
        questions = [engine.evaluate("t", LOOP) for _ in range(20)]

        answers = await asyncio.gather(*questions, return_exceptions=True)

        assert all(isinstance(answer, EngineTimeout) for answer in answers)
        assert await engine.evaluate("t", b"{}") is True


@pytest.mark.policy_case(11, 15)
async def test_a_memory_bomb_is_a_crash_of_its_own_instance_only():
    async with embedded(bundle_of(BOMB), deadline_seconds=20, workers=1) as engine:
        with pytest.raises(EngineCrashed):
            await engine.evaluate("t", b'{"bomb":true}')

        assert await engine.evaluate("t", b"{}") == 1


async def test_rules_that_contradict_each_other_are_an_evaluation_error():
    async with embedded(bundle_of(CONFLICT)) as engine:
        with pytest.raises(PolicyEvaluationError):
            await engine.evaluate("t", b'{"x":true}')


async def test_a_policy_without_a_value_is_undefined():
    async with embedded(bundle_of(CONFLICT)) as engine:
        with pytest.raises(PolicyUndefined):
            await engine.evaluate("t", b"{}")


async def test_a_result_beyond_the_size_limit_is_malformed():
    async with embedded(bundle_of("decision := numbers.range(1, 30000)")) as engine:
        with pytest.raises(MalformedDecision):
            await engine.evaluate("t", b"{}")


@pytest.mark.parametrize("text", [b"", b"{", b'"\\ud800"', b"[" * 30_000 + b"]" * 30_000, b"\xff\xfe", b"nul\0byte"])
async def test_text_that_the_module_cannot_read_is_a_named_failure_and_the_next_question_is_answered(text):
    async with embedded(bundle_of("decision := input"), workers=1) as engine:
        with pytest.raises((EngineCrashed, PolicyEvaluationError, PolicyUndefined, MalformedDecision)):
            await engine.evaluate("t", text)

        assert await engine.evaluate("t", b"[1]") == [1]


async def test_nothing_of_one_question_is_left_for_the_next():
    async with embedded(bundle_of('decision := object.keys(input) | {"asked"}'), workers=1) as engine:
        first = await engine.evaluate("t", b'{"secret":1}')
        second = await engine.evaluate("t", b"{}")

    assert first == ["asked", "secret"]
    assert second == ["asked"]


async def test_an_input_beyond_the_size_limit_is_rejected():
    async with embedded() as engine:
        with pytest.raises(InputRejected):
            await engine.evaluate(PACKAGE, b" " * 70_000)


@pytest.mark.parametrize("wasm", [b"", b"not wasm", b"\0asm\x01\0\0\0"])
def test_a_module_that_is_none_is_refused(wasm):
    with pytest.raises(BundleInvalid):
        EmbeddedEngine([replace(high_risk_bundle(), wasm=wasm)])


def test_a_module_without_the_entrypoint_is_refused():
    with pytest.raises(BundleInvalid, match="no entrypoint"):
        EmbeddedEngine([replace(high_risk_bundle(), entrypoint="high_risk/operations/other")])


@pytest.mark.policy_case(13)
def test_a_module_that_needs_functions_of_the_host_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("tools.build_policies.CAPABILITIES", "v1.0.0")

    with pytest.raises(BundleInvalid, match=r"needs functions of the host: time\.now_ns"):
        EmbeddedEngine([bundle_of("decision := time.now_ns() > 0")])


async def test_an_unknown_package_is_undefined():
    async with embedded() as engine:
        with pytest.raises(PolicyUndefined):
            await engine.evaluate("no.such", INPUT)


async def test_a_closed_engine_gives_denies_and_leaves_no_thread():
    before = set(threading.enumerate())
    engine = EmbeddedEngine([high_risk_bundle()], deadline_seconds=PATIENCE_SECONDS)
    started = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("policy")]
    gate = PolicyGate(engine, bundles=[high_risk_bundle()], clock=FixedClock())
    assert (await gate.evaluate(decision_request())).allowed

    await engine.close()
    await engine.close()

    decision = await gate.evaluate(decision_request())
    assert decision.outcome is PolicyOutcome.ENGINE_CRASHED
    for thread in started:
        thread.join(timeout=30)
    assert started
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("policy")]


async def test_an_endless_policy_is_a_deny_through_the_gate():
    endless = replace(high_risk_bundle(), wasm=bundle_of(ENDLESS).wasm, entrypoint="t/decision")
    bundle = replace(endless, input_schema={"type": "object"})
    async with embedded(bundle, deadline_seconds=0.05) as engine:
        gate = PolicyGate(engine, bundles=[bundle], clock=FixedClock())
        decision = await gate.evaluate(decision_request({"loop": {f"key{number}": number for number in range(100)}}))

    assert decision.outcome is PolicyOutcome.ENGINE_TIMEOUT
    assert not decision.allowed


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"[]", PolicyUndefined),
        (b'[{"result":1},{"result":2}]', MalformedDecision),
        (b'[{"result":1,"more":2}]', MalformedDecision),
        (b'[{"other":1}]', MalformedDecision),
        (b"{}", MalformedDecision),
        (b"not json", MalformedDecision),
        (b'[{"result":0.5}]', MalformedDecision),
    ],
)
def test_a_result_set_that_does_not_hold_one_value_is_no_answer(text, error):
    with pytest.raises(error):
        read_result_set(text)
