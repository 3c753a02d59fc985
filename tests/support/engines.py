"""Policy gates whose engine does not answer."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trustpack.app.bootstrap import Container, policy_directory
from trustpack.capabilities.policy import OpaServer, PolicyGate, load_bundles


@asynccontextmanager
async def gate_without_engine(container: Container) -> AsyncIterator[PolicyGate]:
    """Open a gate to an OPA server at an address where nothing listens, and which nobody else can take meanwhile."""
    bundles = load_bundles(policy_directory(container.settings))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # The refusal comes at once; with a short deadline a busy machine would make a timeout of it.
        engine = OpaServer(bundles, url=f"http://127.0.0.1:{taken.getsockname()[1]}", deadline_seconds=5)
        try:
            yield PolicyGate(engine, bundles=bundles, clock=container.unit_of_work.clock)
        finally:
            await engine.close()
