"""What the discount policy is asked about a quote. Guarantee: pure. Source: story 2.6."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from trustpack.capabilities.revops.model import Quote, Terms, Totals
from trustpack.capabilities.revops.rules.contacts import normal_name
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonObject

DISCOUNT_PACKAGE = "revops.discount_approvals"


def discount_input(
    quote: Quote, terms: Terms, totals: Totals, *, action: str, actor: Actor, linked: Fraction, now: datetime
) -> JsonObject:
    """Return the policy's question; `action` is `submit` or `activate`, `linked` the joint discount of the linked quotes."""
    return {
        "action": action,
        "now": int(now.timestamp()),
        "subject": {"id": actor.id, "kind": actor.kind.value, "roles": sorted(role.value for role in actor.roles)},
        "resource": {
            "owner": quote.owner_id,
            "segment": normal_name(quote.segment),
            "currency": quote.currency,
            "list_minor": totals.list_amount,
            "net_minor": totals.net_amount,
            "pricing": terms.pricing.value,
            "discounts": {
                "declared": _fraction(totals.declared),
                "blended": _fraction(totals.blended),
                "largest_line": _fraction(totals.largest_line),
                "recurring": _fraction(totals.recurring),
                "linked": _fraction(linked),
            },
        },
    }


def _fraction(share: Fraction) -> JsonObject:
    return {"numerator": share.numerator, "denominator": share.denominator}
