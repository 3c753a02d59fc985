"""What the preview beside a quote's form shows: plain values, for templates that compute nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from trustpack.capabilities import policy
from trustpack.capabilities.policy import listed
from trustpack.capabilities.revops.pages.quote_details import PictureShown, line_row, picture_of
from trustpack.capabilities.revops.rules.pricing import joint_discount
from trustpack.capabilities.revops.service.context import LINKED_DAYS
from trustpack.capabilities.revops.service.drafting import DraftPreview
from trustpack.capabilities.revops.service.reading import present_terms
from trustpack.kernel.actor import Role
from trustpack.kernel.money import format_share
from trustpack.platform.web.pages.numbers import grouped
from trustpack.platform.web.pages.roles import ROLE_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewShown:
    """What the terms come to and whose approval they would need; `could` names by role who could give it."""

    headline: str
    tone: str
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    totals: tuple[tuple[str, str], ...]
    picture: PictureShown | None
    reasons: tuple[str, ...]
    could: tuple[tuple[str, Sequence[str]], ...]
    linked: str


def preview_of(found: DraftPreview) -> PreviewShown:
    """Return a preview as it is shown."""
    shown = cast("Mapping[str, Any]", present_terms(found.terms, found.totals))
    headline, tone = _headline(found)
    currency = found.terms.currency
    return PreviewShown(
        headline=headline,
        tone=tone,
        rows=tuple(line_row(line) for line in shown["lines"]),
        totals=(
            (f"List in {currency}", grouped(shown["list_amount"])),
            ("Discount", f"{shown['discount_percent']} %"),
            (f"Net in {currency}", grouped(shown["net_amount"])),
        ),
        picture=picture_of(found.measured) if found.measured is not None else None,
        reasons=tuple(str(reason["text"]) for reason in policy.present_reasons(found.decision.reasons)),
        could=tuple((ROLE_WORDS[role], found.could_approve.get(role, ())) for role in _required(found)),
        linked=_linked(found),
    )


def _required(found: DraftPreview) -> tuple[Role, ...]:
    return found.decision.required_approvals if found.is_new else ()


def _headline(found: DraftPreview) -> tuple[str, str]:
    """Return in one sentence what would happen, with the tone of its notice."""
    required = found.decision.required_approvals
    if not found.is_new:
        return "These are the terms that the quote has already, so its approvals stay.", "grey"
    if not found.decision.allowed:
        return "These terms could not be submitted.", "red"
    if found.missing:
        return f"Nobody could give the approval of {listed([ROLE_WORDS[role] for role in found.missing])}.", "amber"
    if set(required) <= set(found.decision.self_approvable):
        return "The owner may approve this alone.", "green"
    return f"This needs the approval of {listed([ROLE_WORDS[role] for role in required])}.", "blue"


def _linked(found: DraftPreview) -> str:
    others = len(found.linked.others)
    if not others:
        return ""
    joint = format_share(joint_discount(found.linked.list_minor, found.linked.net_minor))
    return f"With {others} other offer{'s' if others > 1 else ''} to this account in {LINKED_DAYS} days it comes to {joint} %."
