"""What the other parts of a quote show: approvals, versions, contract and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from trustpack.capabilities import ledger, policy
from trustpack.capabilities.approvals import Verdict, Vote
from trustpack.capabilities.revops.model import Contract, Quote, QuoteRevision, QuoteStatus
from trustpack.capabilities.revops.pages.quote_details import agreed, line_row, names_of, totals_shown
from trustpack.capabilities.revops.pages.quote_differences import Difference, difference
from trustpack.capabilities.revops.pages.quote_story import MARKS, told
from trustpack.capabilities.revops.pages.views import CHIPS, short
from trustpack.capabilities.revops.rules.pricing import joint_discount, totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.service.context import LINKED_DAYS
from trustpack.capabilities.revops.service.reading import QuoteView, show_terms
from trustpack.capabilities.revops.service.standing import Standing
from trustpack.capabilities.revops.service.telling import Course, Record
from trustpack.kernel.actor import Role
from trustpack.kernel.money import format_share
from trustpack.platform.web.pages import called
from trustpack.platform.web.pages.numbers import shown_amount
from trustpack.platform.web.pages.roles import ROLE_WORDS

_STANDS: Final = frozenset({QuoteStatus.PENDING_APPROVAL.value, QuoteStatus.APPROVED.value})
_SIGNS: Final = {Verdict.APPROVE: "approved", Verdict.REJECT: "rejected"}
VoteShown = tuple[str, str, datetime | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsShown:
    """Needed against received; `earlier` are votes on other terms than those of now, which count for nothing."""

    note: str
    needed: tuple[VoteShown, ...]
    others: tuple[VoteShown, ...]
    earlier: tuple[VoteShown, ...]
    could: tuple[tuple[str, tuple[str, ...]], ...]
    joint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionShown:
    """One revision, and how it differs from the one before; the first differs from nothing."""

    number: int
    is_current: bool
    by: str
    at: datetime
    net: str
    discount: str
    digest: str
    difference: Difference | None
    summary: str
    voided: tuple[str, ...]
    ended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractShown:
    """The contract that a quote became, with the terms that it holds itself."""

    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    totals: tuple[tuple[str, str], ...]
    agreed: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    id: str
    short_id: str
    decision_id: str
    short_decision_id: str
    digest: str
    is_as_approved: bool
    created_at: datetime


def approvals_of(view: QuoteView, standing: Standing) -> ApprovalsShown:
    """Return who was needed, who gave what, and who could still give it."""
    quote = view.quote
    current = [vote for vote in view.votes if vote.digest == quote.terms_digest]
    without = "waiting" if quote.status == QuoteStatus.PENDING_APPROVAL else "not given"
    filling = {role: vote for role, person in standing.filled.items() for vote in current if vote.person_id == person}
    return ApprovalsShown(
        note=_note(quote, standing),
        needed=tuple(
            _vote(filling[role], view, role) if role in filling else (ROLE_WORDS[role].capitalize(), "", None, without)
            for role in quote.required_approvals
        ),
        others=tuple(_vote(vote, view, None) for vote in current if vote not in filling.values()),
        earlier=tuple(_vote(vote, view, None) for vote in view.votes if vote.digest != quote.terms_digest),
        could=tuple((ROLE_WORDS[role], names_of(people, standing)) for role, people in standing.could_approve.items()),
        joint=joint_of(view),
    )


def versions_of(view: QuoteView, course: Course) -> tuple[VersionShown, ...]:
    """Return the revisions of a quote, newest first."""
    terms = [read_terms(revision.terms) for revision in course.revisions]
    shown = []
    for place, revision in enumerate(course.revisions):
        change = difference(terms[place - 1], terms[place]) if place else None
        before = course.revisions[place - 1] if place else None
        supersession = course.supersessions.get(before.revision) if before is not None else None
        status_before = supersession.status_before if supersession is not None else ""
        totals = totals_of(terms[place].lines)
        shown.append(
            VersionShown(
                number=revision.revision,
                is_current=revision.revision == view.quote.revision,
                by=course.handles.get(revision.created_by, revision.created_by),
                at=revision.created_at,
                net=shown_amount(totals.net_amount, currency=terms[place].currency),
                discount=f"{format_share(totals.blended)} %",
                digest=revision.terms_digest,
                difference=change,
                summary=_summary(change),
                voided=_voided(view, before) if status_before in _STANDS else (),
                ended=f"The one before it was {CHIPS[QuoteStatus(status_before)][1].lower()}." if status_before else "",
            )
        )
    return tuple(reversed(shown))


def contract_of(contract: Contract, quote: Quote, handles: Mapping[str, str]) -> ContractShown:
    """Return the contract that a quote became, with the terms of its own row: the quote's are only compared with them."""
    terms, presented = show_terms(contract.terms)
    shown = cast("dict[str, Any]", presented)
    return ContractShown(
        rows=tuple(line_row(line) for line in shown["lines"]),
        totals=totals_shown(shown, currency=terms.currency),
        agreed=(("Account", terms.account), ("Version", str(terms.revision)), *agreed(terms)),
        facts=(
            ("Status", contract.status.capitalize()),
            ("Activated by", handles.get(contract.activated_by, contract.activated_by)),
        ),
        id=contract.id,
        short_id=short(contract.id),
        decision_id=contract.decision_id,
        short_decision_id=short(contract.decision_id),
        digest=contract.terms_digest,
        is_as_approved=(contract.terms_digest, contract.terms) == (quote.terms_digest, quote.terms),
        created_at=contract.created_at,
    )


