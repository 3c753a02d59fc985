"""Lists of opportunities, and of the accounts that they are with, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString

from trustpack.capabilities.revops.model import Opportunity, OpportunityFilter, OpportunityStatus, people_meant
from trustpack.capabilities.revops.store.leads import SELECT_OPPORTUNITIES
from trustpack.platform.keyset_sql import order_sql, page_sql, page_values
from trustpack.platform.unit_of_work import Transaction

_OF_TENANT: LiteralString = " WHERE tenant_id = %(tenant)s"
_FILTERS: LiteralString = (
    " AND (%(status)s::text IS NULL OR opportunities.status = %(status)s)"
    " AND (%(segment)s::text IS NULL OR opportunities.segment = lower(%(segment)s))"
    " AND (%(owner)s::text IS NULL OR opportunities.owner_id = %(owner)s)"
)
_IDS: LiteralString = "SELECT found.id FROM (("
_PICKED: Mapping[str, LiteralString] = {
    "created": "SELECT id FROM trustpack.opportunities",
    "account": "SELECT id, account_folded FROM trustpack.opportunities",
    "status": "SELECT id, status FROM trustpack.opportunities",
}
"""What the order of a list needs of each row."""
_EACH_STATUS: LiteralString = " unnest(%(statuses)s::text[]) AS each (status) CROSS JOIN LATERAL ("
_EACH_OWNER: LiteralString = " unnest(%(owners)s::text[]) AS one (name) CROSS JOIN" + _EACH_STATUS
_EACH_TEAM: LiteralString = " unnest(%(teams)s::text[]) AS my (team) CROSS JOIN" + _EACH_STATUS
_OF_STATUS: LiteralString = _OF_TENANT + " AND status = each.status"
_OF_OWNERS: LiteralString = " AND owner_id = ANY(%(owners)s)"
_BY_ID_END: LiteralString = _OF_TENANT + " AND id_end = %(id_end)s"
_BY_ACCOUNT: LiteralString = _OF_TENANT + " AND account_key = ANY(%(accounts)s)"
_VISIBLE: LiteralString = (
    " AND (opportunities.owner_id = %(person)s OR opportunities.team_id = ANY(%(teams)s)"
    " OR opportunities.brought_by = %(person)s)"
)
_COLUMNS: Mapping[str, LiteralString] = {"created": "id", "account": "account_folded", "status": "status"}
"""The columns that order the list, each with an index."""
_MOST_LOOKED_AT = 500
"""Of the opportunities whose account begins so: a letter alone fits very many, and means none of them."""
_LAST_LETTER = "\U0010ffff"


async def list_opportunities(tx: Transaction, wanted: OpportunityFilter) -> tuple[Opportunity, ...]:
    """Return one page."""
    named_by = wanted.named_by
    rows = await tx.fetch_all(
        _list_statement(wanted),
        {
            "tenant": tx.tenant_id,
            "status": wanted.status,
            "statuses": [wanted.status] if wanted.status else [status.value for status in OpportunityStatus],
            "segment": wanted.segment,
            "owner": wanted.owner_id,
            "id_end": named_by.id_end if named_by else None,
            "accounts": list(named_by.accounts) if named_by else [],
            "owners": [owner for owner in people_meant(wanted.owner_id, named_by) or () if owner != wanted.visible_to],
            "person": wanted.visible_to,
            "teams": list(wanted.team_ids),
            **page_values(wanted.keyset, limit=wanted.limit),
        },
        plan_anew=True,
    )
    return tuple(Opportunity(**row) for row in rows)


async def accounts_beginning_with(tx: Transaction, text: str, *, limit: int) -> tuple[str, ...]:
    """Return the keys of accounts whose name or key begins with a text, whatever the case of its letters."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT account_key FROM ((SELECT account_key FROM trustpack.opportunities WHERE tenant_id = %(tenant)s"
        " AND account_folded ~>=~ lower(%(from)s) AND account_folded ~<~ (lower(%(from)s) || %(last)s)"
        " ORDER BY account_folded USING ~<~ LIMIT %(most)s)"
        " UNION ALL (SELECT account_key FROM trustpack.opportunities WHERE tenant_id = %(tenant)s"
        " AND account_key ~>=~ lower(%(from)s) AND account_key ~<~ (lower(%(from)s) || %(last)s)"
        " ORDER BY account_key USING ~<~ LIMIT %(most)s)) AS found ORDER BY account_key LIMIT %(limit)s",
        {"tenant": tx.tenant_id, "from": text, "last": _LAST_LETTER, "most": _MOST_LOOKED_AT, "limit": limit},
        plan_anew=True,
    )
    return tuple(row["account_key"] for row in rows)


async def account_names(tx: Transaction, account_keys: Sequence[str]) -> dict[str, str]:
    """Return what people call some accounts, by key: as their latest opportunity has it."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT ON (account_key) account_key, account FROM trustpack.opportunities WHERE tenant_id = %(tenant)s"
        " AND account_key = ANY(%(keys)s) ORDER BY account_key, id DESC",
        {"tenant": tx.tenant_id, "keys": list(account_keys)},
    )
    return {row["account_key"]: row["account"] for row in rows}


def _list_statement(wanted: OpportunityFilter) -> LiteralString:
    """Return one walk along an index for each way in which one may be meant: a condition that joined them would have none.

    An id or an account has few, so what may be read of them is picked out. People have many: theirs are walked along for each
    way of being readable, and in each state; the reader's own by that way alone.
    """
    past: LiteralString = "lower(%(past_value)s)" if wanted.keyset.column == "account" else "%(past_value)s"
    column, descending = _COLUMNS[wanted.keyset.column], wanted.keyset.descending
    rest = _FILTERS + page_sql("opportunities", column, descending=descending, past=past)
    named_by, reader = wanted.named_by, wanted.visible_to
    owners = people_meant(wanted.owner_id, named_by)
    if named_by is None and owners is None and reader is None:
        return SELECT_OPPORTUNITIES + _OF_TENANT + rest
    picked = _PICKED[wanted.keyset.column]
    visible: LiteralString = "" if reader is None else _VISIBLE
    walks: list[LiteralString] = []
    if named_by is not None:
        walks += [picked + _BY_ID_END + visible + rest, picked + _BY_ACCOUNT + visible + rest]
    if reader is None and owners:
        walks.append(_walk(_EACH_OWNER, picked, " AND owner_id = one.name" + rest))
    elif reader is not None:
        if owners is None or reader in owners:
            walks.append(_walk(_EACH_STATUS, picked, " AND owner_id = %(person)s" + rest))
        if owners is None or set(owners) - {reader}:
            among: LiteralString = "" if owners is None else _OF_OWNERS
            walks += [
                _walk(_EACH_TEAM, picked, " AND team_id = my.team" + among + rest),
                _walk(_EACH_STATUS, picked, " AND brought_by = %(person)s" + among + rest),
            ]
    ids = _IDS + ") UNION (".join(walks) + ")) AS found" + order_sql("found", column, descending=descending)
    return SELECT_OPPORTUNITIES + _OF_TENANT + " AND id = ANY(ARRAY(" + ids + "))" + rest


def _walk(each: LiteralString, picked: LiteralString, rest: LiteralString) -> LiteralString:
    return "SELECT found.* FROM" + each + picked + _OF_STATUS + rest + ") AS found"
