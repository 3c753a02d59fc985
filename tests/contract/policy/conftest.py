import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.unit.policy.builders import DIST, bundle_of, high_risk_bundle, required_opa
from tools.build_policies import gzip_stored, tar
from trustpack.capabilities.policy import EmbeddedEngine, OpaServer, PolicyBundle, PolicyEngine

NEGATIONS = """
admins := {"engineer"}
has(role) if role in admins
starts(role) if startswith(role, "eng")
known if input.role in admins
listed contains role if some role in input.roles

holds contains "not in" if not input.role in {"engineer"}
holds contains "not in a rule" if not input.role in admins
holds contains "not equal" if not input.role == "engineer"
holds contains "unequal" if input.role != "engineer"
holds contains "not unequal" if not input.role != "engineer"
holds contains "not a function" if not has(input.role)
holds contains "not a function of a call" if not has(object.get(input, "role", null))
holds contains "not a builtin" if not startswith(input.role, "eng")
holds contains "not a function around a builtin" if not starts(input.role)
holds contains "not a call in a call" if not count(object.keys(input.deep.er)) > 0
holds contains "not a helper rule" if not known
holds contains "not the value" if not input.role
holds contains "not a deep value" if not input.deep.er.role
holds contains "not a member" if not "engineer" in input.roles
holds contains "not a default" if not object.get(input, "role", "") in admins
holds contains "not a type" if not is_string(input.role)
holds contains "not a count" if not count(input.roles) > 0
holds contains "none listed" if count(listed) == 0
holds contains "every" if {
    every role in input.roles { role in admins }
}
holds contains "not every" if not all_in_admins
all_in_admins if {
    every role in input.roles { role in admins }
}
decision := sort(holds)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def negations() -> PolicyBundle:
    bundle = bundle_of(NEGATIONS)
    files = {".manifest": b'{"revision":"negations","roots":["t"]}', "t/t.rego": f"package t\n{NEGATIONS}".encode()}
    return replace(bundle, ref=replace(bundle.ref, name="t", revision="negations"), archive=gzip_stored(tar(files)))


@pytest.fixture(scope="session")
def opa_url(negations: PolicyBundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real OPA that has activated the committed bundle, and the one of the negation forms."""
    directory: Path = tmp_path_factory.mktemp("opa")
    (directory / "t.tar.gz").write_bytes(negations.archive)
    address = f"127.0.0.1:{free_port()}"
    command = [required_opa(), "run", "--server", "--addr", address, "--log-level", "error", "--disable-telemetry"]
    resources = {"high_risk": DIST / "high_risk.tar.gz", "t": directory / "t.tar.gz"}
    settings = [f"--set=bundles.{name}.resource=file://{path}" for name, path in resources.items()]
    with (directory / "log").open("wb") as log, subprocess.Popen([*command, *settings], stdout=log, stderr=log) as server:
        try:
            wait_until_ready(f"http://{address}/health?bundles", server)
            yield f"http://{address}"
        finally:
            server.kill()


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(1_200):
        assert server.poll() is None, "OPA ended at once"
        try:
            if httpx2.get(url, trust_env=False).status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("OPA did not activate its bundles within a minute")


@pytest.fixture(scope="session")
async def engines(opa_url: str, negations: PolicyBundle) -> AsyncIterator[dict[str, PolicyEngine]]:
    bundles = [high_risk_bundle(), negations]
    both: dict[str, Any] = {
        # Deadlines are not what this suite is about, and the machine may be busy.
        "embedded": EmbeddedEngine(bundles, deadline_seconds=5),
        "opa": OpaServer(bundles, url=opa_url, deadline_seconds=5),
    }
    yield both
    await asyncio.gather(*(engine.close() for engine in both.values()))


@pytest.fixture(params=["embedded", "opa"])
def engine(request: pytest.FixtureRequest, engines: dict[str, PolicyEngine]) -> PolicyEngine:
    return engines[request.param]
