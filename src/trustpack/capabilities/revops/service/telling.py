"""Read what surrounds one quote: its revisions, its receipts, its decisions, and what it is related to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trustpack.capabilities import directory, ledger, policy
from trustpack.capabilities.policy import Decision
from trustpack.capabilities.revops.model import (
    Contract,
    Lead,
    Opportunity,
    Quote,
    QuoteFilter,
    QuoteRevision,
    QuoteStatus,
    Supersession,
)
from trustpack.capabilities.revops.rules.histories import supersessions_of
from trustpack.capabilities.revops.service.leads import read_opportunity
from trustpack.capabilities.revops.service.reading import QuoteView, list_rows, readable_quotes
from trustpack.capabilities.revops.service.recording import find_readable
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import NotFound
from trustpack.platform.unit_of_work import Transaction

_MOST_RELATED: Final = 50
_MOST_LINKED: Final = 10
_DONE: Final = {
    "submit": ("submitted", frozenset({QuoteStatus.PENDING_APPROVAL})),
    "approve": ("approved", frozenset({QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED})),
    "reject": ("rejected", frozenset({QuoteStatus.REJECTED})),
    "recall": ("recalled", frozenset({QuoteStatus.RECALLED})),
    "activate": ("activated", frozenset({QuoteStatus.ACTIVATED})),
}
"""By which receipt a command shows, and how the quote stands after it."""


@dataclass(frozen=True, slots=True)
class Course:
    """Every revision of a quote, oldest first, and what put the next one in the place of each."""

    revisions: tuple[QuoteRevision, ...]
    supersessions: Mapping[int, Supersession]
    handles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """What was recorded of a quote: its receipts and its decisions, oldest first. People by id in `handles`."""

    history: ledger.History
    decisions: tuple[Decision, ...]
    handles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Relations:
    """What a quote is related to, as far as the one who looks may read it; `hidden` counts linked quotes that they may not."""

    opportunity: Opportunity | None
    lead: Lead | None
    siblings: tuple[Quote, ...]
    linked: tuple[Quote, ...]
    hidden: int
    origin: Quote | None
    handles: Mapping[str, str]


async def read_course(tx: Transaction, actor: Actor, quote_id: str) -> Course:
    """Return the revisions of a quote that the actor may read. Raises `NotFound`."""
    quote = await find_readable(tx, actor, quote_id)
    revisions = await store.revisions_of(tx, quote.id)
    receipts = await ledger.receipts_of(tx, quote.id)
    supersessions = supersessions_of([json.loads(receipt.body) for receipt in receipts])
    people = [revision.created_by for revision in revisions] + [each.superseded_by for each in supersessions.values()]
    return Course(revisions, supersessions, await directory.handles_of(tx, people))


async def find_revision(tx: Transaction, actor: Actor, quote_id: str, digest: str) -> QuoteRevision | None:
    """Return the revision of a quote that has this digest, if it had one. Raises `NotFound`."""
    quote = await find_readable(tx, actor, quote_id)
    return next((each for each in await store.revisions_of(tx, quote.id) if each.terms_digest == digest), None)


async def read_contract(tx: Transaction, view: QuoteView) -> tuple[Contract, Quote, Mapping[str, str]] | None:
    """Return the contract that a quote became, with the quote and the names of people, if it has become one."""
    if view.contract is None:
        return None
    return view.contract, view.quote, await directory.handles_of(tx, [view.contract.activated_by])


async def was_done(tx: Transaction, actor: Actor, quote_id: str, *, command: str, digest: str) -> bool:
    """Say whether the actor has done this to these terms already, and the quote stands as it did then. Raises `NotFound`."""
    quote = await find_readable(tx, actor, quote_id)
    action, states = _DONE.get(command, ("", frozenset()))
    bodies = [json.loads(receipt.body) for receipt in await ledger.receipts_of(tx, quote.id) if receipt.action == action]
    did = any((body["actor"]["id"], body["payload"]["terms_digest"]) == (actor.id, digest) for body in bodies)
    return did and quote.status in states and quote.terms_digest == digest


async def read_record(tx: Transaction, actor: Actor, quote_id: str) -> Record:
    """Return what was recorded of a quote that the actor may read. Raises `NotFound`."""
    quote = await find_readable(tx, actor, quote_id)
    history = await ledger.history_of(tx, quote.id, version=quote.version)
    people = [quote.owner_id, *quote.people, *ledger.actors_of(history)]
    return Record(history, await policy.decisions_of(tx, quote.id), await directory.handles_of(tx, people))


async def read_relations(tx: Transaction, actor: Actor, view: QuoteView) -> Relations:
    """Return what a quote is related to."""
    quote = view.quote
    opportunity, lead = await _opportunity(tx, actor, quote)
    siblings = await list_rows(tx, actor, QuoteFilter(opportunity_id=quote.opportunity_id, limit=_MOST_RELATED))
    wanted = view.linked.others if view.linked is not None else ()
    linked = await readable_quotes(tx, actor, wanted[:_MOST_LINKED])
    origin = await readable_quotes(tx, actor, (quote.derived_from,) if quote.derived_from is not None else ())
    owners = [each.owner_id for each in (opportunity, *siblings, *linked, *origin) if each is not None]
    return Relations(
        opportunity=opportunity,
        lead=lead,
        siblings=tuple(each for each in siblings if each.id != quote.id),
        linked=linked,
        hidden=len(wanted[:_MOST_LINKED]) - len(linked),
        origin=origin[0] if origin else None,
        handles={**view.handles, **await directory.handles_of(tx, owners)},
    )


async def _opportunity(tx: Transaction, actor: Actor, quote: Quote) -> tuple[Opportunity | None, Lead | None]:
    try:
        return await read_opportunity(tx, actor, quote.opportunity_id)
    except NotFound:
        return None, None
