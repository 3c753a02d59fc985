"""One transaction per use case, for one tenant: the only place in the product that commits or rolls back.

Source: architecture sections 3 and 7. The statements of a transaction travel in PostgreSQL's pipeline mode: a write is queued
and its failure shows at a later statement, at `flush`, or at the commit; nothing is answered before the commit has succeeded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString, TypeAlias

from psycopg import AsyncConnection, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from trustpack.kernel.clock import Clock
from trustpack.kernel.ids import IdSource

Pool: TypeAlias = AsyncConnectionPool[AsyncConnection[DictRow]]
Parameters: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction of one tenant. `now` is fixed for its whole length, so one transition has one time.

    `answers` are kept by a snapshot alone, where the same question cannot have another answer.
    """

    tenant_id: str
    now: datetime
    ids: IdSource
    connection: AsyncConnection[DictRow]
    answers: dict[Hashable, Sequence[DictRow]] | None = None

    def new_id(self, prefix: str) -> str:
        """Return a fresh id such as `hro_...`."""
        return self.ids.new(prefix)

    async def fetch_one(self, query: LiteralString, parameters: Parameters) -> DictRow | None:
        """Return the first row as a mapping, or None."""
        rows = await self.fetch_all(query, parameters)
        return rows[0] if rows else None

    async def fetch_all(self, query: LiteralString, parameters: Parameters, *, plan_anew: bool = False) -> Sequence[DictRow]:
        """Return every row as a mapping.

        With `plan_anew` the plan is made for these very parameters: one that has to serve for all of them can use no index for
        a filter that may be absent.
        """
        if self.answers is None:
            return await self._ask(query, parameters, plan_anew=plan_anew)
        question = _question(query, parameters)
        if question not in self.answers:
            self.answers[question] = await self._ask(query, parameters, plan_anew=plan_anew)
        return [row.copy() for row in self.answers[question]]  # whoever asks may take the rows apart

    async def write(self, query: LiteralString, parameters: Parameters) -> None:
        """Queue a statement whose result nobody needs; a failure shows at a later statement, at `flush` or at the commit."""
        await self.connection.execute(query, parameters)

    async def flush(self) -> None:
        """Wait until every queued statement has succeeded; raise the error of the first that did not."""
        cursor = await self.connection.execute("SELECT 1")
        await cursor.fetchone()

    async def _ask(self, query: LiteralString, parameters: Parameters, *, plan_anew: bool) -> Sequence[DictRow]:
        cursor = await self.connection.execute(query, parameters, prepare=False if plan_anew else None)
        return await cursor.fetchall()


def _question(query: str, parameters: Parameters) -> Hashable:
    """Return what tells one question from another; by type too: to Python `True` equals 1."""
    values = ((type(value), tuple(value) if isinstance(value, list) else value) for value in parameters.values())
    return (query, *parameters, *values)


class UnitOfWork:
    """Opens transactions on the application's pool."""

    def __init__(self, pool: Pool, *, clock: Clock, ids: IdSource) -> None:
        self._pool = pool
        self._clock = clock
        self._ids = ids

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def ids(self) -> IdSource:
        return self._ids

    async def call(self, query: LiteralString, parameters: Parameters) -> DictRow | None:
        """Call one SQL function that sets the tenant itself, in a statement of its own, and return its first row.

        One round trip where a transaction takes two and four statements; for reads that every request begins with (ADR-0013).
        """
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchone()

    @asynccontextmanager
    async def transaction(
        self, tenant_id: str, *, consistent: bool = False, pipelined: bool = True
    ) -> AsyncIterator[Transaction]:
        """Open a transaction that sees and changes this tenant's rows only; commit at the end, roll back on any exception.

        Row-level security reads `trustpack.tenant`, set here for the length of the transaction. A refused attempt that must
        leave a receipt is returned as a value by the use case and answered by its caller after this block. With `consistent`
        every read sees the same moment; meant for reading only. `COPY` cannot travel in a pipeline, so it needs `pipelined` off.
        """
        async with self._pool.connection() as connection:
            try:
                async with connection.pipeline() if pipelined else nullcontext():
                    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if consistent else "BEGIN")
                    await connection.execute(
                        sql.SQL("SET LOCAL trustpack.tenant = {}").format(sql.Literal(tenant_id)), prepare=False
                    )
                    yield Transaction(tenant_id, self._clock.now(), self._ids, connection)
                    await connection.execute("COMMIT")
            except BaseException:
                if connection.info.transaction_status != TransactionStatus.IDLE and not connection.closed:
                    await connection.rollback()
                raise

    @asynccontextmanager
    async def snapshot(self, tenant_id: str) -> AsyncIterator[Transaction]:
        """Open a transaction for one look: it sees one moment, changes nothing, and sends the same question once.

        So the parts of a page need not hand each other what they have read. Answers are kept until the end: it is not meant for
        going through whole lists.
        """
        async with self.transaction(tenant_id, consistent=True) as tx:
            yield replace(tx, answers={})
