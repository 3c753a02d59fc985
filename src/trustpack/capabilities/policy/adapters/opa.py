"""A real OPA server over HTTP: one deadline per answer, the bundle proven on every answer, and a circuit breaker.

Source: research/policy sections 2 ("REST") and 4 (rows 1 to 5, 15); ADR-0008. Nothing is retried and nothing stands in for the
server: whatever goes wrong is a named error, hence a deny.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import httpx2

from trustpack.capabilities.policy.model import (
    BundleMismatch,
    BundleRef,
    CircuitOpen,
    EngineIdentity,
    EngineTimeout,
    EngineUnavailable,
    InputRejected,
    MalformedDecision,
    PolicyBundle,
    PolicyError,
    PolicyEvaluationError,
    PolicyUndefined,
)
from trustpack.capabilities.policy.rules.documents import MAX_JSON_BYTES, parse_json
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.system_clock import monotonic_seconds

DEADLINE_SECONDS: Final = 0.15
"""How long one answer may take, connecting included: some 30 times the usual answer of a server nearby."""

FAILURES_TO_OPEN: Final = 5
"""Failures in a row after which the server is left alone."""

OPEN_SECONDS: Final = 10.0
"""How long it is left alone before one question probes it."""

CONNECTIONS: Final = 32
"""Connections kept to the server; more questions than that wait for one, within their deadline."""

_HEADERS: Final = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
_QUERY: Final = "provenance=true&strict-builtin-errors=true"
_EMPTY_INPUT: Final = b"{}"
_UNAVAILABLE: Final = (EngineUnavailable, EngineTimeout)


class CircuitBreaker:
    """Stops asking a server that keeps failing, and lets exactly one question through to find out whether it is back.

    Times are monotonic seconds given by the caller. Every `enter` that returns is followed by one call of `succeeded`,
    `failed` or `abandoned` with what it returned. Not for several threads.
    """

    def __init__(self, *, failures_to_open: int = FAILURES_TO_OPEN, open_seconds: float = OPEN_SECONDS) -> None:
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    def enter(self, now: float) -> bool:
        """Return whether this question is the probe; raise `CircuitOpen` if it must not be asked."""
        if self._opened_at is None:
            return False
        if self._is_probing or now - self._opened_at < self._open_seconds:
            raise CircuitOpen("the server failed repeatedly and is left alone")
        self._is_probing = True
        return True

    def succeeded(self, *, is_probe: bool) -> None:
        """Note that the server answered. Only the probe's answer closes an open circuit: others were asked before it opened."""
        if is_probe or self._opened_at is None:
            self._failures, self._opened_at, self._is_probing = 0, None, False

    def failed(self, now: float, *, is_probe: bool) -> None:
        """Note that the server did not answer."""
        if is_probe:
            self._opened_at, self._is_probing = now, False
        elif self._opened_at is None:
            self._failures += 1
            if self._failures >= self._failures_to_open:
                self._opened_at = now

    def abandoned(self, *, is_probe: bool) -> None:
        """Note that the asker went away before the answer: the next question may be the probe."""
        if is_probe:
            self._is_probing = False


