"""A thousand kills under load, in rounds that end with an audit of the whole store; an interrupted run goes on where it was.

`make soak`, or `python -m tests.soak --kills 200 --directory var/soak`. Store, target and what was counted lie in the directory.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx2
from rich.console import Console
from rich.table import Table

from tests.support.audit import Verdict
from tests.support.crash_campaign import Campaign
from tests.support.crash_load import SHORT_WINDOWS
from tests.support.estate import Estate, a_server, open_estate

_KILLS_PER_ROUND: Final = 50


@dataclass(slots=True)
class Progress:
    """What a soak has done so far; a round and its kills count once its audit is through, and a fault is never forgotten."""

    seed: int
    rounds_begun: int = 0
    kills: int = 0
    seconds: float = 0
    met: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, *, seed: int | None) -> Progress:
        """Read what an earlier run left, or begin."""
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**kept, "met": Counter(kept["met"]), "answers": Counter(kept["answers"])})
        return cls(seed=secrets.randbelow(1_000_000) if seed is None else seed)

    def count(self, campaign: Campaign, verdict: Verdict) -> None:
        """Count a round whose audit is through."""
        self.kills += campaign.kills
        self.met += campaign.met
        self.answers += campaign.answers
        self.faults += verdict.faults

    def keep(self, path: Path) -> None:
        draft = path.with_suffix(".draft")
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        draft.write_text(json.dumps(values, indent=2), encoding="utf-8")
        draft.replace(path)


async def soak(estate: Estate, progress: Progress, *, kills: int, kept_in: Path, console: Console) -> Verdict:
    """Kill until there were so many kills, or an audit finds a fault; return the last audit's verdict."""
    begun_at, before = time.monotonic(), progress.seconds
    verdict = Verdict()
    async with httpx2.AsyncClient() as http:
        while progress.kills < kills and not progress.faults:
            progress.rounds_begun += 1
            progress.keep(kept_in)
            number = progress.rounds_begun
            campaign = Campaign(
                estate,
                http,
                [a_server(estate, **SHORT_WINDOWS)],
                progress.seed + number,
                f"soak-{progress.seed}-{number}",
            )

            async def tell(in_round: int) -> None:
                if in_round % 10 == 0:
                    seconds = before + time.monotonic() - begun_at
                    console.print(_line(progress.kills + in_round, kills, seconds=seconds))

            verdict = await campaign.run(min(_KILLS_PER_ROUND, kills - progress.kills), after_each=tell)
            progress.count(campaign, verdict)
            progress.seconds = before + time.monotonic() - begun_at
            progress.keep(kept_in)
            console.print(f"round {number}: {sum(verdict.cases.values())} cases, {verdict.receipts} receipts, {_said(verdict)}")
    return verdict


def _line(done: int, kills: int, *, seconds: float) -> str:
    return f"{done} of {kills} kills, about {timedelta(seconds=round(seconds / done * (kills - done)))} left"


def _said(verdict: Verdict) -> str:
    return f"{len(verdict.faults)} faults" if verdict.faults else "the invariant holds"


def _summary(progress: Progress, verdict: Verdict) -> Table:
    table = Table("what", "how many", title=f"Soak with seed {progress.seed}")
    table.add_row("kills, each with a restart", str(progress.kills))
    for name, count in progress.met.most_common():
        table.add_row("  with nothing under way" if name == "nothing" else f"  requests cut off: {name}", str(count))
    for status, count in sorted(verdict.cases.items()):
        table.add_row(f"cases that ended {status}", str(count))
    table.add_row("receipts checked", str(verdict.receipts))
    table.add_row("requests answered", str(progress.answers.total()))
    table.add_row("duration", str(timedelta(seconds=round(progress.seconds))))
    table.add_row("verdict", _said(verdict))
    return table


def main() -> int:
    """Run or resume a soak; exit 1 if the invariant was ever broken, 2 if another one is under way, 130 if interrupted."""
    arguments = argparse.ArgumentParser(prog="make soak", description=__doc__)
    arguments.add_argument("--kills", type=int, default=1000, help="how many in all, earlier runs included (1000)")
    arguments.add_argument("--directory", type=Path, default=Path("var/soak"), help="where everything is kept (var/soak)")
    arguments.add_argument("--seed", type=int, help="of a run that begins; by default another one each time")
    given = arguments.parse_args()
    console = Console(soft_wrap=True)
    directory: Path = given.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".soak").open("w") as mine:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"somebody is at it in {directory} already")
            return 2
        return _go_on(directory, kills=given.kills, seed=given.seed, console=console)


def _go_on(directory: Path, *, kills: int, seed: int | None, console: Console) -> int:
    kept_in = directory / "progress.json"
    progress = Progress.of(kept_in, seed=seed)
    if progress.faults:
        console.print(f"{directory} holds a store in which the invariant was broken; look into it, and remove it to begin anew.")
        return _say_faults(progress, console)
    if progress.kills >= kills:
        console.print(f"{directory} has its {progress.kills} kills; remove it to begin anew, or ask for more with --kills.")
        return 0
    console.print(f"seed {progress.seed}, {progress.kills} of {kills} kills done, kept in {directory}")
    try:
        with open_estate(directory) as estate:
            verdict = asyncio.run(soak(estate, progress, kills=kills, kept_in=kept_in, console=console))
    except KeyboardInterrupt:
        console.print(f"interrupted after {progress.kills} kills of whole rounds; the same command goes on from there")
        return 130
    console.print(_summary(progress, verdict))
    return _say_faults(progress, console)


def _say_faults(progress: Progress, console: Console) -> int:
    for fault in progress.faults[:50]:
        console.print(f"[red]{fault}[/red]", highlight=False)
    return 1 if progress.faults else 0


if __name__ == "__main__":
    sys.exit(main())
