"""The part of `trustpack target` that needs the whole product: register a target with a tenant, and show what is registered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trustpack.app.bootstrap import Container, open_container
from trustpack.app.local_store import run_in_transaction, running_store
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.service.reconciling import Comparison, claim_reconcile, compare
from trustpack.capabilities.operations.service.targets import (
    find_target,
    identify_target,
    list_targets,
    put_target,
    remove_target,
)
from trustpack.kernel.actor import system_actor
from trustpack.platform.settings import Settings
from trustpack.platform.terminal import print_table

SOMETHING_DIFFERS = 1

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's slug, such as summit-internal.")]


def target_registry_app(app: typer.Typer, *, settings: Callable[[], Settings]) -> None:
    """Add `add`, `list`, `reconcile` and `remove` to the command group."""

    @app.command("add", epilog="Example: trustpack target add --tenant summit-internal orders-prod.yaml")
    def add(
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The target's definition.")], tenant: Tenant
    ) -> None:
        """Register a target, after asking the live database whether it fits; again to change it."""
        definition = parse_definition_file(file.read_text(encoding="utf-8"))
        actor = system_actor(tenant, "operator")

        async def run() -> str:
            async with open_container(settings()) as container:
                identity = await identify_target(container.operations, definition)
                async with container.unit_of_work.transaction(tenant) as tx:
                    return (await put_target(tx, actor, definition=definition, identity=identity)).id

        with running_store(settings()):
            Console().print(f"{definition.name} is registered with {tenant} as {asyncio.run(run())}.")

    @app.command("list", epilog="Example: trustpack target list --tenant summit-internal")
    def list_(tenant: Tenant) -> None:
        """List a tenant's targets."""
        table = Table("name", "environment", "adapter", "tables", "identity")
        for target in run_in_transaction(settings(), tenant, list_targets):
            definition = target.definition
            names = ", ".join(f"{entry.schema}.{entry.name}" for entry in definition.tables)
            table.add_row(definition.name, definition.environment, definition.adapter, names, target.identity.digest[:19])
        print_table(table)

    @app.command("reconcile", epilog="Example: trustpack target reconcile --tenant summit-internal orders-prod --dry-run")
    def reconcile(
        name: str,
        tenant: Tenant,
        *,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    ) -> None:
        """Compare a target with what was granted on it and set right what differs. Exit code 1: something still differs."""

        async def run() -> bool:
            async with open_container(settings()) as container:
                return await compare_and_mend(container, tenant, name, dry_run=dry_run)

        with running_store(settings()):
            if not asyncio.run(run()):
                raise typer.Exit(SOMETHING_DIFFERS)

    @app.command("remove", epilog="Example: trustpack target remove --tenant summit-internal orders-prod")
    def remove(name: str, tenant: Tenant) -> None:
        """Take a target out of service; access that is live on it still ends by itself."""
        run_in_transaction(settings(), tenant, lambda tx: remove_target(tx, system_actor(tenant, "operator"), name=name))
        Console().print(f"{name} is out of service.")


async def compare_and_mend(container: Container, tenant: str, name: str, *, dry_run: bool) -> bool:
    """Print what differs and what is done about it; return whether nothing differs any more."""
    target_id = await find_target(container.operations, tenant, name)
    found = await compare(container.operations, tenant, target_id)
    typer.echo(_as_text(found, verb="would be done" if dry_run else "is done"))
    if dry_run or (not found.drift and found.trouble is None):
        _raise_trouble(found)
        return not found.drift
    job = await claim_reconcile(container.operations, tenant, target_id)
    if job is None:
        typer.echo("Another process is comparing this target right now.")
    else:
        await container.runner.run(job)
    left = await compare(container.operations, tenant, target_id)
    _raise_trouble(left)
    typer.echo(_as_text(left, verb="will be done"))
    return not left.drift


def _raise_trouble(found: Comparison) -> None:
    if found.trouble is not None:
        raise found.trouble


def _as_text(found: Comparison, *, verb: str) -> str:
    if not found.drift:
        return f"{found.target.definition.name}: nothing differs."
    lines = []
    for drift in found.drift:
        lines.append(f"{drift.key}\n  {drift.detail}\n  {verb}: {drift.repair.value}")
        if drift.request_id is not None:
            lines.append(f"  case: {drift.request_id}")
        if drift.remedy:
            lines.append(f"  by hand: {drift.remedy}")
    return "\n".join(lines)
