"""Measure this machine: `make bench`. With `--write`, keep the results in `bench/RESULTS.md`; those of `--only` are added there.

    python bench/run.py [--seconds 8] [--scale 1] [--only decisions transitions revert ...] [--places 20] [--write]

Every part runs on a fresh temporary data directory with an embedded PostgreSQL of its own, and the parts about targets on real
targets beside it. `--scale 0.05` tries everything out with a twentieth of the grants and requests.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench_tenant import BenchTenant, seed_store
from console_tenant import counts_of_store, enter_console
from deal_reads import measure_deal_reads
from in_chromium import measure_in_chromium
from lateness import measure_lateness
from lead_import import measure_lead_import
from live_grants import measure_live_grants
from machine import ROOT, describe_machine
from pages import measure_pages
from policy_latency import measure_decisions
from revert_latency import measure_reverts
from selling_tenant import fill_selling_tenant
from server_memory import measure_memory
from store_size import StoreSizeBench
from submitting import measure_submissions
from tables import Table
from time_shares import measure_shares
from transitions import TransitionBench

from trustpack.app.local_store import running_store
from trustpack.platform.settings import Settings

RESULTS: Final = ROOT / "bench" / "RESULTS.md"
_DECISIONS_PER_SECOND: Final = 400
_REVERTED_GRANTS: Final = 200
_ENDING_GRANTS: Final = 1000
_LIVE_GRANTS: Final = 3000
_SENT_REQUESTS: Final = 50_000
_STORED_REQUESTS: Final = 100_000
_SUBMITTED_QUOTES: Final = 600
_QUOTES_BESIDE_SUBMITTED: Final = 5000
_STORED_QUOTES: Final = 200_000
_FILLING_NOTES: Final = (
    "The aim is 120 s. What bounds it is processor time.",
    "Every copied row is held to every check of the product's own writes.",
)
_IMPORTED_LEADS: Final = 10_000
_APPROVALS: Final = 20
_FEWEST: Final = 10


def _decisions(options: argparse.Namespace, _: Path) -> Iterator[Table]:
    yield measure_decisions(number=round(options.seconds * _DECISIONS_PER_SECOND), warm_up=_DECISIONS_PER_SECOND)


def _transitions(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, tenant):
        yield from TransitionBench(settings, tenant, options.seconds).measure()


def _profile(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, tenant):
        yield measure_shares(settings, tenant, seconds=options.seconds, places=options.places)


def _reverts(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, tenant):
        yield measure_reverts(settings, tenant, grants=_scaled(_REVERTED_GRANTS, options))


def _lateness(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, tenant):
        yield measure_lateness(settings, tenant, grants=_scaled(_ENDING_GRANTS, options))


def _live_grants(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, _):
        yield measure_live_grants(settings, grants=_scaled(_LIVE_GRANTS, options))


def _store_size(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    """On one store, because what the memory is measured with is half of what the store is to hold."""
    with _fresh_store(directory) as (settings, tenant):
        bench = StoreSizeBench(settings, tenant, options.seconds)
        if "store-size" in options.only:
            bench.measure()
        if "memory" in options.only:
            yield measure_memory(settings, tenant, requests=_scaled(_SENT_REQUESTS, options))
        if "store-size" in options.only:
            bench.fill(_scaled(_STORED_REQUESTS, options))
            bench.measure()
            yield bench.table()


def _submissions(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, _):
        tenant = fill_selling_tenant(settings, quotes=_scaled(_QUOTES_BESIDE_SUBMITTED, options))
        yield measure_submissions(settings, tenant, most=_SUBMITTED_QUOTES)


def _deal_reads(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, _):
        tenant = fill_selling_tenant(settings, quotes=_scaled(_STORED_QUOTES, options))
        yield measure_deal_reads(settings, tenant, seconds=options.seconds)


def _lead_import(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, _):
        fill_selling_tenant(settings, quotes=_FEWEST)
        yield measure_lead_import(settings, rows=_scaled(_IMPORTED_LEADS, options))


def _pages(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    with _fresh_store(directory) as (settings, _):
        started = time.monotonic()
        fill_selling_tenant(settings, quotes=_scaled(_STORED_QUOTES, options))
        filled = f"{time.monotonic() - started:.0f}"
        rows = ((f"`trustpack seed --bulk`: {counts_of_store(settings)}", filled),)
        yield Table("Filling the store", ("what", "seconds"), rows, _FILLING_NOTES)
        tenant = enter_console(settings)
        yield measure_pages(settings, tenant, seconds=options.seconds)
        yield from measure_in_chromium(settings, tenant, decisions=_APPROVALS)


PARTS: Final[dict[str, Callable[[argparse.Namespace, Path], Iterator[Table]]]] = {
    "decisions": _decisions,
    "transitions": _transitions,
    "profile": _profile,
    "revert": _reverts,
    "lateness": _lateness,
    "live-grants": _live_grants,
    "memory": _store_size,
    "store-size": _store_size,
    "submit": _submissions,
    "deals": _deal_reads,
    "import": _lead_import,
    "pages": _pages,
}


def measure(options: argparse.Namespace, directory: Path) -> Iterator[Table]:
    """Yield each table as soon as it is measured."""
    yield describe_machine(directory)
    for part in dict.fromkeys(PARTS[name] for name in PARTS if name in options.only):
        yield from part(options, directory / part.__name__)


@contextmanager
def _fresh_store(directory: Path) -> Iterator[tuple[Settings, BenchTenant]]:
    directory.mkdir()
    settings = Settings(data_dir=directory, database_url=None, app_database_url=None, log_level="warning")
    with running_store(settings, with_target=False):
        yield settings, seed_store(settings)
    shutil.rmtree(directory)


def _scaled(number: int, options: argparse.Namespace) -> int:
    return max(_FEWEST, round(number * options.scale))


def main() -> None:
    """Measure, print, and keep the results if asked to."""
    parser = argparse.ArgumentParser(description="Measure this machine.")
    parser.add_argument("--seconds", type=float, default=8, help="length of one measurement")
    parser.add_argument("--scale", type=float, default=1, help="share of the grants and requests; all numbers are for 1")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), help="measure these parts alone")
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
        _keep(tables, parts=options.only)


def _keep(tables: Sequence[Table], *, parts: Sequence[str]) -> None:
    """Write the results of every part anew, or add those of some parts to what is there."""
    is_whole = set(parts) == set(PARTS)
    title = "# Measured" if is_whole else f"# Measured: {', '.join(parts)}"
    made_by = "`make bench` with `--write`" if is_whole else "`bench/run.py --only ... --write`"
    page = (title, "", f"Made by {made_by}; only numbers of one run on one machine are comparable.", "")
    kept = "" if is_whole else RESULTS.read_text(encoding="utf-8").rstrip("\n") + "\n\n"
    RESULTS.write_text(kept + "\n".join((*page, *(table.as_markdown() for table in tables))), encoding="utf-8")


if __name__ == "__main__":
    main()
