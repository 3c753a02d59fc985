"""One suite for both engines: whatever one of them answers, the other answers too."""

import asyncio
import copy
import json
import random
from typing import Any

import pytest

from tests.unit.policy.builders import (
    BOTH_VOTES,
    PACKAGE,
    FixedClock,
    decision_request,
    high_risk_bundle,
    high_risk_input,
    whole_input,
)
from trustpack.capabilities.policy import PolicyEngine, PolicyGate, PolicyOutcome
from trustpack.capabilities.policy.model import PolicyError, PolicyUndefined
from trustpack.proof.canonical import canonical_bytes

RANDOM_INPUTS = 5_000
SEED = 20261122
AT_ONCE = 16

LEAD, SECURITY = BOTH_VOTES
DECISIVE = [
    ("action",),
    ("subject",),
    ("subject", "roles"),
    ("subject", "kind"),
    ("resource",),
    ("resource", "type"),
    ("resource", "environment"),
    ("resource", "duration_seconds"),
    ("parameters",),
    ("parameters", "requester_roles"),
    ("parameters", "environments"),
    ("parameters", "types"),
    ("parameters", "max_duration_seconds"),
]
DECISIVE_FOR_EXECUTION = [
    *DECISIVE,
    ("subject", "id"),
    ("context",),
    ("context", "approvals"),
    ("parameters", "required_approvals"),
]


def gate(engine: PolicyEngine) -> PolicyGate:
    return PolicyGate(engine, bundles=[high_risk_bundle()], clock=FixedClock())


async def raw_answer(engine: PolicyEngine, value: Any) -> Any:
    return await engine.evaluate(PACKAGE, canonical_bytes(value))


def without(value: Any, path: tuple[str, ...]) -> Any:
    value = copy.deepcopy(value)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return value


async def test_it_is_healthy_and_names_itself_and_its_bundle(engine):
    await engine.health()

    assert engine.identity.name in {"opa", "opa-wasm"}
    assert "1.22.2" in engine.identity.version
    assert engine.bundle(PACKAGE) == high_risk_bundle().ref
    with pytest.raises(PolicyUndefined):
        engine.bundle("no.such")


@pytest.mark.parametrize(
    ("changes", "allowed", "codes"),
    [
        ({}, True, []),
        ({"resource": {"duration_seconds": 1}}, True, []),
        ({"resource": {"duration_seconds": 7199}}, True, []),
        ({"resource": {"duration_seconds": 7200}}, True, []),
        ({"resource": {"duration_seconds": 7201}}, False, ["duration_too_long"]),
        ({"resource": {"duration_seconds": 0}}, False, ["duration_not_positive"]),
        ({"resource": {"duration_seconds": -1}}, False, ["duration_not_positive"]),
        ({"resource": {"duration_seconds": 2**53 - 1}}, False, ["duration_too_long"]),
        ({"resource": {"environment": "staging"}}, False, ["environment_not_allowed"]),
        ({"resource": {"type": "ROOT_SHELL"}}, False, ["type_unknown"]),
        ({"subject": {"roles": ["ae"]}}, False, ["role_missing"]),
        ({"subject": {"roles": []}}, False, ["role_missing"]),
        ({"subject": {"kind": "bot"}}, False, ["requester_not_person"]),
        ({"action": "execute"}, False, ["approvals_missing"]),
        ({"action": "execute", "approvals": (LEAD,)}, False, ["approvals_missing"]),
        ({"action": "execute", "approvals": BOTH_VOTES}, True, []),
        ({"action": "execute", "approvals": (SECURITY, LEAD, LEAD)}, True, []),
        ({"action": "execute", "approvals": (LEAD, {**SECURITY, "person": "usr_lead"})}, False, ["approvals_missing"]),
        ({"action": "execute", "approvals": (LEAD, {**SECURITY, "person": "usr_engineer"})}, False, ["approvals_missing"]),
    ],
)
async def test_a_question_gets_the_decision_of_the_stories(engine, changes, allowed, codes):
    decision = await gate(engine).evaluate(decision_request(high_risk_input(**changes)))

    assert decision.is_engine_answer
    assert decision.allowed is allowed
    assert [reason.code for reason in decision.reasons] == codes
    assert [role.value for role in decision.required_approvals] == ["team_lead", "security_officer"]
    assert decision.self_approvable == ()


@pytest.mark.policy_case(10)
@pytest.mark.parametrize("path", DECISIVE)
async def test_a_request_without_a_decisive_field_is_denied_by_the_policy_itself(engine, path):
    answer = await raw_answer(engine, without(whole_input(), path))

    assert answer["allow"] is False
    assert answer["reasons"]


@pytest.mark.policy_case(10)
@pytest.mark.parametrize("path", DECISIVE_FOR_EXECUTION)
async def test_an_execution_without_a_decisive_field_is_denied_by_the_policy_itself(engine, path):
    complete = whole_input(action="execute", approvals=BOTH_VOTES)
    assert (await raw_answer(engine, complete))["allow"] is True

    answer = await raw_answer(engine, without(complete, path))

    assert answer["allow"] is False
    assert answer["reasons"]


