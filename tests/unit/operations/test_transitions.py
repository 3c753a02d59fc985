"""The transition table against the contract, pair by pair."""

from __future__ import annotations

import pytest

from trustpack.capabilities.operations.model import Command, Status, WrongState
from trustpack.capabilities.operations.rules.transitions import allows, next_status

# From api.md, "High-risk operations", read by hand: a column per command, `.` where it means nothing, `=` where the state stays.
#
# approve a vote that is not the last one · complete the last vote · reopen drift found at execution · refuse a blocked attempt
CONTRACT = """
                  approve complete_approvals reject   cancel    expire  reopen           start_execution
pending_approval  =       approved           rejected cancelled expired .                .
approved          .       .                  .        cancelled expired pending_approval executing
executing         .       .                  .        .         .       .                .
active            .       .                  .        .         .       .                .
reverting         .       .                  .        .         .       .                .
reverted          .       .                  .        .         .       .                .
denied            .       .                  .        .         .       .                .
rejected          .       .                  .        .         .       .                .
cancelled         .       .                  .        .         .       .                .
expired           .       .                  .        .         .       .                .
failed            .       .                  .        .         .       .                .
revert_failed     .       .                  .        .         .       .                .

                  succeed_execution fail_execution abandon_execution issue_credentials
pending_approval  .                 .              .                 .
approved          .                 .              .                 .
executing         active            failed         revert_failed     .
active            .                 .              .                 =
reverting         .                 .              .                 .
reverted          .                 .              .                 .
denied            .                 .              .                 .
rejected          .                 .              .                 .
cancelled         .                 .              .                 .
expired           .                 .              .                 .
failed            .                 .              .                 .
revert_failed     .                 .              .                 .

                  start_revert finish_revert fail_revert   refuse
pending_approval  .            .             .             =
approved          .            .             .             =
executing         .            .             .             =
active            reverting    .             .             =
reverting         .            reverted      revert_failed =
reverted          .            .             .             .
denied            .            .             .             .
rejected          .            .             .             .
cancelled         .            .             .             .
expired           .            .             .             .
failed            .            .             .             .
revert_failed     .            reverted      =             =

                  detect_drift
pending_approval  .
approved          .
executing         =
active            =
reverting         =
reverted          =
denied            .
rejected          .
cancelled         .
expired           .
failed            =
revert_failed     =
"""


def _expectations() -> dict[tuple[str, str], str | None]:
    expected: dict[tuple[str, str], str | None] = {}
    for block in CONTRACT.strip("\n").split("\n\n"):
        header, *lines = block.splitlines()
        for status, *cells in (line.split() for line in lines):
            for command, cell in zip(header.split(), cells, strict=True):
                expected[status, command] = {".": None, "=": status}.get(cell, cell)
    return expected


EXPECTED = _expectations()


def test_the_contract_speaks_of_every_state_and_command() -> None:
    assert set(EXPECTED) == {(status.value, command.value) for status in Status for command in Command}


@pytest.mark.parametrize(("status", "command", "leads_to"), [(*pair, result) for pair, result in EXPECTED.items() if result])
def test_a_command_leads_where_the_contract_says(status: str, command: str, leads_to: str) -> None:
    assert next_status(Status(status), Command(command)) == leads_to
    assert allows(Status(status), Command(command))


@pytest.mark.parametrize(("status", "command"), [pair for pair, result in EXPECTED.items() if result is None])
def test_a_command_that_means_nothing_in_a_state_is_refused_with_that_state(status: str, command: str) -> None:
    with pytest.raises(WrongState) as caught:
        next_status(Status(status), Command(command))

    assert caught.value.data == {"request_status": status}
    assert not allows(Status(status), Command(command))
