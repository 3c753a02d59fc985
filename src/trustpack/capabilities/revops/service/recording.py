"""Move a locked quote to its next state and record it: the only way in which a quote changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trustpack.capabilities import ledger
from trustpack.capabilities.revops.model import QUOTE_KIND, Quote, QuoteCommand, SellersOnly, TooManyChanges
from trustpack.capabilities.revops.rules.transitions import next_status
from trustpack.capabilities.revops.rules.visibility import may_read, may_sell
from trustpack.capabilities.revops.service.lending import borrows
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import NotFound, Refused, TrustpackError
from trustpack.kernel.ids import require_id
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction

REFUSED_ACTION = "refused"
MOST_REFUSALS = 20
"""Receipts of refused attempts that one person may leave on one quote; nobody fills a deal with receipts."""
MOST_VERSIONS = 1_000
"""Receipts after which a quote is not changed any more, so that all of them can still be read at once."""
_ENDLESS = frozenset({QuoteCommand.REVISE, QuoteCommand.RETITLE, QuoteCommand.PREVIEW})


async def find_readable(tx: Transaction, actor: Actor, quote_id: str) -> Quote:
    """Return a quote that the actor may read. Raises `NotFound`."""
    return await readable(tx, await store.find_quote(tx, require_id(quote_id, prefix="quo")), actor)


async def lock_readable(tx: Transaction, actor: Actor, quote_id: str) -> Quote:
    """Return a quote that the actor may read, holding its row. Raises `NotFound`."""
    return await readable(tx, await store.lock_quote(tx, require_id(quote_id, prefix="quo")), actor)


async def lock_for_seller(tx: Transaction, actor: Actor, quote_id: str, *, attempted: str) -> Quote | Refused:
    """Return a quote that the actor may read and may do business with, holding its row. Raises `NotFound`."""
    quote = await lock_readable(tx, actor, quote_id)
    return quote if may_sell(actor) else await refuse(tx, quote, SellersOnly(), actor=actor, attempted=attempted)


async def advance(
    tx: Transaction,
    quote: Quote,
    command: QuoteCommand,
    *,
    actor: Actor,
    action: str,
    payload: JsonObject,
    personal: JsonObject | None = None,
    **changes: Any,
) -> Quote:
    """Carry a command out on a locked quote: next state, next version, its receipt.

    Raises `WrongQuoteState`, `TooManyChanges`.
    """
    if command in _ENDLESS and quote.version >= MOST_VERSIONS:
        raise TooManyChanges
    changed = replace(quote, status=next_status(quote.status, command), version=quote.version + 1, **changes)
    await store.update_quote(tx, changed)
    await record(tx, changed, actor=actor, action=action, payload=payload, personal=personal)
    return changed


async def record(
    tx: Transaction, quote: Quote, *, actor: Actor, action: str, payload: JsonObject, personal: JsonObject | None = None
) -> None:
    """Write the receipt of the quote's current version."""
    transition = ledger.Transition(
        subject_kind=QUOTE_KIND,
        subject_id=quote.id,
        version=quote.version,
        action=action,
        state=quote.status.value,
        actor=actor,
        payload={"revision": quote.revision, "terms_digest": quote.terms_digest, **payload},
        personal=personal or {},
    )
    await ledger.record(tx, transition)


async def refuse(
    tx: Transaction, quote: Quote, error: TrustpackError, *, actor: Actor, attempted: str, payload: JsonObject | None = None
) -> Refused:
    """Keep a blocked attempt with a receipt and hand the error back, to be answered after the commit.

    Beyond `MOST_REFUSALS` the error is raised instead: nothing of the attempt is kept, no decision and no usage either.
    """
    left = await ledger.count_receipts(tx, subject_id=quote.id, actor_id=actor.id, action=REFUSED_ACTION)
    if left >= MOST_REFUSALS:
        raise error
    told = {"attempted": attempted, "code": error.code, **(payload or {})}
    await advance(tx, quote, QuoteCommand.REFUSE, actor=actor, action=REFUSED_ACTION, payload=told)
    return Refused(error)


async def readable(tx: Transaction, quote: Quote | None, actor: Actor) -> Quote:
    """Return a quote that is there and that the actor may read. Raises `NotFound`."""
    if quote is None:
        raise NotFound
    if is_readable(actor, quote) or await borrows(tx, actor):
        return quote
    raise NotFound


def is_readable(actor: Actor, quote: Quote) -> bool:
    """Say whether the actor may read a quote by who they are themselves; who is lent an approver's role may besides."""
    return may_read(actor, people=frozenset({quote.owner_id, *quote.people}), team_id=quote.team_id)
