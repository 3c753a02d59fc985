"""Grants on a real PostgreSQL: a role of its own for each, which ends by itself on the target's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, cast
from weakref import WeakValueDictionary

import structlog
from psycopg import AsyncConnection

from trustpack.capabilities.operations.adapters.postgres.accesses import read_accesses
from trustpack.capabilities.operations.adapters.postgres.failures import failed_connection
from trustpack.capabilities.operations.adapters.postgres.identity import read_identity, reason_to_keep_off, require_system
from trustpack.capabilities.operations.adapters.postgres.idle_sessions import IdleSessions, SessionKey
from trustpack.capabilities.operations.adapters.postgres.reconcile import read_inventory, repair
from trustpack.capabilities.operations.adapters.postgres.revert import RevertRun
from trustpack.capabilities.operations.adapters.postgres.script import LAYOUT, definition_digest
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession, holding_turn, new_session, open_session
from trustpack.capabilities.operations.adapters.postgres.statements import grant_statements
from trustpack.capabilities.operations.model import (
    AccessRecord,
    ConnectionDetails,
    GrantMark,
    GrantOrder,
    LiveGrant,
    RevertOutcome,
    SecretReference,
    TargetDefinition,
    TargetIdentity,
    TargetNotPrepared,
    TargetUnavailable,
)
from trustpack.capabilities.operations.model.drift import Drift, TargetInventory
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.ids import IdSource
from trustpack.kernel.json_types import JsonObject

_log = structlog.get_logger(__name__)
_CONCURRENT_CALLS: Final = 16
_CONCURRENT_REVERTS: Final = 8
"""A revert holds two sessions. Together they stay below the service login's limit of 40 (`sql/roles.sql`)."""
_VERIFIED: Final = frozenset({"verify-ca", "verify-full"})


@dataclass(eq=False, slots=True, weakref_slot=True)
class _Slots:
    """How many calls one target may have under way, so that a slow target holds up only its own.

    A comparison has one place of its own: those of many tenants on a target that hangs take none of a grant's.
    """

    calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONCURRENT_CALLS))
    reverts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONCURRENT_REVERTS))
    comparisons: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


