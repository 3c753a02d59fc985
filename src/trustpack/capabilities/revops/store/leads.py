"""Leads and opportunities in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, LiteralString

from trustpack.capabilities.revops.model import Lead, LeadFilter, Opportunity, people_meant
from trustpack.platform.keyset_sql import page_sql, page_values
from trustpack.platform.unit_of_work import Transaction

_SELECT_LEADS: LiteralString = (
    "SELECT id, version, status, email, email_key, company, segment, employees, region, source, created_by, opportunity_id,"
    " routing_rule, routing_team, decision_id, created_at FROM trustpack.leads"
)
_INSERT_LEAD: LiteralString = (
    "INSERT INTO trustpack.leads (tenant_id, id, version, status, email, email_key, company, segment, employees, region,"
    " source, created_by, opportunity_id, routing_rule, routing_team, decision_id, created_at) VALUES (%(tenant)s, %(id)s,"
    " %(version)s, %(status)s, %(email)s, %(email_key)s, %(company)s, %(segment)s, %(employees)s, %(region)s, %(source)s,"
    " %(created_by)s, %(opportunity)s, %(rule)s, %(team)s, %(decision)s, %(created)s)"
)
SELECT_OPPORTUNITIES: LiteralString = (
    "SELECT id, version, status, lead_id, account, account_key, segment, owner_id, team_id, first_touch_due_at,"
    " first_touched_at, created_at FROM trustpack.opportunities"
)
_OF_TENANT: LiteralString = " WHERE tenant_id = %(tenant)s"
_FILTERS: LiteralString = (
    " AND (%(segment)s::text IS NULL OR leads.segment = lower(%(segment)s))"
    " AND (%(author)s::text IS NULL OR leads.created_by = %(author)s)"
)
_HELD: LiteralString = (
    "SELECT leads.id FROM trustpack.opportunities AS held JOIN trustpack.leads ON leads.tenant_id = held.tenant_id"
    " AND leads.id = held.lead_id WHERE held.tenant_id = %(tenant)s"
)
_OWN: LiteralString = "SELECT id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND created_by = %(person)s"
_OF_TEAMS: LiteralString = "SELECT found.id FROM unnest(%(teams)s::text[]) AS wanted (team) CROSS JOIN LATERAL ("
_BY_ID_END: LiteralString = "SELECT id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND id_end = %(id_end)s"
_BY_MAILBOX: LiteralString = "SELECT id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND email_key = %(mailbox)s"
_OF_AUTHORS: LiteralString = (
    "SELECT found.id FROM unnest(%(authors)s::text[]) AS one (name) CROSS JOIN LATERAL"
    " (SELECT id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND created_by = one.name"
)
_BROUGHT_IN: LiteralString = " AND held.brought_by = ANY(%(authors)s)"
_VISIBLE: LiteralString = (
    " AND (leads.created_by = %(person)s OR EXISTS (SELECT FROM trustpack.opportunities AS own WHERE own.tenant_id = %(tenant)s"
    " AND own.id = leads.opportunity_id AND (own.owner_id = %(person)s OR own.team_id = ANY(%(teams)s))))"
)


async def insert_lead(tx: Transaction, lead: Lead) -> bool:
    """Store a new lead and say whether it is one: false where the mailbox has a lead already, and nothing is stored then."""
    row = await tx.fetch_one(
        _INSERT_LEAD + " ON CONFLICT ON CONSTRAINT leads_email DO NOTHING RETURNING id", _lead_values(tx, lead)
    )
    return row is not None


async def insert_unseen_lead(tx: Transaction, lead: Lead) -> None:
    """Queue a new lead of a mailbox that has none; `UniqueViolation` of a later statement says that it has one by now."""
    await tx.write(_INSERT_LEAD, _lead_values(tx, lead))


async def insert_opportunity(tx: Transaction, opportunity: Opportunity) -> None:
    """Store a new opportunity."""
    await tx.write(
        "INSERT INTO trustpack.opportunities (tenant_id, id, version, status, lead_id, account, account_key, segment, owner_id,"
        " team_id, first_touch_due_at, first_touched_at, created_at) VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s,"
        " %(lead)s, %(account)s, %(account_key)s, %(segment)s, %(owner)s, %(team)s, %(due)s, %(touched)s, %(created)s)",
        {
            "tenant": tx.tenant_id,
            "id": opportunity.id,
            "version": opportunity.version,
            "status": opportunity.status,
            "lead": opportunity.lead_id,
            "account": opportunity.account,
            "account_key": opportunity.account_key,
            "segment": opportunity.segment,
            "owner": opportunity.owner_id,
            "team": opportunity.team_id,
            "due": opportunity.first_touch_due_at,
            "touched": opportunity.first_touched_at,
            "created": opportunity.created_at,
        },
    )


async def lead_by_mailbox(tx: Transaction, email_key: str) -> Lead | None:
    """Return the lead of a mailbox, or None."""
    row = await tx.fetch_one(
        _SELECT_LEADS + " WHERE tenant_id = %(tenant)s AND email_key = %(key)s", {"tenant": tx.tenant_id, "key": email_key}
    )
    return Lead(**row) if row is not None else None


async def lead_by_id(tx: Transaction, lead_id: str) -> Lead | None:
    """Return a lead, or None."""
    row = await tx.fetch_one(
        _SELECT_LEADS + " WHERE tenant_id = %(tenant)s AND id = %(id)s", {"tenant": tx.tenant_id, "id": lead_id}
    )
    return Lead(**row) if row is not None else None


async def opportunity_by_id(tx: Transaction, opportunity_id: str) -> Opportunity | None:
    """Return an opportunity, or None."""
    row = await tx.fetch_one(
        SELECT_OPPORTUNITIES + " WHERE tenant_id = %(tenant)s AND id = %(id)s", {"tenant": tx.tenant_id, "id": opportunity_id}
    )
    return Opportunity(**row) if row is not None else None


async def opportunities_by_id(tx: Transaction, opportunity_ids: list[str]) -> dict[str, Opportunity]:
    """Return several opportunities by id."""
    rows = await tx.fetch_all(
        SELECT_OPPORTUNITIES + " WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)",
        {"tenant": tx.tenant_id, "ids": opportunity_ids},
    )
    return {row["id"]: Opportunity(**row) for row in rows}


async def holders_of(tx: Transaction, subject_ids: Collection[str]) -> dict[str, tuple[frozenset[str], str | None]]:
    """Return by lead or opportunity whose it is: its people and its team. Those that are not there are left out."""
    rows = await tx.fetch_all(
        "SELECT subject.id, held.owner_id, held.brought_by, held.team_id"
        " FROM (SELECT id, opportunity_id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)"
        " UNION ALL SELECT id, id FROM trustpack.opportunities WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s))"
        " AS subject (id, opportunity_id)"
        " JOIN trustpack.opportunities AS held ON held.tenant_id = %(tenant)s AND held.id = subject.opportunity_id",
        {"tenant": tx.tenant_id, "ids": list(subject_ids)},
    )
    return {row["id"]: (frozenset((row["owner_id"], row["brought_by"])), row["team_id"]) for row in rows}


async def leads_by_mailbox(tx: Transaction, email_keys: Sequence[str]) -> dict[str, str]:
    """Return the ids of the leads that some of the mailboxes have."""
    rows = await tx.fetch_all(
        "SELECT email_key, id FROM trustpack.leads WHERE tenant_id = %(tenant)s AND email_key = ANY(%(keys)s)",
        {"tenant": tx.tenant_id, "keys": list(email_keys)},
    )
    return {row["email_key"]: row["id"] for row in rows}


async def teams_of_accounts(tx: Transaction, account_keys: Sequence[str]) -> dict[str, str]:
    """Return the name of the team that has each account, by its latest opportunity with a team; new accounts are left out."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT ON (held.account_key) held.account_key, team.name FROM trustpack.opportunities AS held"
        " JOIN trustpack.teams AS team ON team.tenant_id = held.tenant_id AND team.id = held.team_id AND team.status = 'active'"
        " WHERE held.tenant_id = %(tenant)s AND held.account_key = ANY(%(keys)s) ORDER BY held.account_key, held.id DESC",
        {"tenant": tx.tenant_id, "keys": list(account_keys)},
    )
    return {row["account_key"]: row["name"] for row in rows}


