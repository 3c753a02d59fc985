"""Measure one policy decision: the bare engine, and the whole way through `PolicyGate`, for both engines.

    python bench/policy_latency.py [--number 2000] [--warm-up 200]

Runs on uvloop, as the server does. A real OPA is started from `policies/dist` if the pinned one is found; without it only the
embedded engine is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx2
import uvloop

from tools.build_policies import DIST, find_opa
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
QUANTILES: Final = (0.50, 0.95, 0.99)
INPUT: Final[dict[str, Any]] = {
    "action": "execute",
    "now": 1_763_755_200,
    "subject": {"id": "usr_engineer", "roles": ["engineer"], "kind": "person"},
    "resource": {"type": "TEMP_DB_READ_ACCESS", "environment": "prod", "target": "orders-prod", "duration_seconds": 3600},
    "context": {
        "approvals": [{"role": "team_lead", "person": "usr_lead"}, {"role": "security_officer", "person": "usr_security"}]
    },
}


async def measure(label: str, question: Callable[[], Awaitable[object]], *, number: int, warm_up: int) -> None:
    """Ask one after the other and print the quantiles in microseconds."""
    for _ in range(warm_up):
        await question()
    durations = []
    for _ in range(number):
        started = time.perf_counter()
        await question()
        durations.append(time.perf_counter() - started)
    durations.sort()
    columns = "  ".join(f"p{quantile * 100:.0f} {durations[int(number * quantile)] * 1e6:7.0f} us" for quantile in QUANTILES)
    print(f"{label:30}{columns}")


async def measure_engine(engine: PolicyEngine, bundles: Sequence[PolicyBundle], *, number: int, warm_up: int) -> None:
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
    name = engine.identity.name
    await measure(f"{name} engine.evaluate", lambda: engine.evaluate(PACKAGE, content), number=number, warm_up=warm_up)
    await measure(f"{name} PolicyGate.evaluate", lambda: gate.evaluate(request), number=number, warm_up=warm_up)
    await engine.close()


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


def run(measurement: Coroutine[Any, Any, None]) -> None:
    """Run a measurement on the loop of the product."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measurement)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure one policy decision with both engines.")
    parser.add_argument("--number", type=int, default=2000, help="measured questions per line")
    parser.add_argument("--warm-up", type=int, default=200, help="questions before measuring")
    options = parser.parse_args()
    bundles = load_bundles(DIST)
    print(f"{options.number} questions each, one at a time; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    run(measure_engine(EmbeddedEngine(bundles), bundles, number=options.number, warm_up=options.warm_up))
    opa = find_opa()
    if opa is None:
        print("no OPA server measured: the pinned OPA was not found")
        return
    with running_opa(opa) as url:
        run(measure_engine(OpaServer(bundles, url=url), bundles, number=options.number, warm_up=options.warm_up))


if __name__ == "__main__":
    main()
