"""From a CSV file to leads, row by row. Guarantee: pure apart from reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trustpack.capabilities.revops.model import CsvRow, FailedRow, InvalidContact, LeadRow, NewLead
from trustpack.capabilities.revops.rules.cells import EXTERNAL_ID, Cells
from trustpack.capabilities.revops.rules.contacts import new_lead
from trustpack.capabilities.revops.rules.csv_file import Source, open_rows
from trustpack.capabilities.revops.rules.texts import LONGEST_EMAIL, MOST_EMPLOYEES
from trustpack.proof.canonical import digest_of_value

REQUIRED: Final = (EXTERNAL_ID, "email", "company", "segment")
OPTIONAL: Final = ("employees", "region", "source", "owner")


def read_lead_file(source: Source) -> Iterator[LeadRow | FailedRow]:
    """Return the leads of a file as they are asked for. Raises `InvalidImportFile` at once for columns that do not fit.

    Of several rows with one external id the first counts; the others are faults.
    """
    return _leads(open_rows(source, required=REQUIRED, optional=OPTIONAL))


def _leads(rows: Iterator[CsvRow | FailedRow]) -> Iterator[LeadRow | FailedRow]:
    lines: dict[str, int] = {}
    for row in rows:
        if isinstance(row, FailedRow):
            yield row
            continue
        cells = Cells(row)
        external_id = cells.external_id()
        first = lines.setdefault(external_id, row.line)
        if external_id and first != row.line:
            cells.fail(EXTERNAL_ID, f"stands in line {first} already")
        new, owner = _new_lead(cells), cells.name("owner")
        if new is None or cells.faults:
            yield cells.failed()
        else:
            yield LeadRow(row.line, external_id, _digest(new, owner), new, owner)


def _new_lead(cells: Cells) -> NewLead | None:
    email, company, segment = cells.needed("email"), cells.line("company", needed=True), cells.name("segment", needed=True)
    employees = cells.whole("employees", least=0, most=MOST_EMPLOYEES)
    region, source = cells.name("region"), cells.line("source")
    if not email:
        return None
    try:
        return new_lead(
            email=email[: LONGEST_EMAIL + 1],
            company=company or "",
            segment=segment or "",
            employees=employees,
            region=region,
            source=source,
        )
    except InvalidContact as error:
        for fault in error.data["errors"]:
            if cells.has(fault["field"]):
                cells.fail(fault["field"], fault["message"])
        return None


def _digest(new: NewLead, owner: str | None) -> str:
    return digest_of_value(
        {
            "email": new.email_key,
            "company": new.company,
            "segment": new.segment,
            "employees": new.employees,
            "region": new.region,
            "source": new.source,
            "owner": owner,
        }
    )
