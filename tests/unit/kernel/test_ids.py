"""Ids: their form, their order, and the ids that are derived from others."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import MovableClock
from trustpack.kernel.errors import NotFound
from trustpack.kernel.ids import build_id, derive_id, require_id
from trustpack.platform.entropy import SystemIds

FORM = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}")
moments = st.integers(min_value=0, max_value=(1 << 48) - 1)
noise = st.binary(min_size=10, max_size=40)
prefixes = st.from_regex(r"[a-z]{2,8}", fullmatch=True)


@given(prefix=prefixes, unix_ms=moments, random=noise)
def test_an_id_is_its_prefix_and_a_version_7_uuid(prefix: str, unix_ms: int, random: bytes):
    made = build_id(prefix, unix_ms=unix_ms, random=random)

    value = UUID(made.removeprefix(f"{prefix}_"))
    assert FORM.fullmatch(made)
    assert (value.version, value.variant) == (7, "specified in RFC 4122")


@given(unix_ms=moments, random=noise)
def test_the_first_48_bits_are_the_time_in_milliseconds(unix_ms: int, random: bytes):
    made = build_id("hro", unix_ms=unix_ms, random=random)

    assert UUID(made[4:]).int >> 80 == unix_ms


@given(earlier=moments, later=moments, first=noise, second=noise)
def test_ids_of_one_prefix_sort_by_time_whatever_the_noise(earlier: int, later: int, first: bytes, second: bytes):
    earlier, later = sorted((earlier, later))

    ids = [build_id("hro", unix_ms=earlier, random=first), build_id("hro", unix_ms=later, random=second)]

    assert earlier == later or ids == sorted(ids)


@given(first=st.binary(min_size=10, max_size=10), second=st.binary(min_size=10, max_size=10))
def test_74_bits_of_the_noise_tell_two_ids_of_one_moment_apart(first: bytes, second: bytes):
    # Six of the 80 bits give way to version and variant: bits 63 to 67 and bit 62.
    kept = ~(0b11_1111 << 62)

    same = build_id("hro", unix_ms=1, random=first) == build_id("hro", unix_ms=1, random=second)

    assert same == ((int.from_bytes(first, "big") & kept) == (int.from_bytes(second, "big") & kept))


def test_ten_thousand_ids_of_the_system_are_different_and_have_the_form():
    ids = SystemIds(MovableClock())

    made = [ids.new("rcp") for _ in range(10_000)]

    assert len(set(made)) == len(made)
    assert all(FORM.fullmatch(each) for each in made)


@given(unix_ms=moments, random=noise, purpose=st.text(max_size=40))
def test_deriving_twice_gives_the_same_id(unix_ms: int, random: bytes, purpose: str):
    source = build_id("dec", unix_ms=unix_ms, random=random)

    once, again = (derive_id("evt", source_id=source, purpose=purpose) for _ in range(2))

    assert once == again


@given(unix_ms=moments, random=noise)
def test_a_derived_id_keeps_the_time_of_its_source(unix_ms: int, random: bytes):
    source = build_id("dec", unix_ms=unix_ms, random=random)

    derived = derive_id("evt", source_id=source, purpose="policy_decision")

    assert derived.split("_")[1][:12] == source.split("_")[1][:12]


@given(unix_ms=moments, first=noise, second=noise)
def test_ids_derived_from_different_sources_differ(unix_ms: int, first: bytes, second: bytes):
    sources = {build_id("dec", unix_ms=unix_ms, random=random) for random in (first, second)}

    derived = {derive_id("evt", source_id=source, purpose="policy_decision") for source in sources}

    assert len(derived) == len(sources)


def test_ids_derived_for_different_purposes_differ():
    source = build_id("hro", unix_ms=5, random=bytes(10))

    derived = {derive_id("evt", source_id=source, purpose=purpose) for purpose in ("policy_decision", "workflow_run")}

    assert len(derived) == 2


@given(prefix=prefixes, unix_ms=moments, random=noise)
def test_a_well_formed_id_is_returned_unchanged(prefix: str, unix_ms: int, random: bytes):
    made = build_id(prefix, unix_ms=unix_ms, random=random)

    assert require_id(made, prefix=prefix) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hro_",
        "hro",
        "hro_0199",
        "HRO_" + "0" * 32,
        "hro_" + "0" * 31,
        "hro_" + "0" * 33,
        "hro_" + "A" * 32,
        "hro_" + "0" * 32 + "\n",
        " hro_" + "0" * 32,
        "hro_" + "\u0660" * 32,
        "usr_" + "0" * 32,
        "xhro_" + "0" * 32,
        "hro_" + "0" * 31 + "'",
        "hro_01990000-0000-7000-8000-000000000000",
    ],
)
def test_a_text_that_is_no_id_of_the_kind_is_not_found_rather_than_invalid(text: str):
    with pytest.raises(NotFound):
        require_id(text, prefix="hro")
