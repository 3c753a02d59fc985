"""Compute the effect of a request as data: what is shown, digested, approved, and carried out exactly. Guarantee: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trustpack.capabilities.operations.model import Effect, GrantOrder, OutsideTarget, Target, TargetIdentity
from trustpack.capabilities.operations.rules.target_definition import definition_document, read_definition
from trustpack.kernel.json_types import JsonObject
from trustpack.proof.canonical import canonical_bytes, digest_of

EFFECT_FORMAT = "trustpack/effect/v1"
PLACEHOLDER_ROLE = "tpk_<one new role>"
"""The role is made at execution and opaque; the statements that are approved show this in its place."""


def order_of(target: Target, *, scope: str, duration_seconds: int, role_name: str = PLACEHOLDER_ROLE) -> GrantOrder:
    """Return what is ordered from the target, as it was identified, for one scope and time."""
    return GrantOrder(
        role_name=role_name,
        identity_digest=target.identity.digest,
        scope=scope,
        duration_seconds=duration_seconds,
        connection_limit=target.definition.connection_limit,
    )


def build_effect(target: Target, order: GrantOrder, *, statements: tuple[str, ...], approval_round: int = 1) -> Effect:
    """Return the effect of an order on a target, with the target's identity and definition in it.

    Anything that changes what would happen (another cluster, other columns, another installation) changes the digest; so does
    the round of approvals, which makes votes of an earlier round count no more and lets everybody vote again.
    """
    return _encode(
        {
            "format": EFFECT_FORMAT,
            "type": "TEMP_DB_READ_ACCESS",
            "approval_round": approval_round,
            "summary": describe(target, order),
            "target": {
                "id": target.id,
                "identity": target.identity.digest,
                "system": target.identity.system,
                "definition": definition_document(target.definition),
            },
            "scope": {"tenant": order.scope},
            "duration_seconds": order.duration_seconds,
            "connection_limit": order.connection_limit,
            "statements": list(statements),
        }
    )


def in_next_round(encoded: bytes) -> Effect:
    """Return a stored effect as it is voted on anew: the same but for its round, so nothing of the last round counts."""
    document = read_effect(encoded)
    return _encode({**document, "approval_round": document["approval_round"] + 1})


def approved_target(encoded: bytes) -> Target:
    """Return the target that an effect was approved for, whatever is registered under its name by now."""
    approved = read_effect(encoded)["target"]
    return Target(
        id=approved["id"],
        version=0,
        status="approved",
        definition=read_definition(approved["definition"]),
        identity=TargetIdentity(digest=approved["identity"], system=approved["system"], facts={}),
    )


def _encode(document: JsonObject) -> Effect:
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


def earlier_effect(receipts: Sequence[JsonObject], digest: str) -> JsonObject | None:
    """Return the effect of an earlier round that has this digest, from the receipts of what voided its approvals."""
    for receipt in receipts:
        payload = receipt["payload"]
        effect = payload.get("approved_effect") if isinstance(payload, Mapping) else None
        if isinstance(effect, Mapping) and digest_of(canonical_bytes(effect)) == digest:
            return effect
    return None


def outside_of(target: Target, *, environment: str, scope: str, duration_seconds: int) -> OutsideTarget | None:
    """Say what of a request the target's definition does not offer, or None."""
    definition = target.definition
    if environment != definition.environment:
        return OutsideTarget(f"{definition.name} is a target of the environment {definition.environment}, not {environment}.")
    if definition.scopes and scope not in definition.scopes:
        return OutsideTarget(f"{definition.name} offers no scope called {scope!r}.", scopes=list(definition.scopes))
    if duration_seconds > definition.max_duration_seconds:
        return OutsideTarget(f"{definition.name} offers access for at most {definition.max_duration_seconds} seconds.")
    return None
