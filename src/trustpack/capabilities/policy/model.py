"""The nouns of policy: what is asked, what is answered, which bundle answered, and every way in which no answer comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from trustpack.kernel.actor import Role
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.kernel.json_types import JsonObject, JsonValue

DECISION_PREFIX = "dec"


class DecisionMode(StrEnum):
    """What a decision is for: to act on, to show in advance, or to compare with an older one."""

    ENFORCE = "enforce"
    PREVIEW = "preview"
    REPLAY = "replay"


class PolicyOutcome(StrEnum):
    """How a decision came about: the engine's own answer, or the failure that was turned into a deny."""

    ALLOWED = "allowed"
    DENIED = "denied"
    INPUT_REJECTED = "policy.input_rejected"
    ENGINE_UNAVAILABLE = "policy.engine_unavailable"
    ENGINE_TIMEOUT = "policy.engine_timeout"
    ENGINE_CRASHED = "policy.engine_crashed"
    CIRCUIT_OPEN = "policy.circuit_open"
    UNDEFINED = "policy.undefined"
    EVALUATION_ERROR = "policy.evaluation_error"
    MALFORMED_DECISION = "policy.malformed_decision"
    BUNDLE_INVALID = "policy.bundle_invalid"
    BUNDLE_MISMATCH = "policy.bundle_mismatch"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is what it is: a stable code and its data; the sentence is made by `rules.reason_text`."""

    code: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Which engine answered: `opa-wasm` (embedded) or `opa` (a server), and its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class BundleRef:
    """Which rules answer: `revision` names them for people, the digests fix their content."""

    name: str
    revision: str
    policy_digest: str
    schema_digest: str


UNKNOWN_BUNDLE = BundleRef(name="", revision="", policy_digest="", schema_digest="")


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """One verified bundle: a policy package with its schemas, default parameters and both compiled forms.

    `archive` is the Rego bundle that a real OPA server fetches, `wasm` the module that the embedded engine runs; both are made
    from the sources behind `ref.policy_digest`. `input_schema` holds the schema of the parameters as `$defs/parameters`.
    """

    ref: BundleRef
    package: str
    entrypoint: str
    input_schema: JsonObject
    parameters_schema: JsonObject
    default_parameters: JsonObject
    opa_version: str
    archive: bytes
    wasm: bytes


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One question to a policy. `input` has no parameters: they stand beside it and travel as `input.parameters`.

    `subject_id` and `subject_version` name the governed subject that was looked at, so that a caller can see whether it moved
    before the answer is acted on (architecture section 3).
    """

    id: str
    tenant_id: str
    package: str
    subject_id: str
    subject_version: int
    mode: DecisionMode
    input: JsonObject
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Answer:
    """The well-formed answer of a policy, read from the engine's raw result."""

    allowed: bool
    reasons: tuple[Reason, ...]
    required_approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """One stored answer. `input` and `result` are canonical bytes, exactly as hashed.

    `input` is `null` where the input was rejected: what no schema has vetted may hold personal data and is not kept.
    """

    id: str
    tenant_id: str
    subject_id: str
    subject_version: int
    package: str
    mode: DecisionMode
    allowed: bool
    outcome: PolicyOutcome
    reasons: tuple[Reason, ...]
    required_approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    input: bytes
    input_digest: str
    result: bytes | None
    bundle_revision: str
    policy_digest: str
    parameters_digest: str
    schema_digest: str
    engine: EngineIdentity
    duration_us: int
    decided_at: datetime

    @property
    def is_engine_answer(self) -> bool:
        """Whether the policy itself answered, rather than a failure standing in for it."""
        return self.outcome in (PolicyOutcome.ALLOWED, PolicyOutcome.DENIED)

    @property
    def is_billable(self) -> bool:
        """Whether it counts as one `policy_decision`: an engine's answer that was acted on (story 4.1)."""
        return self.is_engine_answer and self.mode is DecisionMode.ENFORCE


class PolicyError(Exception):
    """No usable answer came. `outcome` says how; `detail` is for logs only and may quote engine output."""

    outcome: ClassVar[PolicyOutcome] = PolicyOutcome.ENGINE_CRASHED

    def __init__(self, detail: str, **data: JsonValue) -> None:
        self.detail = detail
        self.data: Mapping[str, JsonValue] = data
        super().__init__(detail)


class InputRejected(PolicyError):
    """The input breaks the JSON limits or the schema; no engine has seen it."""

    outcome = PolicyOutcome.INPUT_REJECTED


class EngineUnavailable(PolicyError):
    """The engine could not be reached, or something else answered in its place."""

    outcome = PolicyOutcome.ENGINE_UNAVAILABLE


class EngineTimeout(PolicyError):
    """No whole answer came within the deadline."""

    outcome = PolicyOutcome.ENGINE_TIMEOUT


class EngineCrashed(PolicyError):
    """The engine died, ran out of memory, or failed in a way that it has no name for."""

    outcome = PolicyOutcome.ENGINE_CRASHED


class CircuitOpen(PolicyError):
    """The engine failed too often lately and is being left alone for a while."""

    outcome = PolicyOutcome.CIRCUIT_OPEN


class PolicyUndefined(PolicyError):
    """The engine knows no such policy, or the policy has no value for this input."""

    outcome = PolicyOutcome.UNDEFINED


class PolicyEvaluationError(PolicyError):
    """The rules themselves failed, for instance by contradicting each other."""

    outcome = PolicyOutcome.EVALUATION_ERROR


class MalformedDecision(PolicyError):
    """The engine's result is not of the agreed shape."""

    outcome = PolicyOutcome.MALFORMED_DECISION


class BundleInvalid(PolicyError):
    """A bundle is incomplete, altered, or needs what the embedded engine lacks."""

    outcome = PolicyOutcome.BUNDLE_INVALID


class BundleMismatch(PolicyError):
    """The engine answered from another bundle than the expected one, or did not say from which."""

    outcome = PolicyOutcome.BUNDLE_MISMATCH


class PolicyDenied(TrustpackError):
    """Policy refused. Carries `decision_id` and `reasons` (`[{"code", "text", ...}]`). Source: story 1.7."""

    kind = ErrorKind.FORBIDDEN
    code = "policy.denied"
    title = "Denied by policy"
    detail = "Policy does not allow this."
    next_step = "Read the reasons, change what they name, then try again."


class ParametersInvalid(TrustpackError):
    """A tenant's parameters do not fit the schema of the bundle; `errors` lists `{"field", "message"}`."""

    kind = ErrorKind.INVALID
    code = "policy.parameters_invalid"
    title = "The policy parameters are not valid"
    detail = "Some policy parameters are unknown, of the wrong form, or beyond their bounds."
    next_step = "Correct the named parameters and try again."
