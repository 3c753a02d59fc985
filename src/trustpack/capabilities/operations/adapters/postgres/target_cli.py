"""`trustpack target install|check|harden|uninstall`: preparing databases, run by their administrators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg
import typer
from psycopg import Connection
from rich.console import Console
from rich.markup import escape

from trustpack.capabilities.operations.adapters.postgres import cleaning
from trustpack.capabilities.operations.adapters.postgres import install as installation
from trustpack.capabilities.operations.adapters.postgres.check import Finding, Severity, check
from trustpack.capabilities.operations.adapters.postgres.exposures import Exposure, exposures
from trustpack.capabilities.operations.adapters.postgres.failures import failed_connection
from trustpack.capabilities.operations.model import AdapterKind, TargetDefinition, TargetUnavailable
from trustpack.capabilities.operations.rules.target_definition import InvalidTargetDefinition, parse_definition_file
from trustpack.kernel.errors import TrustpackError

FOUND_HIGH: Final = 1
UNUSABLE: Final = 2
_CONNECT_SECONDS: Final = 10

target_app = typer.Typer(no_args_is_help=True, help="Prepare databases on which temporary access can be granted.")

DefinitionFile = Annotated[Path, typer.Argument(metavar="FILE", help="The target definition (YAML).", show_default=False)]
DsnVariable = Annotated[
    str | None, typer.Option("--admin-dsn-env", metavar="NAME", help="Variable that holds the administrator's connection string.")
]
DsnFile = Annotated[
    Path | None, typer.Option("--admin-dsn-file", metavar="PATH", help="File that holds the administrator's connection string.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL, ready for psql, and change nothing.")]


@target_app.command("install")
def install_command(
    file: DefinitionFile,
    *,
    admin_dsn_env: DsnVariable = None,
    admin_dsn_file: DsnFile = None,
    service_password_file: Annotated[
        Path | None, typer.Option(help="File with the password that the service login is to have; without it, it keeps its own.")
    ] = None,
    cleaning_only: Annotated[
        bool, typer.Option("--cleaning-only", help="In another database of the cluster: only let reverts clean up there.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Prepare a database, or bring an earlier installation up to date. None of its tables is touched.

    Example: trustpack target install orders-prod.yaml --admin-dsn-env ORDERS_ADMIN_DSN --service-password-file service.pw
    """
    with _administrator(file, variable=admin_dsn_env, path=admin_dsn_file) as (conn, definition, console):
        if dry_run:
            render = cleaning.render_cleaning if cleaning_only else installation.render_install
            typer.echo(render(conn, definition))
            return
        if cleaning_only:
            cleaning.install_cleaning(conn, definition)
            console.print(f"Reverts of [bold]{definition.name}[/bold] can clean up in {conn.info.dbname}.")
            return
        password = None if service_password_file is None else service_password_file.read_text(encoding="utf-8").strip()
        report = installation.install(conn, definition, service_password=password)
        console.print(
            f"[bold]{definition.name}[/bold] is prepared in {conn.info.dbname}; trustpack logs in as {report.service_role}."
        )
        for sentence in report.missing_protections:
            console.print(f"[yellow]lacking[/yellow] {sentence}")


@target_app.command("check")
def check_command(file: DefinitionFile, admin_dsn_env: DsnVariable = None, admin_dsn_file: DsnFile = None) -> None:
    """List what is wrong or open on a target, each with the statement that mends it. Exit code 1: something of severity high.

    Example: trustpack target check orders-prod.yaml --admin-dsn-env ORDERS_ADMIN_DSN
    """
    with _administrator(file, variable=admin_dsn_env, path=admin_dsn_file) as (conn, definition, _):
        findings = check(conn, definition)
        for finding in findings:
            typer.echo(_as_text(finding))
        if not findings:
            typer.echo(f"{definition.name}: nothing found.")
        if any(finding.severity is Severity.HIGH for finding in findings):
            raise typer.Exit(FOUND_HIGH)


