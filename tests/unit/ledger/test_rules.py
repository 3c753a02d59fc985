"""The bytes of a receipt: everything that matters is in them, nothing personal is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from trustpack.capabilities.ledger.model import Receipt, Transition
from trustpack.capabilities.ledger.rules import build_receipt
from trustpack.kernel.actor import Actor, ActorKind
from trustpack.proof.canonical import canonical_bytes, digest_of
from trustpack.proof.commitments import SALT_BYTES, Disclosure, opens

NOW = datetime(2026, 11, 21, 20, 0, 0, 123_456, tzinfo=UTC)
SECRET_WORD = "Mephistopheles"
ACTOR = Actor(tenant_id="acme", id="usr_1", kind=ActorKind.PERSON, handle=SECRET_WORD, account_id="acc_1")
TRANSITION = Transition(
    subject_kind="high_risk_request",
    subject_id="hro_1",
    version=2,
    action="approved",
    state="pending_approval",
    actor=ACTOR,
    payload={"open": ["team_lead"]},
    personal={"comment": SECRET_WORD},
)
DISCLOSURE = Disclosure(path="comment", value=SECRET_WORD, salt=bytes(SALT_BYTES))


def build(
    transition: Transition = TRANSITION, *, disclosures: tuple[Disclosure, ...] = (DISCLOSURE,), prev: str | None = "sha256:1"
) -> Receipt:
    return build_receipt(
        transition, tenant_id="acme", receipt_id="rcp_1", prev_hash=prev, occurred_at=NOW, disclosures=disclosures
    )


def test_a_receipt_has_exactly_these_members():
    body = json.loads(build(replace(TRANSITION, personal={}), disclosures=()).body)

    assert body == {
        "format": "trustpack/receipt/v1",
        "id": "rcp_1",
        "tenant": "acme",
        "subject": {"kind": "high_risk_request", "id": "hro_1"},
        "seq": 2,
        "action": "approved",
        "state": "pending_approval",
        "actor": {"id": "usr_1", "kind": "person", "account": "acc_1"},
        "occurred_at": "2026-11-21T20:00:00.123456Z",
        "payload": {"open": ["team_lead"]},
        "prev_hash": "sha256:1",
    }


def test_the_body_is_canonical_and_the_digest_is_of_it():
    receipt = build()

    assert canonical_bytes(json.loads(receipt.body)) == receipt.body
    assert receipt.digest == digest_of(receipt.body)


def test_a_commitment_stands_where_a_personal_value_would():
    committed = json.loads(build().body)["payload"]["comment"]

    assert list(committed) == ["commitment"]
    assert opens(DISCLOSURE, committed["commitment"])


def test_no_personal_value_and_no_handle_is_in_the_body():
    assert SECRET_WORD.encode() not in build().body


@given(first=st.text(st.characters(exclude_categories=("Cs",))), second=st.text(st.characters(exclude_categories=("Cs",))))
def test_receipts_differ_exactly_when_what_they_record_differs(first: str, second: str):
    receipts = [build(replace(TRANSITION, action=action)) for action in (first, second)]

    assert (receipts[0].digest == receipts[1].digest) == (first == second)


def test_a_personal_value_without_disclosure_is_not_recorded_in_the_clear():
    assert SECRET_WORD.encode() not in build(disclosures=()).body
