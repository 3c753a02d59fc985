"""Under which names the pages answer. Source: research/ui section 5, "TrustedHost allow-list".

A page that answered to any name would lend itself to DNS rebinding: the name of another site, pointed at this server, would make
its pages same-origin with that site. Ports are not compared: names are what an attacker can choose, and cookies know no ports.
The API knows its callers by a token that no browser sends by itself, so its health checks may come by address.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from trustpack.kernel.errors import ErrorKind, TrustpackError

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9._-]{1,253}))(?::[0-9]{1,5})?", re.ASCII)


class UntrustedHost(TrustpackError):
    """The request names a host that is not ours."""

    kind = ErrorKind.INVALID
    code = "request.untrusted_host"
    title = "This is not the address of the console"
    detail = "The request names a host under which this service shows no pages."
    next_step = "Open the console by the address in TRUSTPACK_PUBLIC_URL, or add the name to TRUSTPACK_TRUSTED_HOSTS."


def trusted_names(public_url: str, *, more: str, is_demo: bool) -> frozenset[str]:
    """Return the names under which pages answer: the public one, those of `more`, and local ones if it is local or a demo."""
    own = urlsplit(public_url).hostname or ""
    listed = {name.strip().lower() for name in more.split(",") if name.strip()}
    return frozenset({own, *listed}) | (LOCAL_NAMES if is_demo or own in LOCAL_NAMES else frozenset())


def require_trusted_host(host: str, trusted: frozenset[str]) -> None:
    """Refuse a request whose `Host` is none of the trusted names, whatever its port. Raises `UntrustedHost`."""
    match = _HOST.fullmatch(host.lower())
    if match is None or (match["address"] or match["name"]) not in trusted:
        raise UntrustedHost
