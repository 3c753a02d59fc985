"""A session of the service login on a target, and calls of the functions installed there."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final, cast

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from trustpack.capabilities.operations.adapters.postgres.failures import failed_call, failed_connection
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.model import TargetDefinition
from trustpack.kernel.json_types import JsonObject

APPLICATION_NAME: Final = "trustpack"
_STATEMENT_SECONDS: Final = 30
"""Longer than any lock wait or kill inside the functions; the server gives up first, so that its answer is known."""
_ANSWER_SECONDS: Final = _STATEMENT_SECONDS + 5
_LOCK_SECONDS: Final = 8
"""How long a function without a limit of its own waits, such as behind a table that its owner is altering."""
_TURN_SECONDS: Final = 120
"""How long a revert whose machine vanished can keep others of the same role out."""
_FULL: Final = ("too many connections for", "too many clients already", "remaining connection slots are reserved")
"""How a server says that it has no place for a session; libpq hands on the words of a refused login, not their SQLSTATE.

The words are English only: a server that speaks another language (`lc_messages`) is not asked again.
"""
_FULL_PAUSE_SECONDS: Final = 0.05
_SETTINGS: Final = sql.SQL(
    "select pg_catalog.set_config('statement_timeout', {}, false), pg_catalog.set_config('lock_timeout', {}, false),"
    " pg_catalog.set_config('idle_in_transaction_session_timeout', {}, false)"
).format(sql.Literal(f"{_STATEMENT_SECONDS}s"), sql.Literal(f"{_LOCK_SECONDS}s"), sql.Literal(f"{_TURN_SECONDS}s"))
_RENEWAL: Final = sql.SQL(
    "close all; set session authorization default; reset all; deallocate all; unlisten *;"
    " select pg_catalog.pg_advisory_unlock_all(); discard temp; discard sequences; {};"
    " select from pg_catalog.pg_roles where rolname = session_user and rolcanlogin"
).format(_SETTINGS)
"""`DISCARD ALL` without its loss of cached plans, and a row only where the login is still there and may still log in."""


class TargetSession:
    """One open session on one target. Every failure leaves it as a named error (`failures`)."""

    def __init__(self, conn: AsyncConnection[Any], definition: TargetDefinition) -> None:
        self.conn = conn
        self._api = installed_names(definition.name).api

    @property
    def is_at_rest(self) -> bool:
        """Whether the connection stands, outside any transaction and with nothing under way."""
        return self.conn.info.transaction_status == TransactionStatus.IDLE

    async def call(self, function: str, *arguments: object) -> JsonObject:
        """Execute an installed function; return its answer. Raises `TargetUnavailable`, `TargetRefused`, `TargetNotPrepared`."""
        placeholders = sql.SQL(", ").join(sql.Placeholder() * len(arguments))
        query = sql.SQL("select {}({})").format(sql.Identifier(self._api, function), placeholders)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                cursor = await self.conn.execute(query, arguments)
                row = await cursor.fetchone()
        except (psycopg.Error, OSError) as error:
            # `from None`: the original's text can repeat a statement with a verifier.
            raise failed_call(error) from None
        return cast(JsonObject, row[0]) if row is not None else {}

    def make_verifier(self, *, role_name: str, password: str) -> str:
        """Return the SCRAM-SHA-256 verifier of a password, made by libpq in this process."""
        return self.conn.pgconn.encrypt_password(password.encode(), role_name.encode(), b"scram-sha-256").decode()

    async def renew(self) -> bool:
        """Put the session into the state of a new one; say whether the login could still open one. Raises `psycopg.Error`."""
        cursor = await self.conn.execute(_RENEWAL)
        while cursor.nextset():
            pass
        return cursor.rowcount == 1

    def end(self) -> None:
        """Close the connection without waiting, so that a timer can do it too."""
        self.conn.pgconn.finish()


@asynccontextmanager
async def open_session(
    definition: TargetDefinition, *, dsn: str, connect_timeout_seconds: float, database: str | None = None
) -> AsyncIterator[TargetSession]:
    """Open a session for the length of a block. Raises as `new_session` does."""
    session = await new_session(definition, dsn=dsn, connect_timeout_seconds=connect_timeout_seconds, database=database)
    try:
        yield session
    finally:
        session.end()


async def new_session(
    definition: TargetDefinition, *, dsn: str, connect_timeout_seconds: float, database: str | None = None
) -> TargetSession:
    """Open a session, each statement its own transaction; `database` replaces the one of the connection string.

    A server without a place for it is asked again until the time is over: several processes share the login's limit.
    The caller ends it. Raises `TargetUnavailable`.
    """
    replaced = {} if database is None else {"dbname": database}
    try:
        # libpq counts whole seconds per host, and takes 1 for 2; ours is the limit that was asked for.
        conninfo = make_conninfo(
            dsn,
            **replaced,
            connect_timeout=math.ceil(connect_timeout_seconds),
            application_name=APPLICATION_NAME,
            client_encoding="UTF8",  # a database in another encoding answers in it otherwise
        )
        return TargetSession(await _connect_where_there_is_place(conninfo, seconds=connect_timeout_seconds), definition)
    except (psycopg.Error, OSError) as error:
        raise failed_connection(error) from None


async def _connect_where_there_is_place(conninfo: str, *, seconds: float) -> AsyncConnection[Any]:
    full: psycopg.OperationalError | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await _connect(conninfo)
                except psycopg.OperationalError as error:
                    if not any(words in str(error) for words in _FULL):
                        raise
                    full = error
                await asyncio.sleep(_FULL_PAUSE_SECONDS)
    except TimeoutError as too_late:
        raise full or too_late from None


async def _connect(conninfo: str) -> AsyncConnection[Any]:
    conn = await AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)
    with ExitStack() as unless_ready:
        unless_ready.callback(conn.pgconn.finish)
        await conn.execute(_SETTINGS)
        unless_ready.pop_all()
    return conn


@asynccontextmanager
async def holding_turn(session: TargetSession, *, role_name: str) -> AsyncIterator[None]:
    """Keep other reverts of the role out, on whatever machine they run; a crash of ours lets them in again.

    Raises `TargetUnavailable` when another revert holds the turn for too long.
    """
    try:
        async with session.conn.transaction():
            await session.call("take_turn", role_name)
            yield
    except psycopg.Error as error:
        raise failed_call(error) from None