async def active_teams(tx: Transaction) -> frozenset[str]:
    """Return the names of the teams that can be given leads."""
    rows = await tx.fetch_all(
        "SELECT name FROM trustpack.teams WHERE tenant_id = %(tenant)s AND status = 'active'", {"tenant": tx.tenant_id}
    )
    return frozenset(row["name"] for row in rows)


async def open_deals_of_sellers(tx: Transaction, team_id: str) -> dict[str, int]:
    """Return how many open opportunities each account executive of a team has."""
    rows = await tx.fetch_all(
        "SELECT person.id, (SELECT count(*) FROM trustpack.opportunities AS held WHERE held.tenant_id = person.tenant_id"
        " AND held.owner_id = person.id AND held.status = 'open') AS open FROM trustpack.people AS person"
        " WHERE person.tenant_id = %(tenant)s AND person.status = 'active' AND person.kind = 'person'"
        " AND 'ae' = ANY(person.roles) AND %(team)s = ANY(person.team_ids)",
        {"tenant": tx.tenant_id, "team": team_id},
    )
    return {row["id"]: row["open"] for row in rows}


async def list_leads(tx: Transaction, wanted: LeadFilter) -> tuple[Lead, ...]:
    """Return one page."""
    named_by = wanted.named_by
    rows = await tx.fetch_all(
        _list_statement(wanted),
        {
            "tenant": tx.tenant_id,
            "segment": wanted.segment,
            "author": wanted.created_by,
            "id_end": named_by.id_end if named_by else None,
            "mailbox": named_by.mailbox if named_by else "",
            "accounts": list(named_by.accounts) if named_by else [],
            "authors": [author for author in people_meant(wanted.created_by, named_by) or () if author != wanted.visible_to],
            "person": wanted.visible_to,
            "teams": list(wanted.team_ids),
            **page_values(wanted.keyset, limit=wanted.limit),
        },
        plan_anew=True,
    )
    return tuple(Lead(**row) for row in rows)


