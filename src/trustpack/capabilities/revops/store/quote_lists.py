"""Lists of quotes in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from trustpack.capabilities.revops.model import Quote, QuoteFilter, QuoteStatus, people_meant
from trustpack.capabilities.revops.store.quotes import SELECT_QUOTES, quote_of
from trustpack.platform.keyset_sql import order_sql, page_sql, page_values
from trustpack.platform.unit_of_work import Transaction

_OF_TENANT: LiteralString = " WHERE tenant_id = %(tenant)s"
_FILTERS: LiteralString = (
    " AND (%(status)s::text IS NULL OR quotes.status = %(status)s)"
    " AND (%(opportunity)s::text IS NULL OR quotes.opportunity_id = %(opportunity)s)"
    " AND (%(owner)s::text IS NULL OR quotes.owner_id = %(owner)s)"
    " AND (%(account)s::text IS NULL OR quotes.account_key = %(account)s)"
    " AND (%(needs)s::text IS NULL OR (quotes.status = 'pending_approval' AND %(needs)s = ANY(quotes.required_approvals)))"
)
_EACH_STATUS: LiteralString = (
    " unnest(%(statuses)s::text[]) AS each (status) CROSS JOIN LATERAL (SELECT id, status FROM trustpack.quotes"
    " WHERE tenant_id = %(tenant)s AND status = each.status"
)
_IDS: LiteralString = "SELECT found.id FROM (("
_EACH_OWNER: LiteralString = "SELECT found.id, found.status FROM unnest(%(owners)s::text[]) AS one (name) CROSS JOIN"
_EACH_TEAM: LiteralString = " unnest(%(teams)s::text[]) AS my (team) CROSS JOIN"
_FOUND: LiteralString = "SELECT found.id, found.status FROM"
_OWN: LiteralString = _FOUND + _EACH_STATUS + " AND owner_id = %(person)s"
_OF_TEAMS: LiteralString = _FOUND + _EACH_TEAM + _EACH_STATUS + " AND team_id = my.team"
_OF_OWNERS: LiteralString = _EACH_OWNER + _EACH_STATUS + " AND owner_id = one.name"
_OF_OWNERS_IN_TEAMS: LiteralString = _EACH_OWNER + _EACH_TEAM + _EACH_STATUS + " AND owner_id = one.name AND team_id = my.team"
_HAD_A_PART: LiteralString = (
    "SELECT quotes.id, quotes.status FROM trustpack.quote_people AS part JOIN trustpack.quotes"
    " ON quotes.tenant_id = part.tenant_id AND quotes.id = part.quote_id"
    " WHERE part.tenant_id = %(tenant)s AND part.person_id = %(person)s"
)
_OF_OWNER: LiteralString = " AND part.owner_id = one.name"
_IN_EACH_STATUS: LiteralString = " unnest(%(statuses)s::text[]) AS each (status) CROSS JOIN LATERAL ("
_BY_ID_END: LiteralString = "SELECT id, status FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND id_end = %(id_end)s"
_BY_ACCOUNT: LiteralString = (
    "SELECT found.id, found.status FROM unnest(%(accounts)s::text[]) AS one (name) CROSS JOIN LATERAL"
    " (SELECT id, status FROM trustpack.quotes WHERE tenant_id = %(tenant)s AND account_key = one.name"
)
_VISIBLE: LiteralString = (
    " AND (quotes.owner_id = %(person)s OR quotes.team_id = ANY(%(teams)s) OR %(person)s = ANY(quotes.people))"
)
_COLUMNS: Mapping[str, LiteralString] = {"created": "id", "status": "status"}
"""The columns that order the list, each with an index."""


async def list_quotes(tx: Transaction, wanted: QuoteFilter) -> tuple[Quote, ...]:
    """Return one page."""
    named_by = wanted.named_by
    rows = await tx.fetch_all(
        _list_statement(wanted),
        {
            "tenant": tx.tenant_id,
            "status": wanted.status,
            "statuses": [wanted.status] if wanted.status else [status.value for status in QuoteStatus],
            "opportunity": wanted.opportunity_id,
            "owner": wanted.owner_id,
            "owners": list(people_meant(wanted.owner_id, named_by) or ()),
            "account": wanted.account_key,
            "needs": wanted.needs,
            "id_end": named_by.id_end if named_by else None,
            "accounts": list(named_by.accounts) if named_by else [],
            "person": wanted.visible_to,
            "teams": list(wanted.team_ids),
            **page_values(wanted.keyset, limit=wanted.limit),
        },
        plan_anew=True,
    )
    return tuple(quote_of(row) for row in rows)


def _list_statement(wanted: QuoteFilter) -> LiteralString:
    """Return one walk along an index for each way in which a quote may be meant: a condition that joined them would have none.

    An id or an account has few quotes, so what may be read of them is picked out. People have many: theirs are walked along for
    each way of being readable too. What the walks find is no more than where to look; each row itself says who may read it.
    """
    column, descending = _COLUMNS[wanted.keyset.column], wanted.keyset.descending
    rest = _FILTERS + page_sql("quotes", column, descending=descending)
    named_by, reader = wanted.named_by, wanted.visible_to
    owners = people_meant(wanted.owner_id, named_by)
    if named_by is None and owners is None and reader is None:
        return SELECT_QUOTES + _OF_TENANT + rest
    visible: LiteralString = "" if reader is None else _VISIBLE
    # In the order of the ids the walk along what somebody had a part in ends soon; in another it would sort all of it.
    parts = " LATERAL (" + _HAD_A_PART
    if column != "id" or wanted.status is not None:
        parts = _IN_EACH_STATUS + _HAD_A_PART + " AND quotes.status = each.status"
    walks: list[LiteralString] = []
    if named_by is not None:
        walks += [_BY_ID_END + visible + rest, _BY_ACCOUNT + visible + rest + ") AS found"]
    if owners is None and reader is not None:
        walks += [
            _OWN + rest + ") AS found",
            _OF_TEAMS + rest + ") AS found",
            _FOUND + parts + rest + ") AS found",
        ]
    elif owners and reader is None:
        walks.append(_OF_OWNERS + rest + ") AS found")
    elif owners:
        walks += [_OF_OWNERS_IN_TEAMS + rest + ") AS found", _EACH_OWNER + parts + _OF_OWNER + rest + ") AS found"]
        walks += [_OWN + rest + ") AS found"] if reader in owners else []
    first = order_sql("found", column, descending=descending)
    ids = _IDS + ") UNION (".join(walks) + ")) AS found" + first
    return SELECT_QUOTES + _OF_TENANT + " AND id = ANY(ARRAY(" + ids + "))" + visible + rest
