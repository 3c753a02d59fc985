"""The effect of a request: everything that could change what happens changes its digest, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trustpack.capabilities.operations.model import (
    AdapterKind,
    Effect,
    Mask,
    OutsideTarget,
    SecretReference,
    Target,
    TargetDefinition,
    TargetIdentity,
    TargetTable,
)
from trustpack.capabilities.operations.rules.effects import (
    PLACEHOLDER_ROLE,
    approved_target,
    build_effect,
    in_next_round,
    order_of,
    outside_of,
    read_effect,
)
from trustpack.proof.canonical import digest_of

ORDERS = TargetTable(
    schema="public", name="orders", tenant_column="tenant", hidden_columns=("card",), masked_columns={"email": Mask.REDACTED}
)
DEFINITION = TargetDefinition(
    name="orders-prod",
    environment="prod",
    adapter=AdapterKind.POSTGRES,
    dsn=SecretReference(source="env", name="ORDERS_DSN"),
    tables=(ORDERS,),
    scopes=("acme", "globex"),
    max_duration_seconds=600,
    connection_limit=2,
)
TARGET = Target(
    id="tgt_1",
    version=1,
    status="active",
    definition=DEFINITION,
    identity=TargetIdentity(digest="sha256:1", system="a", facts={}),
)


def effect(
    target: Target = TARGET, *, scope: str = "acme", seconds: int = 60, statements: tuple[str, ...] = ("create role",)
) -> Effect:
    return build_effect(target, order_of(target, scope=scope, duration_seconds=seconds), statements=statements)


def with_definition(**changes: Any) -> Target:
    return replace(TARGET, definition=replace(DEFINITION, **changes))


def with_table(**changes: Any) -> Target:
    return with_definition(tables=(replace(ORDERS, **changes),))


CHANGES: dict[str, Callable[[], Effect]] = {
    "another scope": lambda: effect(scope="globex"),
    "another duration": lambda: effect(seconds=61),
    "other statements": lambda: effect(statements=("create role", "grant more")),
    "another installation": lambda: effect(replace(TARGET, identity=TargetIdentity(digest="sha256:2", system="a", facts={}))),
    "another system": lambda: effect(replace(TARGET, identity=TargetIdentity(digest="sha256:1", system="b", facts={}))),
    "another target": lambda: effect(replace(TARGET, id="tgt_2")),
    "another connection": lambda: effect(with_definition(dsn=SecretReference(source="file", name="ORDERS_DSN"))),
    "more connections": lambda: effect(with_definition(connection_limit=3)),
    "another table": lambda: effect(with_table(name="refunds")),
    "another tenant column": lambda: effect(with_table(tenant_column="customer")),
    "a column less hidden": lambda: effect(with_table(hidden_columns=())),
    "a column masked otherwise": lambda: effect(with_table(masked_columns={"email": Mask.FIRST_LETTER})),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
def test_what_would_happen_otherwise_has_another_digest(changed: Callable[[], Effect]) -> None:
    assert changed().digest != effect().digest


@pytest.mark.parametrize(
    "same",
    [
        effect(),
        effect(replace(TARGET, version=9)),
        effect(replace(TARGET, identity=TargetIdentity(digest="sha256:1", system="a", facts={"a": 1}))),
    ],
    ids=["again", "after another version of the target", "with facts that its identity does not depend on"],
)
def test_what_would_happen_alike_has_the_same_digest(same: Effect) -> None:
    assert same.digest == effect().digest


def test_the_digest_is_of_the_bytes_that_are_kept() -> None:
    made = effect()

    assert made.digest == digest_of(made.encoded)
    assert read_effect(made.encoded) == made.document


def test_the_role_that_is_approved_is_not_a_real_one_yet() -> None:
    order = order_of(TARGET, scope="acme", duration_seconds=60)

    assert order.role_name == PLACEHOLDER_ROLE
    assert order.connection_limit == 2


def test_the_summary_says_whose_rows_of_what_for_how_long() -> None:
    summary = effect().document["summary"]

    assert all(part in str(summary) for part in ("acme", "public.orders", "orders-prod", "60 seconds"))


@pytest.mark.parametrize(
    "asked",
    [
        {"environment": "staging"},
        {"scope": "initech"},
        {"scope": "ACME"},
        {"duration_seconds": 601},
    ],
)
def test_what_the_target_does_not_offer_is_refused(asked: dict[str, Any]) -> None:
    refusal = outside_of(TARGET, **{"environment": "prod", "scope": "acme", "duration_seconds": 600, **asked})

    assert isinstance(refusal, OutsideTarget)


def test_a_target_without_a_list_of_scopes_offers_every_scope() -> None:
    refusal = outside_of(with_definition(scopes=()), environment="prod", scope="initech", duration_seconds=600)

    assert refusal is None


def test_the_next_round_of_approvals_has_another_digest_and_nothing_else_changed() -> None:
    first = effect()

    second = in_next_round(first.encoded)

    assert second.digest != first.digest
    assert {**second.document, "approval_round": 1} == first.document


def test_the_approved_target_is_read_from_the_effect_alone() -> None:
    approved = approved_target(effect().encoded)

    assert approved.definition == DEFINITION
    assert (approved.identity.digest, approved.identity.system) == ("sha256:1", "a")
