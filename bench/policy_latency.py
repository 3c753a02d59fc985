"""Measure one policy decision: the bare engine, and the whole way through `PolicyGate`, for both engines.

A real OPA is started from `policies/dist` if the one that built it is found; without it only the embedded engine is measured.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import httpx2
import uvloop
from latencies import Quantiles, quantiles_of
from machine import ROOT
from tables import Table

from trustpack.capabilities.policy import (
    DecisionMode,
    DecisionRequest,
    EmbeddedEngine,
    OpaServer,
    PolicyBundle,
    PolicyEngine,
    PolicyGate,
    load_bundles,
)
from trustpack.platform.system_clock import SystemClock
from trustpack.proof.canonical import canonical_bytes

PACKAGE: Final = "high_risk.operations"
DIST: Final = ROOT / "policies" / "dist"
Row: TypeAlias = tuple[str, str, str, str]
INPUT: Final[dict[str, Any]] = {
    "action": "execute",
    "now": 1_763_755_200,
    "subject": {"id": "usr_engineer", "roles": ["engineer"], "kind": "person"},
    "resource": {"type": "TEMP_DB_READ_ACCESS", "environment": "prod", "target": "orders-prod", "duration_seconds": 3600},
    "context": {
        "approvals": [{"role": "team_lead", "person": "usr_lead"}, {"role": "security_officer", "person": "usr_security"}]
    },
}


async def _quantiles(question: Callable[[], Awaitable[object]], *, number: int, warm_up: int) -> Quantiles:
    """Ask one after the other and return how long the answers took."""
    for _ in range(warm_up):
        await question()
    durations = []
    for _ in range(number):
        started = time.perf_counter()
        await question()
        durations.append(time.perf_counter() - started)
    return quantiles_of(durations)


async def _measure_engine(engine: PolicyEngine, bundles: Sequence[PolicyBundle], *, number: int, warm_up: int) -> list[Row]:
    """Measure one engine bare and through the gate, then close it."""
    gate = PolicyGate(engine, bundles=bundles, clock=SystemClock())
    parameters = gate.parameters_for(PACKAGE)
    request = DecisionRequest(
        id="dec_" + "0" * 32,
        tenant_id="bench",
        package=PACKAGE,
        subject_id="hro_" + "0" * 32,
        subject_version=1,
        mode=DecisionMode.ENFORCE,
        input=INPUT,
        parameters=parameters,
    )
    decision = await gate.evaluate(request)
    if not decision.allowed:
        raise SystemExit(f"the question should be allowed, but: {decision.outcome}")
    content = canonical_bytes({**INPUT, "parameters": parameters})
    bare = await _quantiles(lambda: engine.evaluate(PACKAGE, content), number=number, warm_up=warm_up)
    whole = await _quantiles(lambda: gate.evaluate(request), number=number, warm_up=warm_up)
    await engine.close()
    name = engine.identity.name
    return [(f"{name}, the engine alone", *bare.in_us()), (f"{name}, a whole decision", *whole.in_us())]


@contextmanager
def running_opa(opa: str) -> Iterator[str]:
    """Run a real OPA with the committed bundle and give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [opa, "run", "--server", "--addr", url, "--log-level", "error", "--disable-telemetry"]
    command.append(f"--set=bundles.high_risk.resource=file://{DIST / 'high_risk.tar.gz'}")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until_ready(f"http://{url}/health?bundles")
            yield f"http://{url}"
        finally:
            server.terminate()


def wait_until_ready(url: str) -> None:
    """Return when the server has activated its bundle; end the program after ten seconds."""
    for _ in range(100):
        try:
            if httpx2.get(url, trust_env=False).is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("OPA did not become ready")


def _run(measurement: Coroutine[Any, Any, list[Row]]) -> list[Row]:
    """Run a measurement on uvloop, so that the loop costs as little as it can."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measurement)


def _find_opa(version: str) -> str | None:
    """Return the OPA in `.tools` or on the PATH if it is the one that built the bundles."""
    for candidate in (ROOT / ".tools" / "opa", shutil.which("opa")):
        if candidate is not None and os.access(candidate, os.X_OK):
            said = subprocess.run((candidate, "version"), capture_output=True, text=True, check=False).stdout
            if f"Version: {version}\n" in said:
                return str(candidate)
    return None


def measure_decisions(*, number: int, warm_up: int) -> Table:
    """Ask both engines, one question at a time, through the port; a real OPA only if the right one is found."""
    bundles = load_bundles(DIST)
    rows = _run(_measure_engine(EmbeddedEngine(bundles), bundles, number=number, warm_up=warm_up))
    notes = [
        f"{number} questions each, one at a time. A decision adds limits, schema, digests and the strict reading of the answer."
    ]
    opa = _find_opa(bundles[0].opa_version)
    if opa is None:
        notes.append(f"No OPA server was measured: OPA {bundles[0].opa_version} is neither in .tools nor on the PATH.")
    else:
        with running_opa(opa) as url:
            rows += _run(_measure_engine(OpaServer(bundles, url=url), bundles, number=number, warm_up=warm_up))
    return Table("One policy decision", ("engine", "p50 us", "p95 us", "p99 us"), tuple(rows), tuple(notes))
