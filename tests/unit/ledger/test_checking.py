"""A history that was written by the rules stands; whatever is changed about it afterwards shows, and in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from trustpack.capabilities.ledger import evidence_of
from trustpack.capabilities.ledger.model import Deed, History, Receipt, Transition
from trustpack.capabilities.ledger.pages import FileShown
from trustpack.capabilities.ledger.rules import build_receipt, check_history, last_deed
from trustpack.kernel.actor import Actor, ActorKind
from trustpack.proof.canonical import digest_of
from trustpack.proof.commitments import SALT_BYTES, Disclosure

NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)
ACTOR = Actor(tenant_id="acme", id="usr_1", kind=ActorKind.PERSON, handle="ada")
COMMENT = Disclosure(path="comment", value="Checked", salt=bytes(SALT_BYTES))


def history() -> History:
    receipts: list[Receipt] = []
    for version, action in enumerate(("created", "submitted", "approved"), start=1):
        disclosures = (COMMENT,) if action == "approved" else ()
        transition = Transition("quote", "quo_1", version, action, "draft", ACTOR, {})
        receipts.append(
            build_receipt(
                transition,
                tenant_id="acme",
                receipt_id=f"rcp_{version}",
                prev_hash=receipts[-1].digest if receipts else None,
                occurred_at=NOW,
                disclosures=disclosures,
            )
        )
    return History("quo_1", 3, tuple(receipts), {"rcp_3": (COMMENT,)})


def changed(place: int, **changes: object) -> History:
    whole = history()
    receipts = list(whole.receipts)
    receipts[place - 1] = replace(receipts[place - 1], **changes)
    return replace(whole, receipts=tuple(receipts))


def rewritten(place: int, old: bytes, new: bytes) -> History:
    """Change what a receipt says, and its digest with it."""
    body = history().receipts[place - 1].body.replace(old, new)
    return changed(place, body=body, digest=digest_of(body))


def shown(given: History, file: FileShown | None = None):
    return evidence_of(given, file=file, handles={"usr_1": "ada"}, marks={}, tell=lambda _, opened: str(opened), now=NOW)


def test_what_was_recorded_stands():
    found = shown(history())

    assert check_history(history()) == ()
    assert found.verdict.state == "verified"
    assert found.verdict.checks == (("Receipts", "3 of 3", True), ("Hash chain", "unbroken", True), ("Digests", "3 of 3", True))
    assert [(event.action, event.actor, event.stands) for event in found.events] == [
        ("Created", "ada", "Checked"),
        ("Submitted", "ada", "Checked"),
        ("Approved", "ada", "Checked"),
    ]
    assert found.events[2].text == "{'comment': 'Checked'}"


@pytest.mark.parametrize(
    ("spoil", "faults"),
    [
        (lambda: changed(2, digest="sha256:00"), {("wrong_digest", 2)}),
        (lambda: changed(2, action="approved"), {("wrong_digest", 2)}),
        (lambda: changed(1, state="activated"), {("wrong_digest", 1)}),
        (lambda: rewritten(2, b"submitted", b"recalled!"), {("wrong_digest", 2), ("broken_link", 3)}),
        (lambda: changed(2, body=b"["), {("unreadable", 2), ("broken_link", 3)}),
        (lambda: replace(history(), receipts=history().receipts[:2]), {("wrong_count", 2)}),
        (
            lambda: replace(history(), receipts=history().receipts[1:], version=2),
            {("wrong_seq", 1), ("broken_link", 1), ("wrong_seq", 2)},
        ),
        (
            lambda: replace(history(), disclosures={"rcp_3": (replace(COMMENT, value="Too wide"),)}),
            {("wrong_disclosure", 3)},
        ),
        (lambda: replace(history(), disclosures={"rcp_1": (COMMENT,)}), {("wrong_disclosure", 1)}),
    ],
)
def test_what_was_changed_afterwards_shows_in_its_place(spoil: Callable[[], History], faults: set[tuple[str, int]]):
    spoilt = spoil()
    found = shown(spoilt)

    assert {(fault.code, fault.seq) for fault in check_history(spoilt)} == faults
    assert found.verdict.state == "failed"
    assert not all(passed for _, _, passed in found.verdict.checks)


def test_a_receipt_that_cannot_be_read_is_shown_as_one_and_the_others_are_read():
    found = shown(changed(2, body=b"["))

    assert found.events[1].text == "What this receipt says cannot be read."
    assert [event.stands for event in found.events] == ["Checked", "Does not stand", "Does not stand"]


def test_a_fault_of_the_file_alone_is_a_failure():
    found = shown(history(), FileShown("/x", "x", "00", ("wrong_summary (quotes)",)))

    assert found.verdict.state == "failed"
    assert found.verdict.checks[-1] == ("Evidence file", "wrong_summary (quotes)", False)


def test_what_was_done_last_is_told_with_its_reason_if_it_can_be_read():
    why = Disclosure(path="reason", value="Wrong account", salt=bytes(SALT_BYTES))

    assert last_deed(history(), "approved") == Deed("usr_1", NOW, "")
    assert last_deed(replace(history(), disclosures={"rcp_3": (why,)}), "approved") == Deed("usr_1", NOW, "Wrong account")
    assert last_deed(history(), "cancelled") is None
    assert last_deed(changed(3, body=b"["), "approved") is None


def test_nothing_recorded_is_not_called_verified():
    assert shown(History("quo_1", 0, (), {})).verdict.state == "unrecorded"
