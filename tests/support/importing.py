"""Files to import, made row by row, and imports of them into the tenant of a world."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.store import as_owner, rows_as_owner
from tests.support.tenant_rows import insert, made_up_row
from tests.support.world import World
from trustpack.capabilities.revops.model import FailedRow, ImportReport
from trustpack.capabilities.revops.rules.lead_file import read_lead_file
from trustpack.capabilities.revops.rules.quote_file import read_quote_file
from trustpack.capabilities.revops.service.importing_leads import import_leads
from trustpack.capabilities.revops.service.importing_quotes import import_quotes

SUBJECT_TABLES = ("leads", "opportunities", "quotes", "quote_revisions", "receipts", "disclosures", "policy_decisions",
                  "usage_events", "log_outbox", "external_ids")  # fmt: skip
"""Every table that an import writes to."""


@dataclass(slots=True)
class Imported:
    """What one import said: counts by outcome, and every row that failed."""

    report: ImportReport
    failed: list[FailedRow] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        return {outcome.value: count for outcome, count in self.report.counts.items() if count}

    @property
    def faults(self) -> list[tuple[int, str | None, str]]:
        return [(fault.line, fault.column, fault.message) for row in self.failed for fault in row.faults]


def lead(number: int, **changes: str) -> dict[str, str]:
    """Return the row of a lead of a company of its own."""
    return {
        "external_id": f"crm-{number}",
        "email": f"jo@company-{number}.example",
        "company": f"Company {number}",
        "segment": "enterprise",
        **changes,
    }


def csv_bytes(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return a CSV file with every column that a row has."""
    several = list(rows)
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in several for name in row)))
    writer.writeheader()
    writer.writerows(several)
    return file.getvalue().encode()


async def take_leads(world: World, *rows: Mapping[str, str], dry_run: bool = False, owner: str | None = None) -> Imported:
    """Import leads."""
    failed: list[FailedRow] = []
    parsed = read_lead_file(io.BytesIO(csv_bytes(rows)))
    report = await import_leads(
        world.container.revops,
        world.tenant_id,
        parsed,
        told=lambda batch: failed.extend(batch.failed_rows),
        owner=owner,
        dry_run=dry_run,
    )
    return Imported(report, failed)


async def take_quotes(world: World, *rows: Mapping[str, str], dry_run: bool = False) -> Imported:
    """Import quotes."""
    failed: list[FailedRow] = []
    parsed = read_quote_file(io.BytesIO(csv_bytes(rows)))
    report = await import_quotes(
        world.container.revops, world.tenant_id, parsed, told=lambda batch: failed.extend(batch.failed_rows), dry_run=dry_run
    )
    return Imported(report, failed)


def sizes(world: World) -> dict[str, int]:
    """Return how many rows the tenant has in every table that an import writes to."""
    return {table: count_of(world, table) for table in SUBJECT_TABLES}


def count_of(world: World, table: str) -> int:
    """Return how many rows the tenant has in a table."""
    query = f"SELECT count(*) AS n FROM trustpack.{table} WHERE tenant_id = %s"
    [row] = rows_as_owner(world.container.settings, query, world.tenant_id)
    return int(row["n"])


@contextmanager
def taking_mailbox(world: World, email_key: str, *, keeps: bool) -> Iterator[None]:
    """Have a transaction open that takes a mailbox, so that whoever wants it waits; at the end it commits if it `keeps` it."""
    with as_owner(world.container.settings) as connection, connection.transaction(force_rollback=not keeps):
        connection.execute("SET LOCAL session_replication_role = replica")  # no trigger asks for what belongs to a lead
        insert(connection, "leads", made_up_row(connection, "leads", world.tenant_id) | {"id": "held", "email_key": email_key})
        yield


def is_held_up(world: World) -> bool:
    """Say whether somebody waits to store a lead."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO trustpack.leads%'"
    return bool(rows_as_owner(world.container.settings, waiting))
