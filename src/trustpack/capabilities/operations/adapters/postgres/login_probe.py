"""One login attempt that says exactly why it was refused.

libpq gives a failed login no SQLSTATE, only a sentence in the server's language, and it hides whether the password was accepted
before the refusal. That order is the proof: a wrong password proves nothing, whereas `AuthenticationOk` followed by SQLSTATE
28000 can only mean that the role itself may not log in. Source: PostgreSQL "Message Flow: Start-up"; RFC 5802, RFC 7677.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Final

from psycopg import AsyncConnection

from trustpack.kernel.json_types import JsonObject

ROLE_MAY_NOT_LOG_IN: Final = "28000"
NOT_AUTHENTICATED: Final = "28P01"

_PROTOCOL: Final = 3 << 16
_TLS_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_LONGEST_MESSAGE: Final = 65_536
_LENGTH_BYTES: Final = 4
_ENDING_SECONDS: Final = 1.0
_SASL: Final = b"SCRAM-SHA-256"
_NO_CHANNEL_BINDING: Final = b"n,,"
_NONCE_BYTES: Final = 18


class _Request(IntEnum):
    """What an authentication message of the server says."""

    OK = 0
    CLEARTEXT_PASSWORD = 3
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12


class ProbeFailed(Exception):
    """The server spoke in a way that this probe does not understand, so that it proves nothing."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a session really went: one of several hosts of a connection string, with or without TLS."""

    host: str
    port: int
    database: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, conn: AsyncConnection[Any]) -> ServerAddress:
        """Return the address of an open session, so that a probe meets the same server."""
        parameters = conn.info.get_parameters()
        tls = _tls_context(parameters) if conn.pgconn.ssl_in_use else None
        return cls(host=conn.info.host or "localhost", port=conn.info.port, database=conn.info.dbname, tls=tls)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """How a login went. `routine` is the server function that refused; unlike the message it is never translated."""

    method: str
    password_accepted: bool
    let_in: bool
    sqlstate: str | None = None
    routine: str | None = None
    message: str | None = None

    @property
    def shows_nologin(self) -> bool:
        """The password was right and the login was refused all the same: the role may not log in."""
        return self.password_accepted and not self.let_in and self.sqlstate == ROLE_MAY_NOT_LOG_IN

    @property
    def shows_absence(self) -> bool:
        """The login was refused as that of a role that does not exist is."""
        return not self.let_in and self.sqlstate in {NOT_AUTHENTICATED, ROLE_MAY_NOT_LOG_IN}

    def as_document(self) -> JsonObject:
        return asdict(self)


async def attempt_login(
    address: ServerAddress, *, user: str, password: str, random_bytes: Callable[[int], bytes]
) -> LoginAttempt:
    """Try to log in and leave at once; return when the server has ended the attempt, or a second later.

    The password is plain ASCII.
    Raises `OSError` (also as `asyncio.IncompleteReadError`'s `EOFError`) when the server is gone, `ProbeFailed`.
    """
    exchange = _ScramExchange(password=password, nonce=random_bytes(_NONCE_BYTES))
    reader, writer = await _open(address)
    try:
        writer.write(_startup(user=user, database=address.database))
        attempt = await _converse(reader, writer, password=password, exchange=exchange)
        await _see_it_end(reader)
        return attempt
    finally:
        writer.close()


async def _see_it_end(reader: asyncio.StreamReader) -> None:
    # The process that refused counts as a session of the role until it is gone. A proxy may never say that it is.
    with suppress(OSError):
        async with asyncio.timeout(_ENDING_SECONDS):
            while await reader.read(_LONGEST_MESSAGE):
                pass