class OpaServer:
    """Answers from a real OPA that has activated the same bundles under their own names. Implements `PolicyEngine`.

    `url` is the server's base URL. Raises `ValueError` for one that is not http(s) with a host, or that carries a password.
    """

    def __init__(
        self,
        bundles: Sequence[PolicyBundle],
        *,
        url: str,
        deadline_seconds: float = DEADLINE_SECONDS,
        breaker: CircuitBreaker | None = None,
        monotonic: Callable[[], float] = monotonic_seconds,
    ) -> None:
        base = httpx2.URL(url)
        if base.scheme not in {"http", "https"} or not base.host or base.userinfo:
            raise ValueError("the URL of OPA must be http(s)://host[:port], without user or password")
        self._bundles = {bundle.package: bundle for bundle in bundles}
        self._urls = {bundle.package: f"{str(base).rstrip('/')}/v1/data/{bundle.entrypoint}?{_QUERY}" for bundle in bundles}
        self._deadline_seconds = deadline_seconds
        self._breaker = breaker or CircuitBreaker()
        self._monotonic = monotonic
        self._version = "unknown"
        self._client = httpx2.AsyncClient(
            headers=_HEADERS,
            timeout=None,  # the one deadline covers waiting, connecting and reading together
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def identity(self) -> EngineIdentity:
        """Return `opa` with the version that the server last stated."""
        return EngineIdentity("opa", self._version)

    def bundle(self, package: str) -> BundleRef:
        return self._bundle(package).ref

    async def evaluate(self, package: str, input_bytes: bytes) -> JsonValue:
        bundle = self._bundle(package)
        is_probe = self._breaker.enter(self._monotonic())
        try:
            result = await self._ask(bundle, input_bytes)
        except _UNAVAILABLE:
            self._breaker.failed(self._monotonic(), is_probe=is_probe)
            raise
        except PolicyError:
            self._breaker.succeeded(is_probe=is_probe)
            raise
        except BaseException:
            self._breaker.abandoned(is_probe=is_probe)
            raise
        self._breaker.succeeded(is_probe=is_probe)
        return result

    async def health(self) -> None:
        for bundle in self._bundles.values():
            await self._ask(bundle, _EMPTY_INPUT)

    async def close(self) -> None:
        await self._client.aclose()

    def _bundle(self, package: str) -> PolicyBundle:
        bundle = self._bundles.get(package)
        if bundle is None:
            raise PolicyUndefined(f"no bundle holds the package {package}")
        return bundle

    async def _ask(self, bundle: PolicyBundle, input_bytes: bytes) -> JsonValue:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                status, body = await self._exchange(self._urls[bundle.package], b'{"input":' + input_bytes + b"}")
        except TimeoutError as error:
            raise EngineTimeout(f"no whole answer within {self._deadline_seconds} s") from error
        except (httpx2.HTTPError, RuntimeError, OSError) as error:
            raise EngineUnavailable(f"{type(error).__name__}: {error}") from error
        return self._read(bundle, status, body)

    async def _exchange(self, url: str, content: bytes) -> tuple[int, bytes]:
        body = bytearray()
        async with self._client.stream("POST", url, content=content) as response:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_JSON_BYTES:
                    raise MalformedDecision(f"the answer is longer than {MAX_JSON_BYTES} bytes")
        return response.status_code, bytes(body)

    def _read(self, bundle: PolicyBundle, status: int, body: bytes) -> JsonValue:
        """Return the result if it is certainly the expected bundle's."""
        try:
            answer = parse_json(body)
        except InputRejected as error:
            if status != httpx2.codes.OK:
                raise EngineUnavailable(f"status {status}, and no JSON") from error
            raise MalformedDecision(f"the answer cannot be read: {error.detail}") from error
        if not isinstance(answer, Mapping):
            raise MalformedDecision("the answer is not an object")
        if status != httpx2.codes.OK:
            raise _refusal(status, answer)
        provenance = answer.get("provenance")
        revision = _revision(provenance, bundle.ref.name)
        if revision is not None and revision != bundle.ref.revision:
            raise BundleMismatch(f"answered from {revision}, not from {bundle.ref.revision}", revision=revision)
        if "result" not in answer:
            raise PolicyUndefined("the server knows no value for this policy")
        if revision is None:
            raise BundleMismatch(f"the server did not say that it answered from the bundle {bundle.ref.name}")
        version = provenance.get("version") if isinstance(provenance, Mapping) else None
        self._version = version if isinstance(version, str) and version else "unknown"
        return answer["result"]


def _refusal(status: int, answer: Mapping[str, JsonValue]) -> PolicyError:
    """Tell an evaluation that failed inside OPA from a server, or something in front of it, that does not work."""
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, Mapping) else None
    if isinstance(code, str) and code.startswith("eval_"):
        return PolicyEvaluationError(f"{code}: {answer.get('message')}")
    return EngineUnavailable(f"status {status}: {answer.get('code')}")


def _revision(provenance: JsonValue | None, name: str) -> str | None:
    """Return the revision of the named bundle as the server states it, or None."""
    step = provenance
    for key in ("bundles", name, "revision"):
        step = step.get(key) if isinstance(step, Mapping) else None
    return step if isinstance(step, str) else None
