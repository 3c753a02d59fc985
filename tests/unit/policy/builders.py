"""Questions, answers and stand-ins for the tests of policy; each with defaults, so that a test names only what it is about."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tools.build_policies import compile_wasm, find_opa
from trustpack.capabilities.policy import DecisionMode, DecisionRequest, EngineIdentity, PolicyBundle, PolicyEngine, load_bundles
from trustpack.capabilities.policy.model import BundleRef

DIST = Path(__file__).resolve().parents[3] / "policies" / "dist"
PACKAGE = "high_risk.operations"
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
PARAMETERS: dict[str, Any] = {
    "requester_roles": ["engineer"],
    "environments": ["prod"],
    "types": ["TEMP_DB_READ_ACCESS"],
    "max_duration_seconds": 7200,
    "required_approvals": ["team_lead", "security_officer"],
}
BOTH_VOTES = ({"role": "team_lead", "person": "usr_lead"}, {"role": "security_officer", "person": "usr_security"})
ALLOW: dict[str, Any] = {"allow": True, "reasons": [], "required_approvals": ["team_lead"], "self_approvable": []}


class FixedClock:
    def now(self) -> datetime:
        return NOW


def high_risk_bundle() -> PolicyBundle:
    return load_bundles(DIST)[0]


def high_risk_input(
    *,
    action: str = "request",
    subject: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any] | None = None,
    approvals: tuple[Mapping[str, str], ...] = (),
) -> dict[str, Any]:
    return {
        "action": action,
        "now": int(NOW.timestamp()),
        "subject": {"id": "usr_engineer", "roles": ["engineer"], "kind": "person", **(subject or {})},
        "resource": {
            "type": "TEMP_DB_READ_ACCESS",
            "environment": "prod",
            "target": "orders-prod",
            "duration_seconds": 3600,
            **(resource or {}),
        },
        "context": {"approvals": list(approvals)},
    }


def whole_input(**changes: Any) -> dict[str, Any]:
    return {**high_risk_input(**changes), "parameters": copy.deepcopy(PARAMETERS)}


def decision_request(
    value: Any = None,
    *,
    parameters: Any = None,
    package: str = PACKAGE,
    mode: DecisionMode = DecisionMode.ENFORCE,
) -> DecisionRequest:
    return DecisionRequest(
        id="dec_" + "0" * 32,
        tenant_id="summit-internal",
        package=package,
        subject_id="hro_" + "0" * 32,
        subject_version=1,
        mode=mode,
        input=high_risk_input() if value is None else value,
        parameters=PARAMETERS if parameters is None else parameters,
    )


class ScriptedEngine(PolicyEngine):
    """Answers what the test says; remembers what it was asked."""

    def __init__(self, answer: Any = None, *, error: BaseException | None = None) -> None:
        self._answer = ALLOW if answer is None else answer
        self._error = error
        self.asked: list[bytes] = []

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity("scripted", "1")

    def bundle(self, package: str) -> BundleRef:
        return high_risk_bundle().ref

    async def evaluate(self, package: str, input_bytes: bytes) -> Any:
        self.asked.append(input_bytes)
        if self._error is not None:
            raise self._error
        return self._answer() if callable(self._answer) else self._answer

    async def health(self) -> None: ...

    async def close(self) -> None: ...


def required_opa() -> str:
    """Return the pinned OPA; skip the test without it, or fail it in CI."""
    opa = find_opa()
    if opa is None:
        complaint = "the pinned OPA is missing: name it in TRUSTPACK_TEST_OPA or install it as .tools/opa"
        if os.environ.get("CI") == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return opa


def bundle_of(rego: str) -> PolicyBundle:
    """Compile one policy of package `t` with the rule `decision`, as a bundle that is otherwise the high-risk one."""
    wasm = compile_wasm(required_opa(), {"t/t.rego": f"package t\n{rego}\n".encode()}, "t/decision")
    return replace(high_risk_bundle(), package="t", entrypoint="t/decision", wasm=wasm)
