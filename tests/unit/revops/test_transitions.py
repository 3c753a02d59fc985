"""The transition table of a quote against the contract, pair by pair."""

from __future__ import annotations

import pytest

from trustpack.capabilities.revops.model import QuoteCommand, QuoteStatus, WrongQuoteState
from trustpack.capabilities.revops.rules.transitions import allows, next_status

# From api.md, "RevOps", and stories 2.3 and 2.7, read by hand: a column per command, `.` where it means nothing, `=` where the
# state stays.
#
# revise a commercial change · retitle any other change · complete the last vote · refuse a blocked attempt
CONTRACT = """
                  revise retitle preview submit           approve complete_approvals reject   recall   expire  activate  refuse
draft             draft  =       =       pending_approval .       .                  .        .        expired .         =
pending_approval  draft  =       =       .                =       approved           rejected recalled expired .         =
approved          draft  =       =       .                .       .                  .        recalled expired activated =
activated         .      .       .       .                .       .                  .        .        .       .         =
rejected          draft  =       =       .                .       .                  .        .        .       .         =
recalled          draft  =       =       .                .       .                  .        .        .       .         =
expired           draft  =       =       .                .       .                  .        .        .       .         =
"""


def _expectations() -> dict[tuple[str, str], str | None]:
    header, *lines = CONTRACT.strip("\n").splitlines()
    expected: dict[tuple[str, str], str | None] = {}
    for status, *cells in (line.split() for line in lines):
        for command, cell in zip(header.split(), cells, strict=True):
            expected[status, command] = {".": None, "=": status}.get(cell, cell)
    return expected


EXPECTED = _expectations()


def test_the_contract_speaks_of_every_state_and_command() -> None:
    assert set(EXPECTED) == {(status.value, command.value) for status in QuoteStatus for command in QuoteCommand}


@pytest.mark.parametrize(("status", "command", "leads_to"), [(*pair, result) for pair, result in EXPECTED.items() if result])
def test_a_command_leads_where_the_contract_says(status: str, command: str, leads_to: str) -> None:
    assert next_status(QuoteStatus(status), QuoteCommand(command)) == leads_to
    assert allows(QuoteStatus(status), QuoteCommand(command))


@pytest.mark.parametrize(("status", "command"), [pair for pair, result in EXPECTED.items() if result is None])
def test_a_command_that_means_nothing_in_a_state_is_refused_with_that_state(status: str, command: str) -> None:
    with pytest.raises(WrongQuoteState) as caught:
        next_status(QuoteStatus(status), QuoteCommand(command))

    assert caught.value.data == {"quote_status": status}
    assert caught.value.detail == f"`{command}` means nothing for a quote in the state `{status}`."
    assert not allows(QuoteStatus(status), QuoteCommand(command))


@pytest.mark.parametrize(
    ("status", "named"),
    [
        ("draft", "Submit"),
        ("pending_approval", "Wait"),
        ("approved", "Activate"),
        ("activated", "clone"),
        ("rejected", "new revision"),
        ("recalled", "new revision"),
        ("expired", "new revision"),
    ],
)
def test_a_refused_command_says_what_is_possible_in_that_state(status: str, named: str) -> None:
    refused = next(QuoteCommand(command) for (state, command), result in EXPECTED.items() if state == status and result is None)

    with pytest.raises(WrongQuoteState) as caught:
        next_status(QuoteStatus(status), refused)

    assert named in caught.value.next_step
