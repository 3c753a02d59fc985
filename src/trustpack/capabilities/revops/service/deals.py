"""Read a deal as a whole, and present it part by part: the RevOps part of its evidence. Source: story 2.8."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from trustpack.capabilities import directory, ledger
from trustpack.capabilities.revops.model import Lead, Opportunity, Quote, QuoteRevision, Submission, Supersession
from trustpack.capabilities.revops.rules.histories import changed_terms, submissions_of, supersessions_of
from trustpack.capabilities.revops.service.leads import read_opportunity
from trustpack.capabilities.revops.service.presenting import (
    present_lead,
    present_opportunity,
    present_person,
    present_routing,
)
from trustpack.capabilities.revops.service.reading import (
    QuoteView,
    ShowTerms,
    present,
    present_revision,
    show_terms,
    views_of,
)
from trustpack.capabilities.revops.service.recording import find_readable, readable
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.platform.unit_of_work import Transaction

_NOT_OF_THE_QUOTE = frozenset({"approvals", "decisions", "contract", "linked"})
"""Told apart, but for `linked`: it follows the account's other deals, which go on; what policy was told of them stands in the
input of its decision."""


@dataclass(frozen=True, slots=True)
class Deal:
    """An opportunity with its lead and quotes; `id` is the one by which it was asked for: the opportunity's or a quote's."""

    id: str
    lead: Lead
    opportunity: Opportunity
    quotes: tuple[QuoteView, ...]
    revisions: tuple[QuoteRevision, ...]
    handles: Mapping[str, str]

    @property
    def versions(self) -> dict[str, int]:
        """Return every subject of the deal with its version, in the order in which they follow from each other."""
        subjects: tuple[Lead | Opportunity | Quote, ...] = (
            self.lead,
            self.opportunity,
            *(view.quote for view in self.quotes),
        )
        return {subject.id: subject.version for subject in subjects}


@dataclass(frozen=True, slots=True)
class _Course:
    """A quote as it is shown, with its revisions and what became of them."""

    view: QuoteView
    show: ShowTerms
    shown: Mapping[str, Any]
    revisions: tuple[QuoteRevision, ...]
    submissions: tuple[Submission, ...]
    supersessions: Mapping[int, Supersession]


async def find_deal(tx: Transaction, actor: Actor, deal_id: str) -> Deal:
    """Return a deal by its opportunity, with all its quotes, or by one quote, with it alone.

    Raises `NotFound`, also where the actor may read a part of it only: a deal is told whole.
    """
    quote = None if deal_id.startswith("opp_") else await find_readable(tx, actor, deal_id)
    opportunity, lead = await read_opportunity(tx, actor, quote.opportunity_id if quote is not None else deal_id)
    assert lead is not None  # an opportunity begins with its lead, and neither is ever deleted
    quotes = (quote,) if quote is not None else await store.quotes_of(tx, opportunity.id)
    views = await views_of(tx, [await readable(tx, each, actor) for each in quotes])
    revisions = await store.revisions_of(tx, *(each.id for each in quotes))
    people = [lead.created_by, opportunity.owner_id, *(person for each in quotes for person in each.people)]
    people += [view.contract.activated_by for view in views if view.contract is not None]
    return Deal(
        id=deal_id,
        lead=lead,
        opportunity=opportunity,
        quotes=views,
        revisions=revisions,
        handles=await directory.handles_of(tx, people + [vote.person_id for view in views for vote in view.votes]),
    )


def present_deal(deal: Deal, receipts: Sequence[ledger.Receipt]) -> dict[str, JsonValue]:
    """Return the parts of a deal by name; `receipts` are those of its subjects, each one's in order."""
    courses = [_course_of(deal, view, receipts) for view in deal.quotes]
    return {
        "lead": present_lead(deal.lead, deal.handles),
        "routing": present_routing(deal.lead),
        "opportunity": present_opportunity(deal.opportunity, deal.handles),
        "quotes": [_present_quote(course) for course in courses],
        "revisions": [shown for course in courses for shown in _present_revisions(course, deal.handles)],
        "submissions": [
            _present_submission(submission, course.view, deal.handles) for course in courses for submission in course.submissions
        ],
        "approvals": [shown for course in courses for shown in _present_approvals(course)],
        "contracts": [shown for course in courses for shown in _present_contracts(course, deal.handles)],
    }


