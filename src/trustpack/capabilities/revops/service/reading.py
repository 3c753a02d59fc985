"""Read quotes as people may see them, and present them (api.md, "RevOps")."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from operator import attrgetter

from trustpack.capabilities import approvals, directory, ledger, policy
from trustpack.capabilities.revops.model import (
    WORKSPACE,
    Contract,
    Delegation,
    LinkedQuotes,
    Quote,
    QuoteFilter,
    QuoteLine,
    QuoteRevision,
    QuoteStatus,
    Terms,
    Totals,
)
from trustpack.capabilities.revops.rules.pricing import joint_discount, totals_of
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.rules.visibility import may_read, reads_everything
from trustpack.capabilities.revops.service.context import LINKED_DAYS
from trustpack.capabilities.revops.service.deciding import ballot_of
from trustpack.capabilities.revops.service.leads import read_lead, read_opportunity
from trustpack.capabilities.revops.service.lending import borrows
from trustpack.capabilities.revops.service.recording import find_readable, is_readable
from trustpack.capabilities.revops.store import quote_lists
from trustpack.capabilities.revops.store import quotes as store
from trustpack.capabilities.revops.store.delegations import delegations_by_id
from trustpack.capabilities.revops.store.leads import holders_of
from trustpack.kernel.actor import Actor, Role
from trustpack.kernel.clock import format_time
from trustpack.kernel.ids import require_id
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.money import format_amount, format_share
from trustpack.platform.unit_of_work import Transaction

id_of_external = store.id_of_external
ShowTerms = Callable[[bytes], tuple[Terms, JsonObject]]
"""How terms are shown: `show_terms`, or what remembers its answers where the same terms stand in several places."""


@dataclass(frozen=True, slots=True)
class QuoteView:
    """A quote with everything that is shown beside it; `linked` are the other quotes that it is looked at with."""

    quote: Quote
    votes: tuple[approvals.Vote, ...] = ()
    comments: Mapping[int, str] = field(default_factory=dict)
    decision_ids: tuple[str, ...] = ()
    contract: Contract | None = None
    delegations: Mapping[str, Delegation] = field(default_factory=dict)
    handles: Mapping[str, str] = field(default_factory=dict)
    linked: LinkedQuotes | None = None


@dataclass(frozen=True, slots=True)
class Headline:
    """What a row of a list says of a quote's terms."""

    account: str
    discount: Fraction


async def require_readable(tx: Transaction, actor: Actor, subject_id: str) -> None:
    """Let somebody pass who may read the lead, opportunity or quote of this id. Raises `NotFound`."""
    match subject_id.partition("_")[0]:
        case "lead":
            await read_lead(tx, actor, subject_id)
        case "opp":
            await read_opportunity(tx, actor, subject_id)
        case _:
            await find_readable(tx, actor, subject_id)


async def readable_ones(tx: Transaction, actor: Actor, subject_ids: Collection[str]) -> frozenset[str]:
    """Return those of some leads, opportunities and quotes that the actor may read."""
    quote_ids = [one for one in subject_ids if one.startswith("quo_")]
    others = [one for one in subject_ids if not one.startswith("quo_")]
    holders = await holders_of(tx, others) if others else {}
    found = {one for one, (people, team_id) in holders.items() if may_read(actor, people=people, team_id=team_id)}
    found |= {quote.id for quote in await readable_quotes(tx, actor, quote_ids)}
    return frozenset(found)


async def readable_quotes(tx: Transaction, actor: Actor, quote_ids: Collection[str]) -> tuple[Quote, ...]:
    """Return those of some quotes that the actor may read, newest first."""
    quotes = await store.quotes_by_id(tx, quote_ids) if quote_ids else ()
    reads_all = bool(quotes) and await borrows(tx, actor)
    readable = [quote for quote in quotes if reads_all or is_readable(actor, quote)]
    return tuple(sorted(readable, key=attrgetter("id"), reverse=True))


async def read_quote(tx: Transaction, actor: Actor, quote_id: str) -> QuoteView:
    """Return the view of one quote, with those that it is linked to. Raises `NotFound`."""
    return await view_of(tx, await find_readable(tx, actor, quote_id))


async def view_of(tx: Transaction, quote: Quote) -> QuoteView:
    """Return the view of one quote, with those that it is linked to."""
    [view] = await views_of(tx, (quote,))
    linked = await store.linked_quotes(tx, quote, since=quote.created_at - timedelta(days=LINKED_DAYS))
    return replace(view, linked=linked)


async def list_quotes(tx: Transaction, actor: Actor, wanted: QuoteFilter) -> tuple[QuoteView, ...]:
    """Return one page of what the actor may read, newest first."""
    return await views_of(tx, await list_rows(tx, actor, wanted))


