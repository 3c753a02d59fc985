"""What the terminal shows: tables of which nothing is cut off, and progress where somebody looks."""

from __future__ import annotations

import pytest
from rich.table import Table

from trustpack.platform.terminal import print_table, rows_progress


def test_a_table_is_printed_whole_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "40")
    ids = [f"tok_{number:032x}" for number in range(3)]
    table = Table("id", "label")
    for token_id in ids:
        table.add_row(token_id, "made on the command line for a script that runs every night")

    print_table(table)

    printed = capsys.readouterr().out
    assert all(token_id in printed for token_id in ids)
    assert "…" not in printed


def test_progress_is_told_in_rows_on_a_terminal_and_not_at_all_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with rows_progress(200) as show:
        show(100, 1234)
    elsewhere = capsys.readouterr()
    monkeypatch.setenv("FORCE_COLOR", "1")
    with rows_progress(200) as show:
        show(100, 1234)
    terminal = capsys.readouterr()

    assert (elsewhere.out, elsewhere.err) == ("", "")
    assert terminal.out == ""
    assert "50%" in terminal.err
    assert "1234 rows" in terminal.err
