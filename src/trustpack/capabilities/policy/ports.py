"""What the flow asks of a policy engine. Two implementations, one contract suite (`tests/contract/policy`)."""

from __future__ import annotations

from typing import Protocol

from trustpack.capabilities.policy.model import BundleRef, EngineIdentity
from trustpack.kernel.json_types import JsonValue


class PolicyEngine(Protocol):
    """Evaluates policies. One engine never stands in for another: a failure is a `PolicyError`, hence a deny."""

    @property
    def identity(self) -> EngineIdentity: ...

    def bundle(self, package: str) -> BundleRef:
        """Return the bundle that this engine must answer from; raise `PolicyUndefined` for an unknown package."""
        ...

    async def evaluate(self, package: str, input_bytes: bytes) -> JsonValue:
        """Return the raw result of the package's entrypoint for this JSON input.

        Raises `PolicyError` for everything else. Guarantee: answers or raises within the engine's deadline, and never
        blocks the event loop.
        """
        ...

    async def health(self) -> None:
        """Return when every bundle answers, with the expected revision; raise `PolicyError` otherwise."""
        ...

    async def close(self) -> None:
        """Release threads and connections. Idempotent."""
        ...