async def list_rows(tx: Transaction, actor: Actor, wanted: QuoteFilter) -> tuple[Quote, ...]:
    """Return the page of `list_quotes` without what lies beside a quote, which takes five statements and no row shows."""
    if not (reads_everything(actor) or await borrows(tx, actor)):
        wanted = replace(wanted, visible_to=actor.id, team_ids=tuple(sorted(actor.team_ids)))
    return await quote_lists.list_quotes(tx, wanted)


async def views_of(tx: Transaction, quotes: Sequence[Quote]) -> tuple[QuoteView, ...]:
    """Return the views of several quotes with a fixed number of statements."""
    ids = [quote.id for quote in quotes]
    if not ids:
        return ()
    votes = await approvals.votes_of(tx, ids)
    written = await ledger.disclosed_values(tx, ids, paths=("comment", "reason"))
    decisions = await policy.decision_ids_of(tx, ids)
    contracts = await store.contracts_of(tx, ids)
    delegations = await delegations_by_id(
        tx, [vote.loan.delegation_id for cast in votes.values() for vote in cast if vote.loan is not None]
    )
    people = [quote.owner_id for quote in quotes] + [vote.person_id for cast in votes.values() for vote in cast]
    handles = await directory.handles_of(tx, people + [delegation.from_person for delegation in delegations.values()])
    return tuple(
        QuoteView(
            quote=quote,
            votes=votes.get(quote.id, ()),
            comments={seq: text for (subject_id, seq), text in written.items() if subject_id == quote.id},
            decision_ids=decisions.get(quote.id, ()),
            contract=contracts.get(quote.id),
            delegations=delegations,
            handles=handles,
        )
        for quote in quotes
    )


async def read_revisions(tx: Transaction, actor: Actor, quote_id: str) -> list[JsonObject]:
    """Return every revision of a quote that the actor may read, oldest first. Raises `NotFound`."""
    quote = await find_readable(tx, actor, quote_id)
    revisions = await store.revisions_of(tx, quote.id)
    handles = await directory.handles_of(tx, [revision.created_by for revision in revisions])
    return [present_revision(revision, quote, handles) for revision in revisions]


async def read_receipts(tx: Transaction, actor: Actor, subject_id: str, *, prefix: str) -> list[JsonObject]:
    """Return the receipts of a lead, opportunity or quote, as the prefix says, that the actor may read. Raises `NotFound`."""
    await require_readable(tx, actor, require_id(subject_id, prefix=prefix))
    receipts = await ledger.receipts_of(tx, subject_id)
    handles = await directory.handles_of(tx, [json.loads(receipt.body)["actor"]["id"] for receipt in receipts])
    return [ledger.present_receipt(receipt, handles=handles) for receipt in receipts]


def headline_of(quote: Quote) -> Headline:
    """Return what a row of a list says of a quote, exactly as `present` does."""
    terms = read_terms(quote.terms)
    return Headline(terms.account, _discount_of(terms, totals_of(terms.lines)))


def show_terms(encoded: bytes) -> tuple[Terms, JsonObject]:
    """Return the terms that were written so, and the commercial part of a quote that has them."""
    terms = read_terms(encoded)
    return terms, present_terms(terms, totals_of(terms.lines))


def present(view: QuoteView, *, show: ShowTerms = show_terms) -> JsonObject:
    """Return the wire shape of a quote."""
    quote = view.quote
    terms, commercial = show(quote.terms)
    return {
        "id": quote.id,
        "version": quote.version,
        "revision": quote.revision,
        "workspace": WORKSPACE,
        "opportunity_id": quote.opportunity_id,
        "account": terms.account,
        "segment": quote.segment,
        "owner": _person(quote.owner_id, view.handles),
        "title": quote.title,
        "currency": quote.currency,
        **commercial,
        "status": quote.status.value,
        "terms_digest": quote.terms_digest,
        "required_approvals": [role.value for role in quote.required_approvals],
        "open_approvals": [role.value for role in _open_roles(view)],
        "approvals": [_present_vote(vote, view) for vote in view.votes],
        "decisions": list(view.decision_ids),
        "linked": _present_linked(view),
        "contract": _present_contract(view.contract),
        "derived_from": quote.derived_from,
        "external_id": quote.external_id,
        "submitted_at": format_time(quote.submitted_at) if quote.submitted_at else None,
        "approval_expires_at": format_time(quote.approval_expires_at) if quote.approval_expires_at else None,
        "use_by": format_time(quote.use_by) if quote.use_by else None,
        "created_at": format_time(quote.created_at),
    }


def present_submission(view: QuoteView) -> JsonObject:
    """Return what `submit-for-approval` answers: the quote, and by which decision it now waits."""
    return {**present(view), "allowed": True, "decision_id": view.quote.decision_id}