def evidence_of(record: Record, *, file: ledger.FileShown | None, now: datetime) -> ledger.EvidenceShown:
    """Return what was recorded of a quote, checked now."""
    return ledger.evidence_of(record.history, file=file, handles=record.handles, marks=MARKS, tell=told, now=now)


def decisions_of(record: Record) -> tuple[policy.DecisionShown, ...]:
    """Return the decisions about a quote in words, newest first."""
    return tuple(policy.shown_decision(decision, asked="Policy was asked") for decision in reversed(record.decisions))


def _note(quote: Quote, standing: Standing) -> str:
    match quote.status:
        case QuoteStatus.DRAFT:
            return "Nobody has been asked yet. Submitting it asks policy who must approve."
        case QuoteStatus.PENDING_APPROVAL:
            return f"It waits for {policy.listed([ROLE_WORDS[role] for role in standing.open])}."
        case QuoteStatus.APPROVED | QuoteStatus.ACTIVATED:
            return "Everybody who was needed has approved exactly these terms."
        case QuoteStatus.REJECTED:
            return "What had been approved counts for nothing now."
        case QuoteStatus.RECALLED:
            return "It was taken back; what had been approved counts for nothing now."
        case QuoteStatus.EXPIRED:
            return "Its time ran out; what had been approved counts for nothing now."


def _vote(vote: Vote, view: QuoteView, fills: Role | None) -> VoteShown:
    said = []
    if vote.loan is not None:
        delegation = view.delegations[vote.loan.delegation_id]
        lender = called(view.handles.get(delegation.from_person, delegation.from_person))
        late = ", after the submission" if vote.loan.is_newer else ""
        said.append(f"for {ROLE_WORDS[delegation.role]}, lent by {lender}{late}")
    elif fills is not None:
        said.append(f"for {ROLE_WORDS[fills]}")
    if comment := view.comments.get(vote.seq):
        said.append(f"“{comment}”")
    return view.handles.get(vote.person_id, vote.person_id), " · ".join(said), vote.created_at, _SIGNS[vote.verdict]


def joint_of(view: QuoteView) -> str:
    """Say what the quotes that are looked at together come to; empty where there is only one."""
    if view.linked is None or not view.linked.others:
        return ""
    share = format_share(joint_discount(view.linked.list_minor, view.linked.net_minor))
    return f"{share} % together with what else was offered to this account within {LINKED_DAYS} days"


def _summary(change: Difference | None) -> str:
    if change is None:
        return "First version"
    counts = ((change.changed, "changed"), (change.added, "added"), (change.removed, "removed"))
    told = [f"{number} {'line' if number == 1 else 'lines'} {word}" for number, word in counts if number]
    return ", ".join(told) or "No line changed"


def _voided(view: QuoteView, before: QuoteRevision | None) -> tuple[str, ...]:
    return tuple(
        called(view.handles.get(vote.person_id, vote.person_id))
        for vote in view.votes
        if before is not None and vote.digest == before.terms_digest and vote.verdict == Verdict.APPROVE
    )
