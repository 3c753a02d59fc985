"""Compute the effect of a request as data: what is shown, digested, approved, and carried out exactly. Guarantee: pure."""

from __future__ import annotations

import json
from typing import Any

from trustpack.capabilities.operations.model import Effect, GrantOrder, OutsideTarget, Target
from trustpack.capabilities.operations.rules.target_definition import definition_document
from trustpack.kernel.json_types import JsonObject
from trustpack.proof.canonical import canonical_bytes, digest_of

EFFECT_FORMAT = "trustpack/effect/v1"
PLACEHOLDER_ROLE = "tpk_<one new role>"
"""The role is made at execution and opaque; the statements that are approved show this in its place."""


def order_of(target: Target, *, scope: str, duration_seconds: int, role_name: str = PLACEHOLDER_ROLE) -> GrantOrder:
    """Return what is ordered from the target for one scope and time."""
    return GrantOrder(
        role_name=role_name, scope=scope, duration_seconds=duration_seconds, connection_limit=target.definition.connection_limit
    )


def build_effect(target: Target, order: GrantOrder, *, statements: tuple[str, ...]) -> Effect:
    """Return the effect of an order on a target, with the target's identity and definition in it.

    Anything that changes what would happen (another cluster, other columns, another installation) changes the digest.
    """
    document: JsonObject = {
        "format": EFFECT_FORMAT,
        "type": "TEMP_DB_READ_ACCESS",
        "summary": describe(target, order),
        "target": {
            "id": target.id,
            "identity": target.identity.digest,
            "definition": definition_document(target.definition),
        },
        "scope": {"tenant": order.scope},
        "duration_seconds": order.duration_seconds,
        "connection_limit": order.connection_limit,
        "statements": list(statements),
    }
    encoded = canonical_bytes(document)
    return Effect(document=document, encoded=encoded, digest=digest_of(encoded))


def describe(target: Target, order: GrantOrder) -> str:
    """Say the effect in one sentence."""
    tables = ", ".join(f"{table.schema}.{table.name}" for table in target.definition.tables)
    return (
        f"Read access to the rows of tenant {order.scope} in {tables or 'no table'} of {target.definition.name}"
        f" for {order.duration_seconds} seconds, through views that end it by themselves."
    )


def read_effect(encoded: bytes) -> dict[str, Any]:
    """Return the document of a stored effect."""
    document: dict[str, Any] = json.loads(encoded)
    return document


def require_within(target: Target, *, environment: str, scope: str, duration_seconds: int) -> None:
    """Refuse what the target's definition does not offer. Raises `OutsideTarget`."""
    definition = target.definition
    if environment != definition.environment:
        raise OutsideTarget(f"{definition.name} is a target of the environment {definition.environment}, not {environment}.")
    if definition.scopes and scope not in definition.scopes:
        raise OutsideTarget(f"{definition.name} offers no scope called {scope!r}.", scopes=list(definition.scopes))
    if duration_seconds > definition.max_duration_seconds:
        raise OutsideTarget(f"{definition.name} offers access for at most {definition.max_duration_seconds} seconds.")
