"""What every import does: rows in batches, each batch one transaction, so that a killed import goes on where it stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from typing import Final, NoReturn, TypeVar

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import (
    FailedRow,
    ImportedId,
    ImportReport,
    LeadRow,
    QuoteRow,
    RowFault,
    RowOutcome,
)
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.store import imports as store
from trustpack.kernel.actor import Actor, Role, system_actor
from trustpack.platform.unit_of_work import Transaction

BATCH_ROWS: Final = 200
"""Rows of one transaction: long enough to pay for its commit, short enough that a post of the same lead waits under a second."""
Row = TypeVar("Row", LeadRow, QuoteRow)
Told = Callable[[ImportReport], None]
"""Hears of every batch once it is committed."""


class _NothingIsKept(Exception):
    """A dry run ends here: the transaction is rolled back."""


def _roll_back() -> NoReturn:
    raise _NothingIsKept


def importer(tenant_id: str) -> Actor:
    """Return who imports: the operator at the command line, who brings in and reads what an administrator may."""
    return replace(system_actor(tenant_id, "operator"), roles=frozenset({Role.ADMIN}))


async def in_batches(
    rows: Iterable[Row | FailedRow], take: Callable[[Sequence[Row]], Awaitable[Sequence[RowOutcome | FailedRow]]], told: Told
) -> ImportReport:
    """Take rows a batch at a time, tell of each batch, and return the counts of all. Only one batch is in memory."""
    counts: Counter[RowOutcome] = Counter()
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH_ROWS)):
        found: list[RowOutcome | FailedRow] = [row for row in batch if isinstance(row, FailedRow)]
        readable: list[Row] = [row for row in batch if not isinstance(row, FailedRow)]
        if readable:
            found += await take(readable)
        failed = sorted((row for row in found if isinstance(row, FailedRow)), key=lambda row: row.line)
        of_batch = Counter(row.outcome if isinstance(row, FailedRow) else row for row in found)
        counts += of_batch
        told(ImportReport(of_batch, tuple(failed)))
    return ImportReport(counts)


@asynccontextmanager
async def batch_transaction(revops: RevOps, tenant_id: str, *, dry_run: bool) -> AsyncIterator[Transaction]:
    """Open the transaction of one batch, one import of a tenant at a time; with `dry_run` do everything and keep nothing."""
    try:
        async with revops.unit_of_work.transaction(tenant_id) as tx:
            await store.lock_imports(tx)
            yield tx
            if dry_run:
                await tx.flush()
                _roll_back()
    except _NothingIsKept:
        return


async def require_tenant(revops: RevOps, tenant_id: str) -> None:
    """Raise `UnknownName` for a tenant that does not exist, before anything is read."""
    async with revops.unit_of_work.transaction(tenant_id) as tx:
        await directory.require_tenant(tx)


def compare(row: LeadRow | QuoteRow, known: ImportedId | None, *, next_step: str) -> RowOutcome | FailedRow | None:
    """Say what a row is to what was imported under its external id: the same, something else, or None for nothing yet."""
    if known is None:
        return None
    if known.content_digest == row.content_digest:
        return RowOutcome.UNCHANGED
    message = f"was imported with other content as {known.subject_id}, which stays as it is"
    return failed(row, "external_id", message, next_step, outcome=RowOutcome.CONFLICT)


def failed(
    row: LeadRow | QuoteRow, column: str | None, message: str, next_step: str, *, outcome: RowOutcome = RowOutcome.FAILED
) -> FailedRow:
    """Return a row with the one thing that is wrong about it."""
    return FailedRow(row.line, row.external_id, (RowFault(row.line, column, message, next_step),), outcome)
