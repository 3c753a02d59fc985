"""How a bundle is put together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trustpack.capabilities.evidence.rules import build_bundle
from trustpack.proof.bundle import summary_of
from trustpack.proof.canonical import canonical_bytes, digest_of_value

SUBJECT = {"kind": "k", "id": "s", "version": 3, "head": "sha256:0"}


def bundle(figures: Mapping[str, Sequence[str]] = MappingProxyType({}), **sections: object) -> bytes:
    return build_bundle(
        kind="k",
        tenant_id="t",
        subject_id="s",
        subjects=[SUBJECT],
        sections=sections,  # type: ignore[arg-type]
        figures=figures,
    )


def test_the_same_sections_give_the_same_bytes_in_whatever_order_their_fields_come() -> None:
    assert bundle(request={"a": 1, "b": 2}, receipts=[]) == bundle(receipts=[], request={"b": 2, "a": 1})


def test_a_bundle_has_the_canonical_bytes_of_its_manifest_and_sections() -> None:
    sections = {"quotes": [{"id": "q1", "net_amount": "1.00", "é": 0.5}], "Übersicht": {"made_at": "T1"}, "contracts": []}

    written = bundle({"quotes": ("net_amount",)}, **sections)

    manifest = json.loads(written)["manifest"]
    assert manifest["sections"] == {
        name: summary_of(section, figures=("net_amount",) if name == "quotes" else ())  # type: ignore[arg-type]
        for name, section in sections.items()
    }
    assert written == canonical_bytes({"manifest": manifest, **sections})  # type: ignore[dict-item]


def test_a_list_is_summarised_by_digest_number_and_ids() -> None:
    receipts = [{"id": "r1", "seq": 1}, {"id": "r2", "seq": 2}]

    summary = json.loads(bundle(receipts=receipts))["manifest"]["sections"]["receipts"]

    assert {name: summary[name] for name in ("digest", "count", "ids")} == {
        "digest": digest_of_value(receipts),  # type: ignore[arg-type]
        "count": 2,
        "ids": ["r1", "r2"],
    }


def test_the_moments_of_an_item_are_listed_and_those_of_a_receipt_are_read_from_its_body() -> None:
    sections = json.loads(
        bundle(
            execution={"id": "e1", "started_at": "T1", "finished_at": None},
            decisions=[{"id": "d1", "decided_at": "T0"}],
            receipts=[{"id": "r1", "body": {"occurred_at": "T2"}}],
        )
    )["manifest"]["sections"]

    assert sections["execution"]["times"] == {"started_at": "T1"}
    assert sections["decisions"]["times"] == [{"decided_at": "T0"}]
    assert sections["receipts"]["times"] == [{"occurred_at": "T2"}]


def test_an_empty_list_is_counted_as_empty() -> None:
    assert json.loads(bundle(approvals=[]))["manifest"]["sections"]["approvals"]["count"] == 0


def test_a_missing_part_is_summarised_too() -> None:
    summary = json.loads(bundle(execution=None))["manifest"]["sections"]["execution"]

    assert summary["digest"] == digest_of_value(None)
    assert "count" not in summary


def test_an_item_left_out_changes_the_manifest() -> None:
    whole = json.loads(bundle(receipts=[{"id": "r1"}, {"id": "r2"}]))
    shorter = json.loads(bundle(receipts=[{"id": "r1"}]))

    assert whole["manifest"] != shorter["manifest"]


def test_the_manifest_names_its_subjects_and_the_version_of_the_one_that_was_asked_for() -> None:
    manifest = json.loads(bundle(receipts=[]))["manifest"]

    assert (manifest["subject"], manifest["version"], manifest["subjects"]) == ("s", 3, [SUBJECT])


def test_figures_of_a_list_are_repeated_in_the_manifest_item_by_item() -> None:
    quotes = [{"id": "q1", "net_amount": "1.00", "title": "a"}, {"id": "q2"}]

    sections = json.loads(bundle({"quotes": ("net_amount",), "contracts": ("net_amount",)}, quotes=quotes, contracts=[]))[
        "manifest"
    ]["sections"]

    assert sections["quotes"]["figures"] == [{"net_amount": "1.00"}, {"net_amount": None}]
    assert "figures" not in sections["contracts"]
