"""Tables on the terminal, whole: what stands in them is there to be copied."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

WIDEST = 10_000
"""Wider than any row; a terminal breaks a long line, where a table made to fit would cut an id or a statement off."""


def print_table(table: Table) -> None:
    """Print a table as wide as its rows need, whatever the terminal's width."""
    wide = Console(width=WIDEST)
    Console(width=wide.measure(table).maximum).print(table)
