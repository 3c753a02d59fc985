"""What is shown when a decision was not taken: why, what is different from what was shown, and what can be done now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trustpack.capabilities.revops.model import QuoteRevision
from trustpack.capabilities.revops.pages.quote_details import names_of
from trustpack.capabilities.revops.pages.quote_differences import Difference, difference
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.service.reading import QuoteView
from trustpack.capabilities.revops.service.standing import Standing
from trustpack.kernel.actor import Role
from trustpack.kernel.errors import TrustpackError
from trustpack.platform.web.pages import called
from trustpack.platform.web.pages.roles import ROLE_WORDS, roles_in_words
from trustpack.platform.web.problems import STATUS_OF_KIND

_NEXT_STEPS: Final[Mapping[str, str]] = {
    "approvals.already_voted": "Wait for the other approvals; if your vote was a mistake, ask the owner to recall the quote.",
    "revops.list_prices_changed": "Edit the quote and save it, which prices its lines anew, then submit it.",
    "revops.self_approval_forbidden": "Ask one of the people who could approve it.",
    "revops.role_not_required": "Ask one of the people who could approve it.",
    "revops.role_not_held": "Approve with a role that you hold.",
    "revops.approvals_expired": "Edit the quote, which begins a new version, and submit it again.",
    "revops.quote_expired": "Edit the quote, give it a later last day, and submit it again.",
    "revops.quote_moved": "Read the quote as it is now, then decide again.",
    "revops.wrong_state": "Read the quote as it is now; what can be done about it stands at its head.",
}
"""The errors' own next steps are for programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalShown:
    """A decision that was not taken, and the words that came with it.

    `seen` is the revision that had been shown, 0 where it is none of this quote's.
    """

    status: int
    code: str
    title: str
    detail: str
    next_step: str
    written: str
    reasons: tuple[str, ...]
    could: tuple[tuple[str, tuple[str, ...]], ...]
    seen: int
    difference: Difference | None


def refusal_of(
    error: TrustpackError, view: QuoteView, standing: Standing, seen: QuoteRevision | None, *, written: str
) -> RefusalShown:
    """Return why a decision was not taken, and what changed since the revision that had been shown."""
    moved = seen is not None and seen.terms_digest != view.quote.terms_digest
    return RefusalShown(
        status=STATUS_OF_KIND[error.kind],
        code=error.code,
        title=error.title,
        detail=error.detail,
        next_step=_NEXT_STEPS.get(error.code, error.next_step),
        written=written,
        reasons=tuple(_reasons(error.data)),
        could=tuple((ROLE_WORDS[role], names_of(people, standing)) for role, people in standing.could_approve.items()),
        seen=seen.revision if seen is not None else 0,
        difference=difference(read_terms(seen.terms), read_terms(view.quote.terms)) if seen is not None and moved else None,
    )


def _reasons(data: Mapping[str, Any]) -> list[str]:
    told = [str(reason["text"]) for reason in data.get("reasons", ())]
    if roles := data.get("missing_roles"):
        told.append(f"Missing: {roles_in_words(map(Role, roles))}.")
    if administrators := data.get("administrators"):
        told.append(f"Administrators: {', '.join(called(person['handle']) for person in administrators)}.")
    return told
