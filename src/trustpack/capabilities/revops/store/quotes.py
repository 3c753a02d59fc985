"""Quotes, their revisions and contracts in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString

from trustpack.capabilities.revops.model import Contract, LinkedQuotes, Quote, QuoteRevision, QuoteStatus
from trustpack.kernel.actor import Role
from trustpack.platform.unit_of_work import Transaction

SELECT_QUOTES: LiteralString = (
    "SELECT id, version, revision, status, opportunity_id, account_key, segment, currency, owner_id, team_id, people, title,"
    " terms, terms_digest, list_minor, net_minor, required_approvals, self_approvable, decision_id, valid_until, submitted_at,"
    " approval_expires_at, use_by, derived_from, external_id, created_at FROM trustpack.quotes"
)
_OFFERED = ["pending_approval", "approved", "activated"]
_MOST_LINKED_SHOWN = 100


async def insert_quote(tx: Transaction, quote: Quote) -> None:
    """Store a new quote."""
    await tx.write(
        "INSERT INTO trustpack.quotes (tenant_id, id, version, revision, status, opportunity_id, account_key, segment, currency,"
        " owner_id, team_id, people, title, terms, terms_digest, list_minor, net_minor, required_approvals, self_approvable,"
        " decision_id, valid_until, submitted_at, approval_expires_at, use_by, derived_from, external_id, created_at) VALUES"
        " (%(tenant)s, %(id)s, %(version)s, %(revision)s, %(status)s, %(opportunity)s, %(account_key)s, %(segment)s,"
        " %(currency)s, %(owner)s, %(team)s, %(people)s, %(title)s, %(terms)s, %(digest)s, %(list)s, %(net)s, %(required)s,"
        " %(self)s, %(decision)s, %(valid_until)s, %(submitted)s, %(window)s, %(use_by)s, %(derived)s,"
        " %(external)s, %(created)s)",
        {
            **_changing_values(tx, quote),
            "opportunity": quote.opportunity_id,
            "account_key": quote.account_key,
            "segment": quote.segment,
            "owner": quote.owner_id,
            "team": quote.team_id,
            "derived": quote.derived_from,
            "external": quote.external_id,
            "created": quote.created_at,
        },
    )
    await _keep_people(tx, quote)


async def update_quote(tx: Transaction, quote: Quote) -> None:
    """Store a locked quote's next version."""
    await tx.write(
        "UPDATE trustpack.quotes SET version = %(version)s, revision = %(revision)s, status = %(status)s,"
        " currency = %(currency)s, people = %(people)s, title = %(title)s, terms = %(terms)s, terms_digest = %(digest)s,"
        " list_minor = %(list)s, net_minor = %(net)s, required_approvals = %(required)s, self_approvable = %(self)s,"
        " decision_id = %(decision)s, valid_until = %(valid_until)s, submitted_at = %(submitted)s,"
        " approval_expires_at = %(window)s, use_by = %(use_by)s WHERE tenant_id = %(tenant)s AND id = %(id)s",
        _changing_values(tx, quote),
    )
    await _keep_people(tx, quote)


async def find_quote(tx: Transaction, quote_id: str) -> Quote | None:
    """Return a quote, or None."""
    row = await tx.fetch_one(
        SELECT_QUOTES + " WHERE tenant_id = %(tenant)s AND id = %(id)s", {"tenant": tx.tenant_id, "id": quote_id}
    )
    return quote_of(row) if row is not None else None


async def quotes_by_id(tx: Transaction, quote_ids: Collection[str]) -> tuple[Quote, ...]:
    """Return several quotes; those that are not there are left out."""
    rows = await tx.fetch_all(
        SELECT_QUOTES + " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)", {"tenant": tx.tenant_id, "ids": list(quote_ids)}
    )
    return tuple(quote_of(row) for row in rows)


async def id_of_external(tx: Transaction, external_id: str) -> str | None:
    """Return the id of the quote that has this id elsewhere, or None."""
    row = await tx.fetch_one(
        "SELECT id FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND external_id = %(external)s",
        {"tenant": tx.tenant_id, "external": external_id},
    )
    return row["id"] if row is not None else None


async def lock_quote(tx: Transaction, quote_id: str) -> Quote | None:
    """Return a quote and hold its row until the transaction ends: one transition at a time."""
    row = await tx.fetch_one(
        SELECT_QUOTES + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE", {"tenant": tx.tenant_id, "id": quote_id}
    )
    return quote_of(row) if row is not None else None


async def quotes_of(tx: Transaction, opportunity_id: str) -> tuple[Quote, ...]:
    """Return every quote of an opportunity, oldest first."""
    rows = await tx.fetch_all(
        SELECT_QUOTES + " WHERE tenant_id = %(tenant)s AND opportunity_id = %(opportunity)s ORDER BY id",
        {"tenant": tx.tenant_id, "opportunity": opportunity_id},
    )
    return tuple(quote_of(row) for row in rows)


