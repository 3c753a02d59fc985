import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.unit.policy.builders import (
    ALLOW,
    NOW,
    PARAMETERS,
    FixedClock,
    ScriptedEngine,
    decision_request,
    high_risk_bundle,
    high_risk_input,
)
from trustpack.capabilities.policy import DecisionMode, PolicyGate, PolicyOutcome, Reason, denial_of, present_decision
from trustpack.capabilities.policy.model import (
    BundleInvalid,
    BundleMismatch,
    CircuitOpen,
    EngineCrashed,
    EngineTimeout,
    EngineUnavailable,
    MalformedDecision,
    ParametersInvalid,
    PolicyError,
    PolicyEvaluationError,
    PolicyUndefined,
)
from trustpack.proof.canonical import canonical_bytes, digest_of, digest_of_value


class MovedClock:
    def now(self) -> datetime:
        return NOW - timedelta(days=9)


def gate(engine: ScriptedEngine | None = None) -> PolicyGate:
    return PolicyGate(engine or ScriptedEngine(), bundles=[high_risk_bundle()], clock=FixedClock())


async def test_an_allow_of_the_engine_becomes_an_allow_with_everything_that_led_to_it():
    engine = ScriptedEngine()

    decision = await gate(engine).evaluate(decision_request())

    bundle = high_risk_bundle()
    assert decision.allowed
    assert decision.outcome is PolicyOutcome.ALLOWED
    assert decision.input == canonical_bytes({**high_risk_input(), "parameters": PARAMETERS}) == engine.asked[0]
    assert decision.input_digest == digest_of(decision.input)
    assert decision.parameters_digest == digest_of_value(PARAMETERS) == digest_of_value(bundle.default_parameters)
    assert decision.result == canonical_bytes(ALLOW)
    assert (decision.bundle_revision, decision.policy_digest) == (bundle.ref.revision, bundle.ref.policy_digest)
    assert decision.schema_digest == digest_of_value(bundle.input_schema)
    assert decision.decided_at == NOW
    assert decision.duration_us >= 0
    assert decision.is_billable


async def test_a_gate_dated_by_another_clock_asks_the_same_engine_and_dates_its_decisions_by_that_clock():
    engine = ScriptedEngine()
    here = gate(engine)

    then = await here.dated_by(MovedClock()).evaluate(decision_request())
    now = await here.evaluate(decision_request())

    assert (then.decided_at, now.decided_at) == (NOW - timedelta(days=9), NOW)
    assert (then.input, then.policy_digest, len(engine.asked)) == (now.input, now.policy_digest, 2)


async def test_a_deny_of_the_engine_keeps_its_reasons_and_is_billable():
    reasons = [{"code": "duration_too_long", "limit_seconds": 7200}]

    decision = await gate(ScriptedEngine({**ALLOW, "allow": False, "reasons": reasons})).evaluate(decision_request())

    assert not decision.allowed
    assert decision.outcome is PolicyOutcome.DENIED
    assert decision.reasons == (Reason("duration_too_long", {"limit_seconds": 7200}),)
    assert decision.is_billable


@pytest.mark.parametrize("mode", [DecisionMode.PREVIEW, DecisionMode.REPLAY])
async def test_an_answer_that_is_not_acted_on_is_not_billable(mode):
    decision = await gate().evaluate(decision_request(mode=mode))

    assert decision.allowed
    assert not decision.is_billable


@pytest.mark.policy_case(1, 2, 3, 4, 5)
@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailable("refused"),
        EngineTimeout("slow"),
        EngineCrashed("gone"),
        CircuitOpen("resting"),
        PolicyUndefined("nothing"),
        PolicyEvaluationError("conflict"),
        MalformedDecision("shape"),
        BundleInvalid("altered"),
        BundleMismatch("other"),
    ],
)
async def test_every_named_failure_is_a_deny_with_its_own_outcome(error: PolicyError):
    decision = await gate(ScriptedEngine(error=error)).evaluate(decision_request())

    assert not decision.allowed
    assert decision.outcome is error.outcome
    assert [reason.code for reason in decision.reasons] == [error.outcome.value.removeprefix("policy.")]
    assert decision.required_approvals == ()
    assert decision.result is None
    assert decision.input_digest == digest_of(decision.input)
    assert not decision.is_billable


class NativePanic(BaseException):
    """What a native library raises past `Exception`."""


@pytest.mark.parametrize("error", [RuntimeError("bug"), MemoryError(), RecursionError(), NativePanic("panic")])
async def test_an_unnamed_failure_is_a_deny_too(error):
    decision = await gate(ScriptedEngine(error=error)).evaluate(decision_request())

    assert decision.outcome is PolicyOutcome.ENGINE_CRASHED
    assert not decision.allowed