def present_activation(view: QuoteView) -> JsonObject:
    """Return what `activate` answers: the contract, with the quote that it was made of."""
    return {**(_present_contract(view.contract) or {}), "quote": present(view)}


def present_terms(terms: Terms, totals: Totals) -> JsonObject:
    """Return the commercial part of a quote, with every discount as it was worked out."""
    return {
        "pricing": terms.pricing.value,
        "lines": [
            _present_line(line, amounts.list_amount, amounts.net_amount, amounts.discount, currency=terms.currency)
            for line, amounts in zip(terms.lines, totals.lines, strict=True)
        ],
        "list_amount": format_amount(totals.list_amount, currency=terms.currency),
        "net_amount": format_amount(totals.net_amount, currency=terms.currency),
        "discount_percent": format_share(_discount_of(terms, totals)),
        "max_line_discount_percent": format_share(max(totals.largest_line, totals.declared)),
        "recurring_discount_percent": format_share(totals.recurring),
        "valid_until": terms.valid_until.isoformat(),
        "term_months": terms.term_months,
        "payment_days": terms.payment_days,
        "start_date": terms.start_date.isoformat() if terms.start_date else None,
    }


def _discount_of(terms: Terms, totals: Totals) -> Fraction:
    return max(totals.blended, totals.declared) if len(terms.lines) == 1 else totals.blended


def _present_line(line: QuoteLine, list_amount: int, net_amount: int, discount: Fraction, *, currency: str) -> JsonObject:
    return {
        "sku": line.sku,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": format_amount(line.unit_price, currency=currency),
        "list_price": None if line.list_price is None else format_amount(line.list_price, currency=currency),
        "catalogued": line.list_price is not None,
        "discount_percent": str(line.discount),
        "effective_discount_percent": format_share(discount),
        "recurring": line.recurring,
        "list_amount": format_amount(list_amount, currency=currency),
        "net_amount": format_amount(net_amount, currency=currency),
    }


def _open_roles(view: QuoteView) -> tuple[Role, ...]:
    quote = view.quote
    if quote.status != QuoteStatus.PENDING_APPROVAL:
        return ()
    ballot = ballot_of(quote, required=quote.required_approvals, self_approvable=quote.self_approvable)
    return approvals.decide_quorum(ballot.required, approvals.votes_with_roles_of_their_time(view.votes, ballot)).open


def _present_vote(vote: approvals.Vote, view: QuoteView) -> JsonObject:
    is_superseded = vote.digest != view.quote.terms_digest
    return {
        "id": vote.id,
        "approver": _person(vote.person_id, view.handles),
        "verdict": vote.verdict.value,
        "role": vote.claimed_role.value if vote.claimed_role else None,
        "status": "superseded" if is_superseded else "given",
        "superseded_reason": "terms_changed" if is_superseded else None,
        "terms_digest": vote.digest,
        "digest_confirmed": vote.digest_confirmed,
        "delegation": _present_loan(vote, view),
        "comment": view.comments.get(vote.seq),
        "created_at": format_time(vote.created_at),
    }


def _present_loan(vote: approvals.Vote, view: QuoteView) -> JsonObject | None:
    if vote.loan is None:
        return None
    delegation = view.delegations[vote.loan.delegation_id]
    return {
        "id": delegation.id,
        "from": _person(delegation.from_person, view.handles),
        "role": delegation.role.value,
        "made_after_submission": vote.loan.is_newer,
    }


def _present_linked(view: QuoteView) -> JsonObject | None:
    if view.linked is None:
        return None
    joint = joint_discount(view.linked.list_minor, view.linked.net_minor)
    return {"quotes": list(view.linked.others), "days": LINKED_DAYS, "joint_discount_percent": format_share(joint)}


def _present_contract(contract: Contract | None) -> JsonObject | None:
    if contract is None:
        return None
    return {
        "id": contract.id,
        "quote_id": contract.quote_id,
        "status": contract.status,
        "terms_digest": contract.terms_digest,
        "decision_id": contract.decision_id,
        "created_at": format_time(contract.created_at),
    }


def present_revision(
    revision: QuoteRevision, quote: Quote, handles: Mapping[str, str], *, show: ShowTerms = show_terms
) -> JsonObject:
    """Return one revision of a quote."""
    terms, commercial = show(revision.terms)
    return {
        "revision": revision.revision,
        "status": "current" if revision.revision == quote.revision else "superseded",
        "currency": terms.currency,
        **commercial,
        "terms_digest": revision.terms_digest,
        "created_by": _person(revision.created_by, handles),
        "created_at": format_time(revision.created_at),
    }


def _person(person_id: str, handles: Mapping[str, str]) -> JsonObject:
    return {"id": person_id, "handle": handles.get(person_id)}
