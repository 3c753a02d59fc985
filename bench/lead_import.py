"""Importing leads from a file, the way an operator does it: `trustpack revops import leads`, as a process of its own."""

from __future__ import annotations

import csv
import os
import subprocess
import time
from pathlib import Path
from typing import Final

from selling_tenant import NEWCOMER, TENANT
from server_process import SERVE
from store_counts import as_superuser, settle_store
from tables import Table

from trustpack.platform.settings import Settings

_COLUMNS: Final = ("external_id", "email", "company", "segment", "employees", "region")
_SEGMENTS: Final = ("enterprise", "mid_market")
_NOTES: Final = (
    "Each row is a lead of a company of its own: routed by policy, with its decision, opportunity, receipts and usage stored.",
    "The start of the process is within the time. The second run brings the same file again: nothing is stored.",
)


def measure_lead_import(settings: Settings, *, rows: int) -> Table:
    """Import a file of so many leads twice, and return how long each run took."""
    file = settings.data_dir / "leads.csv"
    _write_leads(file, rows)
    settle_store(settings)
    measured = []
    for what, expected in (("new", rows), ("the same again", 0)):
        before = _count_leads(settings)
        started = time.monotonic()
        _import(settings, file)
        seconds = time.monotonic() - started
        stored = _count_leads(settings) - before
        if stored != expected:
            raise SystemExit(f"the import was to store {expected} leads, but it stored {stored}")
        measured.append((what, f"{rows:,}", f"{seconds:.1f}", f"{rows / seconds:.0f}"))
    return Table("Importing leads", ("file", "rows", "seconds", "rows per second"), tuple(measured), _NOTES)


def _write_leads(file: Path, rows: int) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(_COLUMNS)
        for number in range(rows):
            segment = _SEGMENTS[number % len(_SEGMENTS)]
            writer.writerow((f"crm-{number}", f"jo@company-{number}.example", f"Company {number}", segment, 100 + number, "emea"))


def _import(settings: Settings, file: Path) -> None:
    environment = {**os.environ, "TRUSTPACK_DATA_DIR": str(settings.data_dir), "TRUSTPACK_LOG_LEVEL": settings.log_level}
    command = (*SERVE, "revops", "import", "leads", str(file), "--tenant", TENANT, "--owner", NEWCOMER)
    subprocess.run(command, env=environment, cwd=settings.data_dir, stdout=subprocess.DEVNULL, check=True)


def _count_leads(settings: Settings) -> int:
    with as_superuser(settings) as connection:
        row = connection.execute(
            "SELECT count(*) FROM trustpack.leads WHERE tenant_id = %(tenant)s", {"tenant": TENANT}
        ).fetchone()
    assert row is not None  # a count
    return int(row[0])
