"""What the demo prints for its users to copy."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from trustpack.app.demo.run import _print_doors
from trustpack.app.demo.seed import CAST, TENANTS
from trustpack.app.demo.sellers import SIGN_INS


def test_every_token_is_printed_whole_on_a_narrow_terminal():
    tokens = {tenant: {handle: f"tp_{tenant}_{'x' * 30}-{handle}" for handle in (*CAST, *SIGN_INS)} for tenant in TENANTS}
    terminal = StringIO()

    _print_doors(Console(file=terminal, width=40), "http://127.0.0.1:8000", tokens)

    printed = terminal.getvalue()
    assert all(token in printed for issued in tokens.values() for token in issued.values())
