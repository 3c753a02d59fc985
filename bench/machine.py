"""What was measured on: processor, memory, disk, and the versions of everything that takes part."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tables import Table

from trustpack.platform.embedded_postgres import Cluster

ROOT: Final = Path(__file__).resolve().parent.parent
POSTGRES_PROGRAMS: Final = Cluster(ROOT).bin_path
PACKAGES: Final = ("fastapi", "pydantic", "uvicorn", "uvloop", "httptools", "psycopg", "psycopg-pool", "wasmtime", "rfc8785")
_GIBIBYTE: Final = 2**30
_FDATASYNC: Final = re.compile(r"fdatasync\s+[0-9.]+ ops/sec\s+([0-9.]+) usecs/op")


def describe_machine(directory: Path) -> Table:
    """Return the machine as a table; the disk is the one under `directory`."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE
    postgres = _said_by(str(POSTGRES_PROGRAMS / "postgres"), "--version").removeprefix("postgres (PostgreSQL) ")
    rows = (
        ("date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("revision", _revision()),
        ("processor", f"{_processor()}, {os.cpu_count()} cores, shared by server, PostgreSQL and load"),
        ("load average before the run", f"{os.getloadavg()[0]:.2f}"),
        ("memory", f"{memory:.0f} GiB"),
        ("disk", f"fdatasync {fdatasync_us(directory)} us (pg_test_fsync)"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("PostgreSQL", f"{postgres}, embedded, with the settings it is shipped with, Unix socket"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)),
    )
    return Table("Machine", ("what", "value"), rows, text_columns=2)


def fdatasync_us(directory: Path) -> str:
    """Return how long one fdatasync takes on the disk under a directory, in microseconds."""
    file = directory / "fsync-test"
    command = (str(POSTGRES_PROGRAMS / "pg_test_fsync"), "-s", "1", "-f", str(file))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None  # it is a pipe
        # The program goes on to methods that nobody uses; it is stopped as soon as it has said what is wanted.
        found = next((match[1] for line in process.stdout if (match := _FDATASYNC.search(line))), None)
        process.terminate()
    file.unlink(missing_ok=True)
    return f"{float(found):.0f}" if found is not None else "(unknown)"


def _processor() -> str:
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", information, re.MULTILINE)
    return model[1] if model else platform.processor()


def _revision() -> str:
    revision = _said_by("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    changed = _said_by("git", "-C", str(ROOT), "status", "--porcelain", "--", "src", "policies")
    return f"{revision or '(none)'}{' with changes in src' if changed else ''}"


def _said_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
