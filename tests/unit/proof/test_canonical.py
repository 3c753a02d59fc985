"""Canonical bytes against the examples of RFC 8785 and its test data."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from trustpack.proof.canonical import canonical_bytes, canonical_object, digest_of, digest_of_value

texts = st.text(st.characters(exclude_categories=("Cs",)))
# A float from 2^53 on is written like an integer that JSON readers do not hold exactly.
exact_floats = st.floats(min_value=-(2.0**53) + 1, max_value=2.0**53 - 1)
plain_names = st.text(st.characters(max_codepoint=0x7F))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1) | exact_floats | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)

# RFC 8785, appendix B: IEEE 754 bits and the text that ECMAScript writes for them.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_a_number_is_written_as_ecmascript_writes_it(bits: str, text: str):
    number = struct.unpack(">d", bytes.fromhex(bits))[0]

    assert canonical_bytes(number).decode() == text


def test_the_sample_of_section_3_2_2_has_the_bytes_of_the_rfc():
    sample = json.loads(
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        ' "string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, false]}'
    )

    assert (
        canonical_bytes(sample)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_keys_are_sorted_by_utf_16_code_units_as_section_3_2_3_shows():
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    written = json.loads(canonical_bytes(value))

    # By code points the emoji would come last; by UTF-16 its surrogates sort before U+FB33.
    assert list(written) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_strings_are_kept_as_they_are_and_not_normalised():
    assert canonical_bytes("A\u030a") == b'"A\xcc\x8a"'
    assert canonical_bytes("\u00c5") == b'"\xc3\x85"'


@given(value=json_values)
def test_canonical_bytes_read_back_to_the_same_value_and_bytes(value: Any):
    written = canonical_bytes(value)

    assert json.loads(written) == value
    assert canonical_bytes(json.loads(written)) == written


@given(value=json_values)
def test_whatever_can_be_written_fast_has_the_bytes_of_the_slow_way(value: Any):
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(value=st.recursive(st.none() | st.integers(-3, 3) | texts, lambda inner: st.dictionaries(plain_names, inner, max_size=4)))
def test_documents_with_plain_names_have_the_bytes_of_the_slow_way(value: Any):
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("code", [*range(0x20), 0x22, 0x2F, 0x5C, 0x7F, 0x80, 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600])
def test_each_character_that_encoders_differ_about_is_written_as_the_rfc_does(code: int):
    value = {"name": [chr(code), f"a{chr(code)}b"]}

    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(members=st.dictionaries(texts, json_values, max_size=4))
def test_an_object_of_values_that_are_written_already_has_the_bytes_of_the_whole(members: dict[str, Any]):
    assert canonical_object({name: canonical_bytes(value) for name, value in members.items()}) == rfc8785.dumps(members)


def test_a_name_without_canonical_form_is_refused():
    with pytest.raises(ValueError):
        canonical_object({"\ud800": b"1"})


@given(pairs=st.dictionaries(texts, st.integers(0, 9), max_size=6), seed=st.randoms())
def test_the_order_in_which_keys_were_set_does_not_matter(pairs: dict[str, int], seed: Any):
    shuffled = list(pairs.items())
    seed.shuffle(shuffled)

    assert canonical_bytes(dict(shuffled)) == canonical_bytes(pairs)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        2**53,
        -(2**53),
        10**400,
        "\ud800",
        "\udc00\ud800",
        {"\udfff": 1},
        {1: "a key that is no string"},
        {None: 1},
        {"deep": [{"deeper": 2**53}]},
        {"deep": [{"deeper": float("nan")}]},
        {"deep": [{"deeper": "\ud800"}]},
        b"bytes",
        {1, 2},
    ],
    ids=repr,
)
def test_a_value_without_canonical_form_is_refused(value: Any):
    with pytest.raises(ValueError):
        canonical_bytes(value)


@pytest.mark.parametrize("number", [2**53 - 1, -(2**53) + 1])
def test_the_largest_exact_integers_are_accepted(number: int):
    assert canonical_bytes(number) == str(number).encode()


@given(data=st.binary(max_size=200))
def test_a_digest_is_the_sha_256_of_the_bytes_with_its_name_before_it(data: bytes):
    assert digest_of(data) == "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_digest_of_a_value_is_that_of_its_canonical_bytes():
    assert digest_of_value({"b": 1, "a": []}) == digest_of(b'{"a":[],"b":1}')
