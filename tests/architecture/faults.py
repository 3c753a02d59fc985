"""What a checker finds, and how a test shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.sources import read, shown


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule: the line where, and what is wrong in words that say what to do."""

    line: int
    message: str


def faults_in(paths: Iterable[Path], check: Callable[[str], Iterable[Fault]]) -> list[str]:
    """Apply a checker to the text of every file; the answer is one `path:line: message` per fault."""
    return [f"{shown(path)}:{fault.line}: {fault.message}" for path in paths for fault in check(read(path))]


def report(faults: Iterable[str]) -> str:
    """The text of a failing test: every fault on its own line."""
    return "\n" + "\n".join(faults)
