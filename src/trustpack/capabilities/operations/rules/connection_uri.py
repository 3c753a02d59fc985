"""The connection string that a grantee pastes into a client. Guarantee: pure. Source: libpq "Connection URIs"."""

from __future__ import annotations

from urllib.parse import quote

from trustpack.capabilities.operations.model import ConnectionDetails

_SOCKET_STARTS = ("/", "@")
"""A directory of sockets, or an abstract one."""


def connection_uri(details: ConnectionDetails, *, user: str, password: str) -> str:
    """Return a URI that libpq reads back as exactly these values.

    A host with a colon is an IPv6 address, whose zone may follow a `%`.
    """
    parameters: list[tuple[str, str]] = []
    if details.host.startswith(_SOCKET_STARTS):
        parameters = [("host", details.host), ("port", str(details.port))]
        place = ""
    elif ":" in details.host:
        place = f"[{quote(details.host, safe=':')}]:{details.port}"
    else:
        place = f"{_encoded(details.host)}:{details.port}"
    if details.sslmode is not None:
        parameters.append(("sslmode", details.sslmode))
    query = "&".join(f"{name}={_encoded(value)}" for name, value in parameters)
    uri = f"postgresql://{_encoded(user)}:{_encoded(password)}@{place}/{_encoded(details.database)}"
    return f"{uri}?{query}" if query else uri


def _encoded(text: str) -> str:
    return quote(text, safe="")
