"""Preview and submit: ask policy which approvals a quote needs, and begin to wait for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from trustpack.capabilities import directory, metering, policy
from trustpack.capabilities.revops.model import (
    ListPricesChanged,
    NobodyCanApprove,
    Quote,
    QuoteCommand,
    QuoteExpired,
    QuoteStatus,
)
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.rules.transitions import next_status
from trustpack.capabilities.revops.service.context import EXPIRE_JOB, PACK, RevOps
from trustpack.capabilities.revops.service.deciding import Asked, ballot_of, keep_decision, who_could_approve
from trustpack.capabilities.revops.service.quotes import at_list_prices_of_today
from trustpack.capabilities.revops.service.recording import advance, lock_for_seller, refuse
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.errors import Refused
from trustpack.kernel.json_types import JsonObject
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction


async def preview(tx: Transaction, actor: Actor, asked: Asked) -> JsonObject | Refused:
    """Say what submitting would need and who could give it, and record that somebody asked. Raises `NotFound`.

    Returns `Refused` to people who do not sell, and for a draft that could not be submitted, as list prices changed since.
    """
    quote, decision = await lock_for_seller(tx, actor, asked.quote.id, attempted="preview"), asked.decision
    if isinstance(quote, Refused):
        return quote
    await policy.record_decision(tx, decision)
    if asked.quote.status == QuoteStatus.DRAFT and not await _is_at_list_prices_of_today(tx, asked.quote):
        told: JsonObject = {"decision_id": decision.id}
        return await refuse(tx, quote, ListPricesChanged(), actor=actor, attempted="preview", payload=told)
    payload: JsonObject = {"decision_id": decision.id, "previewed_digest": asked.quote.terms_digest}
    await advance(tx, quote, QuoteCommand.PREVIEW, actor=actor, action="previewed", payload=payload)
    submitted = _submitted_by(actor, asked.quote)
    ballot = ballot_of(submitted, required=decision.required_approvals, self_approvable=decision.self_approvable)
    able, _ = await who_could_approve(tx, ballot)
    handles = await directory.handles_of(tx, [person for people in able.values() for person in people])
    return {
        "allowed": decision.allowed,
        "reasons": policy.present_reasons(decision.reasons),
        "required_approvals": [role.value for role in decision.required_approvals],
        "could_approve": {
            role.value: [{"id": person, "handle": handles.get(person)} for person in people] for role, people in able.items()
        },
        "terms_digest": asked.quote.terms_digest,
        "decision_id": decision.id,
    }


async def submit(tx: Transaction, revops: RevOps, actor: Actor, asked: Asked) -> Quote | Refused | None:
    """Send a draft to the people whose approval policy asks for; None if the quote moved since policy was asked.

    Returns `Refused`, with the quote still in draft and a receipt that says so, to people who do not sell, when policy denies
    or cannot answer, when list prices changed since the draft was written, and when nobody could fill a required role. Raises
    `NotFound`, `WrongQuoteState`, `QuoteExpired`. Source: stories 2.3 and 2.7; research/revops cases 29 and 32.
    """
    quote, decision = await lock_for_seller(tx, actor, asked.quote.id, attempted="submit"), asked.decision
    if isinstance(quote, Refused):
        return quote
    next_status(quote.status, QuoteCommand.SUBMIT)
    if quote.version != decision.subject_version:
        return None
    if tx.now.date() > quote.valid_until:
        raise QuoteExpired
    await keep_decision(tx, decision)
    told: JsonObject = {"decision_id": decision.id}
    if not decision.allowed:
        return await refuse(tx, quote, policy.denial_of(decision), actor=actor, attempted="submit", payload=told)
    if not await _is_at_list_prices_of_today(tx, quote):
        return await refuse(tx, quote, ListPricesChanged(), actor=actor, attempted="submit", payload=told)
    submitted = _submitted_by(actor, quote)
    required, own = decision.required_approvals, decision.self_approvable
    able, quorum = await who_could_approve(tx, ballot_of(submitted, required=required, self_approvable=own))
    if not quorum.is_complete:
        error = await _nobody(tx, quorum.open, could_approve=able)
        return await refuse(tx, quote, error, actor=actor, attempted="submit", payload=told)
    metadata: JsonObject = {"workflow": "discount_approval", "subject_id": quote.id}
    run = metering.count(tx, usage=metering.UsageType.WORKFLOW_RUN, pack=PACK, source_id=quote.id, metadata=metadata)
    await metering.emit(tx, run)
    window = min(tx.now + timedelta(seconds=revops.approval_window_seconds), end_of(quote))
    await jobs.schedule(tx, kind=EXPIRE_JOB, subject_id=quote.id, due_at=window)
    return await advance(
        tx,
        submitted,
        QuoteCommand.SUBMIT,
        actor=actor,
        action="submitted",
        payload={
            **told,
            "required_approvals": [role.value for role in required],
            "policy": {"revision": decision.bundle_revision, "digest": decision.policy_digest},
        },
        required_approvals=required,
        self_approvable=own,
        decision_id=decision.id,
        submitted_at=tx.now,
        approval_expires_at=window,
        use_by=None,
    )


def end_of(quote: Quote) -> datetime:
    """Return the moment at which a quote is no longer valid: the end of its last day, UTC."""
    return datetime.combine(quote.valid_until + timedelta(days=1), time(), tzinfo=UTC)


async def _is_at_list_prices_of_today(tx: Transaction, quote: Quote) -> bool:
    terms = read_terms(quote.terms)
    return await at_list_prices_of_today(tx, terms) == terms


def _submitted_by(actor: Actor, quote: Quote) -> Quote:
    return replace(quote, people=tuple(sorted({*quote.people, actor.id})))


async def _nobody(tx: Transaction, roles: tuple[Role, ...], *, could_approve: dict[Role, tuple[str, ...]]) -> NobodyCanApprove:
    admins = await directory.people_with_any_role(tx, (Role.ADMIN,))
    missing = " and ".join(role.value for role in roles)
    return NobodyCanApprove(
        f"Nobody who had no part in the quote could fill the role {missing}.",
        missing_roles=[role.value for role in roles],
        could_approve={role.value: len(people) for role, people in could_approve.items()},
        administrators=[{"id": person.id, "handle": directory.Handle.of(person)} for person in admins],
    )
