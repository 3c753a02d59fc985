"""Write quotes: create, revise, rename, clone. Every commercial change is a new revision that nobody has approved yet."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import date

from trustpack.capabilities import ledger
from trustpack.capabilities.revops.model import (
    OPPORTUNITY_KIND,
    ListPrice,
    Opportunity,
    Quote,
    QuoteCommand,
    QuoteRevision,
    QuoteStatus,
    SellersOnly,
    Terms,
    UnknownOpportunity,
    WrittenTerms,
)
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.capabilities.revops.rules.terms import encode_terms, read_terms, terms_digest
from trustpack.capabilities.revops.rules.transitions import next_status
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.rules.writing import VALID_DAYS, priced_anew, read_written
from trustpack.capabilities.revops.service.context import EXPIRE_JOB
from trustpack.capabilities.revops.service.leads import read_opportunity
from trustpack.capabilities.revops.service.recording import advance, lock_for_seller, record
from trustpack.capabilities.revops.store import leads as lead_store
from trustpack.capabilities.revops.store import price_book
from trustpack.capabilities.revops.store import quotes as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import NotFound, Refused
from trustpack.kernel.json_types import JsonObject
from trustpack.platform import jobs
from trustpack.platform.unit_of_work import Transaction


async def create_quote(
    tx: Transaction,
    actor: Actor,
    *,
    opportunity_id: str,
    written: WrittenTerms,
    title: str | None,
    external_id: str | None = None,
) -> Quote:
    """Write a quote as a draft. Raises `SellersOnly`, `UnknownOpportunity`, `InvalidQuote`."""
    opportunity, quote = await draft_quote(
        tx, actor, opportunity_id=opportunity_id, written=written, title=title, external_id=external_id
    )
    await _insert(tx, actor, quote, payload={} if external_id is None else {"external_id": external_id})
    await _touch(tx, actor, opportunity)
    return quote


async def draft_quote(
    tx: Transaction,
    actor: Actor,
    *,
    opportunity_id: str,
    written: WrittenTerms,
    title: str | None = None,
    external_id: str | None = None,
) -> tuple[Opportunity, Quote]:
    """Return the quote that `create_quote` would write, with its opportunity; nothing is stored. Raises as `create_quote`."""
    if not may_sell(actor):
        raise SellersOnly
    try:
        opportunity, lead = await read_opportunity(tx, actor, opportunity_id)
    except NotFound as error:
        raise UnknownOpportunity from error
    quote_id = tx.new_id("quo")
    terms = await _terms(tx, written, quote_id=quote_id, revision=1, account=opportunity.account)
    people = {actor.id, *([lead.created_by] if lead is not None else [])}
    return opportunity, _draft(tx, opportunity, terms, people=people, title=title, external_id=external_id)


async def clone_quote(tx: Transaction, actor: Actor, quote_id: str) -> Quote | Refused:
    """Copy a quote into a new draft without approvals, at today's list prices (research/revops case 17).

    Whoever had a part in the original has one in the copy. Raises `NotFound`, `InvalidQuote`.
    """
    original = await lock_for_seller(tx, actor, quote_id, attempted="clone")
    if isinstance(original, Refused):
        return original
    opportunity = await lead_store.opportunity_by_id(tx, original.opportunity_id)
    assert opportunity is not None  # a quote's opportunity is never deleted
    today = tx.now.date()
    old = await at_list_prices_of_today(tx, read_terms(original.terms))
    valid_until = old.valid_until if old.valid_until >= today else date.fromordinal(today.toordinal() + VALID_DAYS)
    terms = replace(old, quote_id=tx.new_id("quo"), revision=1, valid_until=valid_until)
    people = {actor.id, *original.people}
    copy = _draft(tx, opportunity, terms, people=people, title=original.title, external_id=None)
    quote = replace(copy, derived_from=original.id)
    await _insert(tx, actor, quote, payload={"derived_from": original.id})
    return quote


async def change_quote(
    tx: Transaction, actor: Actor, quote_id: str, *, written: WrittenTerms | None, title: str | None, has_title: bool
) -> Quote | Refused:
    """Change a quote: other terms make a new revision in draft, another title alone keeps every approval.

    Raises `NotFound`, `WrongQuoteState`, `InvalidQuote`. Source: research/revops cases 13 and 14.
    """
    quote = await lock_for_seller(tx, actor, quote_id, attempted="change")
    if isinstance(quote, Refused):
        return quote
    new_title = title if has_title else quote.title
    if written is None:
        if new_title == quote.title:
            return quote
        return await _retitle(tx, actor, quote, new_title)
    revised = await revised_quote(tx, actor, quote, written=written)
    if revised is None:
        return quote if new_title == quote.title else await _retitle(tx, actor, quote, new_title)
    return await _revise(tx, actor, quote, revised, new_title)


async def revised_quote(tx: Transaction, actor: Actor, quote: Quote, *, written: WrittenTerms) -> Quote | None:
    """Return a quote with other terms, which nobody has approved yet, or None where an open one would keep its own.

    Nothing is stored: neither state nor version move. Raises `WrongQuoteState`, `InvalidQuote`.
    """
    next_status(quote.status, QuoteCommand.REVISE)
    account = read_terms(quote.terms).account
    terms = await _terms(tx, written, quote_id=quote.id, revision=quote.revision + 1, account=account)
    if quote.status in {QuoteStatus.DRAFT, QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED} and _same(terms, quote):
        return None
    encoded, totals = encode_terms(terms), totals_of(terms.lines)
    return replace(
        quote,
        revision=terms.revision,
        terms=encoded,
        terms_digest=terms_digest(encoded),
        list_minor=totals.list_amount,
        net_minor=totals.net_amount,
        currency=terms.currency,
        valid_until=terms.valid_until,
        people=tuple(sorted({*quote.people, actor.id})),
        required_approvals=(),
        self_approvable=(),
        decision_id=None,
        approval_expires_at=None,
        use_by=None,
    )


async def recall_quote(tx: Transaction, actor: Actor, quote_id: str, *, reason: str | None) -> Quote | Refused:
    """Take a submitted or approved quote back. Raises `NotFound`, `WrongQuoteState`."""
    quote = await lock_for_seller(tx, actor, quote_id, attempted="recall")
    if isinstance(quote, Refused):
        return quote
    next_status(quote.status, QuoteCommand.RECALL)
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=quote.id)
    personal: JsonObject = {"reason": reason} if reason is not None else {}
    people = tuple(sorted({*quote.people, actor.id}))
    return await advance(
        tx, quote, QuoteCommand.RECALL, actor=actor, action="recalled", payload={}, personal=personal, people=people
    )


async def _terms(tx: Transaction, written: WrittenTerms, *, quote_id: str, revision: int, account: str) -> Terms:
    list_prices = await _list_prices(tx, (line.sku for line in written.lines), currency=written.currency)
    return read_written(
        written, quote_id=quote_id, revision=revision, account=account, list_prices=list_prices, today=tx.now.date()
    )


async def at_list_prices_of_today(tx: Transaction, terms: Terms) -> Terms:
    """Return terms as the price book of today measures them. Raises `InvalidQuote` where the sum becomes too large."""
    list_prices = await _list_prices(tx, (line.sku for line in terms.lines), currency=terms.currency)
    return priced_anew(terms, list_prices=list_prices)


async def _list_prices(tx: Transaction, skus: Iterable[str | None], *, currency: str) -> dict[str, ListPrice]:
    wanted = sorted({sku for sku in skus if sku is not None})
    return await price_book.prices_in_force(tx, skus=wanted, currency=currency, day=tx.now.date()) if wanted else {}


def _same(terms: Terms, quote: Quote) -> bool:
    return replace(terms, revision=quote.revision) == read_terms(quote.terms)


def _draft(
    tx: Transaction,
    opportunity: Opportunity,
    terms: Terms,
    *,
    people: AbstractSet[str],
    title: str | None,
    external_id: str | None,
) -> Quote:
    encoded, totals = encode_terms(terms), totals_of(terms.lines)
    return Quote(
        id=terms.quote_id,
        version=1,
        revision=1,
        status=QuoteStatus.DRAFT,
        opportunity_id=opportunity.id,
        account_key=opportunity.account_key,
        segment=opportunity.segment,
        currency=terms.currency,
        owner_id=opportunity.owner_id,
        team_id=opportunity.team_id,
        people=tuple(sorted(people)),
        title=title,
        terms=encoded,
        terms_digest=terms_digest(encoded),
        list_minor=totals.list_amount,
        net_minor=totals.net_amount,
        required_approvals=(),
        self_approvable=(),
        decision_id=None,
        valid_until=terms.valid_until,
        submitted_at=None,
        approval_expires_at=None,
        use_by=None,
        derived_from=None,
        external_id=external_id,
        created_at=tx.now,
    )


async def _insert(tx: Transaction, actor: Actor, quote: Quote, *, payload: JsonObject) -> None:
    await store.insert_quote(tx, quote)
    told: JsonObject = {"opportunity_id": quote.opportunity_id, **_figures(quote), **payload}
    await record(tx, quote, actor=actor, action="created", payload=told, personal=_titled(None, quote.title))
    await store.insert_revision(tx, _revision_of(tx, actor, quote))


async def _retitle(tx: Transaction, actor: Actor, quote: Quote, title: str | None) -> Quote:
    payload: JsonObject = {"terms_unchanged": True}
    personal: JsonObject = {"title": title}
    return await advance(
        tx, quote, QuoteCommand.RETITLE, actor=actor, action="retitled", payload=payload, personal=personal, title=title
    )


async def _revise(tx: Transaction, actor: Actor, quote: Quote, revised: Quote, title: str | None) -> Quote:
    await jobs.cancel(tx, kind=EXPIRE_JOB, subject_id=quote.id)
    changed = await advance(
        tx,
        revised,
        QuoteCommand.REVISE,
        actor=actor,
        action="revised",
        payload={"superseded_digest": quote.terms_digest, "superseded_status": quote.status.value, **_figures(revised)},
        personal=_titled(quote.title, title),
        title=title,
    )
    await store.insert_revision(tx, _revision_of(tx, actor, changed))
    return changed


def _titled(before: str | None, after: str | None) -> JsonObject:
    return {"title": after} if after != before else {}


def _figures(quote: Quote) -> JsonObject:
    return {"currency": quote.currency, "list_minor": quote.list_minor, "net_minor": quote.net_minor}


def _revision_of(tx: Transaction, actor: Actor, quote: Quote) -> QuoteRevision:
    return QuoteRevision(
        id=tx.new_id("qrv"),
        quote_id=quote.id,
        seq=quote.version,
        revision=quote.revision,
        terms=quote.terms,
        terms_digest=quote.terms_digest,
        list_minor=quote.list_minor,
        net_minor=quote.net_minor,
        created_by=actor.id,
        created_at=tx.now,
    )


async def _touch(tx: Transaction, actor: Actor, opportunity: Opportunity) -> None:
    """Note the first quote of an opportunity: it was taken up, in time or not."""
    locked = await lead_store.lock_opportunity(tx, opportunity.id)
    if locked is None or locked.first_touched_at is not None:
        return
    touched = replace(locked, version=locked.version + 1, first_touched_at=tx.now)
    await lead_store.update_opportunity(tx, touched)
    transition = ledger.Transition(
        subject_kind=OPPORTUNITY_KIND,
        subject_id=touched.id,
        version=touched.version,
        action="touched",
        state=touched.status,
        actor=actor,
        payload={"in_time": tx.now <= touched.first_touch_due_at},
    )
    await ledger.record(tx, transition)