def _course_of(deal: Deal, view: QuoteView, receipts: Sequence[ledger.Receipt]) -> _Course:
    bodies: list[dict[str, Any]] = [json.loads(receipt.body) for receipt in receipts if receipt.subject_id == view.quote.id]
    show = cache(show_terms)  # the terms of a quote stand in its last revision and in its contract too
    return _Course(
        view=view,
        show=show,
        shown=present(view, show=show),
        revisions=tuple(revision for revision in deal.revisions if revision.quote_id == view.quote.id),
        submissions=submissions_of(bodies),
        supersessions=supersessions_of(bodies),
    )


def _present_quote(course: _Course) -> JsonObject:
    quote = course.view.quote
    shown = {name: value for name, value in course.shown.items() if name not in _NOT_OF_THE_QUOTE}
    current = next((each for each in course.submissions if each.revision == quote.revision), None)
    return {**shown, "approvals": _present_progress(current) if current is not None else None}


def _present_progress(submission: Submission) -> JsonObject:
    """Return how many approvals are needed and how many of them are there."""
    return {
        "needed": len(submission.required),
        "received": len(submission.required) - len(submission.open_roles),
        "open": list(submission.open_roles),
        "complete": not submission.open_roles,
    }


def _present_revisions(course: _Course, handles: Mapping[str, str]) -> list[JsonObject]:
    documents: dict[int, JsonObject] = {revision.revision: json.loads(revision.terms) for revision in course.revisions}
    return [
        {
            "id": revision.id,
            "quote_id": revision.quote_id,
            "seq": revision.seq,
            **present_revision(revision, course.view.quote, handles, show=course.show),
            "terms": documents[revision.revision],
            "superseded": _present_supersession(course.supersessions.get(revision.revision), documents, handles),
        }
        for revision in course.revisions
    ]


def _present_supersession(
    supersession: Supersession | None, documents: Mapping[int, JsonObject], handles: Mapping[str, str]
) -> JsonObject | None:
    if supersession is None:
        return None
    after = supersession.by_revision
    return {
        "by_revision": after,
        "by": present_person(supersession.superseded_by, handles),
        "at": supersession.superseded_at,
        "receipt_id": supersession.receipt_id,
        "status_before": supersession.status_before,
        "changed": changed_terms(documents[after - 1], documents[after]),
    }


def _present_submission(submission: Submission, view: QuoteView, handles: Mapping[str, str]) -> JsonObject:
    return {
        "quote_id": submission.quote_id,
        "revision": submission.revision,
        "terms_digest": submission.terms_digest,
        "status": submission.status,
        "superseded": submission.revision != view.quote.revision,
        "receipt_id": submission.receipt_id,
        "decision_id": submission.decision_id,
        "submitted_by": present_person(submission.submitted_by, handles),
        "submitted_at": submission.submitted_at,
        "roles": [_present_role(role, submission, view, handles) for role in submission.required],
        **_present_progress(submission),
        "ended_at": submission.ended_at,
        "reason": view.comments.get(submission.ended_seq) if submission.ended_seq is not None else None,
    }


def _present_role(role: str, submission: Submission, view: QuoteView, handles: Mapping[str, str]) -> JsonObject:
    """Return a needed role with the approval that has filled it, or with none."""
    person_id = submission.filled.get(role)
    votes = [vote for vote in view.votes if (vote.person_id, vote.digest) == (person_id, submission.terms_digest)]
    return {
        "role": role,
        "filled_by": present_person(person_id, handles) if person_id is not None else None,
        "approval_id": votes[0].id if votes else None,
    }


def _present_approvals(course: _Course) -> list[JsonObject]:
    """Return every vote as the quote shows it, with the quote and the revision that it was given for."""
    revisions = {revision.terms_digest: revision.revision for revision in course.revisions}
    return [
        {
            **approval,
            "quote_id": course.view.quote.id,
            "revision": revisions[vote.digest],
            "seq": vote.seq,
            "could_fill": sorted(role.value for role in vote.roles or ()),
        }
        for vote, approval in zip(course.view.votes, course.shown["approvals"], strict=True)
    ]


def _present_contracts(course: _Course, handles: Mapping[str, str]) -> list[JsonObject]:
    contract = course.view.contract
    if contract is None:
        return []
    terms, commercial = course.show(contract.terms)
    return [
        {
            **course.shown["contract"],
            "seq": contract.seq,
            "activated_by": present_person(contract.activated_by, handles),
            "currency": terms.currency,
            **commercial,
            "terms": json.loads(contract.terms),
        }
    ]
