"""Tables on the terminal, whole: what stands in them is there to be copied. And the progress of long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

WIDEST = 10_000
"""Wider than any row; a terminal breaks a long line, where a table made to fit would cut an id or a statement off."""


def print_table(table: Table) -> None:
    """Print a table as wide as its rows need, whatever the terminal's width."""
    wide = Console(width=WIDEST)
    Console(width=wide.measure(table).maximum).print(table)


@contextmanager
def rows_progress(size: int) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how far the reading of a file of `size` bytes is, in rows and seconds; nothing where nobody looks.

    The returned function takes the bytes and the rows that are done.
    """
    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rows]} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=size, rows=0)
        yield lambda bytes_done, rows: progress.update(task, completed=bytes_done, rows=rows)
