"""Policy gates whose engine does not answer."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trustpack.app.bootstrap import Container, policy_directory
from trustpack.capabilities.policy import OpaServer, PolicyGate, load_bundles


@asynccontextmanager
async def gate_without_engine(container: Container) -> AsyncIterator[PolicyGate]:
    """Open a gate to an OPA server at an address where nothing listens."""
    bundles = load_bundles(policy_directory(container.settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = OpaServer(bundles, url=f"http://127.0.0.1:{port}", deadline_seconds=0.15)
    try:
        yield PolicyGate(engine, bundles=bundles, clock=container.unit_of_work.clock)
    finally:
        await engine.close()
