"""Cursors: ours are read back, everything else is refused by name."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.kernel.errors import InvalidInput
from trustpack.kernel.ids import build_id
from trustpack.platform.web.pagination import decode_cursor, decode_place, encode_cursor, encode_place


@given(unix_ms=st.integers(0, (1 << 48) - 1), random=st.binary(min_size=10, max_size=10))
def test_a_cursor_stands_for_the_last_id_of_its_page(unix_ms: int, random: bytes):
    last_id = build_id("hro", unix_ms=unix_ms, random=random)

    assert decode_cursor(encode_cursor(last_id)) == last_id


def test_no_cursor_is_the_first_page():
    assert decode_cursor(None) is None


def test_a_cursor_needs_no_escaping_in_a_url():
    cursor = encode_cursor(build_id("hro", unix_ms=1, random=bytes(10)))

    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "a",
        "!!!!",
        "hro_" + "0" * 32,
        base64.urlsafe_b64encode(b"hro_1' OR 1=1").decode(),
        base64.urlsafe_b64encode(b"hro_" + b"0" * 31).decode(),
        base64.urlsafe_b64encode(b"hro_" + b"0" * 32 + b"\n").decode(),
        base64.urlsafe_b64encode(b"\xff" * 36).decode(),
        "é",
        "\ud800",
        "A" * 100_000,
    ],
    ids=lambda cursor: ascii(cursor[:20]),
)
def test_a_cursor_that_we_did_not_make_is_refused_by_name(cursor: str):
    with pytest.raises(InvalidInput):
        decode_cursor(cursor)


@given(cursor=st.text(max_size=80))
def test_any_text_gives_an_id_or_the_named_error(cursor: str):
    try:
        found = decode_cursor(cursor)
    except InvalidInput:
        return

    assert found is not None
    assert decode_cursor(encode_cursor(found)) == found


@given(place=st.integers(0, (1 << 63) - 1))
def test_a_cursor_stands_for_the_place_that_its_page_follows(place: int):
    assert decode_place(encode_place(place)) == place


def test_without_a_cursor_a_list_begins_at_its_first_place():
    assert decode_place(None) == 0


@pytest.mark.parametrize("marker", ["hro_" + "0" * 32, "plc_" + "f" * 32, f"plc_{1 << 63:032x}"])
def test_a_cursor_of_another_list_or_beyond_any_list_is_refused_by_name(marker: str):
    with pytest.raises(InvalidInput):
        decode_place(encode_cursor(marker))
