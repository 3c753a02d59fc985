"""The bulk set from the terminal, with its progress."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from trustpack.app import local_store
from trustpack.app.bulk.plots import QUOTES_PER_DEAL
from trustpack.app.bulk.seeding import seed_bulk
from trustpack.platform.settings import Settings


def fill_tenant(settings: Settings, tenant: str, *, quotes: int) -> None:
    """Fill a demo tenant and show how far it is. Raises `NotADemoTenant`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"bulk quotes of {tenant}", total=None)

        def report(more: int, wanted: int) -> None:
            progress.update(task, total=wanted * QUOTES_PER_DEAL, advance=more * QUOTES_PER_DEAL)

        with local_store.running_store(settings, with_target=False):
            asyncio.run(seed_bulk(settings, tenant, quotes=quotes, report=report))
    Console().print(f"tenant {tenant} has its {quotes} bulk quotes")