@target_app.command("harden")
def harden_command(
    file: DefinitionFile,
    *,
    admin_dsn_env: DsnVariable = None,
    admin_dsn_file: DsnFile = None,
    only: Annotated[list[str] | None, typer.Option(help="Carry out this measure without asking; may be repeated.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Offer, one by one, to take rights away from PUBLIC. Applications that rely on one need it granted by name first.

    Most need a superuser. Example: trustpack target harden orders-prod.yaml --admin-dsn-env SUPERUSER_DSN --only advisory_locks
    """
    with _administrator(file, variable=admin_dsn_env, path=admin_dsn_file) as (conn, definition, console):
        for exposure in exposures(conn, definition):
            if dry_run:
                typer.echo(f"-- {exposure.code}: {exposure.what}\n{exposure.statement}\n")
            elif exposure.code in (only or []) or (only is None and _is_wanted(console, exposure)):
                installation.harden(conn, exposure.statement)
                console.print(f"[green]done[/green] {exposure.code}")


@target_app.command("uninstall")
def uninstall_command(
    file: DefinitionFile,
    *,
    admin_dsn_env: DsnVariable = None,
    admin_dsn_file: DsnFile = None,
    force: Annotated[bool, typer.Option("--force", help="End live grants first instead of refusing.")] = False,
    cleaning_only: Annotated[bool, typer.Option("--cleaning-only", help="Only what that option of `install` did.")] = False,
) -> None:
    """Take the installation away again; the database's own tables are as they were before it.

    Example: trustpack target uninstall orders-prod.yaml --admin-dsn-file admin.dsn
    """
    with _administrator(file, variable=admin_dsn_env, path=admin_dsn_file) as (conn, definition, console):
        if cleaning_only:
            cleaning.uninstall_cleaning(conn, definition)
            console.print(f"Reverts of [bold]{definition.name}[/bold] no longer clean up in {conn.info.dbname}.")
            return
        for role_name in installation.uninstall(conn, definition, force=force):
            console.print(f"ended {role_name}")
        console.print(f"[bold]{definition.name}[/bold] is removed from {conn.info.dbname}.")


@contextmanager
def _administrator(
    file: Path, *, variable: str | None, path: Path | None
) -> Iterator[tuple[Connection[Any], TargetDefinition, Console]]:
    """Open the administrator's session for a definition; turn every named error into one line and exit code 2."""
    try:
        definition = _read_definition(file)
        with _connect(_read_dsn(variable=variable, path=path)) as conn:
            yield conn, definition, Console()
    except TrustpackError as error:
        console = Console(stderr=True)
        console.print(f"[red]{error.title}[/red]: {escape(error.detail)}", soft_wrap=True)
        console.print(escape(error.next_step), soft_wrap=True)
        raise typer.Exit(UNUSABLE) from None


def _read_definition(file: Path) -> TargetDefinition:
    try:
        definition = parse_definition_file(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidTargetDefinition(f"{file} cannot be read.", errors=[]) from error
    if definition.adapter is not AdapterKind.POSTGRES:
        raise InvalidTargetDefinition(f"{definition.name} uses the adapter {definition.adapter}: nothing to prepare.", errors=[])
    return definition


def _read_dsn(*, variable: str | None, path: Path | None) -> str:
    if (variable is None) == (path is None):
        raise typer.BadParameter("give either --admin-dsn-env or --admin-dsn-file")
    try:
        return os.environ[variable] if variable is not None else Path(str(path)).read_text(encoding="utf-8").strip()
    except (KeyError, OSError) as error:
        raise TargetUnavailable(
            "The administrator's connection string cannot be read.", next_step=f"Look at {variable or path}."
        ) from error


def _connect(dsn: str) -> Connection[Any]:
    try:
        return psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="trustpack-target")
    except psycopg.Error as error:
        failure = failed_connection(error)
        raise TargetUnavailable(str(failure.data.get("reason", failure.detail)), next_step=failure.next_step) from None


def _as_text(finding: Finding) -> str:
    # Not a table: it would cut the statement that mends it, which is there to be copied.
    return f"{finding.severity.value}: {finding.code}\n  {finding.what}\n  {finding.remedy}\n"


def _is_wanted(console: Console, exposure: Exposure) -> bool:
    console.print(f"\n[bold]{exposure.code}[/bold]: {exposure.what}\n{escape(exposure.statement)}", highlight=False)
    return typer.confirm("Carry it out?", default=False)
