"""Commands that bring deals' data in; each import leaves a receipt by `system:operator`."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Protocol, TypeVar

import typer
from rich.table import Table

from trustpack.capabilities.revops.model import FailedRow, ImportReport, LeadRow, QuoteRow, RowOutcome
from trustpack.capabilities.revops.rules.lead_file import read_lead_file
from trustpack.capabilities.revops.rules.price_file import read_prices
from trustpack.capabilities.revops.rules.quote_file import read_quote_file
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.importing import Told
from trustpack.capabilities.revops.service.importing_leads import import_leads
from trustpack.capabilities.revops.service.importing_quotes import import_quotes
from trustpack.capabilities.revops.service.price_book import import_prices, read_price_book
from trustpack.kernel.actor import system_actor
from trustpack.platform.system_clock import monotonic_seconds
from trustpack.platform.terminal import print_table, rows_progress
from trustpack.platform.unit_of_work import Transaction

Result = TypeVar("Result")
Row = TypeVar("Row", LeadRow, QuoteRow)
Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's slug, such as demo-external.")]
File = Annotated[Path, typer.Argument(help="CSV in UTF-8; its first line names the columns.", exists=True, dir_okay=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything and keep nothing.")]
Errors = Annotated[Path | None, typer.Option("--errors", help="Also write every fault to this CSV file.", dir_okay=False)]
_FAULT_COLUMNS: Final = ("line", "external_id", "column", "what is wrong", "what to do")
_MOST_FAULTS: Final = 100
"""Faults on the terminal; `--errors` has them all."""


class Runner(Protocol):
    """Opens the store, runs one use case in one transaction of a tenant, and returns its result."""

    def __call__(self, tenant: str, work: Callable[[Transaction], Awaitable[Result]]) -> Result: ...


class FlowRunner(Protocol):
    """Opens the store and the policy engine, runs work that opens its own transactions, and returns its result."""

    def __call__(self, work: Callable[[RevOps], Awaitable[Result]]) -> Result: ...


def revops_app(run: Runner, run_flow: FlowRunner) -> typer.Typer:
    """Return the command group `revops`, run through `run` and `run_flow`."""
    app = typer.Typer(help="Leads, quotes and their list prices.", no_args_is_help=True)
    app.add_typer(_price_book_app(run), name="price-book")
    app.add_typer(_import_app(run_flow), name="import")
    return app


def _import_app(run_flow: FlowRunner) -> typer.Typer:
    app = typer.Typer(help="Leads and quotes from another system. Exit code 1 says that some rows were not taken.")

    @app.command("leads", epilog="Example: trustpack revops import leads leads.csv --tenant demo-external --dry-run")
    def leads(
        file: File,
        tenant: Tenant,
        dry_run: DryRun = False,
        errors: Errors = None,
        owner: Annotated[str | None, typer.Option(help="Who owns leads whose team has no account executive.")] = None,
    ) -> None:
        """Take in the leads of a file, routed by policy; the same file again changes nothing."""
        _import(
            (file, errors),
            read_lead_file,
            lambda rows, told: run_flow(lambda flow: import_leads(flow, tenant, rows, told=told, owner=owner, dry_run=dry_run)),
            said="leads, as a dry run that changed nothing" if dry_run else "leads",
        )

    @app.command("quotes", epilog="Example: trustpack revops import quotes quotes.csv --tenant demo-external --errors faults.csv")
    def quotes(file: File, tenant: Tenant, dry_run: DryRun = False, errors: Errors = None) -> None:
        """Write the quotes of a file as drafts; the same file again changes nothing."""
        _import(
            (file, errors),
            read_quote_file,
            lambda rows, told: run_flow(lambda flow: import_quotes(flow, tenant, rows, told=told, dry_run=dry_run)),
            said="quotes, as a dry run that changed nothing" if dry_run else "quotes",
        )

    return app


def _import(
    files: tuple[Path, Path | None],
    read: Callable[[BinaryIO], Iterator[Row | FailedRow]],
    take: Callable[[Iterator[Row | FailedRow], Told], ImportReport],
    *,
    said: str,
) -> None:
    file, errors = files
    if errors is not None and errors.exists() and errors.samefile(file):
        raise typer.BadParameter("is the file to import; name another", param_hint="--errors")
    shown, started, done = list[str](), monotonic_seconds(), 0
    fault_count = 0
    with file.open("rb") as source:
        rows = read(source)
        if errors is not None:
            _write_faults(errors, [_FAULT_COLUMNS], mode="w")
        with rows_progress(file.stat().st_size) as show:

            def told(batch: ImportReport) -> None:
                nonlocal done, fault_count
                done += batch.rows
                show(source.tell(), done)
                faults = [fault for row in batch.failed_rows for fault in _cells(row)]
                fault_count += len(faults)
                shown.extend(_told(*fault) for fault in faults[: _MOST_FAULTS - len(shown)])
                if errors is not None:
                    _write_faults(errors, faults, mode="a")

            report = take(rows, told)
    for fault in shown:
        typer.echo(fault)
    if fault_count > len(shown):
        typer.echo(f"  and {fault_count - len(shown)} more; --errors FILE has all of them")
    seconds = monotonic_seconds() - started
    counts = ", ".join(f"{report.counts.get(outcome, 0)} {outcome}" for outcome in RowOutcome)
    typer.echo(f"{report.rows} {said}: {counts}; {seconds:.1f} s, {report.rows / max(seconds, 0.001):.0f} a second.")
    if report.has_failures:
        raise typer.Exit(1)


def _told(line: str, external_id: str, column: str, message: str, next_step: str) -> str:
    place = ", ".join(filter(None, (f"line {line}", external_id, column)))
    return f"  {place}: {message}. {next_step}"


def _cells(row: FailedRow) -> Iterator[tuple[str, ...]]:
    for fault in row.faults:
        yield (str(fault.line), row.external_id or "", fault.column or "", f"{row.outcome}: {fault.message}", fault.next_step)


def _write_faults(file: Path, faults: list[tuple[str, ...]], *, mode: str) -> None:
    with file.open(mode, encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(faults)


def _price_book_app(run: Runner) -> typer.Typer:
    app = typer.Typer(help="List prices by SKU and currency.", no_args_is_help=True)

    @app.command("import", epilog="Example: trustpack revops price-book import prices.csv --tenant demo-external --dry-run")
    def import_file(
        file: Annotated[Path, typer.Argument(help="CSV: sku,currency,list_price,valid_from,description,recurring", exists=True)],
        tenant: Tenant,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be added.")] = False,
    ) -> None:
        """Add the prices of a file; all of it or nothing, and the same file again adds nothing."""
        with file.open("rb") as source:
            prices = read_prices(source)
        operator = system_actor(tenant, "operator")
        found = run(tenant, lambda tx: import_prices(tx, operator, prices, dry_run=dry_run))
        said = "prices, as a dry run that changed nothing" if dry_run else "prices"
        typer.echo(f"{len(found.added) + found.unchanged} {said}: {len(found.added)} added, {found.unchanged} unchanged.")

    @app.command("show", epilog="Example: trustpack revops price-book show --tenant demo-external")
    def show(tenant: Tenant) -> None:
        """Show the prices in force today, and those that will be later."""
        table = Table("SKU", "Currency", "List price", "Valid from", "Description")
        for row in run(tenant, read_price_book):
            table.add_row(*(str(row[name]) for name in ("sku", "currency", "list_price", "valid_from", "description")))
        print_table(table)

    return app
