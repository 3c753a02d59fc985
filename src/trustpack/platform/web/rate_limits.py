"""How often one token or session may ask, and one address may fail to sign in (ADR-0017)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.auth.cookies import session_text
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.telemetry import metrics
from trustpack.platform.web.problems import respond

CAPACITY = 10_000
"""Buckets of one kind in one process, about 2 MB; beyond it the one unused for longest goes, which is most likely full again."""
_IPV6_NETWORK = 64  # bits; whoever has one address of such a network has them all


class TooManyRequests(TrustpackError):
    """The token or session asks more often than it may."""

    kind = ErrorKind.LIMITED
    code = "request.too_many"
    title = "Too many requests"
    detail = "This token or session has sent more requests than it may in this time."
    next_step = "Wait for the seconds of `retry_after`, then send the request again, and later ones more slowly."


class TooManyFailedSignIns(TrustpackError):
    """The address has failed to sign in too often; said to every token that is not in use, whether it exists or not."""

    kind = ErrorKind.LIMITED
    code = "auth.too_many_failures"
    title = "Too many failed sign-ins"
    detail = "Too many requests from this address had no valid bearer token."
    next_step = "Wait for the seconds of `retry_after`, and check the token before you send it again."


class Buckets:
    """Token buckets by key: each holds up to `burst` and refills at `per_second`; a rate of 0 lifts the limit.

    Guarantee: at most `capacity` keys are kept.
    """

    def __init__(
        self, *, per_second: float, burst: int, capacity: int = CAPACITY, now: Callable[[], float] = monotonic_seconds
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._capacity = capacity
        self._now = now
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def wait_seconds(self, key: str) -> float:
        """Return how long until the key may spend again: 0 if it may now."""
        if self._per_second == 0:
            return 0.0
        return max(0.0, (1 - self._left(key)) / self._per_second)

    def spend(self, key: str) -> None:
        """Take one from the key's bucket; what is taken from an empty one is owed, up to one more `burst`."""
        self._kept[key] = (max(self._left(key) - 1, -self._burst), self._now())
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def give_back(self, key: str) -> None:
        """Put one back that was spent for nothing."""
        if key in self._kept:
            self._kept[key] = (min(self._left(key) + 1, float(self._burst)), self._now())

    def forget(self, key: str) -> None:
        """Drop the key's bucket."""
        self._kept.pop(key, None)

    def _left(self, key: str) -> float:
        left, at = self._kept.get(key, (float(self._burst), self._now()))
        return min(float(self._burst), left + (self._now() - at) * self._per_second)


class RateLimits:
    """ASGI middleware that refuses before the body is read and the database is asked.

    Only a token that has signed in has a bucket, so text that merely looks like a token takes no memory and empties nobody's
    budget; and a token in use goes on while others fail from its address. A browser's session has the budget of a token; one that
    has ended is no failed sign-in, since every page that is still open sends it.
    """

    def __init__(self, app: ASGIApp, *, tokens: Buckets, failed_sign_ins: Buckets) -> None:
        self._app = app
        self._tokens = tokens
        self._failed_sign_ins = failed_sign_ins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _token_digest(scope)
        is_session = token is None
        token = _session_digest(scope) if token is None else token
        if token is None:
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        is_in_use = token in self._tokens
        if (refusal := self._refusal_of(token, address, is_session=is_session)) is not None:
            answer = respond(refusal, request_id=scope.get("trustpack.request_id", ""))
            await answer(scope, receive, send)
            return
        if is_in_use:
            self._tokens.spend(token)

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == HTTPStatus.UNAUTHORIZED:
                    self._tokens.forget(token)
                    if not is_session:
                        self._failed_sign_ins.spend(address)
                elif "trustpack.actor" in scope and not is_in_use:
                    self._tokens.spend(token)
            await send(message)

        await self._app(scope, receive, send_noted)

    def _refusal_of(self, token: str, address: str, *, is_session: bool) -> TrustpackError | None:
        if token in self._tokens:
            if wait := self._tokens.wait_seconds(token):
                metrics.RATE_LIMITED.labels(limit="token").inc()
                return TooManyRequests(retry_after=math.ceil(wait))
        elif not is_session and (wait := self._failed_sign_ins.wait_seconds(address)):
            metrics.RATE_LIMITED.labels(limit="failed_sign_ins").inc()
            return TooManyFailedSignIns(retry_after=math.ceil(wait))
        return None


def address_of(scope: Scope) -> str:
    """Return the client's address as it is counted: IPv6 by its network, and all that is no address as one."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _IPV6_NETWORK << _IPV6_NETWORK))


def _token_digest(scope: Scope) -> str | None:
    if scope["type"] != "http":
        return None
    for name, value in scope["headers"]:
        if name == b"authorization":
            # Split as it is at sign-in: another spelling is the same token. Under another scheme it is none, and its refusal
            # must not give the token a new budget.
            scheme, token = get_authorization_scheme_param(value.decode("latin-1"))
            return sha256(f"{scheme.lower()} {token}".encode()).hexdigest()
    return None


def _session_digest(scope: Scope) -> str | None:
    text = session_text(HTTPConnection(scope)) if scope["type"] == "http" else None
    return sha256(f"session {text}".encode()).hexdigest() if text is not None else None
