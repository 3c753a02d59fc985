"""A bundle that agrees with itself has no fault; whatever is changed in it, by a byte or by a part, shows under its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.proof.bundle import BUNDLE_FORMAT, check_bundle, summary_of
from trustpack.proof.canonical import canonical_bytes, digest_of_value
from trustpack.proof.commitments import Disclosure, commitment_to

LEAD, QUOTE = f"lead_{'0' * 32}", f"quo_{'0' * 32}"
SALT = bytes(range(16))
NOW = "2026-11-21T20:00:00.000000Z"
TERMS = {"net": 1}
BOUND = {"terms_digest": digest_of_value(TERMS)}
FIGURES = {"quotes": ("net_amount",)}


def receipt_of(subject_id: str, seq: int, previous: dict[str, Any] | None, **payload: Any) -> dict[str, Any]:
    body = {
        "id": f"rcp_{subject_id}_{seq}",
        "tenant": "acme",
        "subject": {"kind": subject_id.partition("_")[0], "id": subject_id},
        "seq": seq,
        "action": "approved",
        "actor": {"id": "usr_1"},
        "occurred_at": NOW,
        "payload": payload,
        "prev_hash": previous["digest"] if previous is not None else None,
    }
    return {"id": body["id"], "seq": seq, "digest": digest_of_value(body), "body": body, "disclosures": []}


def with_comment(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return a receipt that commits to a comment, with what opens it."""
    disclosure = Disclosure(path="comment", value="fine", salt=SALT)
    body = {**receipt["body"], "payload": {**receipt["body"]["payload"], "comment": {"commitment": commitment_to(disclosure)}}}
    opening = {"path": "comment", "value": "fine", "salt": SALT.hex()}
    return {**receipt, "body": body, "digest": digest_of_value(body), "disclosures": [opening]}


def parts() -> dict[str, Any]:
    """Return the sections of a small deal: two subjects, three receipts."""
    lead = receipt_of(LEAD, 1, None, routing={"decision_id": "dec_1"})
    first = receipt_of(QUOTE, 1, None, net=1, **BOUND)
    second = with_comment(receipt_of(QUOTE, 2, first, approval_id="apr_1", role="ae", **BOUND))
    vote = {"id": "apr_1", "approver": {"id": "usr_1"}, "verdict": "approve", "role": "ae", "created_at": NOW, **BOUND}
    return {
        "quotes": [{"id": QUOTE, "net_amount": "1.00", "terms": TERMS, **BOUND}],
        "lead": {"id": LEAD, "created_at": NOW},
        "approvals": [vote],
        "decisions": [{"id": "dec_1"}],
        "receipts": [lead, first, second],
    }