def _list_statement(wanted: LeadFilter) -> LiteralString:
    """Return one walk along an index for each way in which a lead may be meant: a condition that joined them would have none.

    An id, a mailbox or an account has few leads, so what may be read of them is picked out. People have many: theirs
    are walked along for each way of being readable too.
    """
    rest = _FILTERS + page_sql("leads", "id", descending=wanted.keyset.descending)
    named_by, reader = wanted.named_by, wanted.visible_to
    if reader is None and named_by is None:
        return _SELECT_LEADS + _OF_TENANT + rest
    authors = people_meant(wanted.created_by, named_by)
    visible: LiteralString = "" if reader is None else _VISIBLE
    walks: list[LiteralString] = []
    if named_by is not None:
        found = visible + rest
        walks += [_BY_ID_END + found, _BY_MAILBOX + found, _HELD + " AND held.account_key = ANY(%(accounts)s)" + found]
    if authors and reader is None:
        walks.append(_OF_AUTHORS + rest + ") AS found")
    elif reader is not None:
        if authors is None or reader in authors:
            walks.append(_OWN + rest)
        if authors is None or set(authors) - {reader}:
            among: LiteralString = "" if authors is None else _BROUGHT_IN
            walks += [
                _HELD + " AND held.owner_id = %(person)s" + among + rest,
                _OF_TEAMS + _HELD + " AND held.team_id = wanted.team" + among + rest + ") AS found",
            ]
    return _SELECT_LEADS + _OF_TENANT + " AND id = ANY(ARRAY((" + ") UNION (".join(walks) + ")))" + rest


async def lock_opportunity(tx: Transaction, opportunity_id: str) -> Opportunity | None:
    """Return an opportunity and hold its row until the transaction ends."""
    # FOR UPDATE would wait for every other transaction that has just stored a quote of it, while those wait for this one.
    row = await tx.fetch_one(
        SELECT_OPPORTUNITIES + " WHERE tenant_id = %(tenant)s AND id = %(id)s FOR NO KEY UPDATE",
        {"tenant": tx.tenant_id, "id": opportunity_id},
    )
    return Opportunity(**row) if row is not None else None


async def update_opportunity(tx: Transaction, opportunity: Opportunity) -> None:
    """Store a locked opportunity's next version."""
    await tx.write(
        "UPDATE trustpack.opportunities SET version = %(version)s, status = %(status)s, first_touched_at = %(touched)s"
        " WHERE tenant_id = %(tenant)s AND id = %(id)s",
        {
            "tenant": tx.tenant_id,
            "id": opportunity.id,
            "version": opportunity.version,
            "status": opportunity.status,
            "touched": opportunity.first_touched_at,
        },
    )


def _lead_values(tx: Transaction, lead: Lead) -> dict[str, Any]:
    return {
        "tenant": tx.tenant_id,
        "id": lead.id,
        "version": lead.version,
        "status": lead.status,
        "email": lead.email,
        "email_key": lead.email_key,
        "company": lead.company,
        "segment": lead.segment,
        "employees": lead.employees,
        "region": lead.region,
        "source": lead.source,
        "created_by": lead.created_by,
        "opportunity": lead.opportunity_id,
        "rule": lead.routing_rule,
        "team": lead.routing_team,
        "decision": lead.decision_id,
        "created": lead.created_at,
    }