async def linked_quotes(tx: Transaction, quote: Quote, *, since: datetime) -> LinkedQuotes:
    """Return what was offered to the same account in the same currency since a time, together with this quote as it is given.

    A draft is no offer: one that nobody means to sell would thin the joint discount. When a quote was submitted counts as well
    as when it was written, so that no draft waits until it is out of sight.
    """
    rows = await tx.fetch_all(
        "SELECT id, (sum(list_minor) OVER ())::text AS list_minor, (sum(net_minor) OVER ())::text AS net_minor"
        " FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND account_key = %(account)s AND currency = %(currency)s"
        " AND id <> %(id)s AND status = ANY(%(states)s) AND greatest(created_at, submitted_at) >= %(since)s"
        " ORDER BY id DESC LIMIT %(limit)s",
        {
            "tenant": tx.tenant_id,
            "account": quote.account_key,
            "currency": quote.currency,
            "since": since,
            "states": _OFFERED,
            "id": quote.id,
            "limit": _MOST_LINKED_SHOWN,
        },
    )
    return LinkedQuotes(
        others=tuple(row["id"] for row in rows),
        list_minor=quote.list_minor + (int(rows[0]["list_minor"]) if rows else 0),
        net_minor=quote.net_minor + (int(rows[0]["net_minor"]) if rows else 0),
    )


async def insert_revision(tx: Transaction, revision: QuoteRevision) -> None:
    """Store a revision as it was written."""
    await tx.write(
        "INSERT INTO trustpack.quote_revisions (tenant_id, id, quote_id, seq, revision, terms, terms_digest, list_minor,"
        " net_minor, created_by, created_at) VALUES (%(tenant)s, %(id)s, %(quote)s, %(seq)s, %(revision)s, %(terms)s, %(digest)s,"
        " %(list)s, %(net)s, %(by)s, %(created)s)",
        {
            "tenant": tx.tenant_id,
            "id": revision.id,
            "quote": revision.quote_id,
            "seq": revision.seq,
            "revision": revision.revision,
            "terms": revision.terms,
            "digest": revision.terms_digest,
            "list": revision.list_minor,
            "net": revision.net_minor,
            "by": revision.created_by,
            "created": revision.created_at,
        },
    )


async def revisions_of(tx: Transaction, *quote_ids: str) -> tuple[QuoteRevision, ...]:
    """Return every revision of the given quotes, by quote, oldest first."""
    rows = await tx.fetch_all(
        "SELECT id, quote_id, seq, revision, terms, terms_digest, list_minor, net_minor, created_by, created_at"
        " FROM trustpack.quote_revisions WHERE tenant_id = %(tenant)s AND quote_id = ANY(%(quotes)s) ORDER BY quote_id, revision",
        {"tenant": tx.tenant_id, "quotes": list(quote_ids)},
    )
    return tuple(QuoteRevision(**row) for row in rows)


async def insert_contract(tx: Transaction, contract: Contract) -> None:
    """Store a contract; the unique key (tenant, quote) refuses a second one."""
    await tx.write(
        "INSERT INTO trustpack.contracts (tenant_id, id, quote_id, seq, status, terms, terms_digest, activated_by, decision_id,"
        " created_at) VALUES (%(tenant)s, %(id)s, %(quote)s, %(seq)s, %(status)s, %(terms)s, %(digest)s, %(by)s, %(decision)s,"
        " %(created)s)",
        {
            "tenant": tx.tenant_id,
            "id": contract.id,
            "quote": contract.quote_id,
            "seq": contract.seq,
            "status": contract.status,
            "terms": contract.terms,
            "digest": contract.terms_digest,
            "by": contract.activated_by,
            "decision": contract.decision_id,
            "created": contract.created_at,
        },
    )


async def contracts_of(tx: Transaction, quote_ids: Sequence[str]) -> dict[str, Contract]:
    """Return the contracts of the given quotes, by quote."""
    rows = await tx.fetch_all(
        "SELECT id, quote_id, seq, status, terms, terms_digest, activated_by, decision_id, created_at FROM trustpack.contracts"
        " WHERE tenant_id = %(tenant)s AND quote_id = ANY(%(quotes)s)",
        {"tenant": tx.tenant_id, "quotes": list(quote_ids)},
    )
    return {row["quote_id"]: Contract(**row) for row in rows}


async def _keep_people(tx: Transaction, quote: Quote) -> None:
    others = sorted({*quote.people} - {quote.owner_id})
    if others:
        await tx.write(
            "INSERT INTO trustpack.quote_people (tenant_id, person_id, owner_id, quote_id) SELECT %(tenant)s, person, %(owner)s,"
            " %(id)s FROM unnest(%(others)s::text[]) AS person ON CONFLICT ON CONSTRAINT quote_people_pkey DO NOTHING",
            {"tenant": tx.tenant_id, "id": quote.id, "owner": quote.owner_id, "others": others},
        )


def quote_of(row: dict[str, Any]) -> Quote:
    """Return the quote that stands in a row of `SELECT_QUOTES`."""
    return Quote(
        **{
            **row,
            "status": QuoteStatus(row["status"]),
            "people": tuple(row["people"]),
            "required_approvals": tuple(Role(role) for role in row["required_approvals"]),
            "self_approvable": tuple(Role(role) for role in row["self_approvable"]),
        }
    )


def _changing_values(tx: Transaction, quote: Quote) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": quote.id,
        "version": quote.version,
        "revision": quote.revision,
        "status": quote.status.value,
        "currency": quote.currency,
        "people": list(quote.people),
        "title": quote.title,
        "terms": quote.terms,
        "digest": quote.terms_digest,
        "list": quote.list_minor,
        "net": quote.net_minor,
        "required": [role.value for role in quote.required_approvals],
        "self": [role.value for role in quote.self_approvable],
        "decision": quote.decision_id,
        "valid_until": quote.valid_until,
        "submitted": quote.submitted_at,
        "window": quote.approval_expires_at,
        "use_by": quote.use_by,
    }
