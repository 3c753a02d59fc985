"""Policy gates beside the usual one, and processes that decide by them."""

from __future__ import annotations

import asyncio
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from tests.support.world import World
from tests.unit.policy.builders import DIST, required_opa
from trustpack.app.bootstrap import Container, policy_directory
from trustpack.app.http import build_app
from trustpack.capabilities.policy import EmbeddedEngine, OpaServer, PolicyGate, load_bundles

NEW_REVISION = "9.9.9+0123456789abcdef"
_READY_SECONDS = 30


async def behind(world: World, gate: PolicyGate, person: str, path: str, body: object = None) -> httpx2.Response:
    """Post something to a process that has another policy gate."""
    container = world.container
    other = replace(container, gate=gate, revops=replace(container.revops, gate=gate))
    transport = httpx2.ASGITransport(app=build_app(other, with_worker=False))
    async with httpx2.AsyncClient(transport=transport, base_url="http://other.test") as http:
        return await replace(world, container=other, http=http).call(person, "POST", path, body)


@asynccontextmanager
async def gate_with(world: World, change: Callable[[Any], Any]) -> AsyncIterator[PolicyGate]:
    """Open a gate to bundles of a newer revision whose parameters were changed."""
    bundles = [
        replace(bundle, ref=replace(bundle.ref, revision=NEW_REVISION), default_parameters=change(bundle.default_parameters))
        for bundle in load_bundles(policy_directory(world.container.settings))
    ]
    engine = EmbeddedEngine(bundles, deadline_seconds=5)
    try:
        yield PolicyGate(engine, bundles=bundles, clock=world.clock)
    finally:
        await engine.close()


async def gate_to_a_closed_engine(container: Container) -> PolicyGate:
    """Return a gate whose embedded engine is closed."""
    bundles = load_bundles(policy_directory(container.settings))
    engine = EmbeddedEngine(bundles)
    await engine.close()
    return PolicyGate(engine, bundles=bundles, clock=container.unit_of_work.clock)


@dataclass(frozen=True, slots=True)
class RunningOpa:
    """A real OPA server that has activated the committed bundles, and a gate to it."""

    process: Process
    gate: PolicyGate

    async def stop(self) -> None:
        """End the server; nothing answers at its address any more."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def running_opa(container: Container, directory: Path) -> AsyncIterator[RunningOpa]:
    """Run a real OPA server with the committed bundles."""
    bundles = load_bundles(policy_directory(container.settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [required_opa(), "run", "--server", "--addr", address, "--log-level", "error", "--disable-telemetry"]
    command += [f"--set=bundles.{bundle.ref.name}.resource=file://{DIST / bundle.ref.name}.tar.gz" for bundle in bundles]
    engine = OpaServer(bundles, url=f"http://{address}", deadline_seconds=5)
    with (directory / "opa.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        opa = RunningOpa(process, PolicyGate(engine, bundles=bundles, clock=container.unit_of_work.clock))
        try:
            await _until_ready(f"http://{address}/health?bundles", process)
            yield opa
        finally:
            await engine.close()
            await opa.stop()


async def _until_ready(url: str, process: Process) -> None:
    async with asyncio.timeout(_READY_SECONDS), httpx2.AsyncClient(trust_env=False) as http:
        while True:
            assert process.returncode is None, "OPA ended at once"
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
