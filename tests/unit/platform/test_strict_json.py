"""One meaning per document: what is refused, and that everything else reads as `json.loads` reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.platform.web.strict_json import MAX_DEPTH, MalformedJson, parse

storable = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | storable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(storable, inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


@given(value=json_values, ascii_only=st.booleans())
def test_an_acceptable_document_reads_as_the_standard_library_reads_it(value: Any, ascii_only: bool):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert parse(raw) == json.loads(raw)


@given(raw=st.binary(max_size=60))
def test_any_bytes_give_a_value_or_the_named_error(raw: bytes):
    try:
        value = parse(raw)
    except MalformedJson:
        return

    assert value == json.loads(raw)


@given(raw=st.text(st.sampled_from('[]{}",:0123456789eE+-.\\u\x00ntrfalsd \ud83d'), max_size=40))
def test_any_text_of_json_characters_gives_a_value_or_the_named_error(raw: str):
    try:
        parse(raw.encode("utf-8", "surrogatepass"))
    except MalformedJson:
        return


REFUSED = {
    "empty": b"",
    "blank": b"  ",
    "no json": b"hello",
    "two documents": b"{} {}",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "comment": b"{}//",
    "duplicate key": b'{"a":1,"a":1}',
    "duplicate key deep down": b'{"x":[{"a":1,"a":2}]}',
    "duplicate key, once escaped": b'{"a":1,"\\u0061":2}',
    "duplicate key, both escaped": b'{"\\u0061":1,"\\u0061":2}',
    "duplicate empty key": b'{"":1,"":2}',
    "NaN": b'{"a":NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "number beyond a double": b"[1e400]",
    "negative number beyond a double": b"[-1e400]",
    "long number beyond a double": b"[" + b"9" * 400 + b".0]",
    "integer of 5,000 digits": b"1" * 5_000,
    "integer of 5,000 digits inside": b'{"duration_minutes":' + b"1" * 5_000 + b"}",
    "leading zero": b"[01]",
    "33 arrays": nested(33),
    "33 objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "33 levels mixed": b'[{"a":' * 17 + b"1" + b"}]" * 17,
    "100,000 arrays": nested(100_000),
    "100,000 arrays without an end": b"[" * 100_000,
    "100,000 objects without an end": b'{"a":' * 100_000,
    "100,000 levels after a string of brackets": b'["]]]]",' + b"[" * 100_000,
    "lone high surrogate": b'["\\ud800"]',
    "lone low surrogate": b'["\\udc00"]',
    "surrogates in the wrong order": b'["\\udc00\\ud800"]',
    "lone surrogate in a key": b'{"\\ud800":1}',
    "surrogate encoded as UTF-8": b'["\xed\xa0\x80"]',
    "NUL": b'["\\u0000"]',
    "NUL in a key": b'{"a\\u0000":1}',
    "NUL deep down": b'{"a":[{"b":"x\\u0000"}]}',
    "NUL as it is": b'["\x00"]',
    "line break in a string": b'["\n"]',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "overlong encoding": b'["\xc0\x80"]',
    "cut UTF-8": b'["\xc3"]',
    "Latin-1": '["é"]'.encode("latin-1"),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_document_without_one_storable_meaning_is_refused(raw: bytes):
    with pytest.raises(MalformedJson):
        parse(raw)


ACCEPTED = {
    "32 arrays": (nested(32), None),
    "brackets in strings do not count": (json.dumps(["[" * 100, "{" * 100]).encode(), ["[" * 100, "{" * 100]),
    "escaped quotes in strings": (json.dumps(['\\"[[[' * 40]).encode(), ['\\"[[[' * 40]),
    "many arrays side by side": (json.dumps([[]] * 100).encode(), [[]] * 100),
    "a surrogate pair": (b'["\\ud83d\\ude00"]', ["😀"]),
    "the same key in two objects": (b'[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
    "keys that differ in case": (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    "an escaped backslash before u": (b'["\\\\ud800"]', ["\\ud800"]),
    "the largest double": (b"[1.7976931348623157e308]", [1.7976931348623157e308]),
    "white space around": (b' \r\n\t{"a": 1}\n', {"a": 1}),
}


@pytest.mark.parametrize(("raw", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_an_unusual_but_clear_document_is_read(raw: bytes, expected: Any):
    assert parse(raw) == (expected if expected is not None else json.loads(raw))


@given(depth=st.integers(1, 60), objects=st.booleans())
def test_the_depth_limit_is_exact(depth: int, objects: bool):
    raw = b'{"a":' * depth + b"1" + b"}" * depth if objects else nested(depth)

    try:
        parse(raw)
        accepted = True
    except MalformedJson:
        accepted = False

    assert accepted == (depth <= MAX_DEPTH)


def test_the_error_does_not_repeat_what_was_sent():
    with pytest.raises(MalformedJson) as caught:
        parse(b'{"password":"hunter2","password":"hunter2"}')

    assert "hunter2" not in f"{caught.value.detail}{caught.value.next_step}{dict(caught.value.data)}"
