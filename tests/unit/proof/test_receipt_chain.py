"""Every tampering with a subject's receipts shows as a named fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trustpack.proof.canonical import canonical_bytes, digest_of
from trustpack.proof.receipt_chain import ChainFault, check_chain

SUBJECT = "hro_" + "0" * 32


def chain_of(length: int, *, subject_id: str = SUBJECT) -> list[bytes]:
    """Return the bodies of a valid chain."""
    bodies: list[bytes] = []
    for seq in range(1, length + 1):
        bodies.append(body_of(seq, previous=bodies[-1] if bodies else None, subject_id=subject_id))
    return bodies


def body_of(number: int, /, *, previous: bytes | None, subject_id: str = SUBJECT, **changes: Any) -> bytes:
    """Return one canonical body that follows `previous`, with `changes` in it."""
    receipt = {
        "format": "trustpack/receipt/v1",
        "id": f"rcp_{number:032x}",
        "tenant": "acme",
        "subject": {"kind": "high_risk_request", "id": subject_id},
        "seq": number,
        "action": "approved",
        "state": "pending_approval",
        "actor": {"id": "usr_1", "kind": "person", "account": None},
        "occurred_at": "2026-11-21T20:00:00.000000Z",
        "payload": {"open": ["team_lead"], "role": None, "note": "é €"},
        "prev_hash": digest_of(previous) if previous is not None else None,
    }
    return canonical_bytes({**receipt, **changes})


def faults_of(bodies: list[bytes], *, expected_count: int | None = None) -> tuple[ChainFault, ...]:
    return check_chain(bodies, subject_id=SUBJECT, expected_count=len(bodies) if expected_count is None else expected_count)


@given(length=st.integers(0, 12))
def test_a_valid_chain_has_no_fault(length: int):
    assert faults_of(chain_of(length)) == ()


def test_a_body_that_is_not_canonical_is_named():
    only = json.dumps(json.loads(chain_of(1)[0])).encode()

    assert faults_of([only]) == (ChainFault("not_canonical", 1),)


def test_a_receipt_of_another_subject_is_named():
    assert faults_of(chain_of(1, subject_id="hro_" + "1" * 32)) == (ChainFault("wrong_subject", 1),)


def test_a_receipt_without_subject_is_named():
    assert ChainFault("wrong_subject", 1) in faults_of([body_of(1, previous=None, subject=None)])


def test_a_wrong_sequence_number_is_named():
    first = body_of(1, previous=None)

    assert faults_of([first, body_of(3, previous=first)]) == (ChainFault("wrong_seq", 2),)


def test_a_sequence_number_that_only_counts_as_one_is_named():
    # In Python `True == 1`; in the receipt `true` is not the number 1.
    assert faults_of([body_of(1, previous=None, seq=True)]) == (ChainFault("wrong_seq", 1),)


def test_a_receipt_that_names_another_predecessor_is_named():
    first = body_of(1, previous=None)

    assert faults_of([first, body_of(2, previous=b"another")]) == (ChainFault("broken_link", 2),)


def test_a_first_receipt_that_names_a_predecessor_is_named():
    assert faults_of([body_of(1, previous=b"something")]) == (ChainFault("broken_link", 1),)


def test_a_missing_last_receipt_is_named_by_the_count():
    assert faults_of(chain_of(3)[:2], expected_count=3) == (ChainFault("wrong_count", 2),)


def test_all_faults_are_named_and_not_only_the_first():
    first = body_of(1, previous=None)

    found = faults_of([first, body_of(5, previous=b"another", subject_id="hro_x")], expected_count=4)

    assert {fault.code for fault in found} == {"wrong_subject", "wrong_seq", "broken_link", "wrong_count"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'"text"',
        b'{"subject":[]}',
        b'{"seq":9007199254740992}',
        b'{"seq":NaN}',
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b"1" * 5_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_bytes_that_are_no_receipt_are_a_fault_and_never_an_exception(body: bytes):
    assert faults_of([body])


def test_bytes_that_are_no_object_are_named_as_unreadable():
    assert faults_of([b"[]"]) == (ChainFault("unreadable", 1),)


@given(data=st.data(), length=st.integers(2, 6))
def test_any_changed_byte_before_the_last_receipt_is_found(data: st.DataObject, length: int):
    bodies = chain_of(length)
    index = data.draw(st.integers(0, length - 2))
    at = data.draw(st.integers(0, len(bodies[index]) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(bodies[index])
    changed[at] ^= flip

    assert faults_of([*bodies[:index], bytes(changed), *bodies[index + 1 :]])


@given(data=st.data(), length=st.integers(1, 6))
def test_any_changed_byte_of_the_last_receipt_is_found_by_its_digest(data: st.DataObject, length: int):
    bodies = chain_of(length)
    head = digest_of(bodies[-1])
    at = data.draw(st.integers(0, len(bodies[-1]) - 1))
    changed = bytearray(bodies[-1])
    changed[at] ^= data.draw(st.integers(1, 255))

    # Nothing follows the last receipt that could name it: whoever checks must hold its digest from elsewhere (log, bundle).
    assert faults_of([*bodies[:-1], bytes(changed)]) or digest_of(bytes(changed)) != head


@given(data=st.data(), length=st.integers(1, 8))
def test_any_removed_receipt_is_found(data: st.DataObject, length: int):
    bodies = chain_of(length)
    del bodies[data.draw(st.integers(0, length - 1))]

    assert faults_of(bodies, expected_count=length)


@given(data=st.data(), length=st.integers(1, 8))
def test_any_repeated_receipt_is_found_even_when_the_count_is_adjusted(data: st.DataObject, length: int):
    bodies = chain_of(length)
    repeated = data.draw(st.sampled_from(bodies))
    bodies.insert(data.draw(st.integers(0, length)), repeated)

    assert faults_of(bodies)


@given(length=st.integers(2, 7), random=st.randoms(use_true_random=False))
def test_any_other_order_is_found(length: int, random: Any):
    bodies = chain_of(length)
    shuffled = list(bodies)
    random.shuffle(shuffled)
    assume(shuffled != bodies)

    assert faults_of(shuffled)


@given(data=st.data(), length=st.integers(2, 6))
def test_a_receipt_exchanged_for_that_of_another_chain_is_found(data: st.DataObject, length: int):
    bodies, others = chain_of(length), chain_of(length, subject_id="hro_" + "f" * 32)
    index = data.draw(st.integers(0, length - 1))
    bodies[index] = others[index]

    assert faults_of(bodies)
