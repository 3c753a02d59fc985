"""Rows as lines of `COPY`: whatever stands in a value, one row stays one line and is read back as it was."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from trustpack.app.bulk.lines import TOKEN, line_of


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "\\N"),
        (True, "t"),
        (7, "7"),
        ("a\tb\\c\nd\re", "a\\tb\\\\c\\nd\\re"),
        (datetime(2026, 11, 22, 8, 0, 0, 5, tzinfo=UTC), "2026-11-22T08:00:00.000005Z"),
        (date(2026, 11, 22), "2026-11-22"),
        (["ae", "usr_1"], "{ae,usr_1}"),
        ({"a": 'b"'}, '{"a": "b\\\\""}'),
        (b'{"a":"\\""}', '{"a":"\\\\\\\\""}'),
    ],
)
def test_a_value_is_written_as_copy_reads_it(value: object, field: str):
    assert line_of({"first": 1, "second": value}) == f"1\t{field}\n"


def test_a_salt_is_written_in_hex():
    assert line_of({"salt": b"\x00\xff" * 8}) == "\\\\x" + "00ff" * 8 + "\n"


def test_a_list_of_anything_but_roles_and_ids_is_refused():
    with pytest.raises(ValueError, match="only roles and ids"):
        line_of({"people": ["a,b"]})


def test_what_belongs_to_one_story_is_told_apart():
    hexes = "0123456789abcdef" * 2
    text = (
        f"quo_{hexes} sha256:{hexes}{hexes} 2026-11-22T08:00:00.000005Z 2026-11-22"
        f' {{"now":1760000000}} bulk-0000002a \\\\x{hexes} 1760000001 12.5'
    )

    found = [(match.lastgroup, match[0]) for match in TOKEN.finditer(text)]

    assert found == [
        ("id", f"quo_{hexes}"),
        ("digest", f"sha256:{hexes}{hexes}"),
        ("time", "2026-11-22T08:00:00.000005Z"),
        ("day", "2026-11-22"),
        ("seconds", "1760000000"),
        ("number", "bulk-0000002a"),
        ("salt", hexes),
    ]
