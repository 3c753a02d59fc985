"""What a soak found stays found, however often it is started again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.__main__ import Progress, main
from tests.support.audit import Verdict
from tests.support.crash_campaign import Campaign

FAULT = "hrr_1: two grants"


def a_round() -> Campaign:
    """A round that has run; where it ran does not matter here."""
    return Campaign(None, None, [], 1, "round", kills=5, met=Counter(execute=2), answers=Counter({"execute 200": 3}))


def kept(directory: Path, *verdicts: Verdict) -> Progress:
    """Keep in the directory what rounds with these verdicts have come to."""
    progress = Progress(seed=1)
    for verdict in verdicts:
        progress.count(a_round(), verdict)
    progress.keep(directory / "progress.json")
    return progress


def run(monkeypatch: pytest.MonkeyPatch, directory: Path, *, kills: int) -> int:
    monkeypatch.setattr("sys.argv", ["soak", "--kills", str(kills), "--directory", str(directory)])
    return main()


def test_rounds_add_up_and_are_read_back_as_they_were_kept(tmp_path: Path):
    progress = kept(tmp_path, Verdict(), Verdict(faults=[FAULT]))

    assert (progress.kills, progress.met["execute"], progress.answers["execute 200"]) == (10, 4, 6)
    assert Progress.of(tmp_path / "progress.json", seed=None) == progress


@pytest.mark.parametrize("kills", [5, 1_000], ids=["all kills done", "more kills asked for"])
def test_a_fault_that_was_found_is_said_at_every_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kills: int
):
    kept(tmp_path, Verdict(faults=[FAULT]))

    assert [run(monkeypatch, tmp_path, kills=kills) for _ in range(2)] == [1, 1]
    assert capsys.readouterr().out.count(FAULT) == 2


def test_a_soak_that_found_nothing_and_is_through_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept(tmp_path, Verdict())

    assert run(monkeypatch, tmp_path, kills=5) == 0
