"""What waits for somebody: quotes that their yes would get on, and their own that are not over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trustpack.capabilities import approvals
from trustpack.capabilities.revops.model import WaitingQuote
from trustpack.capabilities.revops.rules.visibility import may_read
from trustpack.capabilities.revops.service.deciding import ballot_of
from trustpack.capabilities.revops.service.lending import Voting, voting_as
from trustpack.capabilities.revops.service.reading import QuoteView, views_of
from trustpack.capabilities.revops.store import quotes as store
from trustpack.capabilities.revops.store import waiting as waiting_store
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction

have_sold = waiting_store.have_sold
MOST_COUNTED: Final = 100
"""More are not counted: nobody works through a hundred at once."""
_AT_ONCE: Final = MOST_COUNTED + 1
"""One look tells that more wait than are counted."""
_MOST_LOOKED_AT: Final = 5 * _AT_ONCE
"""Where hundreds wait for somebody else alone, a list goes on from where it stopped looking."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Quotes that wait for somebody's yes, those that expire first in front; `goes_on_after` names where to look further.

    `approves_others` says whether quotes of others may come to wait for them, by a role of theirs or by one that is lent today.
    """

    views: tuple[QuoteView, ...]
    goes_on_after: str | None
    approves_others: bool


async def needs_my_approval(tx: Transaction, actor: Actor, *, limit: int, after_id: str | None = None) -> Inbox:
    """Return exactly those quotes that the actor's yes would get on, as `voting.approve` would count it now."""
    voting = await voting_as(tx, actor)
    found, goes_on_after = await _ids_that_need(tx, actor, voting, limit=limit, after_id=after_id)
    quotes = {quote.id: quote for quote in await store.quotes_by_id(tx, found)}
    views = await views_of(tx, [quotes[quote_id] for quote_id in found])
    return Inbox(views, goes_on_after, approves_others=voting is not None and voting.approves_others)


async def count_that_need_me(tx: Transaction, actor: Actor) -> int | None:
    """Return how many `needs_my_approval` would return, up to `MOST_COUNTED`; None for 0 of who approves no quotes of others."""
    voting = await voting_as(tx, actor)
    found, _ = await _ids_that_need(tx, actor, voting, limit=MOST_COUNTED, after_id=None)
    return len(found) if found or (voting is not None and voting.approves_others) else None


async def my_open_quotes(tx: Transaction, actor: Actor, *, limit: int) -> tuple[QuoteView, ...]:
    """Return the actor's quotes that are neither contracts nor over, newest first."""
    found = await waiting_store.open_quote_ids(tx, actor.id, limit=limit)
    quotes = {quote.id: quote for quote in await store.quotes_by_id(tx, found)}
    return await views_of(tx, [quotes[quote_id] for quote_id in found])


async def _ids_that_need(
    tx: Transaction, actor: Actor, voting: Voting | None, *, limit: int, after_id: str | None
) -> tuple[list[str], str | None]:
    if voting is None or not voting.roles:
        return [], None
    found: list[str] = []
    for _ in range(_MOST_LOOKED_AT // _AT_ONCE):
        batch = await waiting_store.waiting_quotes(
            tx, person_id=actor.id, roles=sorted(voting.roles), after_id=after_id, limit=_AT_ONCE
        )
        if not batch:
            return found, None
        readable = tuple(quote for quote in batch if voting.borrows or _may_read(actor, quote))
        needing = await _that_need(tx, actor, voting, readable)
        if len(found) + len(needing) > limit:
            found += needing[: limit - len(found)]
            return found, found[-1]
        found += needing
        if len(batch) < _AT_ONCE:
            return found, None
        after_id = batch[-1].id
    return found, after_id


async def _that_need(tx: Transaction, actor: Actor, voting: Voting, quotes: tuple[WaitingQuote, ...]) -> list[str]:
    votes = await approvals.votes_of(tx, [quote.id for quote in quotes])

    def is_needed(quote: WaitingQuote) -> bool:
        ballot = ballot_of(quote, required=quote.required_approvals, self_approvable=quote.self_approvable)
        voter = voting.voter_for(ballot, quote.submitted_at)
        if approvals.refusal_of(voter, ballot, claimed_role=None) is not None:
            return False
        before = approvals.votes_with_roles_of_their_time(votes.get(quote.id, ()), ballot)
        # Whoever could fill several roles names the one that is open.
        return approvals.is_needed(ballot, before=before, after={**before, actor.id: approvals.usable_roles(voter, ballot)})

    return [quote.id for quote in quotes if is_needed(quote)]


def _may_read(actor: Actor, quote: WaitingQuote) -> bool:
    return may_read(actor, people=frozenset({quote.owner_id, *quote.people}), team_id=quote.team_id)
