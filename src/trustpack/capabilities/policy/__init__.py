"""Policy: asks a Rego policy whether something may happen, and keeps every answer.

Owns: the engine port with its two engines (embedded Wasm, real OPA), the bundles and their parameters, decisions and their
storage, the words for reasons. Does not own: what a decision is used for (approvals, operations), usage events (the caller
emits one for each decision that `is_billable`), or the subjects that decisions are about.
"""

from trustpack.capabilities.policy.adapters.bundle_files import load_bundles
from trustpack.capabilities.policy.adapters.opa import OpaServer
from trustpack.capabilities.policy.adapters.wasm import EmbeddedEngine
from trustpack.capabilities.policy.model import (
    DECISION_PREFIX,
    Decision,
    DecisionMode,
    DecisionRequest,
    EngineIdentity,
    ParametersInvalid,
    PolicyBundle,
    PolicyDenied,
    PolicyError,
    PolicyOutcome,
    Reason,
)
from trustpack.capabilities.policy.pages import DecisionShown, listed, shown_decision
from trustpack.capabilities.policy.ports import PolicyEngine
from trustpack.capabilities.policy.rules.answers import denial_of, present_decision, present_reasons
from trustpack.capabilities.policy.service import PolicyGate, decision_ids_of, decisions_of, find_decision, record_decision

__all__ = [
    "DECISION_PREFIX",
    "Decision",
    "DecisionMode",
    "DecisionRequest",
    "DecisionShown",
    "EmbeddedEngine",
    "EngineIdentity",
    "OpaServer",
    "ParametersInvalid",
    "PolicyBundle",
    "PolicyDenied",
    "PolicyEngine",
    "PolicyError",
    "PolicyGate",
    "PolicyOutcome",
    "Reason",
    "decision_ids_of",
    "decisions_of",
    "denial_of",
    "find_decision",
    "listed",
    "load_bundles",
    "present_decision",
    "present_reasons",
    "record_decision",
    "shown_decision",
]