async def _open(address: ServerAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.host.startswith("/"):
        return await asyncio.open_unix_connection(f"{address.host}/.s.PGSQL.{address.port}")
    reader, writer = await asyncio.open_connection(address.host, address.port)
    if address.tls is not None:
        writer.write(_TLS_REQUEST)
        if await reader.readexactly(1) != b"S":
            writer.close()
            raise ProbeFailed("the server no longer offers TLS")
        await writer.start_tls(address.tls, server_hostname=address.host)
    return reader, writer


def _tls_context(parameters: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context as strict as the session's own. What is unverified here is made up for by SCRAM's server signature."""
    mode = parameters.get("sslmode", "prefer")
    root = parameters.get("sslrootcert")
    context = ssl.create_default_context(cafile=root if root not in {None, "system"} else None)
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if mode in {"verify-ca", "verify-full"} else ssl.CERT_NONE
    return context


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, password: str, exchange: _ScramExchange
) -> LoginAttempt:
    attempt = LoginAttempt(method="trust", password_accepted=False, let_in=False)
    while True:
        kind, body = await _receive(reader)
        match kind:
            case b"E":
                fields = _error_fields(body)
                return replace(attempt, sqlstate=fields.get("C"), routine=fields.get("R"), message=fields.get("M"))
            case b"Z":
                writer.write(b"X" + struct.pack("!i", _LENGTH_BYTES))
                return replace(attempt, let_in=True)
            case b"R":
                attempt = _authenticate(writer, body, exchange=exchange, password=password, attempt=attempt)
            case _:
                continue


def _authenticate(
    writer: asyncio.StreamWriter, body: bytes, *, exchange: _ScramExchange, password: str, attempt: LoginAttempt
) -> LoginAttempt:
    (request,), data = struct.unpack_from("!i", body), body[4:]
    match request:
        case _Request.OK:
            return replace(attempt, password_accepted=True)
        case _Request.CLEARTEXT_PASSWORD:
            _send_password(writer, password.encode() + b"\0")
            return replace(attempt, method="password")
        case _Request.SASL if _SASL in data.split(b"\0"):
            first = exchange.first()
            _send_password(writer, _SASL + b"\0" + struct.pack("!i", len(first)) + first)
            return replace(attempt, method="scram-sha-256")
        case _Request.SASL_CONTINUE:
            _send_password(writer, exchange.final(data))
        case _Request.SASL_FINAL:
            exchange.check_server(data)
        case _:
            raise ProbeFailed(f"the server asks for a kind of authentication that has no password (request {request})")
    return attempt


class _ScramExchange:
    """The client's side of SCRAM-SHA-256 without channel binding (RFC 5802 section 3)."""

    def __init__(self, *, password: str, nonce: bytes) -> None:
        self._password = password.encode()
        self._bare = b"n=,r=" + base64.b64encode(nonce)
        self._server_signature = b""

    def first(self) -> bytes:
        return _NO_CHANNEL_BINDING + self._bare

    def final(self, challenge: bytes) -> bytes:
        """Return the proof of the password for the server's challenge."""
        try:
            parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
            nonce, salt, iterations = parts[b"r"], base64.b64decode(parts[b"s"]), int(parts[b"i"])
        except (KeyError, ValueError) as error:
            raise ProbeFailed("the server's SCRAM challenge cannot be read") from error
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        unproven = b"c=" + base64.b64encode(_NO_CHANNEL_BINDING) + b",r=" + nonce
        message = b",".join((self._bare, challenge, unproven))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return unproven + b",p=" + base64.b64encode(proof)

    def check_server(self, final: bytes) -> None:
        """Make sure that the server knows the verifier that was set: nobody in between made its answer up."""
        if not hmac.compare_digest(final, b"v=" + base64.b64encode(self._server_signature)):
            raise ProbeFailed("the server's SCRAM signature is wrong")


def _startup(*, user: str, database: str) -> bytes:
    pairs = {"user": user, "database": database, "application_name": "trustpack-login-probe"}
    body = struct.pack("!i", _PROTOCOL) + b"".join(f"{key}\0{value}\0".encode() for key, value in pairs.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _send_password(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"p" + struct.pack("!i", len(data) + 4) + data)


async def _receive(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    header = await reader.readexactly(5)
    (length,) = struct.unpack_from("!i", header, 1)
    if not _LENGTH_BYTES <= length <= _LONGEST_MESSAGE:
        raise ProbeFailed("the server's answer cannot be read")
    return header[:1], await reader.readexactly(length - _LENGTH_BYTES)


def _error_fields(body: bytes) -> dict[str, str]:
    return {field[:1].decode("latin-1"): field[1:].decode("utf-8", "replace") for field in body.split(b"\0") if field}