async def test_a_cancelled_question_is_cancelled_and_not_answered():
    with pytest.raises(asyncio.CancelledError):
        await gate(ScriptedEngine(error=asyncio.CancelledError())).evaluate(decision_request())


@pytest.mark.policy_case(4)
@pytest.mark.parametrize(
    "raw",
    [
        lambda: True,
        lambda: "true",
        dict,
        lambda: {**ALLOW, "allow": "yes"},
        lambda: {**ALLOW, "route": 1},
        lambda: None,
        lambda: {**ALLOW, "reasons": [{"code": "odd", "share": float("nan")}]},
    ],
)
async def test_a_result_of_another_shape_is_a_deny_even_where_it_looks_like_yes(raw):
    decision = await gate(ScriptedEngine(raw)).evaluate(decision_request())

    assert decision.outcome is PolicyOutcome.MALFORMED_DECISION
    assert not decision.allowed


async def test_a_malformed_result_is_kept_for_whoever_looks_into_it():
    decision = await gate(ScriptedEngine("true")).evaluate(decision_request())

    assert decision.result == b'"true"'


@pytest.mark.policy_case(9)
@pytest.mark.parametrize(
    "value",
    [
        {},
        {**high_risk_input(), "justification": "Jane Doe's order is stuck"},
        {**high_risk_input(), "now": 1e300},
        {**high_risk_input(), "now": None},
        high_risk_input(resource={"target": "\ud800"}),
        high_risk_input(resource={"duration_seconds": 2**53}),
        high_risk_input(resource={"target": "a" * 70_000}),
        high_risk_input(resource={"target": object()}),
        {**high_risk_input(), 7: "key"},
    ],
)
async def test_a_rejected_input_never_reaches_the_engine_and_is_not_kept(value):
    engine = ScriptedEngine()
    request = replace(decision_request(), input=value)

    decision = await gate(engine).evaluate(request)

    assert engine.asked == []
    assert not decision.allowed
    assert decision.outcome is PolicyOutcome.INPUT_REJECTED
    assert decision.input == b"null"
    assert "Jane" not in json.dumps(present_decision(decision))


async def test_parameters_outside_their_schema_reject_the_question():
    engine = ScriptedEngine()

    decision = await gate(engine).evaluate(decision_request(parameters={**PARAMETERS, "max_duration_seconds": 10**6}))

    assert decision.outcome is PolicyOutcome.INPUT_REJECTED
    assert decision.reasons[0].data["path"] == "/parameters/max_duration_seconds"
    assert engine.asked == []


async def test_an_unknown_package_is_a_deny_without_a_bundle():
    decision = await gate().evaluate(decision_request(package="no.such"))

    assert decision.outcome is PolicyOutcome.UNDEFINED
    assert decision.bundle_revision == ""


def test_a_gate_refuses_an_engine_that_answers_from_other_bundles():
    bundle = high_risk_bundle()
    other = replace(bundle, ref=replace(bundle.ref, revision="0.0.1+0"))

    with pytest.raises(BundleMismatch):
        PolicyGate(ScriptedEngine(), bundles=[other], clock=FixedClock())


def test_the_parameters_of_a_package_are_its_defaults_under_the_override():
    assert gate().parameters_for("high_risk.operations") == PARAMETERS
    tightened = gate().parameters_for("high_risk.operations", override={"max_duration_seconds": 900})
    assert tightened == {**PARAMETERS, "max_duration_seconds": 900}


def test_an_override_cannot_loosen_the_two_hour_limit():
    with pytest.raises(ParametersInvalid):
        gate().parameters_for("high_risk.operations", override={"max_duration_seconds": 7201})


async def test_a_denial_tells_the_user_which_decision_and_why():
    reasons = [{"code": "duration_too_long", "limit_seconds": 7200}]
    decision = await gate(ScriptedEngine({**ALLOW, "allow": False, "reasons": reasons})).evaluate(decision_request())

    error = denial_of(decision)

    assert error.code == "policy.denied"
    assert error.data == {
        "decision_id": decision.id,
        "reasons": [
            {"code": "duration_too_long", "limit_seconds": 7200, "text": "The duration may be at most 2 hours."},
        ],
    }


async def test_a_presented_decision_is_json_from_which_its_input_digest_can_be_checked():
    decision = await gate().evaluate(decision_request())

    presented = json.loads(json.dumps(present_decision(decision)))

    assert digest_of_value(presented["input"]) == presented["input_digest"]
    assert presented["result"] == ALLOW
    assert presented["engine"] == {"name": "scripted", "version": "1"}
    assert presented["decided_at"] == "2026-11-21T20:00:00.000000Z"
