"""Grants on a real PostgreSQL: a role of its own for each, which ends by itself on the target's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, cast

from trustpack.capabilities.operations.adapters.postgres.failures import failed_connection
from trustpack.capabilities.operations.adapters.postgres.revert import RevertRun
from trustpack.capabilities.operations.adapters.postgres.script import LAYOUT, definition_digest
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession, holding_turn, open_session
from trustpack.capabilities.operations.adapters.postgres.statements import grant_statements
from trustpack.capabilities.operations.model import (
    ConnectionDetails,
    GrantOrder,
    LiveGrant,
    RevertOutcome,
    SecretReference,
    TargetDefinition,
    TargetIdentity,
    TargetNotPrepared,
    TargetUnavailable,
)
from trustpack.kernel.ids import IdSource
from trustpack.kernel.json_types import JsonObject
from trustpack.proof.canonical import digest_of_value

_CONCURRENT_CALLS: Final = 16
_CONCURRENT_REVERTS: Final = 8
"""A revert holds two sessions. Together they stay below the service login's limit of 40 (`sql/roles.sql`)."""


class PostgresTargetAdapter:
    """Implements `TargetAdapter` over the schema that `target install` puts into the database.

    `resolve_secret` returns the connection string of the service login; it is called for every session and never kept.
    `ids` gives the random bytes of throw-away passwords.
    """

    def __init__(
        self, *, resolve_secret: Callable[[SecretReference], str], ids: IdSource, connect_timeout_seconds: float = 5.0
    ) -> None:
        self._resolve_secret = resolve_secret
        self._ids = ids
        self._connect_timeout_seconds = connect_timeout_seconds
        self._call_slots = asyncio.Semaphore(_CONCURRENT_CALLS)
        self._revert_slots = asyncio.Semaphore(_CONCURRENT_REVERTS)

    def statements(self, definition: TargetDefinition, order: GrantOrder) -> tuple[str, ...]:
        return grant_statements(definition, order)

    async def identify(self, definition: TargetDefinition) -> TargetIdentity:
        """Raises `TargetNotPrepared` also when the database was prepared for another version of the definition."""
        async with self._call_slots, self._session(definition) as session:
            facts = await session.call("identify")
        if facts["layout"] != LAYOUT or facts["definition_digest"] != definition_digest(definition):
            raise TargetNotPrepared("The target was prepared for another version of this definition, or of trustpack.")
        return TargetIdentity(digest=digest_of_value(facts), facts=facts)

    async def grant(self, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
        async with self._call_slots, self._session(definition) as session:
            report = await session.call(
                "grant_access", order.role_name, order.scope, order.duration_seconds, order.connection_limit
            )
        return _live_grant(report)

    async def set_verifier(self, definition: TargetDefinition, *, role_name: str, password: str) -> ConnectionDetails:
        async with self._call_slots, self._session(definition) as session:
            await session.call("set_verifier", role_name, session.make_verifier(role_name=role_name, password=password))
            info = session.conn.info
            return ConnectionDetails(host=info.host or "localhost", port=info.port, database=info.dbname)

    async def revert(self, definition: TargetDefinition, *, role_name: str) -> RevertOutcome:
        async with (
            self._revert_slots,
            self._session(definition) as waiting,
            holding_turn(waiting, role_name=role_name),
            self._session(definition) as session,
        ):
            run = RevertRun(
                session=session,
                role_name=role_name,
                random_bytes=self._ids.random_bytes,
                open_database=lambda database: self._session(definition, database=database),
            )
            return await run.carry_out()

    async def inventory(self, definition: TargetDefinition) -> JsonObject:
        """Return every temporary role that the target has or should have, sessions without a role, and changed passwords."""
        async with self._call_slots, self._session(definition) as session:
            return await session.call("inventory")

    def _session(
        self, definition: TargetDefinition, *, database: str | None = None
    ) -> AbstractAsyncContextManager[TargetSession]:
        if definition.dsn is None:
            raise TargetUnavailable("The definition names no connection string.", next_step="Add `dsn` to the definition.")
        try:
            dsn = self._resolve_secret(definition.dsn)
        except (OSError, KeyError, ValueError) as error:
            raise failed_connection(error) from None
        return open_session(definition, dsn=dsn, connect_timeout_seconds=self._connect_timeout_seconds, database=database)


def _live_grant(report: JsonObject) -> LiveGrant:
    return LiveGrant(
        role_name=str(report["role_name"]),
        role_ref=str(report["role_oid"]),
        granted_at=datetime.fromisoformat(str(report["granted_at"])),
        expires_at=datetime.fromisoformat(str(report["expires_at"])),
        remaining_seconds=float(cast(float, report["remaining_seconds"])),
        adopted=bool(report["adopted"]),
    )