class PostgresTargetAdapter:
    """Implements `TargetAdapter` over the schema that `target install` puts into the database.

    `resolve_secret` returns the connection string of the service login; it is called for every use of a session and never kept.
    `ids` gives the random bytes of throw-away passwords; `issuer` is the id of the store on whose behalf grants are made. A
    session may be used again within `idle_session_seconds`; whoever asks for more than 0 ends with `aclose`.
    """

    def __init__(
        self,
        *,
        resolve_secret: Callable[[SecretReference], str],
        ids: IdSource,
        issuer: str,
        connect_timeout_seconds: float = 5.0,
        idle_session_seconds: float = 0.0,
    ) -> None:
        self._resolve_secret = resolve_secret
        self._ids = ids
        self._issuer = issuer
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle_sessions = IdleSessions(idle_seconds=idle_session_seconds)
        # Slots stay for as long as somebody holds or awaits one.
        self._slots: WeakValueDictionary[tuple[str, SecretReference | None], _Slots] = WeakValueDictionary()

    async def aclose(self) -> None:
        """End every idle session; one that is in use ends with its use."""
        self._idle_sessions.close()

    def statements(self, definition: TargetDefinition, order: GrantOrder) -> tuple[str, ...]:
        return grant_statements(definition, order)

    async def identify(self, definition: TargetDefinition) -> TargetIdentity:
        """Raises `TargetNotPrepared` also when the database was prepared for another version of the definition."""
        slots = self._slots_of(definition)
        async with slots.calls, self._session(definition) as session:
            identity = await read_identity(session)
        facts = identity.facts
        if facts["layout"] != LAYOUT or facts["definition_digest"] != definition_digest(definition):
            raise TargetNotPrepared("The target was prepared for another version of this definition, or of trustpack.")
        return identity

    async def grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        """A grant that is there already is adopted even where the installation was altered since: it was made before that.

        The system is compared first; the function that makes the role compares the installation once more.
        """
        slots = self._slots_of(definition)
        async with slots.calls, self._session(definition) as session:
            identity = await read_identity(session)
            approved = identity.facts["installation_digest"] if identity.digest == order.identity_digest else None
            report = await session.call(
                "grant_access",
                order.role_name,
                order.scope,
                order.duration_seconds,
                order.connection_limit,
                approved,
                self._issuer,
            )
        return _live_grant(report)

    async def set_verifier(
        self, definition: TargetDefinition, grant: GrantMark, *, password: str, generation: int
    ) -> ConnectionDetails:
        slots = self._slots_of(definition)
        async with slots.calls, self._session(definition) as session:
            await require_system(session, grant.system)
            verifier = session.make_verifier(role_name=grant.role_name, password=password)
            await session.call("set_verifier", grant.role_name, verifier, generation)
            return _connection_details(definition, session.conn)

    async def revert(self, definition: TargetDefinition, grant: GrantMark) -> RevertOutcome:
        slots = self._slots_of(definition)
        async with slots.reverts, self._session(definition) as waiting:
            stop = await reason_to_keep_off(waiting, grant)
            return stop or await self._revert(definition, grant, waiting=waiting)

    async def _revert(self, definition: TargetDefinition, grant: GrantMark, *, waiting: TargetSession) -> RevertOutcome:
        async with holding_turn(waiting, role_name=grant.role_name), self._session(definition) as session:
            # The secret was read anew, and a name can lead elsewhere the second time.
            stop = await reason_to_keep_off(session, grant)
            if stop is not None:
                return stop
            run = RevertRun(
                session=session,
                grant=grant,
                random_bytes=self._ids.random_bytes,
                open_database=lambda database: self._session(definition, database=database),
            )
            outcome = await run.carry_out()
            # Last, when nothing can be in flight any more: rows and counter outlive the role, and so the record can neither
            # hold up the revert nor be lost with a crash.
            return replace(outcome, accesses=await self._accesses(definition, grant, session)) if outcome.proven else outcome

    async def _accesses(self, definition: TargetDefinition, grant: GrantMark, session: TargetSession) -> AccessRecord:
        """Read the record of a grant that is gone, with a second try on a new session: this one may have broken meanwhile."""
        try:
            return await read_accesses(session, role_name=grant.role_name)
        except Exception as error:  # noqa: BLE001 - whatever it was is told where the second try fails too
            _log.warning("access_record_not_read", role_name=grant.role_name, reason=type(error).__name__)
        try:
            async with self._session(definition) as another:
                await require_system(another, grant.system)
                return await read_accesses(another, role_name=grant.role_name)
        except TrustpackError as error:
            _log.error("access_record_unavailable", role_name=grant.role_name, code=error.code, detail=error.detail)
            return AccessRecord(mode=definition.record, unavailable=f"{error.code}: {error.detail}")
        except Exception as error:  # noqa: BLE001 - no fault of the record may keep an ended access from being called ended
            _log.exception("access_record_crashed", role_name=grant.role_name)
            return AccessRecord(mode=definition.record, unavailable=type(error).__name__)

    async def inventory(self, definition: TargetDefinition) -> TargetInventory:
        async with self._comparing(definition) as session:
            return await read_inventory(session)

    async def repair(self, definition: TargetDefinition, drift: Drift, *, system: str) -> tuple[str, ...]:
        async with self._comparing(definition) as session:
            return await repair(session, drift, system=system)

    async def prune(self, definition: TargetDefinition, *, system: str) -> None:
        async with self._comparing(definition) as session:
            await require_system(session, system)
            await session.call("prune_accesses")

    @asynccontextmanager
    async def _comparing(self, definition: TargetDefinition) -> AsyncIterator[TargetSession]:
        """Open a session in the place of comparisons; who waits for it as long as for a connection comes back in a minute."""
        slots = self._slots_of(definition)
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                await slots.comparisons.acquire()
        except TimeoutError:
            raise TargetUnavailable("The target is slow, and another comparison waits for it.") from None
        try:
            async with self._session(definition) as session:
                yield session
        finally:
            slots.comparisons.release()

    def _slots_of(self, definition: TargetDefinition) -> _Slots:
        return self._slots.setdefault((definition.name, definition.dsn), _Slots())

    def _session(
        self, definition: TargetDefinition, *, database: str | None = None
    ) -> AbstractAsyncContextManager[TargetSession]:
        """Open or reuse a session. One in another database is never kept: it would come on top of the login's limit."""
        if definition.dsn is None:
            raise TargetUnavailable("The definition names no connection string.", next_step="Add `dsn` to the definition.")
        try:
            dsn = self._resolve_secret(definition.dsn)
        except (OSError, KeyError, ValueError) as error:
            raise failed_connection(error) from None
        timeout_seconds = self._connect_timeout_seconds
        if database is not None:
            return open_session(definition, dsn=dsn, connect_timeout_seconds=timeout_seconds, database=database)
        return self._idle_sessions.session(
            SessionKey.of(definition.name, dsn=dsn),
            partial(new_session, definition, dsn=dsn, connect_timeout_seconds=timeout_seconds),
        )


def _connection_details(definition: TargetDefinition, conn: AsyncConnection[Any]) -> ConnectionDetails:
    """Return where the session went, unless grantees are to go elsewhere, and how strictly it knows the server."""
    info = conn.info
    sslmode = info.get_parameters().get("sslmode", "prefer")
    return ConnectionDetails(
        host=definition.public_host or info.host or "localhost",
        port=definition.public_port or info.port,
        database=info.dbname,
        sslmode=None if not conn.pgconn.ssl_in_use else sslmode if sslmode in _VERIFIED else "require",
    )


def _live_grant(report: JsonObject) -> LiveGrant:
    return LiveGrant(
        role_name=str(report["role_name"]),
        role_ref=str(report["role_oid"]),
        granted_at=datetime.fromisoformat(str(report["granted_at"])),
        expires_at=datetime.fromisoformat(str(report["expires_at"])),
        remaining_seconds=float(cast(float, report["remaining_seconds"])),
        adopted=bool(report["adopted"]),
    )
