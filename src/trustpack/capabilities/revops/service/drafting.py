"""Look at terms that are being written, and save them on what was opened. A look stores and records nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from trustpack.capabilities import directory
from trustpack.capabilities.policy import Decision, DecisionMode
from trustpack.capabilities.revops.model import (
    EditedMeanwhile,
    LinkedQuotes,
    Quote,
    QuoteCommand,
    SellersOnly,
    Terms,
    Totals,
    WrittenTerms,
)
from trustpack.capabilities.revops.rules.bands import Measured, measured_by
from trustpack.capabilities.revops.rules.histories import happened_since
from trustpack.capabilities.revops.rules.pricing import joint_discount, totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.rules.transitions import next_status
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.service.context import LINKED_DAYS, RevOps
from trustpack.capabilities.revops.service.deciding import ballot_of, put_to_policy, who_could_approve
from trustpack.capabilities.revops.service.quotes import change_quote, draft_quote, revised_quote
from trustpack.capabilities.revops.service.reading import QuoteView, read_quote, read_receipts
from trustpack.capabilities.revops.service.recording import lock_readable
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.errors import Refused
from trustpack.platform.unit_of_work import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPreview:
    """What terms come to, and whose approval they would need.

    `could_approve` names by role who could give it today, `missing` the roles that nobody could fill; `measured` is
    None where policy could not be asked; `is_new` is false for the very terms that an open quote has.
    """

    terms: Terms
    totals: Totals
    linked: LinkedQuotes
    decision: Decision
    could_approve: Mapping[Role, tuple[str, ...]]
    missing: tuple[Role, ...]
    measured: Measured | None
    is_new: bool


async def preview_new(revops: RevOps, actor: Actor, *, opportunity_id: str, written: WrittenTerms) -> DraftPreview:
    """Return what a quote would need if it were written and submitted now. Raises as `create_quote`."""
    async with revops.unit_of_work.transaction(actor.tenant_id) as tx:
        _, draft = await draft_quote(tx, actor, opportunity_id=opportunity_id, written=written)
        linked = await _linked(tx, draft)
    return await _judged(revops, actor, draft, linked, is_new=True)


async def preview_change(revops: RevOps, actor: Actor, quote_id: str, *, written: WrittenTerms) -> DraftPreview:
    """Return what a quote would need with other terms. Raises `NotFound`, `SellersOnly`, `WrongQuoteState`, `InvalidQuote`."""
    async with revops.unit_of_work.transaction(actor.tenant_id) as tx:
        quote = (await open_quote(tx, actor, quote_id)).quote
        revised = await revised_quote(tx, actor, quote, written=written)
        draft = revised or replace(quote, people=tuple(sorted({*quote.people, actor.id})))
        linked = await _linked(tx, draft)
    return await _judged(revops, actor, draft, linked, is_new=revised is not None)


async def open_quote(tx: Transaction, actor: Actor, quote_id: str) -> QuoteView:
    """Return a quote that the actor may change. Raises `NotFound`, `SellersOnly`, `WrongQuoteState`."""
    view = await read_quote(tx, actor, quote_id)
    if not may_sell(actor):
        raise SellersOnly
    next_status(view.quote.status, QuoteCommand.REVISE)
    return view


async def edit_quote(
    tx: Transaction, actor: Actor, quote_id: str, *, opened_version: int, written: WrittenTerms, title: str | None
) -> Quote | Refused:
    """Change a quote as `change_quote` does, if nothing happened to it since it was opened in this version.

    Raises `EditedMeanwhile`, and as `change_quote`.
    """
    quote = await lock_readable(tx, actor, quote_id)
    receipts = await read_receipts(tx, actor, quote_id, prefix="quo") if quote.version != opened_version else []
    if opened_version > quote.version or happened_since(receipts, opened_version):
        raise EditedMeanwhile
    return await change_quote(tx, actor, quote_id, written=written, title=title, has_title=True)


async def _linked(tx: Transaction, draft: Quote) -> LinkedQuotes:
    return await store.linked_quotes(tx, draft, since=draft.created_at - timedelta(days=LINKED_DAYS))


async def _judged(revops: RevOps, actor: Actor, draft: Quote, linked: LinkedQuotes, *, is_new: bool) -> DraftPreview:
    decision = await put_to_policy(
        revops,
        actor,
        draft,
        linked=joint_discount(linked.list_minor, linked.net_minor),
        decision_id=revops.unit_of_work.ids.new("dec"),
        action="submit",
        mode=DecisionMode.PREVIEW,
    )
    ballot = ballot_of(draft, required=decision.required_approvals, self_approvable=decision.self_approvable)
    async with revops.unit_of_work.transaction(actor.tenant_id) as tx:
        able, quorum = await who_could_approve(tx, ballot)
        handles = await directory.handles_of(tx, [person for people in able.values() for person in people])
    terms, question = read_terms(draft.terms), json.loads(decision.input)
    return DraftPreview(
        terms=terms,
        totals=totals_of(terms.lines),
        linked=linked,
        decision=decision,
        could_approve={role: tuple(handles.get(person, person) for person in people) for role, people in able.items()},
        missing=quorum.open,
        measured=measured_by(question, is_decided=False) if question else None,
        is_new=is_new,
    )
