"""What a table on the terminal promises: nothing in it is cut off."""

from __future__ import annotations

import pytest
from rich.table import Table

from trustpack.platform.terminal import print_table


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