def bundle_of(sections: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a bundle whose manifest fits its sections, with `changes` in it."""
    last = {receipt["body"]["subject"]["id"]: receipt for receipt in sections["receipts"]}
    subjects = [
        {"kind": subject_id.partition("_")[0], "id": subject_id, "version": receipt["seq"], "head": receipt["digest"]}
        for subject_id, receipt in last.items()
    ]
    manifest = {
        "format": BUNDLE_FORMAT,
        "kind": "deal",
        "tenant": "acme",
        "subject": QUOTE,
        "version": 2,
        "subjects": subjects,
        "sections": {name: summary_of(section, figures=FIGURES.get(name, ())) for name, section in sections.items()},
    }
    return {"manifest": {**manifest, **changes}, **sections}


def codes(bundle: Any) -> set[str]:
    return {fault.code for fault in check_bundle(canonical_bytes(bundle))}


WHOLE = canonical_bytes(bundle_of(parts()))


def test_a_bundle_that_agrees_with_itself_has_no_fault() -> None:
    assert check_bundle(WHOLE) == ()


@given(place=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_no_bit_can_be_flipped_unseen(place: int, bit: int) -> None:
    flipped = bytearray(WHOLE)
    flipped[place] ^= 1 << bit

    assert check_bundle(bytes(flipped))


@given(end=st.integers(0, len(WHOLE) - 1))
def test_no_part_can_be_cut_off_unseen(end: int) -> None:
    assert check_bundle(WHOLE[:end])


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_hostile_bytes_are_a_fault_and_never_an_exception(content: bytes) -> None:
    assert check_bundle(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "body", "figures"]), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    st.sampled_from(["format", "kind", "tenant", "subject", "version", "subjects", "sections", "receipts", "lead", "quotes"]),
)
def test_a_part_of_another_shape_is_a_fault_and_never_an_exception(value: Any, name: str) -> None:
    bundle = json.loads(WHOLE)
    holder = bundle if name in bundle else bundle["manifest"]
    if holder[name] == value:
        return
    holder[name] = value

    assert check_bundle(canonical_bytes(bundle))


@pytest.mark.parametrize("content", [b"[]", b"null", b"1", b'"manifest"', b"[ ]"])
def test_what_is_no_object_is_no_bundle(content: bytes) -> None:
    assert {fault.code for fault in check_bundle(content)} == {"misshapen"}


def test_deep_nesting_is_unreadable() -> None:
    assert {fault.code for fault in check_bundle(b"[" * 100_000 + b"]" * 100_000)} == {"unreadable"}


def test_the_same_value_in_other_bytes_is_not_canonical() -> None:
    assert {fault.code for fault in check_bundle(json.dumps(json.loads(WHOLE)).encode())} == {"not_canonical"}
    assert {fault.code for fault in check_bundle(WHOLE + b"\n")} == {"not_canonical"}


def drop_first(receipts: list[Any]) -> list[Any]:
    return receipts[1:]


def drop_middle(receipts: list[Any]) -> list[Any]:
    return [receipts[0], receipts[2]]


def drop_last(receipts: list[Any]) -> list[Any]:
    return receipts[:-1]


def swap(receipts: list[Any]) -> list[Any]:
    return [receipts[0], receipts[2], receipts[1]]


def double(receipts: list[Any]) -> list[Any]:
    return [*receipts, receipts[-1]]


@pytest.mark.deal_case(39)
@pytest.mark.parametrize("change", [drop_first, drop_middle, drop_last, swap, double], ids=lambda change: change.__name__)
def test_receipts_that_are_left_out_moved_or_doubled_show_even_if_the_summaries_are_made_anew(
    change: Callable[[list[Any]], list[Any]],
) -> None:
    whole, sections = json.loads(WHOLE), parts()
    sections["receipts"] = change(sections["receipts"])

    forged = bundle_of(sections, subjects=whole["manifest"]["subjects"])

    assert any(code.startswith("chain_") or code == "wrong_head" for code in codes(forged))


def test_a_rewritten_chain_shows_by_the_head_that_was_kept() -> None:
    sections = parts()
    sections["receipts"][2] = receipt_of(QUOTE, 2, sections["receipts"][1], approval_id="apr_1", role="ae", more=True, **BOUND)

    assert codes(bundle_of(sections)) == set()
    assert codes(bundle_of(sections, subjects=json.loads(WHOLE)["manifest"]["subjects"])) == {"wrong_head"}


def test_a_receipt_of_a_subject_that_is_not_named_is_stray() -> None:
    subjects = json.loads(WHOLE)["manifest"]["subjects"]

    assert codes(bundle_of(parts(), subjects=[each for each in subjects if each["id"] == QUOTE])) == {"stray_receipt"}


def test_a_document_that_is_not_the_one_of_the_digest_beside_it_is_named() -> None:
    sections = parts()
    sections["quotes"][0]["terms"] = {"net": 2}

    assert codes(bundle_of(sections)) == {"wrong_digest"}


def test_terms_that_no_receipt_names_show_although_they_have_their_own_digest() -> None:
    sections = parts()
    sections["quotes"][0] |= {"terms": {"net": 2}, "terms_digest": digest_of_value({"net": 2})}

    assert codes(bundle_of(sections)) == {"unrecorded_digest"}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "apr_2"},
        {"approver": {"id": "usr_2"}},
        {"verdict": "reject"},
        {"role": "manager"},
        {"created_at": "2026-11-21T20:00:01.000000Z"},
    ],
    ids=str,
)
def test_a_vote_that_is_not_the_one_of_its_receipt_is_named(change: dict[str, Any]) -> None:
    sections = parts()
    sections["approvals"][0] |= change

    assert codes(bundle_of(sections)) == {"wrong_approval"}


def test_a_vote_that_is_left_out_or_made_up_is_named() -> None:
    without, twice = parts(), parts()
    without["approvals"] = []
    twice["approvals"] *= 2

    assert (codes(bundle_of(without)), codes(bundle_of(twice))) == ({"wrong_approval"}, {"wrong_approval"})


def test_a_decision_that_a_receipt_names_and_that_is_not_there_is_named() -> None:
    assert codes(bundle_of(parts() | {"decisions": []})) == {"missing_decision"}


def test_a_figure_that_is_not_the_sections_is_named() -> None:
    bundle = json.loads(WHOLE)
    bundle["manifest"]["sections"]["quotes"]["figures"][0]["net_amount"] = "0.01"

    assert codes(bundle) == {"wrong_summary"}


def test_a_section_that_the_manifest_does_not_know_is_named() -> None:
    assert codes(json.loads(WHOLE) | {"notes": []}) == {"wrong_sections"}


def test_a_truth_in_place_of_a_number_is_named() -> None:
    bundle = json.loads(WHOLE)
    bundle["manifest"]["sections"]["quotes"]["count"] = True

    assert codes(bundle) == {"wrong_summary"}


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"path": "comment", "value": "another", "salt": SALT.hex()}, "wrong_disclosure"),
        ({"path": "reason", "value": "fine", "salt": SALT.hex()}, "wrong_disclosure"),
        ({"path": "comment", "value": "fine", "salt": "00"}, "wrong_disclosure"),
        ({"path": "comment", "value": "fine", "salt": "none"}, "misshapen"),
    ],
)
def test_a_disclosure_that_does_not_open_its_commitment_is_named(entry: dict[str, str], code: str) -> None:
    sections = parts()
    sections["receipts"][2]["disclosures"] = [entry]

    assert codes(bundle_of(sections)) == {code}


def test_two_disclosures_of_one_commitment_are_named_and_none_is_an_erasure() -> None:
    twice, erased = parts(), parts()
    twice["receipts"][2]["disclosures"] *= 2
    erased["receipts"][2]["disclosures"] = []

    assert (codes(bundle_of(twice)), codes(bundle_of(erased))) == ({"wrong_disclosure"}, set())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": "trustpack/evidence/v2"}, "unknown_form"),
        ({"kind": "invoice"}, "unknown_form"),
        ({"note": 1}, "unknown_form"),
        ({"tenant": "other"}, "wrong_tenant"),
        ({"subject": LEAD}, "wrong_subject"),
        ({"version": 1}, "wrong_subject"),
    ],
    ids=str,
)
def test_a_manifest_that_says_something_else_than_its_receipts_is_named(changes: dict[str, Any], code: str) -> None:
    assert codes(bundle_of(parts(), **changes)) == {code}


def test_a_subject_of_another_kind_is_named() -> None:
    subjects = deepcopy(json.loads(WHOLE)["manifest"]["subjects"])
    subjects[0]["kind"] = "invoice"

    assert codes(bundle_of(parts(), subjects=subjects)) == {"wrong_subject"}
