"""The canonical form of a quote's commercial terms: what people approve, and what a contract is made of. Guarantee: pure."""

from __future__ import annotations

import json
from datetime import date
from typing import cast

from trustpack.capabilities.revops.model import Pricing, QuoteLine, Terms
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.kernel.money import format_amount, parse_amount, parse_percentage
from trustpack.proof.canonical import canonical_bytes, digest_of

FORMAT = "trustpack-quote-terms/v1"


def encode_terms(terms: Terms) -> bytes:
    """Return the canonical bytes of the terms (RFC 8785): equal terms have equal bytes, any commercial change has others."""
    return canonical_bytes(terms_document(terms))


def terms_digest(encoded: bytes) -> str:
    """Return the digest that approvals and the contract are bound to."""
    return digest_of(encoded)


def terms_document(terms: Terms) -> JsonObject:
    """Return the terms as they are shown, digested and stored."""
    return {
        "format": FORMAT,
        "quote_id": terms.quote_id,
        "revision": terms.revision,
        "account": terms.account,
        "currency": terms.currency,
        "pricing": terms.pricing.value,
        "lines": [_line_document(line, currency=terms.currency) for line in terms.lines],
        "valid_until": terms.valid_until.isoformat(),
        "term_months": terms.term_months,
        "payment_days": terms.payment_days,
        "start_date": terms.start_date.isoformat() if terms.start_date else None,
    }


def read_terms(encoded: bytes) -> Terms:
    """Return the terms that `encode_terms` wrote."""
    document = json.loads(encoded)
    currency = document["currency"]
    return Terms(
        quote_id=document["quote_id"],
        revision=document["revision"],
        account=document["account"],
        currency=currency,
        pricing=Pricing(document["pricing"]),
        lines=tuple(_read_line(line, currency=currency) for line in document["lines"]),
        valid_until=date.fromisoformat(document["valid_until"]),
        term_months=document["term_months"],
        payment_days=document["payment_days"],
        start_date=date.fromisoformat(document["start_date"]) if document["start_date"] else None,
    )


def _line_document(line: QuoteLine, *, currency: str) -> JsonValue:
    return {
        "sku": line.sku,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": format_amount(line.unit_price, currency=currency),
        "discount_percent": str(line.discount),
        "recurring": line.recurring,
        "list_price": None if line.list_price is None else format_amount(line.list_price, currency=currency),
    }


def _read_line(document: JsonObject, *, currency: str) -> QuoteLine:
    list_price = cast("str | None", document["list_price"])
    return QuoteLine(
        sku=cast("str | None", document["sku"]),
        description=cast(str, document["description"]),
        quantity=cast(int, document["quantity"]),
        unit_price=parse_amount(cast(str, document["unit_price"]), currency=currency),
        discount=parse_percentage(cast(str, document["discount_percent"])),
        recurring=cast(bool, document["recurring"]),
        list_price=None if list_price is None else parse_amount(list_price, currency=currency),
    )
