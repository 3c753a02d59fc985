"""A commitment opens for what it was made to, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trustpack.proof.canonical import canonical_bytes, digest_of
from trustpack.proof.commitments import SALT_BYTES, Disclosure, commitment_to, opens

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.none() | st.booleans() | st.integers(-1000, 1000) | texts | st.lists(texts, max_size=3)
salts = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)
disclosures = st.builds(Disclosure, path=texts, value=values, salt=salts)


@given(made=disclosures)
def test_a_commitment_opens_for_its_own_disclosure(made: Disclosure):
    assert opens(made, commitment_to(made))


@given(made=disclosures, other=disclosures)
def test_a_commitment_opens_for_no_other_disclosure(made: Disclosure, other: Disclosure):
    def bytes_of(entry: Disclosure) -> bytes:
        return canonical_bytes([entry.salt.hex(), entry.path, entry.value])

    assume(bytes_of(made) != bytes_of(other))

    assert not opens(other, commitment_to(made))


@given(made=disclosures, path=texts)
def test_another_path_does_not_open_it(made: Disclosure, path: str):
    assume(path != made.path)

    assert not opens(replace(made, path=path), commitment_to(made))


@given(made=disclosures, value=values)
def test_another_value_does_not_open_it(made: Disclosure, value: Any):
    assume(canonical_bytes(value) != canonical_bytes(made.value))

    assert not opens(replace(made, value=value), commitment_to(made))


@given(made=disclosures, bit=st.integers(0, SALT_BYTES * 8 - 1))
def test_a_salt_with_one_bit_changed_gives_another_commitment(made: Disclosure, bit: int):
    changed = (int.from_bytes(made.salt, "big") ^ 1 << bit).to_bytes(SALT_BYTES, "big")

    assert commitment_to(replace(made, salt=changed)) != commitment_to(made)


def test_path_and_value_cannot_be_moved_into_each_other():
    salt = bytes(SALT_BYTES)

    assert commitment_to(Disclosure("a", "bc", salt)) != commitment_to(Disclosure("ab", "c", salt))


def test_a_number_and_its_text_give_different_commitments():
    salt = bytes(SALT_BYTES)

    assert commitment_to(Disclosure("a", 1, salt)) != commitment_to(Disclosure("a", "1", salt))


def test_the_form_is_the_documented_one_so_that_others_can_check_it():
    made = Disclosure(path="justification", value="Investigate stuck refunds", salt=bytes(range(SALT_BYTES)))

    expected = b'["trustpack/commitment/v1","000102030405060708090a0b0c0d0e0f","justification","Investigate stuck refunds"]'

    assert commitment_to(made) == digest_of(expected)


@pytest.mark.parametrize("commitment", ["", "sha256:", "sha256:" + "0" * 64])
def test_a_text_that_is_no_commitment_of_it_is_not_opened(commitment: str):
    assert not opens(Disclosure("a", "b", bytes(SALT_BYTES)), commitment)


def test_a_commitment_in_a_tampered_receipt_with_foreign_characters_is_not_opened_rather_than_an_error():
    assert not opens(Disclosure("a", "b", bytes(SALT_BYTES)), "sha256:é")