@pytest.mark.policy_case(9, 10)
@pytest.mark.parametrize("path", [*DECISIVE_FOR_EXECUTION, ("now",), ("resource", "target")])
async def test_the_gate_rejects_a_missing_field_before_any_engine(engine, path):
    complete = high_risk_input(action="execute", approvals=BOTH_VOTES)
    whole = without({**complete, "parameters": dict(high_risk_bundle().default_parameters)}, path)
    parameters = whole.pop("parameters", {})

    decision = await gate(engine).evaluate(decision_request(whole, parameters=parameters))

    assert decision.outcome is PolicyOutcome.INPUT_REJECTED
    assert not decision.allowed


@pytest.mark.parametrize("value", [None, True, 0, "text", [], [1], {}, {"a": 1}])
async def test_a_value_of_another_type_anywhere_never_allows_an_execution(engine, value):
    complete = whole_input(action="execute", approvals=BOTH_VOTES)
    for path in DECISIVE_FOR_EXECUTION:
        changed = copy.deepcopy(complete)
        inner: Any = changed
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        if path == ("subject", "id") and isinstance(value, str):
            continue  # that is another person

        answer = await raw_answer(engine, changed)

        assert answer["allow"] is False, path


# --- Both engines on the same questions ---


async def outcome_of(engine: PolicyEngine, package: str, data: bytes) -> Any:
    try:
        return await engine.evaluate(package, data)
    except PolicyError as error:
        return error.outcome.value


async def differences(engines: dict[str, PolicyEngine], package: str, inputs: list[bytes]) -> list[Any]:
    found = []
    for start in range(0, len(inputs), AT_ONCE):
        chunk = inputs[start : start + AT_ONCE]
        embedded, opa = await asyncio.gather(
            *(asyncio.gather(*(outcome_of(engines[name], package, data) for data in chunk)) for name in ("embedded", "opa"))
        )
        found += [triple for triple in zip(chunk, embedded, opa, strict=True) if triple[1] != triple[2]]
    return found


def random_input(source: random.Random) -> Any:
    """Return an input near the edge of what is allowed; every other one is damaged somewhere."""
    people = ["usr_engineer", "usr_lead", "usr_security", "usr_both"]
    roles = ["engineer", "team_lead", "security_officer", "manager"]
    value: Any = whole_input(
        action=source.choice(["request", "execute", "execute"]),
        subject={
            "roles": [*source.sample(roles, source.randint(0, 3)), "engineer"],
            "kind": source.choice(["person"] * 4 + ["bot"]),
        },
        resource={
            "environment": source.choice(["prod"] * 4 + ["staging"]),
            "duration_seconds": source.choice([1, 60, 7199, 7200, 7200, 7201, 0, -1]),
        },
        approvals=tuple({"role": source.choice(roles[1:]), "person": source.choice(people)} for _ in range(source.randint(0, 5))),
    )
    if source.random() < 0.3:
        value["parameters"]["required_approvals"] = source.sample(roles, source.randint(0, 4))
    if source.random() < 0.5:
        for _ in range(source.randint(1, 3)):
            value = damaged(value, source)
    return value


def damaged(value: Any, source: random.Random) -> Any:
    """Return the value with one node, somewhere, dropped, replaced or doubled."""
    if isinstance(value, dict) and value and source.random() < 0.8:
        key = source.choice(sorted(value))
        match source.random():
            case chance if chance < 0.25:
                return {name: item for name, item in value.items() if name != key}
            case chance if chance < 0.35:
                return {**value, "unexpected": source.choice([1, "x", None, {"a": []}])}
            case _:
                return {**value, key: damaged(value[key], source)}
    if isinstance(value, list) and value and source.random() < 0.7:
        index = source.randrange(len(value))
        return [*value[:index], damaged(value[index], source), *value[index + source.randint(0, 1) :]]
    return source.choice(
        [None, True, False, 0, -1, 7200, 2**53 - 1, "", "engineer", "ü😀\x00", [], [[]], {}, ["prod"], {"prod": "prod"}]
    )


@pytest.mark.policy_case(15)
@pytest.mark.slow
async def test_both_engines_give_the_same_answer_to_five_thousand_random_questions(engines):
    source = random.Random(SEED)
    inputs = [canonical_bytes(random_input(source)) for _ in range(RANDOM_INPUTS)]

    found = await differences(engines, PACKAGE, inputs)

    assert found == []
    answers = [await outcome_of(engines["embedded"], PACKAGE, data) for data in inputs[:500]]
    shares = {allow: sum(isinstance(answer, dict) and answer["allow"] is allow for answer in answers) for allow in (True, False)}
    assert min(shares.values()) >= 25, "the questions should lie on both sides of the edge"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"role": "engineer"},
        {"role": "ae"},
        {"role": ""},
        {"roles": []},
        {"roles": ["engineer"]},
        {"roles": ["engineer", "ae"]},
        {"role": "engineer", "roles": ["ae"], "deep": {"er": {"role": "x"}}},
        {"deep": {}},
        {"deep": {"er": {}}},
    ],
)
async def test_every_form_of_negation_means_the_same_to_both_engines(engines, value):
    assert await differences(engines, "t", [json.dumps(value).encode()]) == []


async def test_a_negated_call_on_a_missing_field_is_undefined_in_both_engines_which_is_why_policies_are_allow_lists(engines):
    for engine in engines.values():
        holds = await engine.evaluate("t", b"{}")

        assert "not in" not in holds
        assert "not a function" not in holds
        assert "not a helper rule" in holds
        assert "not a default" in holds
