"""Measure this machine: `make bench`. With `--write`, keep the results in `bench/RESULTS.md`.

    python bench/run.py [--seconds 8] [--only decisions transitions profile] [--places 20] [--write]

Everything runs on a fresh temporary data directory with an embedded PostgreSQL of its own.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench_tenant import seed_store
from machine import ROOT, describe_machine
from policy_latency import measure_decisions
from tables import Table
from time_shares import measure_shares
from transitions import TransitionBench

from trustpack.app.local_store import running_store
from trustpack.platform.settings import Settings

RESULTS: Final = ROOT / "bench" / "RESULTS.md"
PARTS: Final = ("decisions", "transitions", "profile")
_DECISIONS_PER_SECOND: Final = 400


def measure(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    """Yield each table as soon as it is measured."""
    yield describe_machine(directory)
    if "decisions" in options.only:
        yield measure_decisions(number=round(options.seconds * _DECISIONS_PER_SECOND), warm_up=_DECISIONS_PER_SECOND)
    if not {"transitions", "profile"} & set(options.only):
        return
    settings = Settings(data_dir=directory, database_url=None, app_database_url=None, log_level="warning")
    with running_store(settings, with_target=False):
        tenant = seed_store(settings)
        if "transitions" in options.only:
            yield from TransitionBench(settings, tenant, options.seconds).measure()
        if "profile" in options.only:
            yield measure_shares(settings, tenant, seconds=options.seconds, places=options.places)


def main() -> None:
    """Measure, print, and keep the results if asked to."""
    parser = argparse.ArgumentParser(description="Measure this machine.")
    parser.add_argument("--seconds", type=float, default=8, help="length of one measurement")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these parts alone")
    parser.add_argument("--places", type=int, default=0, help="show this many functions in the profile")
    parser.add_argument("--write", action="store_true", help=f"keep the results in {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="trustpack-bench-"))
    tables = []
    try:
        for table in measure(options, directory):
            print(table.as_text(), flush=True)
            tables.append(table)
    finally:
        shutil.rmtree(directory)
    if options.write:
        page = (
            "# Measured",
            "",
            "Made by `make bench` with `--write`; only numbers of one run on one machine are comparable.",
            "",
        )
        RESULTS.write_text("\n".join((*page, *(table.as_markdown() for table in tables))), encoding="utf-8")


if __name__ == "__main__":
    main()
