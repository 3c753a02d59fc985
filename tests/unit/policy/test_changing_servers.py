"""An OPA server that never answers is asked once; one that changes its bundle under load is never believed about another."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.unit.policy.builders import FixedClock, decision_request, high_risk_bundle, high_risk_input
from tests.unit.policy.fake_opa import DEADLINE, asking, envelope, read_request, response, serving
from trustpack.capabilities.policy import PolicyGate, PolicyOutcome

DECISIONS = 1_000
OTHER = {"version": "1.22.2", "bundles": {"high_risk": {"revision": "9.9.9+0"}}}


@pytest.mark.policy_case(2)
async def test_a_question_that_met_its_deadline_is_not_asked_again():
    asked = 0

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await read_request(reader):
            asked += 1

    # Long enough for the question to arrive on a machine that is busy.
    async with serving(never_answers) as url, asking(url, deadline_seconds=10 * DEADLINE) as engine:
        gate = PolicyGate(engine, bundles=[high_risk_bundle()], clock=FixedClock())
        decision = await gate.evaluate(decision_request())

    assert (decision.outcome, decision.allowed, asked) == (PolicyOutcome.ENGINE_TIMEOUT, False, 1)


@pytest.mark.policy_case(14)
async def test_a_bundle_that_changes_during_a_thousand_decisions_leaves_each_of_them_with_one():
    answered = 0

    async def changes_its_bundle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        while await read_request(reader):
            answered += 1
            whole = envelope() if answered <= DECISIONS // 2 else envelope(provenance=OTHER)
            writer.write(response(whole))
            await writer.drain()

    expected = high_risk_bundle().ref
    inputs = [high_risk_input(resource={"duration_seconds": 1 + number}) for number in range(DECISIONS)]
    async with serving(changes_its_bundle) as url, asking(url, deadline_seconds=60) as engine:
        gate = PolicyGate(engine, bundles=[high_risk_bundle()], clock=FixedClock())
        decisions = await asyncio.gather(*(gate.evaluate(decision_request(value)) for value in inputs))

    assert Counter(decision.outcome for decision in decisions) == {
        PolicyOutcome.ALLOWED: DECISIONS // 2,
        PolicyOutcome.BUNDLE_MISMATCH: DECISIONS // 2,
    }
    assert {(decision.bundle_revision, decision.policy_digest) for decision in decisions} == {
        (expected.revision, expected.policy_digest)
    }
    assert {decision.allowed for decision in decisions if decision.outcome is PolicyOutcome.BUNDLE_MISMATCH} == {False}
