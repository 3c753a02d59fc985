"""Ask a policy and get a decision, whatever happens; store decisions and read them back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jsonschema_rs import Draft202012Validator

from trustpack.capabilities.policy import store
from trustpack.capabilities.policy.model import (
    DECISION_PREFIX,
    UNKNOWN_BUNDLE,
    Answer,
    BundleMismatch,
    Decision,
    DecisionRequest,
    EngineCrashed,
    InputRejected,
    MalformedDecision,
    PolicyBundle,
    PolicyError,
    PolicyOutcome,
    PolicyUndefined,
    Reason,
)
from trustpack.capabilities.policy.ports import PolicyEngine
from trustpack.capabilities.policy.rules.answers import failure_code, read_answer
from trustpack.capabilities.policy.rules.documents import (
    MAX_JSON_BYTES,
    check_input,
    check_parameters,
    compile_schema,
    merge_parameters,
    require_json_limits,
)
from trustpack.kernel.clock import Clock
from trustpack.kernel.errors import NotFound
from trustpack.kernel.ids import require_id
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import canonical_bytes, digest_of

decision_ids_of = store.decision_ids_of

_NOT_KEPT: Final = b"null"
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Schemas:
    """The compiled schemas of one package and its default parameters."""

    input: Draft202012Validator
    parameters: Draft202012Validator
    defaults: JsonObject


@dataclass(slots=True)
class _Evaluation:
    """What is known of one evaluation so far, so that a failure at any step leaves a whole decision."""

    input: bytes = _NOT_KEPT
    parameters_digest: str = ""
    result: bytes | None = None


class PolicyGate:
    """The only maker of decisions: `evaluate` returns one for every request, and allows only what a policy has allowed.

    `bundles` give schemas and default parameters. Raises `BundleMismatch` if the engine was made from other bundles, and
    `PolicyUndefined` if it lacks one.
    """

    def __init__(self, engine: PolicyEngine, *, bundles: Sequence[PolicyBundle], clock: Clock) -> None:
        if any(engine.bundle(bundle.package) != bundle.ref for bundle in bundles):
            raise BundleMismatch("the engine was made from other bundles")
        self._engine = engine
        self._bundles = bundles
        self._clock = clock
        self._schemas = {
            bundle.package: _Schemas(
                compile_schema(bundle.input_schema), compile_schema(bundle.parameters_schema), bundle.default_parameters
            )
            for bundle in bundles
        }

    @property
    def engine(self) -> PolicyEngine:
        """Return the engine, for readiness checks and shutdown."""
        return self._engine

    def dated_by(self, clock: Clock) -> PolicyGate:
        """Return a gate on the same engine whose decisions bear the time of another clock."""
        return PolicyGate(self._engine, bundles=self._bundles, clock=clock)

    def parameters_for(self, package: str, *, override: JsonObject | None = None) -> JsonObject:
        """Return the parameters of a package: its defaults under a tenant's override, validated.

        Raises `ParametersInvalid`, and `PolicyUndefined` for an unknown package.
        """
        schemas = self._schemas_of(package)
        parameters = merge_parameters(schemas.defaults, override or {})
        check_parameters(schemas.parameters, parameters)
        return parameters

    async def evaluate(self, request: DecisionRequest) -> Decision:
        """Return the decision on a request. Never raises for reasons of input, engine or policy: a failure is a deny.

        Guarantee: outside any transaction, as the engine may be another system; stores nothing. Source: stories 1.6, 1.7.
        """
        started = monotonic_seconds()
        evaluation = _Evaluation()
        try:
            answer = await self._ask(request, evaluation)
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except PolicyError as error:
            return self._refuse(request, evaluation, error=error, started=started)
        except BaseException as error:  # noqa: BLE001 - a native engine may raise beyond Exception, and no failure may allow
            crash = EngineCrashed(f"{type(error).__name__}: {error}")
            return self._refuse(request, evaluation, error=crash, started=started)
        outcome = PolicyOutcome.ALLOWED if answer.allowed else PolicyOutcome.DENIED
        return self._decide(request, evaluation, outcome=outcome, answer=answer, started=started)

    async def _ask(self, request: DecisionRequest, evaluation: _Evaluation) -> Answer:
        schemas = self._schemas_of(request.package)
        value = {**request.input, "parameters": request.parameters}
        require_json_limits(value)
        content = _canonical(value)
        evaluation.parameters_digest = digest_of(_canonical(request.parameters))
        check_input(schemas.input, value)
        evaluation.input = content
        raw = await self._engine.evaluate(request.package, content)
        evaluation.result = _canonical_or_none(raw)
        answer = read_answer(raw)
        if evaluation.result is None:
            raise MalformedDecision("the result has no canonical encoding")
        return answer

    def _schemas_of(self, package: str) -> _Schemas:
        schemas = self._schemas.get(package)
        if schemas is None:
            raise PolicyUndefined(f"no bundle holds the package {package}")
        return schemas

    def _refuse(self, request: DecisionRequest, evaluation: _Evaluation, *, error: PolicyError, started: float) -> Decision:
        reason = Reason(failure_code(error.outcome), error.data)
        answer = Answer(allowed=False, reasons=(reason,), required_approvals=(), self_approvable=())
        return self._decide(request, evaluation, outcome=error.outcome, answer=answer, started=started)

    def _decide(
        self, request: DecisionRequest, evaluation: _Evaluation, *, outcome: PolicyOutcome, answer: Answer, started: float
    ) -> Decision:
        bundle = self._engine.bundle(request.package) if request.package in self._schemas else UNKNOWN_BUNDLE
        seconds = monotonic_seconds() - started
        package = request.package if request.package in self._schemas else "(unknown)"
        metrics.POLICY_DURATION.labels(package=package, engine=self._engine.identity.name).observe(seconds)
        metrics.POLICY_OUTCOMES.labels(package=package, mode=request.mode.value, outcome=outcome.value).inc()
        return Decision(
            id=request.id,
            tenant_id=request.tenant_id,
            subject_id=request.subject_id,
            subject_version=request.subject_version,
            package=request.package,
            mode=request.mode,
            allowed=outcome is PolicyOutcome.ALLOWED,
            outcome=outcome,
            reasons=answer.reasons,
            required_approvals=answer.required_approvals,
            self_approvable=answer.self_approvable,
            input=evaluation.input,
            input_digest=digest_of(evaluation.input),
            result=evaluation.result,
            bundle_revision=bundle.revision,
            policy_digest=bundle.policy_digest,
            parameters_digest=evaluation.parameters_digest,
            schema_digest=bundle.schema_digest,
            engine=self._engine.identity,
            duration_us=round(seconds * _MICROSECONDS),
            decided_at=self._clock.now(),
        )


def _canonical(value: JsonValue) -> bytes:
    try:
        content = canonical_bytes(value)
    except ValueError as error:
        raise InputRejected("the input has no canonical encoding", rule="canonical") from error
    if len(content) > MAX_JSON_BYTES:
        raise InputRejected(f"longer than {MAX_JSON_BYTES} bytes", rule="size")
    return content


def _canonical_or_none(raw: JsonValue) -> bytes | None:
    """Return the result as it is stored, malformed ones included, or None if it has no canonical encoding."""
    try:
        return canonical_bytes(raw)
    except ValueError:
        return None


async def record_decision(transaction: Transaction, decision: Decision) -> None:
    """Store a decision, before anything that it allows is done (architecture section 3).

    Raises `ValueError` if it belongs to another tenant than the transaction. Guarantee: append-only, one row per id.
    """
    if decision.tenant_id != transaction.tenant_id:
        raise ValueError("a decision is stored in its own tenant")
    await store.insert_decision(transaction, decision)


async def find_decision(transaction: Transaction, decision_id: str) -> Decision:
    """Return a decision of this tenant; raise `NotFound` for an unknown id, a malformed one, or another tenant's."""
    decision = await store.select_decision(transaction, require_id(decision_id, prefix=DECISION_PREFIX))
    if decision is None:
        raise NotFound
    return decision


async def decisions_of(transaction: Transaction, *subject_ids: str) -> tuple[Decision, ...]:
    """Return the decisions about the given subjects: subject after subject, each one's oldest first."""
    return await store.select_decisions_of(transaction, subject_ids)
