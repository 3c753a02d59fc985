"""Import quotes through the same use case as the API: drafts, priced exactly, owned by whoever owns the opportunity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trustpack.capabilities.revops.model import (
    CORRECT,
    QUOTE_KIND,
    FailedRow,
    ImportedId,
    ImportReport,
    InvalidQuote,
    QuoteRow,
    RowFault,
    RowOutcome,
    UnknownOpportunity,
)
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.importing import (
    Told,
    batch_transaction,
    compare,
    failed,
    importer,
    in_batches,
    require_tenant,
)
from trustpack.capabilities.revops.service.quotes import create_quote
from trustpack.capabilities.revops.store import imports as store
from trustpack.platform.unit_of_work import Transaction

_OTHER_CONTENT = "Change the quote itself (`PATCH /revops/quotes/{id}`), which voids its approvals for all to see."
_TAKEN = "Give the row an external id of its own."
_NO_OPPORTUNITY = "leads to no opportunity"
_UNKNOWN = "Import the lead first, or correct the cell."


@dataclass(frozen=True, slots=True)
class _Targets:
    """The opportunities that the rows of a batch name, by the lead's external id and by the lead's mailbox."""

    by_lead: dict[str, str]
    by_mailbox: dict[str, str]

    def column_and_id(self, row: QuoteRow) -> tuple[str, str | None]:
        if row.lead_external_id is not None:
            return "lead_external_id", self.by_lead.get(row.lead_external_id)
        if row.email_key is not None:
            return "email", self.by_mailbox.get(row.email_key)
        return "opportunity_id", row.opportunity_id


async def import_quotes(
    revops: RevOps,
    tenant_id: str,
    rows: Iterable[QuoteRow | FailedRow],
    *,
    told: Told = lambda _: None,
    dry_run: bool = False,
) -> ImportReport:
    """Write quotes as drafts, in batches, each once per external id; a wrong quote stops no other.

    With `dry_run` everything is done and nothing kept. Raises `UnknownName` for a tenant that does not exist.
    """
    await require_tenant(revops, tenant_id)

    async def take(batch: Sequence[QuoteRow]) -> Sequence[RowOutcome | FailedRow]:
        outcomes: list[RowOutcome | FailedRow] = []
        async with batch_transaction(revops, tenant_id, dry_run=dry_run) as tx:
            outcomes += await _take(tx, batch)
        return outcomes

    return await in_batches(rows, take, told)


async def _take(tx: Transaction, batch: Sequence[QuoteRow]) -> Sequence[RowOutcome | FailedRow]:
    ids = [row.external_id for row in batch]
    known = await store.imported_ids(tx, kind=QUOTE_KIND, external_ids=ids)
    taken = await store.quotes_of_external_ids(tx, ids)
    targets = _Targets(
        await store.opportunities_of_leads(tx, [row.lead_external_id for row in batch if row.lead_external_id is not None]),
        await store.opportunities_of_mailboxes(tx, [row.email_key for row in batch if row.email_key is not None]),
    )
    imported: list[ImportedId] = []
    outcomes: list[RowOutcome | FailedRow] = []
    for row in batch:
        outcome = compare(row, known.get(row.external_id), next_step=_OTHER_CONTENT)
        if outcome is None and row.external_id in taken:
            message = f"is that of {taken[row.external_id]}, which was not imported"
            outcome = failed(row, "external_id", message, _TAKEN, outcome=RowOutcome.CONFLICT)
        if outcome is None:
            found = await _create(tx, row, targets)
            outcome = found if isinstance(found, FailedRow) else RowOutcome.CREATED
            imported += [] if isinstance(found, FailedRow) else [found]
        outcomes.append(outcome)
    await store.insert_imported_ids(tx, kind=QUOTE_KIND, imported=imported)
    return outcomes


async def _create(tx: Transaction, row: QuoteRow, targets: _Targets) -> ImportedId | FailedRow:
    column, opportunity_id = targets.column_and_id(row)
    if opportunity_id is None:
        return failed(row, column, _NO_OPPORTUNITY, _UNKNOWN)
    try:
        quote = await create_quote(
            tx,
            importer(tx.tenant_id),
            opportunity_id=opportunity_id,
            written=row.written,
            title=row.title,
            external_id=row.external_id,
        )
    except UnknownOpportunity:
        return failed(row, column, _NO_OPPORTUNITY, _UNKNOWN)
    except InvalidQuote as error:
        return FailedRow(row.line, row.external_id, tuple(_fault(row, **fault) for fault in error.data["errors"]))
    return ImportedId(row.external_id, quote.id, row.content_digest)


def _fault(row: QuoteRow, *, field: str, message: str) -> RowFault:
    """Return a fault of the terms with the line and the column that it is about: `lines/2/unit_price` is of the third line."""
    match field.split("/"):
        case ["lines", number, column]:
            return RowFault(row.lines[int(number)], column, message, CORRECT)
        case ["lines"]:
            return RowFault(row.line, None, message, CORRECT)
        case _:
            return RowFault(row.line, field, message, CORRECT)
