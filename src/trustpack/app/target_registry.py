"""The part of `trustpack target` that needs the whole product: register a target with a tenant, and show what is registered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trustpack.app.bootstrap import open_container
from trustpack.app.local_store import run_in_transaction, running_store
from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.service.targets import identify_target, list_targets, put_target, remove_target
from trustpack.kernel.actor import system_actor
from trustpack.platform.settings import Settings
from trustpack.platform.terminal import print_table

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's slug, such as summit-internal.")]


def target_registry_app(app: typer.Typer, *, settings: Callable[[], Settings]) -> None:
    """Add `add`, `list` and `remove` to the command group."""

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

    @app.command("remove", epilog="Example: trustpack target remove --tenant summit-internal orders-prod")
    def remove(name: str, tenant: Tenant) -> None:
        """Take a target out of service; access that is live on it still ends by itself."""
        run_in_transaction(settings(), tenant, lambda tx: remove_target(tx, system_actor(tenant, "operator"), name=name))
        Console().print(f"{name} is out of service.")
